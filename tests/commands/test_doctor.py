"""`jessy doctor` finds what is there, says what is not, and needs no network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner
from fake_ollama import fake_ollama, send

from jessyfile.commands import doctor
from jessyfile.models.accelerate import Blas

if TYPE_CHECKING:
    import pytest

NOWHERE = ("--ollama", "http://127.0.0.1:1")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(doctor.doctor, [*NOWHERE, *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_it_names_everything_an_apply_needs() -> None:
    found = json.loads(run("--json"))["findings"]
    assert " ".join(found) == (
        "system blas backend precision cores memory disk embedded ollama models quantizer quickstart voice versions"
    )
    assert "does not answer at http://127.0.0.1:1" in found["ollama"]["value"]
    assert "GB" in found["memory"]["value"]


def test_a_slow_blas_is_marked_with_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jessyfile.models.accelerate.prepare", lambda: Blas("the reference BLAS", fast=False))
    line = next(line for line in run().splitlines() if "blas" in line)
    assert line.startswith("! blas")
    assert "seventy times as slow" in run()


def test_a_missing_engine_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda package: None)
    assert "pip install xllamacpp" in run()


def test_it_asks_the_ollama_of_the_environment_what_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_ollama() as (state, url):
        state.models["gemma3:270m"] = "gemma"
        monkeypatch.setenv("OLLAMA_HOST", url.removeprefix("http://"))
        said = CliRunner().invoke(doctor.doctor, [], catch_exceptions=False).output
    assert f"{state.version} at {url}" in said
    assert "1 served (gemma3:270m)" in said


def test_an_ollama_that_wants_a_key_is_not_called_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_ollama() as (state, url):
        state.answer[("GET", "/api/version")] = lambda handler: send(handler, 401)
        said = CliRunner().invoke(doctor.doctor, ["--ollama", url], catch_exceptions=False).output
    assert "! ollama" in said
    assert "HTTP 401" in said
    assert "--allow-host" in said
