"""OpenAI's interface: what its clients send, and what they read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from openai import BadRequestError, NotFoundError, OpenAI, RateLimitError
from serve_fakes import FACTS, Double, Running, asks, events, get, post

from jessyfile.engines.engine import GenerationSettings
from jessyfile.language.recipe import Complexity, Level
from jessyfile.serve.question import Thinking, thinking_wishes

LEVELS = Complexity(
    (Level("low", (1, 2), None), Level("medium", (3, 5), None), Level("high", (6, 9), None)), "[{level} {iterations}]"
)


@pytest.fixture
def client(running: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as found:
        yield found


def test_the_official_client_asks_lists_and_streams(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "jessy"
    answer = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "selam"}])
    assert answer.choices[0].message.content == "selam diyorsun."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens == 9
    stream = client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "bir iki üç"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "bir iki üç diyorsun."
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_the_official_client_raises_its_own_errors(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="model `other` not found; served are: tiny"):
        client.chat.completions.create(model="other", messages=[{"role": "user", "content": "selam"}])
    with pytest.raises(BadRequestError, match="call no tools"):
        client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": "selam"}],
            tools=[{"type": "function", "function": {"name": "x", "parameters": {}}}],
        )
    assert RateLimitError is not None


def test_thoughts_come_apart_from_the_answer_in_both_fields(running: Running) -> None:
    body = post(f"{running.url}/v1/chat/completions", asks(reasoning={"max_tokens": 300})).json()
    message = body["choices"][0]["message"]
    assert message["content"] == "selam diyorsun."
    assert message["reasoning_content"] == message["reasoning"] == "taslak 1\n\nselam diyorsun."
    assert body["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}
    assert body["usage"]["completion_tokens"] == 4
    streamed = events(post(f"{running.url}/v1/chat/completions", asks(reasoning_effort="max", stream=True)).text)
    deltas = [event["choices"][0]["delta"] for event in streamed]
    thoughts = "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert thoughts.startswith("taslak 1\n\ntaslak 2") and "taslak 8" in thoughts
    assert thoughts == "".join(delta.get("reasoning", "") for delta in deltas)
    assert "".join(delta.get("content", "") for delta in deltas) == "selam diyorsun."


def test_thoughts_are_kept_back_where_the_client_does_not_want_them(running: Running) -> None:
    body = asks(reasoning={"max_tokens": 300, "exclude": True})
    assert "reasoning" not in post(f"{running.url}/v1/chat/completions", body).json()["choices"][0]["message"]
    assert "taslak" not in post(f"{running.url}/v1/chat/completions", {**body, "stream": True}).text


def test_an_answer_says_how_it_came_about(running: Running) -> None:
    told = post(f"{running.url}/v1/chat/completions", asks()).json()["jessy"]
    assert (told["level"], told["iterations"], told["asked"], told["ended"]) == ("low", 1, 1, "full")
    assert (told["router"], told["speaker"], told["model_digest"]) == ("marker", "tiny", FACTS.digest)
    assert told["retrieved"] == [{"id": "row-1", "score": 0.84}]
    assert told["system"] == "model"
    last = events(post(f"{running.url}/v1/chat/completions", asks(stream=True)).text)[-1]
    assert last["jessy"]["level"] == "low"


@pytest.mark.parametrize(
    ("thinking", "wished"),
    [
        (Thinking(), (None, None)),
        (Thinking(on=True), (None, None)),
        (Thinking(on=False), (None, 1)),
        (Thinking(effort="none"), (None, 1)),
        (Thinking(effort="minimal"), ("low", 1)),
        (Thinking(effort="low"), ("low", None)),
        (Thinking(effort="medium"), ("medium", None)),
        (Thinking(effort="high"), ("high", None)),
        (Thinking(effort="xhigh"), ("high", 9)),
        (Thinking(effort="max"), (None, 9)),
        (Thinking(budget=0), (None, 1)),
        (Thinking(budget=-1), (None, None)),
        (Thinking(budget=600), (None, 3)),
        (Thinking(budget=1_000_000), (None, 9)),
    ],
)
def test_every_word_for_thought_steers_the_loop(thinking: Thinking, wished: tuple[str | None, int | None]) -> None:
    found = thinking_wishes(thinking, LEVELS)
    assert (found.level, found.iterations) == wished


@pytest.mark.parametrize(
    ("body", "iterations"),
    [
        ({"reasoning_effort": "none"}, 1),
        ({"reasoning_effort": "max"}, 9),
        ({"think": False}, 1),
        ({"think": "max"}, 9),
        ({"reasoning": {"effort": "max"}}, 9),
        ({"thinking_budget": 256}, 2),
        ({"thinking_budget_tokens": 512}, 3),
        ({"thinking_token_budget": 0}, 1),
        ({"chat_template_kwargs": {"enable_thinking": False}}, 1),
        ({"enable_thinking": False}, 1),
        ({}, None),
    ],
)
def test_every_field_for_thought_is_read(running: Running, double: Double, body: dict, iterations: int | None) -> None:
    assert post(f"{running.url}/v1/chat/completions", asks(**body)).status_code == 200
    assert double.asked[-1][1].iterations == iterations


def test_sampling_and_schema_reach_the_model(running: Running, double: Double) -> None:
    schema = {"type": "object", "properties": {"queue": {"type": "string"}}}
    body = asks(
        temperature=0.2, top_p=0.9, top_k=-1, seed=7, stop=["x"], max_tokens=9, max_completion_tokens=8,
        response_format={"type": "json_schema", "json_schema": {"name": "t", "schema": schema, "strict": True}},
    )  # fmt: skip
    assert post(f"{running.url}/v1/chat/completions", body).status_code == 200
    settings = double.asked[-1][1].settings
    assert isinstance(settings, GenerationSettings)
    assert (settings.temperature, settings.top_p, settings.top_k, settings.seed) == (0.2, 0.9, 0, 7)
    assert (settings.stop, settings.max_tokens, json.loads(settings.schema)) == (("x",), 8, schema)
    post(f"{running.url}/v1/chat/completions", asks(max_tokens=100_000, response_format={"type": "json_object"}))
    settings = double.asked[-1][1].settings
    assert settings is not None
    assert (settings.max_tokens, settings.schema) == (1024, '{"type": "object"}')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 2}, "`n` is not supported"),
        ({"logit_bias": {"5": 1.0}}, "`logit_bias` is not supported"),
        ({"logprobs": True}, "`logprobs` is not supported"),
        ({"temperature": 3}, "at `temperature`"),
        ({"temperature": "hot"}, "Expected `float | null`, got `str` at `temperature`"),
        ({"messages": []}, "at `messages`"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "the last message must be the user's"),
        ({"messages": [{"role": "user", "content": "  "}]}, "the last message is empty"),
        ({"messages": [{"role": "tool", "content": "x"}, {"role": "user", "content": "x"}]}, "the role `tool`"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "`image_url`"),
        ({"reasoning_effort": "huge"}, "Invalid enum value 'huge'"),
        ({"response_format": {"type": "json_schema"}}, "holds no schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nothing"}}}}, "is no JSON schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "string", "maxLength": 90000}}}}, "repeats"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_place(
    running: Running, double: Double, change: dict, said: str
) -> None:
    answer = post(f"{running.url}/v1/chat/completions", asks(**change))
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]["message"]
    assert double.asked == []


def test_parts_of_text_are_one_text_and_the_models_own_system_prompt_stands(running: Running, double: Double) -> None:
    turns = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": [{"type": "text", "text": "bir "}, {"type": "text", "text": "iki"}]},
    ]
    body = post(f"{running.url}/v1/chat/completions", asks(messages=turns)).json()
    assert [(turn.role, turn.content) for turn in double.asked[-1][0]] == [("user", "bir iki")]
    assert body["jessy"]["system"] == "model"


def test_the_older_completions_ask_the_prompt_as_a_question(running: Running) -> None:
    answer = post(f"{running.url}/v1/completions", {"model": "tiny", "prompt": "selam"}).json()
    assert (answer["object"], answer["choices"][0]["text"]) == ("text_completion", "selam diyorsun.")
    streamed = events(post(f"{running.url}/v1/completions", {"model": "tiny", "prompt": ["a b"], "stream": True}).text)
    assert "".join(event["choices"][0]["text"] for event in streamed) == "a b diyorsun."


def test_an_address_that_is_none_and_a_method_that_is_wrong_say_so_in_the_interfaces_form(running: Running) -> None:
    assert get(f"{running.url}/v1/nothing").json()["error"]["code"] == "not_found"
    found = get(f"{running.url}/v1/chat/completions")
    assert (found.status_code, found.headers["allow"]) == (405, "POST")
    assert get(f"{running.url}/api/nothing").json() == {"error": "GET /api/nothing: there is no such address"}
