"""Clients that mean no good or know no better: nobody else is hurt, nothing leaks, and the server goes on."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serve_fakes import Double, Running, asks, call, get, of_entry, post, register_model, served, wait_for

from jessyfile.serve.settings import Access, Limits

KEY = "s3cret-s3cret-s3cret"
TIGHT = Limits(
    queue=0,
    body=2000,
    head=2000,
    head_seconds=0.3,
    body_seconds=0.3,
    stalled=0.3,
    answer=0.4,
    grace=2.0,
    connections=20,
)


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with limits that a test can reach in tenths of a second."""
    folder = tmp_path_factory.mktemp("project")
    register_model(folder)
    with served(folder, of_entry(), limits=TIGHT) as found:
        yield found


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a key, called `jessy.example`, for the pages of one origin."""
    folder = tmp_path_factory.mktemp("project")
    register_model(folder)
    access = Access(KEY, ("jessy.example",), ("https://chat.example",))
    with served(folder, of_entry(), access=access) as found:
        yield found


def alive(running: Running) -> bool:
    return post(f"{running.url}/v1/chat/completions", asks()).status_code == 200


def test_a_page_whose_name_was_made_to_lead_here_reads_nothing(running: Running, double: Double) -> None:
    """DNS rebinding: the browser sends the page's own name as Host."""
    for host in (
        "evil.example",
        "evil.example:11435",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "a@localhost",
        "",
    ):
        answer = post(f"{running.url}/v1/chat/completions", asks(), headers={"Host": host})
        assert answer.status_code in (400, 421), host
        assert "tiny" not in answer.text
        assert get(f"{running.url}/v1/models", headers={"Host": host}).status_code in (400, 421)
    assert double.asked == []
    for host in ("localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:11435", "a.localhost", "host.docker.internal:11435"):
        assert get(f"{running.url}/v1/models", headers={"Host": host}).status_code == 200, host


def test_another_page_makes_the_model_answer_nothing(running: Running, double: Double) -> None:
    """A browser sends a POST of any page with a plain content type, and asks nobody before."""
    for headers in (
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = call("POST", f"{running.url}/api/chat", content=json.dumps(asks()), headers=headers)
        assert answer.status_code == 403, headers
        assert "access-control-allow-origin" not in answer.headers
    assert double.asked == []
    own = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"}
    assert post(f"{running.url}/api/chat", asks(stream=False), headers=own).status_code == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert get(running.url, headers=link).status_code == 200
    assert get(f"{running.url}/v1/models", headers=link).status_code == 403
    assert call("OPTIONS", f"{running.url}/api/chat", headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_page_that_was_allowed_may_ask(locked: Running) -> None:
    page = {"Origin": "https://chat.example", "Access-Control-Request-Method": "POST"}
    asked = call("OPTIONS", f"{locked.url}/v1/chat/completions", headers=page)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == "https://chat.example"
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    headers = {"Origin": "https://chat.example", "Authorization": f"Bearer {KEY}", "Host": "jessy.example"}
    answer = post(f"{locked.url}/v1/chat/completions", asks(), headers=headers)
    assert (answer.status_code, answer.headers["vary"]) == (200, "Origin")


def test_without_the_key_nothing_but_that_the_server_is_there_is_told(locked: Running) -> None:
    for given in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"x-api-key": KEY},
    ):
        for path in ("/v1/models", "/api/tags", "/metrics", "/openapi.json", "/api/version", "/nothing"):
            answer = get(f"{locked.url}{path}", headers=given)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (path, given)
        assert post(f"{locked.url}/v1/chat/completions", asks(), headers=given).status_code == 401
    assert get(f"{locked.url}/healthz").status_code == 200
    assert get(f"{locked.url}/v1/models", headers={"Authorization": f"bearer {KEY}"}).status_code == 200


