"""A teacher's server may do whatever it likes: every call ends in time, in bounds, with rows or a reason; and a
cache replays.

The server here is real HTTP on this machine, with behaviours that real servers have shown; waiting is replaced,
never slept.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jessyfile.dataset.completions import TRIES, Address, Failure, KeptAnswers
from jessyfile.dataset.example import DEFAULT_BANDS
from jessyfile.dataset.select import Wanted
from jessyfile.dataset.teacher import ROWS_A_REQUEST, TeacherRun, parse_rows, request_body
from jessyfile.errors import DatasetError, TeacherError
from jessyfile.language.recipe import Teacher

WANTED = Wanted("turkish", "casual", 12, "tr", "low")
WORDS = ["çay", "kahve", "simit", "yağmur", "güneş", "deniz", "dağ", "araba", "kedi", "köpek", "okul", "sınav"]


def chat(content, **message):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content} | message}]}).encode("utf-8")


def rows_for(body, count=ROWS_A_REQUEST):
    """Rows that differ with the request, as a good teacher would write them."""
    number = body["seed"] % 100_000
    made = [
        {
            "query": f"{WORDS[i]} konusu {number} nasıl",
            "response": f"{WORDS[-i - 1].title()} deyince {number} defa düşünürüm bence.",
            "iterations": 1,
        }
        for i in range(count)
    ]
    return json.dumps({"rows": made}, ensure_ascii=False)


class Server:
    """An OpenAI-compatible server that does what `behave` says; counts requests and keeps what it was sent."""

    def __init__(self, behave):
        self.bodies, self.headers, self.release = [], [], threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.bodies.append(body)
                server.headers.append(dict(self.headers))
                behave(self, body, server)

            def log_message(self, *arguments):
                pass

            def answer(self, data, status=200, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@contextmanager
def serving(behave):
    server = Server(behave)
    try:
        yield server
    finally:
        server.release.set()
        server.http.shutdown()
        server.http.server_close()


def good(handler, body, server):
    handler.answer(chat(rows_for(body)))


def teacher_at(url, **change):
    values = {"url": url, "model": "t", "key_env": None, "max_requests": 50, "concurrency": 2}
    values |= {"temperature": 0.8, "timeout": 5.0, "min_accepted": 0.2}
    return Teacher(**(values | change))


@pytest.fixture
def make_run(tmp_path):
    def make(url, cache="cache", key=None, **change):
        waits = []
        teacher = teacher_at(url, **change)
        address = Address(url, key, teacher.timeout, sleep=waits.append)
        run = TeacherRun(teacher, address, KeptAnswers(tmp_path / cache), DEFAULT_BANDS)
        return run, waits

    return make


def write(run, missing=12, admit=lambda rows: rows):
    return run.write(WANTED, missing, "Turkish", [], 42, admit)


def test_a_good_teacher_gives_exactly_what_is_missing(make_run):
    with serving(good) as server:
        run, waits = make_run(server.url)
        rows = write(run, 10)
    assert len(rows) == 10
    assert {(row.example.source, row.example.topic, row.example.language) for row in rows} == {
        ("teacher", "casual", "tr")
    }
    assert waits == []


def test_a_replay_without_the_server_gives_the_same_rows_and_asks_nothing(make_run):
    with serving(good) as server:
        first, _ = make_run(server.url)
        rows = write(first)
    second, waits = make_run(server.url)
    assert write(second) == rows
    assert (second.report.sent, waits) == (0, [])
    assert second.report.facts() == first.report.facts()


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_concurrency_does_not_change_the_rows(make_run, concurrency):
    with serving(good) as server:
        one, _ = make_run(server.url, cache="one", concurrency=1)
        many, _ = make_run(server.url, cache="many", concurrency=concurrency)
        assert [row.example for row in write(one, 20)] == [row.example for row in write(many, 20)]


def test_requests_run_at_once(make_run):
    """Both requests of a window are in the server before either is answered."""
    together = threading.Barrier(2, timeout=10)

    def wait_for_another(handler, body, server):
        together.wait()
        good(handler, body, server)

    with serving(wait_for_another) as server:
        run, _ = make_run(server.url, concurrency=2)
        assert len(write(run)) == 12


def test_the_budget_is_never_passed_and_the_rest_is_missing(make_run):
    with serving(good) as server:
        run, _ = make_run(server.url, max_requests=3, concurrency=2)
        rows = write(run, 100)
        assert len(server.bodies) == 3
    assert len(rows) == 3 * ROWS_A_REQUEST


def test_the_key_is_sent_and_never_cached(make_run, tmp_path):
    with serving(good) as server:
        run, _ = make_run(server.url, key="sk-secret")
        write(run)
        assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert not [path for path in (tmp_path / "cache").iterdir() if b"sk-secret" in path.read_bytes()]


def test_structured_output_is_asked_for_and_given_up_when_refused(make_run):
    def strict(handler, body, server):
        if "response_format" in body:
            handler.answer(b'{"error": "unsupported"}', 400)
        else:
            good(handler, body, server)

    with serving(strict) as server:
        run, _ = make_run(server.url, concurrency=1)
        assert len(write(run)) == 12
        assert ["response_format" in body for body in server.bodies] == [True, False, False]


def flaky(times, status, **headers):
    def behave(handler, body, server):
        if len(server.bodies) <= times:
            handler.answer(b"{}", status, **headers)
        else:
            good(handler, body, server)

    return behave


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again_with_longer_waits(make_run, status):
    with serving(flaky(2, status)) as server:
        run, waits = make_run(server.url, concurrency=1)
        assert len(write(run, 6)) == 6
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(("said", "waited"), [("7", 7.0), ("99999", 30.0), ("nan", 30.0), ("-5", 30.0), ("soon", 1.0)])
def test_retry_after_is_heeded_within_bounds(make_run, said, waited):
    with serving(flaky(1, 429, retry_after=said)) as server:
        run, waits = make_run(server.url, concurrency=1)
        write(run, 6)
    assert waits == [waited]


def hang(handler, body, server):
    server.release.wait(10)


def drip(handler, body, server):
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    while not server.release.wait(0.01):
        handler.wfile.write(b" ")


def drip_headers(handler, body, server):
    """Each byte comes in time for a read's own limit, and the answer never begins."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
    while not server.release.wait(0.05):
        handler.wfile.write(b"y")
        handler.wfile.flush()


