"""Charts stay inside their frame and survive numbers that training can produce."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

from hypothesis import example, given
from hypothesis import strategies as st

from jessyfile.report.charts import HEIGHT, WIDTH, Lane, latency_lanes, loss_curve, ticks
from jessyfile.results.facts import LossPoint

LOSSES = st.lists(st.floats(0, 1e6) | st.sampled_from([math.nan, math.inf]), max_size=40)


def numbers(svg: str) -> list[tuple[float, float]]:
    points = re.findall(r'(?:cx|x1|x)="([^"]+)" (?:x2="[^"]+" )?(?:cy|y1|y)="([^"]+)"', svg)
    lines = [pair.split(",") for group in re.findall(r'points="([^"]*)"', svg) for pair in group.split()]
    return [(float(x), float(y)) for x, y in [*points, *lines]]


@example(losses=[], checks=[7.139840926892147e-11])
@example(losses=[], checks=[5e-324])
@given(LOSSES, LOSSES)
def test_a_loss_curve_stays_in_its_frame(losses: list[float], checks: list[float]) -> None:
    curve = [LossPoint(n, value) for n, value in enumerate(losses, 1)]
    svg = loss_curve(curve, [LossPoint(n * 3, value) for n, value in enumerate(checks, 1)])
    if not any(map(math.isfinite, [*losses, *checks])):
        assert svg == ""
        return
    ET.fromstring(svg)  # noqa: S314 (our own markup)
    assert all(-1 <= x <= WIDTH + 1 and -1 <= y <= HEIGHT + 1 for x, y in numbers(svg))


@given(st.lists(st.floats(0.001, 1e4), max_size=30), st.none() | st.floats(0.1, 1e5))
def test_latency_lanes_stay_in_their_frame(seconds: list[float], limit: float | None) -> None:
    svg = latency_lanes([Lane("low", seconds, max(seconds, default=None), limit), Lane("high", [], None, 60.0)])
    if not seconds:
        assert svg == ""
        return
    ET.fromstring(svg)  # noqa: S314 (our own markup)
    assert svg.count('class="dot"') == len(seconds)
    assert all(-1 <= x <= WIDTH + 1 for x, _ in numbers(svg))


def test_a_levels_name_is_text_in_the_chart() -> None:
    assert "<b>" not in latency_lanes([Lane("<b>", [1.0], 1.0, None)])


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 7
    assert all(low - span * 1e-6 <= value <= low + span * (1 + 1e-6) for value in found)
