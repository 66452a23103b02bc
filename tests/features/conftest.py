"""What the scenarios' tags mean: a part that later work must bring is expected to fail, and to say so when it no longer does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

LATER = {
    "content": "a 270M model after minutes of training has the form and not the content",
}


def pytest_bdd_apply_tag(tag: str, function: Callable[..., object]) -> bool | None:
    if tag not in LATER:
        return None
    pytest.mark.xfail(strict=True, reason=LATER[tag])(function)
    return True
