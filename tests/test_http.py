"""One request ends within its time and its bytes, goes where it was sent and nowhere else, and stops with the user."""

from __future__ import annotations

import gzip
import re
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from jessyfile.addresses import address_of, host_of, is_loopback
from jessyfile.http import MAX_ANSWER, HttpError, exchange, posted


@contextmanager
def server(behave):
    """Yield the port of a server that hands every connection, and what it was sent first, to `behave`."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve():
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection):
        with connection:
            try:
                behave(connection, request(connection), over)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.close()


def request(connection):
    """Return what was sent first, with the whole body when its length is said: head and body may come in two pieces."""
    sent = connection.recv(1 << 16)
    while True:
        head, _, body = sent.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        more = connection.recv(1 << 16) if length and len(body) < int(length[1]) else b""
        if not more:
            return sent
        sent += more


def answering(head, body=b"", seen=None):
    def behave(connection, sent, over):
        if seen is not None:
            seen.append(sent)
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)

    return behave


def dripping(beginning, piece):
    def behave(connection, sent, over):
        connection.sendall(beginning)
        while not over.wait(0.05):
            connection.sendall(piece)

    return behave


OK = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "says nothing": dripping(b"", b""),
    "drips its status": dripping(b"HTTP/1.1 2", b"0"),
    "drips its headers": dripping(OK + b"x: ", b"y"),
    "says early hints for ever": dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "drips its body": dripping(OK + b"\r\n", b"x"),
    "drips chunks": dripping(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("name", SLOW)
def test_the_whole_takes_its_seconds_and_no_more(name):
    """Every byte came within a read's own limit; an answer with a limit of half a second took ten."""
    with server(SLOW[name]) as port:
        start = time.monotonic()
        with pytest.raises(HttpError) as caught, exchange("GET", f"http://127.0.0.1:{port}/", seconds=0.5) as response:
            response.read()
        assert time.monotonic() - start < 3
    assert caught.value.kind in ("timeout", "broken")


@pytest.mark.parametrize("name", SLOW)
def test_a_user_who_stops_waits_for_no_answer(name):
    class Stop:
        begin = time.monotonic()

        def requested(self):
            return time.monotonic() - self.begin > 0.3

    with server(SLOW[name]) as port:
        stop = Stop()
        stop.begin = time.monotonic()
        with (
            pytest.raises(HttpError) as caught,
            exchange("GET", f"http://127.0.0.1:{port}/", seconds=60, stop=stop) as response,
        ):
            response.read()
        assert time.monotonic() - stop.begin < 5
    assert caught.value.kind in ("stopped", "broken")


def fetched(url, **options):
    """Return the status and the body of an answer."""
    with posted(url, {"a": "half \ud800"}, seconds=30, **options) as response:
        return response.status, response.read(MAX_ANSWER)


def test_an_answer_without_an_end_is_cut():
    endless = dripping(OK + b"\r\n", b"x" * (1 << 20))
    with server(endless) as port, pytest.raises(HttpError, match="longer than 1 MiB"):
        fetched(f"http://127.0.0.1:{port}/")


def test_a_bomb_is_not_unpacked():
    bomb = answering(OK + b"content-encoding: gzip\r\n", gzip.compress(b"0" * (32 << 20)))
    with server(bomb) as port, pytest.raises(HttpError, match="compressed") as caught:
        fetched(f"http://127.0.0.1:{port}/")
    assert caught.value.kind == "encoded"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_followed_elsewhere(status):
    """A key belongs to the host that it was sent to."""
    elsewhere = []
    with server(answering(OK, seen=elsewhere)) as other:
        head = b"HTTP/1.1 %d Moved\r\nlocation: http://127.0.0.1:%d/\r\n" % (status, other)
        with server(answering(head)) as port:
            assert fetched(f"http://127.0.0.1:{port}/v1", headers={"Authorization": "Bearer k"})[0] == status
    assert elsewhere == []


def test_a_proxy_sees_the_hosts_name_of_https_and_nothing_of_http(monkeypatch):
    seen = []
    with server(answering(b"HTTP/1.1 403 No\r\n", seen=seen)) as port:
        for variable in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "inside.invalid")
        for url in (
            "http://a.invalid/v1",
            "https://127.0.0.1:9/v1",
            "https://inside.invalid:9/v1",
            "https://a.invalid/v1",
        ):
            with pytest.raises(HttpError):
                fetched(url, headers={"Authorization": "Bearer k"})
    assert [sent.split(b"\r\n")[0] for sent in seen] == [b"CONNECT a.invalid:443 HTTP/1.1"]
    assert not any(b"Bearer" in sent or b"half" in sent for sent in seen)


def test_what_is_sent_is_the_host_the_path_and_the_body():
    seen = []
    with server(answering(OK, b"{}", seen)) as port:
        assert fetched(f"http://127.0.0.1:{port}/v1/ü?x=1&y=ö") == (200, b"{}")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /v1/%C3%BC?x=1&y=%C3%B6 HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}".encode() in head
    assert body == b'{"a":"half \\ud800"}'


@pytest.mark.parametrize("value", ["sk-1\nX-Other: 2", "sk-1 anahtarım"])
def test_a_header_that_is_none_is_refused_and_not_repeated(value):
    with server(answering(OK)) as port, pytest.raises(HttpError) as caught:
        fetched(f"http://127.0.0.1:{port}/", headers={"Authorization": value})
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host", "here"),
    [
        ("http://127.0.0.1:11434/v1", "127.0.0.1:11434", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("https://Example.COM:443/x", "example.com", False),
        ("http://0.0.0.0:11434", "0.0.0.0:11434", True),
        ("http://örnek.example", "xn--rnek-4qa.example", False),
        ("http://127.0.0.1.evil.example", "127.0.0.1.evil.example", False),
    ],
)
def test_an_address_names_one_host(url, host, here):
    assert (host_of(url), is_loopback(url)) == (host, here)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:80", "ftp://a", "http://", "http://a:b@c", "http://a@b", "http://a:99999", "http://a:0", "http://[::1", "http://a\\@b",
     "http://" + "a" * 70 + ".example", "http://a..b"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match="no URL"):
        address_of(url)
    with pytest.raises(HttpError) as caught, exchange("GET", url, seconds=1):
        pass
    assert caught.value.kind == "address"
