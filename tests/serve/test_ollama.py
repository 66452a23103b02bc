"""Ollama's interface: what its clients send, and what they read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from ollama import Client, ResponseError
from serve_fakes import Double, Running, asks, call, get, post


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    with Client(host=running.url) as found:
        yield found


def test_the_official_client_lists_shows_and_asks(client: Client) -> None:
    listed = client.list().models[0]
    assert (listed.model, listed.details.family, listed.details.parameter_size) == ("tiny:latest", "gemma3", "270.00M")
    assert client.ps().models[0].context_length == 2048
    shown = client.show("tiny")
    assert shown.capabilities == ["completion", "thinking"]
    assert shown.modelinfo["gemma3.context_length"] == 32768
    answer = client.chat(model="tiny", messages=[{"role": "user", "content": "selam"}])
    assert answer.message.content == "selam diyorsun."
    assert (answer.done, answer.done_reason, answer.eval_count, answer.prompt_eval_count) == (True, "stop", 2, 7)
    assert client.generate(model="tiny:latest", prompt="selam").response == "selam diyorsun."


def test_the_official_client_streams_thoughts_and_answer(client: Client) -> None:
    parts = list(client.chat(model="tiny", messages=[{"role": "user", "content": "selam"}], think="high", stream=True))
    assert "".join(part.message.content or "" for part in parts) == "selam diyorsun."
    assert parts[-1].done is True
    parts = list(client.chat(model="tiny", messages=[{"role": "user", "content": "a"}], stream=True, think=False))
    assert not any(part.message.thinking for part in parts)


def test_the_official_client_raises_its_own_errors(client: Client) -> None:
    with pytest.raises(ResponseError, match="model `other` not found") as error:
        client.chat(model="other", messages=[{"role": "user", "content": "selam"}])
    assert error.value.status_code == 404
    with pytest.raises(ResponseError, match="does not support tools"):
        client.chat(model="tiny", messages=[{"role": "user", "content": "x"}], tools=[{"type": "function"}])


def test_a_stream_is_lines_of_json_and_the_last_one_is_done(running: Running) -> None:
    answer = post(f"{running.url}/api/chat", asks("bir iki üç", options={"num_predict": 50}))
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["done"] for line in lines][-2:] == [False, True]
    assert "".join(line["message"]["content"] for line in lines) == "bir iki üç diyorsun."
    assert lines[-1]["total_duration"] > 0 and lines[-1]["jessy"]["level"] == "low"


def test_a_question_without_words_says_that_the_model_is_loaded(running: Running, double: Double) -> None:
    """What `ollama run` and Continue send to warm a model up."""
    found = post(f"{running.url}/api/generate", {"model": "tiny", "keep_alive": "30m"}).json()
    assert (found["done"], found["done_reason"], found["response"]) == (True, "load", "")
    found = post(f"{running.url}/api/chat", {"model": "tiny", "messages": [], "stream": False}).json()
    assert (found["done"], found["done_reason"]) == (True, "load")
    assert double.asked == []


def test_options_and_format_reach_the_model(running: Running, double: Double) -> None:
    options = {"num_predict": -1, "temperature": 0.1, "stop": "x", "seed": 3, "num_ctx": 99, "mirostat": 1}
    post(f"{running.url}/api/chat", asks(options=options, format="json", stream=False, keep_alive=-1))
    settings = double.asked[-1][1].settings
    assert settings is not None
    assert (settings.max_tokens, settings.temperature, settings.stop, settings.seed) == (256, 0.1, ("x",), 3)
    assert (settings.num_ctx, settings.schema) == (2048, '{"type": "object"}')
    post(f"{running.url}/api/chat", asks(format={"type": "array"}, stream=False))
    assert double.asked[-1][1].settings.schema == '{"type": "array"}'  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("chat", asks(tools=[{"type": "function"}]), "does not support tools"),
        ("chat", {"model": "tiny", "messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, "text alone"),
        ("generate", {"model": "tiny", "prompt": "x", "raw": True}, "`raw` is not supported"),
        ("generate", {"model": "tiny", "prompt": "x", "suffix": "y"}, "does not support insert"),
        ("generate", {"model": "tiny", "prompt": "x", "format": "yaml"}, "Invalid enum value"),
        ("show", {"model": 3}, "Expected `str | null`"),
    ],
)
def test_what_cannot_be_done_is_refused(running: Running, path: str, body: dict, said: str) -> None:
    answer = post(f"{running.url}/api/{path}", body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_the_root_says_what_clients_look_for(running: Running) -> None:
    assert get(running.url).text == "Ollama is running"
    assert call("HEAD", running.url).status_code == 200
    assert post(f"{running.url}/api/show", {"model": "nothing"}).status_code == 404
