"""Open WebUI, Continue and llm, each as it really asks: the requests of the first two as their sources send them, the third itself.

Open WebUI: backend/open_webui/routers/ollama.py, routers/openai.py and config.py of 0.12 (2026). Continue: core/llm/llms/Ollama.ts of
1.3.40 (June 2026). llm: 0.36, through extra-openai-models.yaml.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from serve_fakes import Double, Running, asks, call, events, get, post

from jessyfile.serve.tasks import task_answer

HISTORY = "### Chat History:\n<chat_history>\nUSER: sütlaç nasıl yapılır acaba canım çekti\nASSISTANT: Pirinci haşla.\n</chat_history>"
TASKS = {
    "title": "### Task:\nGenerate a concise title summarizing the chat history.\n### Guidelines:\n- Keep it short: 2-4 words is best.\n"
    '### Output:\nJSON format: { "title": "your concise title here" }\n',
    "older title": "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Guidelines:\n- x\n",
    "tags": "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, along with 1-3 more specific subtopic tags."
    "\n\n### Guidelines:\n- x\n",
    "follow-ups": "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next in this conversation "
    "as a **user**, based on the chat history, to help continue or deepen the discussion.\n### Guidelines:\n- x\n",
    "queries": "### Task:\nAnalyze the chat history to determine the necessity of generating search queries, in the given language.\n",
    "autocompletion": "### Task:\nYou are an autocompletion system. Continue the text in `<text>` based on the **completion type**.\n",
}
ANSWERS = {
    "title": {"title": "sütlaç nasıl yapılır acaba canım…"},
    "older title": {"title": "sütlaç nasıl yapılır acaba canım…"},
    "tags": {"tags": ["General"]},
    "follow-ups": {"follow_ups": []},
    "queries": {"queries": []},
    "autocompletion": {"text": ""},
}


@pytest.mark.parametrize("task", TASKS)
def test_open_webuis_tasks_are_answered_without_the_model(running: Running, double: Double, task: str) -> None:
    """A persona of 270M parameters answered `{"title": …}` in character, after seconds, for every message."""
    prompt = TASKS[task] + HISTORY
    for body in (asks(prompt), asks(prompt, stream=True)):
        answer = post(f"{running.url}/v1/chat/completions", body)
        if body.get("stream"):
            said = "".join(event["choices"][0]["delta"].get("content", "") for event in events(answer.text))
        else:
            said = answer.json()["choices"][0]["message"]["content"]
        assert json.loads(said) == ANSWERS[task]
    said = post(f"{running.url}/api/chat", asks(prompt, stream=False)).json()["message"]["content"]
    assert json.loads(said) == ANSWERS[task]
    assert double.asked == []


def test_a_persons_words_about_a_task_are_no_task() -> None:
    for words in (
        "Generate a concise title summarizing the chat history",
        "### Task:\nsütlaç tarifi yaz",
        "",
        "### Task: başlık",
    ):
        assert task_answer(words) is None
    assert json.loads(task_answer(TASKS["title"]) or "") == {"title": "💬"}


def test_open_webui_starts_up_and_chats_over_its_ollama_connection(running: Running) -> None:
    """`verify`, `get_all_models` and `get_ollama_loaded_models`, then a chat with the fields that its form has."""
    version = get(f"{running.url}/api/version").json()["version"]
    assert tuple(map(int, re.sub(r"^v|-.*", "", version).split("."))) >= (0, 9)
    models = get(f"{running.url}/api/tags", headers={"Authorization": "Bearer none"}).json()["models"]
    assert {model["model"] for model in models} == {"tiny:latest"}
    expires = {model["name"]: model["expires_at"] for model in get(f"{running.url}/api/ps").json()["models"]}
    assert int(dt.datetime.fromisoformat(expires["tiny:latest"]).timestamp()) > 4_000_000_000
    assert post(f"{running.url}/api/show", {"model": "tiny:latest"}).json()["capabilities"]
    body = {
        "model": "tiny:latest", "messages": [{"role": "user", "content": "selam"}], "stream": True, "think": True, "keep_alive": "5m",
        "options": {"temperature": 0.7, "num_ctx": 4096, "num_predict": 64, "mirostat": 0, "seed": 5, "top_k": 40, "repeat_penalty": 1.1},
    }  # fmt: skip
    lines = [json.loads(line) for line in post(f"{running.url}/api/chat", body).text.splitlines()]
    assert "".join(line["message"]["content"] for line in lines) == "selam diyorsun."
    assert {"total_duration", "eval_count", "eval_duration", "prompt_eval_count", "load_duration"} <= set(lines[-1])


def test_open_webui_starts_up_and_chats_over_its_openai_connection(running: Running, double: Double) -> None:
    """`verify_connection` and `get_all_models`, then `generate_chat_completion`: it drops `metadata`, asks for usage and writes the effort as
    an object, and the last message comes in parts that may be cached.
    """
    headers = {"Authorization": "Bearer none", "Content-Type": "application/json", "X-OpenWebUI-User-Name": "a"}
    models = get(f"{running.url}/v1/models", headers=headers).json()
    assert "error" not in models
    assert [model["id"] for model in models["data"]] == ["tiny"]
    assert all(model.get("name", "tiny") for model in models["data"])  # a name of null had to be removed there
    last = {"role": "user", "content": [{"type": "text", "text": "selam", "cache_control": {"type": "ephemeral"}}]}
    body = {
        "model": "tiny", "stream": True, "stream_options": {"include_usage": True}, "reasoning": {"effort": "max"}, "temperature": 0.7,
        "top_p": 0.9, "min_p": 0.05, "max_tokens": 64, "seed": 5, "stop": ["###"], "frequency_penalty": 0.1, "logit_bias": {},
        "messages": [{"role": "system", "content": "x"}, last], "user": {"name": "a", "id": "1", "email": "a@b.c", "role": "admin"},
    }  # fmt: skip
    answer = post(f"{running.url}/v1/chat/completions", body, headers=headers)
    assert "text/event-stream" in answer.headers["Content-Type"]
    found = events(answer.text)
    deltas = [event["choices"][0]["delta"] for event in found if event["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "selam diyorsun."
    assert any(delta.get("reasoning_content") for delta in deltas)
    assert found[-1]["usage"]["completion_tokens"] > 0
    assert double.asked[-1][1].settings.min_p == 0.05  # type: ignore[union-attr]
    older = {**body, "reasoning_effort": "low", "metadata": {"chat_id": "1"}}
    del older["reasoning"]
    assert (
        events(post(f"{running.url}/v1/chat/completions", older, headers=headers).text)[-1]["usage"][
            "completion_tokens"
        ]
        > 0
    )


def test_open_webui_is_told_what_is_wrong_in_a_form_that_it_shows(running: Running) -> None:
    """It looks for `error` in the body of whatever is not 200, also where it asked for a stream."""
    answer = call(
        "POST", f"{running.url}/v1/chat/completions", content=json.dumps(asks("selam", model="absent", stream=True))
    )
    assert answer.status_code == 404
    assert "text/event-stream" not in answer.headers["Content-Type"]
    assert "absent" in answer.json()["error"]["message"]


def test_continue_starts_up_and_chats(running: Running) -> None:
    """Its constructor posts `{name}` and reads `parameters` and `template`; a chat carries `keep_alive` in seconds and the window it read."""
    shown = call(
        "POST",
        f"{running.url}/api/show",
        content=json.dumps({"name": "tiny"}),
        headers={"Content-Type": "application/json"},
    ).json()
    found = [re.match(r'^(\S+)\s+((?:".*")|\S+)$', line) for line in shown["parameters"].split("\n")]
    parameters = {one[1]: one[2] for one in found if one}
    assert (int(parameters["num_ctx"]), json.loads(parameters["stop"])) == (2048, "<end>")
    assert ".Suffix" not in shown["template"]
    assert get(f"{running.url}/api/tags").json()["models"][0]["name"] == "tiny:latest"
    body = {
        "model": "tiny", "messages": [{"role": "system", "content": "rules"}, {"role": "user", "content": "selam"}],
        "options": {"num_ctx": 2048, "num_predict": 64, "stop": ["<end>"]}, "keep_alive": 1800, "stream": True,
    }  # fmt: skip
    lines = post(f"{running.url}/api/chat", body).text.split("\n")
    assert lines[-1] == ""
    parts = [json.loads(line)["message"] for line in lines[:-1]]
    assert all(part["role"] == "assistant" for part in parts)
    assert "".join(part["content"] for part in parts) == "selam diyorsun."


def test_llm_asks_streamed_and_whole(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """llm itself, with the lines that docs/serve.md has it configured by."""
    lines = f"- model_id: jessy\n  model_name: tiny\n  api_base: {running.url}/v1\n"
    (tmp_path / "extra-openai-models.yaml").write_text(lines, encoding="utf-8")
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    monkeypatch.setenv("LLM_LOAD_PLUGINS", "")
    import llm

    model = llm.get_model("jessy")
    assert "".join(model.prompt("selam")) == "selam diyorsun."
    assert model.prompt("selam", stream=False).text() == "selam diyorsun."