def endless(handler, body, server):
    handler.send_response(200)
    handler.end_headers()
    try:
        while not server.release.is_set():
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass


def compressed(handler, body, server):
    import gzip

    handler.answer(gzip.compress(b"[" * (64 << 20)), content_encoding="gzip")


def fixed(data, status=200, **headers):
    return lambda handler, body, server: handler.answer(data, status, **headers)


HOSTILE = {
    "hangs": (hang, "no whole answer within 0.2 s"),
    "drips its headers": (drip_headers, "no whole answer within 0.2 s"),
    "drips": (drip, "no whole answer within 0.2 s"),
    "never ends": (endless, "longer than 1 MiB"),
    "compresses a bomb": (compressed, "compressed its answer unasked"),
    "answers 429 for ever": (fixed(b"{}", 429), "the server answered 429"),
    "answers 500 for ever": (fixed(b"oops", 500), "the server answered 500"),
    "wants another key": (fixed(b"{}", 401), "the server answered 401"),
    "knows no such model": (fixed(b"{}", 404), "the server answered 404"),
    "redirects elsewhere": (fixed(b"", 302, location="http://127.0.0.1:9/"), "the server answered 302"),
    "answers HTML": (fixed(b"<html>login</html>"), "the answer is not JSON"),
    "answers half": (fixed(b'{"choices": [{"mess'), "the answer is not JSON"),
    "nests": (fixed(b"[" * 100_000), "the answer is nested deeper"),
    "has no choices": (fixed(b'{"choices": []}'), "no choices[0].message.content"),
    "has a number for content": (fixed(chat(5)), "content is no text"),
    "refuses": (fixed(chat(None, refusal="no")), "the model refused"),
    "answers binary": (fixed(bytes(range(256))), "the answer"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_ends_in_one_sentence(make_run, name):
    behave, expected = HOSTILE[name]
    with serving(behave) as server:
        timeout = 0.2 if name in ("hangs", "drips", "drips its headers") else 5.0
        run, _ = make_run(server.url, concurrency=1, timeout=timeout)
        with pytest.raises(TeacherError) as caught:
            write(run)
        assert len(server.bodies) <= 3 * TRIES
    assert expected in caught.value.message
    assert caught.value.hint


def test_a_server_that_is_gone_ends_in_one_sentence(make_run):
    with serving(good) as server:
        url = server.url
    run, _ = make_run(url)
    with pytest.raises(TeacherError, match="the connection failed"):
        write(run)


def test_a_nonsense_address_is_fatal_at_once():
    assert Address("http://[::1", None, 1.0).complete({}) == Failure("the address is no URL of a server", fatal=True)


USELESS = {
    "refusal": "I'm sorry, but I can't help with that.",
    "broken JSON": '{"rows": [{"query": "a"',
    "no rows": '{"data": []}',
    "malformed row": json.dumps({"rows": [{"query": "a"}] * 6}),
}


@pytest.mark.parametrize("reason", USELESS)
def test_a_useless_teacher_is_stopped_early_with_the_reasons(make_run, reason):
    with serving(fixed(chat(USELESS[reason]))) as server:
        run, _ = make_run(server.url, max_requests=1000, concurrency=4)
        with pytest.raises(TeacherError) as caught:
            write(run)
        assert len(server.bodies) <= 4
    assert reason in caught.value.message
    expected = (
        "only 0 of 24 rows that t wrote were accepted" if reason == "malformed row" else "4 of 4 answers are no JSON"
    )
    assert expected in caught.value.message


def in_words(handler, body, server):
    handler.answer(chat("Tabii! Hemen yazıyorum, bir dakika."))


@pytest.mark.parametrize("budget", [1, 2, 3, 500])
def test_answers_that_cannot_be_read_are_said_before_the_budget_is(make_run, budget):
    """Where no row could be counted nothing stopped the requests, and in the end only more of them were recommended."""
    with serving(in_words) as server:
        run, _ = make_run(server.url, max_requests=budget, concurrency=1)
        with pytest.raises(TeacherError, match=rf"{min(budget, 4)} of {min(budget, 4)} answers are no JSON"):
            write(run)
        assert len(server.bodies) == min(budget, 4)


def test_a_teacher_that_answers_in_words_half_the_time_is_stopped_by_what_is_accepted(make_run):
    def half(handler, body, server):
        (good if len(server.bodies) % 6 == 1 else in_words)(handler, body, server)

    with serving(half) as server:
        run, _ = make_run(server.url, max_requests=500, concurrency=1, min_accepted=0.2)
        with pytest.raises(TeacherError, match=r"only 6 of \d+ rows .* \(broken JSON"):
            write(run, 500)
        assert len(server.bodies) <= 6


def shapes():
    rows = [
        {
            "query": f"{word} ile ne yapsam {n}",
            "response": f"{word.title()} varsa reçel yap, komşuya götür {n}.",
            "iterations": 1,
        }
        for n, word in enumerate(WORDS[:6])
    ]
    whole = json.dumps({"rows": rows}, ensure_ascii=False)
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return {
        "plain": whole,
        "a fence": f"```json\n{whole}\n```",
        "a fence between words": f"İşte:\n```json\n{whole}\n```\nBaşka?",
        "thoughts": f"<think>\nKullanici {{istiyor}} alti satir, [belki].\n</think>\n\n{whole}",
        "thoughts without their beginning": f"Önce [düşüneyim] {{biraz}}.\n</think>\n{whole}",
        "thoughts that hold a draft": f'<think>{{"rows": [{{"query": "taslak", "response": "taslak", "iterations": 1}}]}}</think>{whole}',
        "thoughts and a fence": f"<thinking>hm</thinking>\n```\n{whole}\n```",
        "words around": f"Tabii! İşte istediğin satırlar:\n\n{whole}\n\nUmarım işine yarar.",
        "a bare array": json.dumps(rows, ensure_ascii=False),
        "an array between words": f"Buyur: {json.dumps(rows, ensure_ascii=False)} Hepsi bu.",
        "another name": json.dumps({"examples": rows}),
        "a note beside the rows": json.dumps({"language": "tr", "data": rows}),
        "one a line": lines,
        "pretty": json.dumps({"rows": rows}, indent=2),
        "several arrays": json.dumps(rows[:3]) + "\n\n" + json.dumps(rows[3:]),
        "cut off": whole[:-2] + ', {"query": "yarim',
    }


@pytest.mark.parametrize("shape", shapes())
def test_rows_are_read_in_whatever_a_model_wraps_them(shape):
    rows, reasons = parse_rows(shapes()[shape], WANTED, 0, DEFAULT_BANDS)
    assert [row.example.query for row in rows] == [f"{word} ile ne yapsam {n}" for n, word in enumerate(WORDS[:6])]
    assert not reasons


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{" * 100_000, "{[" * 50_000, '["' * 100_000, "[1," * 100_000, "<think>" * 50_000]
)
def test_an_answer_of_brackets_is_given_up_in_time(text):
    start = time.perf_counter()
    assert parse_rows(text, WANTED, 0, DEFAULT_BANDS)[0] == []
    assert time.perf_counter() - start < 5


def test_rows_that_the_filters_refuse_count_against_the_teacher(make_run):
    with serving(good) as server:
        run, _ = make_run(server.url, concurrency=1)
        with pytest.raises(TeacherError, match=r"only 0 of 24 .* \(filtered 24\)"):
            write(run, admit=lambda rows: [])


@pytest.mark.parametrize("damage", [b"", b"{", b'{"content": 5}', b"\xff"])
def test_a_damaged_cache_entry_is_asked_for_again(make_run, tmp_path, damage):
    with serving(good) as server:
        first, _ = make_run(server.url, concurrency=1)
        rows = write(first, 6)
        (entry,) = (tmp_path / "cache").iterdir()
        entry.write_bytes(damage)
        second, _ = make_run(server.url, concurrency=1)
        assert write(second, 6) == rows
        assert second.report.sent == 1


def test_what_a_teacher_writes_is_read_strictly():
    fine = {"query": "naber", "response": "İyilik, senden ne haber?", "iterations": 1}
    refused = fine | {"response": "Bir yapay zeka olarak hislerim yok."}
    answer = {"rows": [fine, fine | {"iterations": 5}, fine | {"response": "kısa"}, refused, 7]}
    rows, reasons = parse_rows(json.dumps(answer), WANTED, 0, DEFAULT_BANDS)
    assert [row.example.query for row in rows] == ["naber"]
    assert reasons == {"level low takes 1-2 iterations": 1, "malformed row": 2, "refusal": 1}
    fenced, _ = parse_rows(f"```json\n{json.dumps({'rows': [fine]})}\n```", WANTED, 0, DEFAULT_BANDS)
    assert len(fenced) == 1


def test_a_request_depends_on_the_recipe_and_its_number_alone(row):
    teacher = teacher_at("http://x/v1")
    seeds = [row(query=f"soru {n}", response=f"cevap numarası {n}") for n in range(20)]

    def body(number, seed=42, url="http://x/v1"):
        return request_body(teacher_at(url), WANTED, "T", seeds, seed, number, DEFAULT_BANDS)

    assert body(0) == body(0) == body(0, url="http://elsewhere/v1")
    assert len({json.dumps(body(n)) for n in range(30)}) == 30
    assert body(0) != body(0, seed=43)
    assert "cevap numarası" in body(0)["messages"][1]["content"]
    assert teacher.model == body(0)["model"]


def test_a_recipe_with_a_teacher_gets_exact_counts_and_replays_byte_for_byte(project, seed, recipe, category, steps):
    project("data/seeds/turkish/casual.jsonl", seed("canım sıkıldı bugün", "Bir kelime oyunu oynayalım mı?"))
    with serving(good) as server:
        wanted = recipe(project.root, category("turkish", "tr", "low", casual=20), teacher=teacher_at(server.url))
        (project.root / "data" / "lexicon").mkdir(parents=True)
        (project.root / "templates" / "examples").mkdir(parents=True)
        (project.root / "templates" / "examples" / "turkish.casual.j2").write_text("", "utf-8")
        first = steps(wanted, project.root)
    again = steps(wanted, project.root)
    assert first.summary.rows == 20
    assert first.facts["data.turkish"].topics["turkish/casual"] == {"hand": 1, "teacher": 19}
    for name in ("train.jsonl", "valid.jsonl", "card.json"):
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes()
    assert first.facts == again.facts


def test_a_seed_file_with_as_many_lines_as_asked_and_one_said_twice_still_asks_the_teacher(
    project, seed, recipe, category, steps
):
    """As many lines as rows were taken for enough; one was a near duplicate, and the error blamed a teacher nobody asked."""
    rows = [
        seed(f"deniz nasıl {word}", f"Deniz {word} pek sakin.", category="poems", topic="sea")
        for word in ("bugün", "dün")
    ]
    project("data/seeds/poems/sea.jsonl", *rows, rows[0] | {"query": "Deniz nasıl, bugün?"})
    with serving(good) as server:
        made = steps(
            recipe(project.root, category("poems", "tr", "low", sea=3), teacher=teacher_at(server.url)), project.root
        )
    assert made.facts["data.poems"].topics["poems/sea"] == {"hand": 2, "teacher": 1}
    assert made.facts["data.poems"].dropped["duplicate"].dropped >= 1


def test_a_budget_that_ends_names_the_way_out(project, seed, recipe, category, steps):
    sea = seed("deniz nasıl", "Deniz bugün sakin ve mavi.", category="poems", topic="sea")
    project("data/seeds/poems/sea.jsonl", sea)
    with serving(good) as server:
        teacher = teacher_at(server.url, max_requests=1)
        wanted = recipe(project.root, category("poems", "tr", "low", sea=100), teacher=teacher)
        with pytest.raises(DatasetError) as caught:
            steps(wanted, project.root)
    assert "93 are missing" in caught.value.message
    assert "max_requests" in caught.value.hint


def test_a_key_that_is_not_set_is_named(project, seed, recipe, category, steps, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    sea = seed("deniz nasıl", "Deniz bugün sakin ve mavi.", category="poems", topic="sea")
    project("data/seeds/poems/sea.jsonl", sea)
    teacher = teacher_at("http://127.0.0.1:9/v1", key_env="NO_SUCH_KEY")
    wanted = recipe(project.root, category("poems", "tr", "low", sea=3), teacher=teacher)
    with pytest.raises(TeacherError, match="NO_SUCH_KEY is not set"):
        steps(wanted, project.root)
