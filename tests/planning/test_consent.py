"""What a recipe sends needs a permission from outside the recipe, before any step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jessyfile.cli import main
from jessyfile.errors import ConsentError, Exit
from jessyfile.planning import consent
from jessyfile.planning.consent import Outgoing, require

RECIPE = """JESSY 1
NAME  r
FROM  gemma3:270m
DATASET {{
  {teacher}
  CATEGORY turkish 8 "T" {{
    language tr
    level low
    TOPIC casual 8
  }}
}}
DEPLOY {{
  {deploy}
}}
EVAL {{
  SUITE turkish {{ limit 3 }}
  MUST training_time < 60m
  {judge}
}}
"""
OPENAI = "TEACHER gpt-4o at https://api.openai.com/v1 {\n    key_env OPENAI_API_KEY\n  }"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".jessy").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (consent.VARIABLE, "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def write(teacher: str = "", judge: str = "", deploy: str = "engine embedded") -> None:
        (tmp_path / "r.jessy").write_text(RECIPE.format(teacher=teacher, judge=judge, deploy=deploy))

    return write


STEALS = {
    "a key of another service": {"teacher": OPENAI.replace("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY")},
    "texts": {"teacher": "TEACHER x at http://teacher.example/v1"},
    "a judge's key": {"judge": "judge x at https://judge.example/v1 key_env GITHUB_TOKEN"},
    "answers": {"judge": "judge x at https://judge.example/v1"},
    "a key to this machine": {
        "teacher": "TEACHER x at http://127.0.0.1:9/v1 {\n    key_env AWS_SECRET_ACCESS_KEY\n  }"
    },
    "the model": {"deploy": "ollama http://ollama.example:11434"},
}


@pytest.mark.parametrize("name", STEALS)
def test_a_foreign_recipe_sends_nothing_unasked(project, capsys, monkeypatch, name):
    """A recipe could name any variable and any host, and `apply` sent the one to the other without a word."""
    for variable in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(variable, "secret-of-mine")
    project(**STEALS[name])
    assert main(["plan", "r.jessy"]) == Exit.FAILED
    planned = capsys.readouterr().out
    assert main(["apply", "r.jessy"]) == Exit.FAILED
    applied = capsys.readouterr()
    for said in (planned, applied.err):
        assert "nothing outside the recipe allows it" in said
        assert "--allow-host" in said
    assert "secret-of-mine" not in planned + applied.out + applied.err
    assert not list(Path(".jessy").rglob("events.jsonl"))


def test_the_refusal_names_the_option_that_allows_it(project, capsys, monkeypatch):
    project(OPENAI)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert main(["plan", "r.jessy", "--only", "data"]) == Exit.FAILED
    assert "--allow-host api.openai.com=OPENAI_API_KEY" in capsys.readouterr().out
    assert main(["plan", "r.jessy", "--only", "data", "--allow-host", "api.openai.com=OPENAI_API_KEY"]) == Exit.DONE
    said = capsys.readouterr().out
    assert (
        "note: sends topics, prompts and example rows, and the key in OPENAI_API_KEY, to https://api.openai.com" in said
    )
    assert "jessy apply r.jessy --only data --allow-host api.openai.com=OPENAI_API_KEY" in said
    assert consent.VARIABLE not in os.environ


def test_the_environment_allows_it_as_well(project, monkeypatch, capsys):
    project(OPENAI)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv(consent.VARIABLE, "other.example, API.OpenAI.com=OPENAI_API_KEY")
    assert main(["plan", "r.jessy", "--only", "data"]) == Exit.DONE


def test_a_key_that_is_not_set_is_said_before_any_step(project, capsys):
    project(OPENAI)
    assert main(["apply", "r.jessy", "--only", "data", "--allow-host", "api.openai.com=OPENAI_API_KEY"]) == Exit.FAILED
    assert "needs the environment variable OPENAI_API_KEY, which is not set" in capsys.readouterr().err


def test_rows_alone_are_asked_for_too(project, capsys):
    project("TEACHER x at http://teacher.example/v1")
    assert main(["data", "make", "r.jessy"]) == Exit.FAILED
    assert "--allow-host teacher.example" in capsys.readouterr().err


def test_a_watch_hands_its_permission_to_its_jobs(project, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "jessyfile.watch.session.Session.run", lambda self: seen.append(os.environ.get(consent.VARIABLE))
    )
    project()
    main(["watch", "r.jessy", "--allow-host", "a.example"])
    assert (seen, os.environ.get(consent.VARIABLE)) == (["a.example"], None)


@pytest.mark.parametrize(
    ("url", "key_env", "entries", "fine"),
    [
        ("http://127.0.0.1:11434/v1", None, "", True),
        ("http://localhost:8080/v1", None, "", True),
        ("http://[::1]:8080/v1", None, "", True),
        ("http://127.0.0.1:4000/v1", "KEY", "", False),
        ("http://127.0.0.1:4000/v1", "KEY", "127.0.0.1:4000=KEY", True),
        ("http://localhost.evil.example/v1", None, "", False),
        ("http://10.0.0.3:8000/v1", None, "", False),
        ("http://10.0.0.3:8000/v1", None, "10.0.0.3", False),
        ("http://10.0.0.3:8000/v1", None, "10.0.0.3:8000", True),
        ("https://a.example/v1", "KEY", "a.example", False),
        ("https://a.example/v1", "KEY", "a.example=OTHER", False),
        ("https://a.example/v1", "KEY", "b.example=KEY", False),
        ("https://a.example/v1", "KEY", "a.example=KEY", True),
        ("https://a.example/v1", None, "a.example=KEY", True),
        ("https://A.Example:443/v1", None, "a.example", True),
        ("https://sub.a.example/v1", None, "a.example", False),
        ("https://a.example.evil/v1", None, "a.example", False),
    ],
)
def test_only_what_was_said_is_allowed(monkeypatch, url, key_env, entries, fine):
    monkeypatch.setenv(consent.VARIABLE, entries)
    monkeypatch.setenv("KEY", "k")
    sending = Outgoing("TEACHER x", url, "rows", key_env)
    if fine:
        require([sending])
    else:
        with pytest.raises(ConsentError, match="nothing outside the recipe allows it"):
            require([sending])


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example@evil.example/v1",
        "https://a.example\\@evil.example/",
        "file:///etc/passwd",
        "https:///v1",
        "http://",
    ],
)
def test_an_address_that_hides_its_host_is_refused(monkeypatch, url):
    monkeypatch.setenv(consent.VARIABLE, "a.example,evil.example")
    with pytest.raises(ConsentError, match="no URL of a server"):
        require([Outgoing("TEACHER x", url, "rows")])


@pytest.mark.parametrize("entry", ["https://a.example/v1", "a.example=", "a.example=1KEY", "a b", ""])
def test_what_is_no_entry_is_a_usage_error(project, capsys, entry):
    project()
    assert main(["plan", "r.jessy", "--allow-host", entry]) == Exit.USAGE
