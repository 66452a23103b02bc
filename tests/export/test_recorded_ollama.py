"""The double answers as live servers did: their exchanges were recorded, of the newest whose source was there and of one before 0.30.

The answers are compared by status, by the names of what they hold and by the reasons of refusals; numbers of tokens and of layers
are a model's own.
"""

import hashlib
import json
import re
from http.client import HTTPConnection
from pathlib import Path

import pytest
from fake_ollama import fake_ollama

RECORDED = json.loads((Path(__file__).parent / "recorded_ollama.json").read_text("utf-8"))
DATA = b"GGUF of a few bytes"
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
_VARIES = re.compile(r"sha256[:-][0-9a-f]{64}|/models/blobs/\S+")


def asked(url, exchange):
    body = exchange.get("body")
    sent = None if body is None else json.dumps(body).replace("sha256:DIGEST", DIGEST).encode()
    if exchange["method"] == "POST" and body is None:
        sent = DATA if "DIGEST" in exchange["path"] else b"x"
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    headers = {"Content-Type": "application/json"}
    connection.request(exchange["method"], exchange["path"].replace("sha256:DIGEST", DIGEST), sent, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def shape(lines):
    """What a client can rely on: the last line's keys, and why a server refused."""
    last = lines[-1] if lines else {}
    reason = _VARIES.sub("…", str(last["error"])) if "error" in last else None
    return set(last), reason


@pytest.mark.parametrize("version", RECORDED)
def test_the_double_answers_as_the_server_did(version):
    with fake_ollama() as (state, url):
        state.stored = 201 if version == "0.24.0" else 200
        for exchange in RECORDED[version]:
            status, text = asked(url, exchange)
            lines = [json.loads(line) for line in text.splitlines() if line]
            assert status == exchange["status"], exchange["name"]
            keys, reason = shape(exchange["answer"])
            found, why = shape(lines)
            assert why == reason, exchange["name"]
            assert found <= keys, exchange["name"]  # the double never says what no server says
            for needed in ("capabilities", "modelfile", "parameters", "system", "message", "_debug_info", "status"):
                assert (needed in found) == (needed in keys), (exchange["name"], needed)
            if exchange["name"].startswith(("show", "rendered")):
                for part in ("capabilities", "system", "_debug_info"):
                    told = [line.get(part) for line in (exchange["answer"][-1], lines[-1])]
                    assert told[0] == told[1], (exchange["name"], part)