def test_the_key_stands_in_no_answer_metric_or_log(locked: Running, capfd: pytest.CaptureFixture[str]) -> None:
    good = {"Authorization": f"Bearer {KEY}"}
    shown = [
        get(f"{locked.url}/metrics", headers=good).text,
        get(f"{locked.url}/v1/models?key={KEY}", headers=good).text,
        post(f"{locked.url}/v1/chat/completions", asks("gizli soru"), headers=good).text,
        post(f"{locked.url}/v1/chat/completions", asks(), headers={"Authorization": f"Bearer {KEY}x"}).text,
    ]
    logged = capfd.readouterr().err
    assert KEY not in "".join(shown) + logged
    assert "gizli soru" not in logged and '"route": "/v1/chat/completions"' in logged


def test_a_body_that_is_too_large_is_refused_before_it_is_read(tight: Running) -> None:
    head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**12}\r\n\r\n".encode()
    assert b"413" in tight.raw(head, 2).split(b"\r\n")[0]
    chunked = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"413" in tight.raw(chunked + b"1000\r\n" + b"x" * 0x1000 + b"\r\n", 2).split(b"\r\n")[0]
    assert post(f"{tight.url}/api/chat", asks("x" * 3000)).status_code == 413
    assert post(f"{tight.url}/api/chat", asks(), headers={"Content-Encoding": "gzip"}).status_code == 415
    assert alive(tight)


def test_a_body_that_does_not_come_is_given_up(tight: Running) -> None:
    started = time.perf_counter()
    answer = tight.raw(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", 3)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert time.perf_counter() - started < 2
    assert alive(tight)


def test_a_head_that_does_not_end_is_given_up(tight: Running) -> None:
    """Slowloris: a byte now and then keeps a connection for as long as its owner likes."""
    connections = [socket.create_connection(("127.0.0.1", tight.port)) for _ in range(8)]
    try:
        for one in connections:
            one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert alive(tight)
        ended = time.monotonic() + 3
        for one in connections:
            one.settimeout(max(0.1, ended - time.monotonic()))
            try:
                while time.monotonic() < ended:
                    one.sendall(b"a")
                    time.sleep(0.05)
                    one.settimeout(0.05)
                    try:
                        if one.recv(1) == b"":
                            break
                    except TimeoutError:
                        continue
                else:
                    pytest.fail("the connection is still open")
            except OSError:
                pass  # dropped, as it ought to be
    finally:
        for one in connections:
            one.close()
    assert alive(tight)


def test_a_client_that_reads_nothing_is_let_go(tmp_path: Path) -> None:
    """The answer's pieces would gather in the server for as long as the connection stood."""
    register_model(tmp_path)
    words = " ".join(["kelime" * 200] * 4000)
    with served(tmp_path, of_entry(answer_to=lambda _: words, parallel=1), limits=TIGHT) as running:
        body = json.dumps(asks(stream=True)).encode()
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
                + body
            )
            desk = running.service.house.desks[0]
            until = time.monotonic() + 5
            while (running.server.server_state.connections or desk.running) and time.monotonic() < until:
                time.sleep(0.02)
            assert desk.running == 0
            assert not running.server.server_state.connections


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 400_000 + b"\r\n\r\n",
        b"GET http://evil.example/v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: localhost\x00evil\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /ui/..%2f..%2fpyproject.toml HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_head_that_is_none_gets_no_answer_that_anybody_could_use(tight: Running, head: bytes) -> None:
    answer = tight.raw(head, 1.5)
    status = answer.split(b"\r\n")[0]
    assert not answer or any(code in status for code in (b" 400 ", b" 404 ", b" 405 ", b" 421 ", b" 431 ", b" 501 ")), (
        answer
    )
    assert b"[build-system]" not in answer and b"Traceback" not in answer


