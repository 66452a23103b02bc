"""What the scenarios' tags mean: a part that later work must bring is expected to fail, and to say so when it no longer does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

LATER = {
    "content": "a 270M model after minutes of training has the form and not the content",
    "hard": "80 rows tell hard questions from small talk on one processor and may not on another; the quickstart's 176 do",
    "iterations": "an answer is one pass of the model: the marker only says how many it would deserve",
}


def pytest_bdd_apply_tag(tag: str, function: Callable[..., object]) -> bool | None:
    if tag not in LATER:
        return None
    # whether so few rows suffice for the level differs between processors: only that one may come out either way
    pytest.mark.xfail(strict=tag != "hard", reason=LATER[tag])(function)
    return True
