"""The chat page: what a browser is sent, and what a person sees and does, in a headless Chromium where the machine has one."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from serve_fakes import Double, Running, of_entry, register_model, served

from jessyfile.feedback.store import SignalStore
from jessyfile.resources import resource
from jessyfile.serve.settings import Access

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(not (BROWSER and DRIVER), reason="no Chromium and its driver here")
WIDE, PHONE = (1200, 800), (390, 780)
LANGUAGES = ("en", "tr")
PAGE = resource("templates", "chat_page")


def text_of(name: str) -> str:
    return (PAGE / name).read_text("utf-8")


def test_a_browser_gets_the_page_and_a_client_of_ollama_what_it_looks_for(running: Running) -> None:
    page = httpx.get(running.url, headers={"Accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert "<title>jessy</title>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "'unsafe" not in page.headers["content-security-policy"]
    assert httpx.get(running.url).text == "Ollama is running"
    for name in re.findall(r'(?:src|href)="(/ui/[^"]+)"', page.text):
        assert httpx.get(running.url + name).status_code == 200


def test_the_page_asks_no_other_server_and_writes_no_markup() -> None:
    for file in PAGE.iterdir():
        text = file.read_text("utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org)", text), f"{file.name} names another server"
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text_of("index.html"))


def test_every_word_is_there_in_both_languages() -> None:
    """A word without a translation would be said in English in the middle of a Turkish page."""
    blocks = dict(re.findall(r"^  (en|tr): \{\n(.*?)^  \},", text_of("words.js"), re.MULTILINE | re.DOTALL))
    known = {language: set(re.findall(r"(\w+): \"", blocks[language])) for language in LANGUAGES}
    assert known["en"] == known["tr"]
    asked = set(re.findall(r'data-word="(\w+)"', text_of("index.html")))
    asked |= set(re.findall(r'word\("(\w+)"', text_of("chat.js"))) | {"good", "bad"}
    assert asked <= known["en"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    profile = tmp_path_factory.mktemp("browser")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--lang=en", f"--user-data-dir={profile}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


class Person:
    """Somebody before the page: types, presses, reads."""

    def __init__(self, driver: WebDriver, url: str, size: tuple[int, int]) -> None:
        self.driver = driver
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
        )
        driver.get(url)
        self.until(lambda: self.all("#model option"))

    def all(self, where: str) -> list[str]:
        """Return the words of all that fit, read at one moment: the page may change between two looks."""
        script = "return Array.from(document.querySelectorAll(arguments[0]), (one) => one.innerText)"
        return list(self.driver.execute_script(script, where))

    def press(self, where: str, which: int = 0) -> None:
        self.driver.find_elements("css selector", where)[which].click()

    def type(self, words: str, where: str = "#question") -> None:
        self.driver.find_element("css selector", where).send_keys(words)

    def until(self, holds: Callable[[], object], seconds: float = 15) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.driver.find_element("css selector", "body").text
            time.sleep(0.02)

    def asks(self, words: str) -> None:
        before = len(self.all("article.hers"))
        self.type(f"{words}\ue007")  # Enter
        self.until(lambda: len(self.all("article.hers .deeds")) > before)


@needs_browser
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_person_asks_reads_judges_and_corrects(browser: WebDriver, tmp_path: Path, size: tuple[int, int]) -> None:
    double = Double()
    register_model(tmp_path)
    with served(tmp_path, lambda _: double) as running:
        person = Person(browser, running.url, size)
        person.asks("selam")
        assert person.all("article.hers .text") == ["selam diyorsun."]
        assert "low · 1 iteration" in person.all("article.hers .facts")[0]
        person.asks("<b>kalın</b>\ue008\ue007\ue008<i>iki satır</i>")  # Shift and Enter is a new line
        assert person.all("article.hers .text")[1] == "<b>kalın</b>\n<i>iki satır</i> diyorsun."
        assert person.all("article b, article i") == []
        assert [turn.content for turn in double.asked[1][0][:2]] == ["selam", "selam diyorsun."]
        person.press(".deeds button", 0)
        person.until(lambda: "Nothing leaves" in person.all("#note")[0])
        assert browser.find_elements("css selector", ".deeds button")[0].get_attribute("aria-pressed") == "true"
        person.press(".deeds button", 2)
        person.type(" Sana da selam.", ".edit textarea")
        person.press(".edit .deeds button", 0)
        person.until(lambda: not person.all(".edit"))
        kept = SignalStore(tmp_path).read().signals
        assert [(one.signal.signal, one.signal.source) for one in kept] == [("up", "page"), ("edit", "page")]
        assert kept[1].signal.chosen == "selam diyorsun. Sana da selam."
        wide = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, "the page is wider than the screen"
        assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


@needs_browser
def test_a_turkish_browser_reads_level_rounds_and_seconds_in_turkish(browser: WebDriver, tmp_path: Path) -> None:
    """The level was picked as `az` and told as `low`, with a point in its seconds."""
    register_model(tmp_path)
    speaks = "Object.defineProperty(navigator, 'languages', {get: () => ['tr-TR', 'en']})"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": speaks})
    try:
        with served(tmp_path, lambda _: Double()) as running:
            person = Person(browser, running.url, WIDE)
            person.asks("selam")
            assert re.match(r"düşük · 1 tur · \d+,\d sn", person.all("article.hers .facts")[0])
            assert "düşük" in person.all("#thought option")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@needs_browser
def test_thoughts_are_folded_away_and_an_answer_can_be_stopped(browser: WebDriver, tmp_path: Path) -> None:
    double = Double(seconds=0.05)
    register_model(tmp_path)
    with served(tmp_path, lambda _: double) as running:
        person = Person(browser, running.url, WIDE)
        person.press("#thought option[value=max]")
        person.asks("bilinç nedir")
        assert "9 iterations" in person.all("article.hers .facts")[0]
        assert "taslak 1" in (
            browser.find_element("css selector", "article.hers details pre").get_attribute("textContent") or ""
        )
        double.seconds = 30
        person.type("uzun\ue007")
        person.until(lambda: len(double.asked) == 2)
        person.type("\ue00c")  # Escape
        person.until(lambda: person.driver.find_element("css selector", "#send").is_displayed())
        person.until(lambda: double.cut == 1)


@needs_browser
def test_a_server_with_a_key_asks_for_it_and_one_that_is_gone_is_said(browser: WebDriver, tmp_path: Path) -> None:
    register_model(tmp_path)
    with served(tmp_path, of_entry(), access=Access(key="gizli")) as running:
        browser.get(running.url)
        browser.execute_script("sessionStorage.clear()")
        browser.get(running.url)
        end = time.monotonic() + 10
        while not browser.find_element("css selector", "dialog#key").is_displayed():
            assert time.monotonic() < end
            time.sleep(0.02)
        browser.find_element("css selector", "#key-value").send_keys("gizli\ue007")
        end = time.monotonic() + 10
        while not browser.find_elements("css selector", "#model option"):
            assert time.monotonic() < end
            time.sleep(0.02)
    browser.find_element("css selector", "#question").send_keys("orada mısın\ue007")
    end = time.monotonic() + 10
    while "does not answer" not in browser.find_element("css selector", "#note").text:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert browser.find_element("css selector", "#question").get_attribute("value") == "orada mısın"