def test_two_requests_in_one_are_two(tight: Running) -> None:
    """Smuggling: a body that pretends to be a second request is a body."""
    inner = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(inner)
    answer = tight.raw(head + inner, 1.5)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b" 400 " in answer.split(b"\r\n")[0]
    both = b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert tight.raw(both + inner, 1.5).count(b"jessy_requests_total") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model":"tiny"' + b"}" * 3, b"[" * 1900, b'{"a":' * 300 + b"1" + b"}" * 300,
        b'{"model":"no","messages":[{"role":"user","content":"\\ud800"}]}', b'{"model":"no","messages":1e999}',
        b'{"model":"tiny","model":"no","messages":[{"role":"user","content":"x"}]}', b'{"model":"\\u0000","messages":[]}',
    ],
)  # fmt: skip
def test_a_body_that_is_none_is_refused_in_words(tight: Running, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/completions", "/api/chat", "/api/generate", "/api/show"):
        answer = call("POST", f"{tight.url}{path}", content=body)
        assert answer.status_code in (400, 404), (path, answer.text)
        assert answer.json()["error"]


def test_a_full_line_is_told_with_when_to_come_again(tmp_path: Path) -> None:
    register_model(tmp_path)
    gate = threading.Event()
    limits = Limits(queue=1, grace=5)
    with served(tmp_path, of_entry(parallel=1, gate=gate), limits=limits) as running:
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(post(f"{running.url}/v1/chat/completions", asks())))
            for _ in range(2)
        ]
        desk = running.service.house.desks[0]
        threads[0].start()
        wait_for(lambda: desk.running == 1)
        threads[1].start()
        wait_for(lambda: desk.waiting == 1)
        refused = post(f"{running.url}/v1/chat/completions", asks())
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert post(f"{running.url}/api/chat", asks()).status_code == 429
        assert get(f"{running.url}/healthz").status_code == 200
        gate.set()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in found] == [200, 200]
        assert 'jessy_refused_total{reason="queue_full"} 2' in get(f"{running.url}/metrics").text


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_whose_client_has_left_is_cut(tmp_path: Path, stream: bool) -> None:
    register_model(tmp_path)
    double = Double(seconds=20.0, answer_to=lambda _: "bir " * 400, parallel=1)
    with served(tmp_path, lambda _: double) as running:
        desk = running.service.house.desks[0]
        body = json.dumps(asks(stream=stream)).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(head + body)
            wait_for(lambda: desk.running == 1)
            time.sleep(0.1)
        wait_for(lambda: desk.running == 0)
        assert double.cut == 1
        wait_for(lambda: "jessy_abandoned_total 1" in get(f"{running.url}/metrics").text)


def test_a_question_whose_client_has_left_the_line_is_never_asked(tmp_path: Path) -> None:
    register_model(tmp_path)
    gate = threading.Event()
    double = Double(parallel=1, gate=gate)
    with served(tmp_path, lambda _: double) as running:
        desk = running.service.house.desks[0]
        first = threading.Thread(target=lambda: post(f"{running.url}/api/chat", asks("ilk")))
        first.start()
        wait_for(lambda: desk.running == 1)
        body = json.dumps(asks("giden")).encode()
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(
                b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            wait_for(lambda: desk.waiting == 1)
        wait_for(lambda: desk.waiting == 0)
        gate.set()
        first.join()
        assert [asked[0][-1].content for asked in double.asked] == ["ilk"]


def test_an_answer_that_takes_too_long_is_cut_and_says_so(tmp_path: Path) -> None:
    register_model(tmp_path)
    with served(tmp_path, of_entry(seconds=30.0, answer_to=lambda _: "bir " * 300), limits=TIGHT) as running:
        body = post(f"{running.url}/v1/chat/completions", asks()).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["jessy"]["ended"] == "cut"


def test_a_model_that_fails_is_an_error_and_no_end(tmp_path: Path) -> None:
    register_model(tmp_path)

    def fail(prompt: str) -> str:
        raise RuntimeError("secret path /home/somebody") if prompt == "patla" else ValueError(prompt)

    with served(tmp_path, of_entry(answer_to=fail, parallel=1)) as running:
        for stream in (False, True):
            answer = post(f"{running.url}/v1/chat/completions", asks("patla", stream=stream))
            assert (answer.status_code, answer.json()["error"]["message"]) == (
                500,
                "a bug in jessy; its log says where",
            )
        assert "secret" not in post(f"{running.url}/api/chat", asks("patla")).text
        assert running.service.house.desks[0].running == 0
