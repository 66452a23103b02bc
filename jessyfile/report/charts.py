"""Small charts as inline SVG: the texts in them are escaped, their colours are classes of the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from jessyfile.results.facts import LossPoint

WIDTH, HEIGHT = 680, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 34
_LANE = 64
_FEW = 20  # of fewer answers the 95th percentile is the slowest one
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps a range of values onto a range of pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


_LEAST_SPAN = 1e-300  # below it a step between ticks is no number any more


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from at or above `low` to at or below `high`."""
    span = high - low
    if span < _LEAST_SPAN:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= about)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def loss_curve(curve: Sequence[LossPoint], validations: Sequence[LossPoint]) -> Markup:
    """Draw the training loss of every update, and the validations over it."""
    points = [(float(entry.update), entry.loss) for entry in curve]
    checks = [(float(entry.update), entry.loss) for entry in validations]
    finite = [point for point in (*points, *checks) if math.isfinite(point[1])]
    if not finite:
        return Markup("")
    x = Scale(min(0.0, *(p[0] for p in finite)), max(p[0] for p in finite), _LEFT, WIDTH - _RIGHT)
    y = Scale(0.0, max(p[1] for p in finite) * 1.05, HEIGHT - _BOTTOM, _TOP)
    parts = [
        *_grid(x, y),
        _line(points, x, y, "train"),
        _line(checks, x, y, "valid"),
        *(_dot(point, x, y) for point in checks if math.isfinite(point[1])),
        _text(WIDTH - _RIGHT, HEIGHT - 4, "update", "end"),
    ]
    return _svg(HEIGHT, "Training and validation loss by update", parts)


def _grid(x: Scale, y: Scale) -> Iterator[Markup]:
    for value in ticks(y.low, y.high):
        yield Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _LEFT, WIDTH - _RIGHT, *[_px(y(value))] * 2
        )
        yield _text(_LEFT - 6, y(value) + 4, f"{value:g}", "end")
    for value in ticks(x.low, x.high, 8):
        yield _text(x(value), HEIGHT - _BOTTOM + 16, f"{value:g}", "middle")


@dataclass(frozen=True, slots=True)
class Lane:
    """One level's times: the seconds of every answer, their 95th percentile, and the limit that the recipe sets."""

    level: str
    seconds: Sequence[float]
    p95: float | None
    limit: float | None


def latency_lanes(lanes: Sequence[Lane]) -> Markup:
    """Draw a lane a level: a dot an answer, its 95th percentile, and the limit that the recipe sets."""
    drawn = [lane for lane in lanes if lane.seconds]
    if not drawn:
        return Markup("")
    longest = max(max(lane.seconds) for lane in drawn)
    near = [lane.limit for lane in drawn if lane.limit is not None and lane.limit <= longest * 3]
    x = Scale(0.0, max([longest, *near]) * 1.06, _LEFT + 24, WIDTH - _RIGHT)
    height = _LANE * len(drawn) + _BOTTOM
    parts: list[Markup] = []
    for value in ticks(0.0, x.high, 8):
        parts.append(
            Markup('<line class="grid" x1="{0}" x2="{0}" y1="4" y2="{1}"/>').format(_px(x(value)), height - _BOTTOM)
        )
        parts.append(_text(x(value), height - _BOTTOM + 16, f"{value:g}", "middle"))
    for row, lane in enumerate(drawn):
        parts += _lane(lane, x, row * _LANE + _LANE // 2)
    parts.append(_text(WIDTH - _RIGHT, height - 4, "seconds", "end"))
    return _svg(height, "Seconds to a complete answer by level", parts)


def _lane(lane: Lane, x: Scale, middle: int) -> Iterator[Markup]:
    yield _text(_LEFT + 14, middle + 4, lane.level, "end")
    for number, value in enumerate(lane.seconds):
        offset = (number * 7919 % 31 - 15) * 0.9  # spread by a fixed rule, so that equal answers stay visible
        yield Markup('<circle class="dot" cx="{}" cy="{}" r="3"/>').format(_px(x(value)), _px(middle + offset))
    if lane.p95 is not None:
        few = len(lane.seconds) < _FEW
        told = f"longest {max(lane.seconds):.2g} s" if few else f"p95 {lane.p95:.2g} s"
        yield _mark(x(max(lane.seconds) if few else lane.p95), middle, "p95", f"{told}, n {len(lane.seconds)}")
    if lane.limit is not None and lane.limit <= x.high:
        yield _mark(x(lane.limit), middle, "limit", f"limit {lane.limit:g} s")
    elif lane.limit is not None:
        yield _text(WIDTH - _RIGHT, middle + 22, f"limit {lane.limit:g} s →", "end")


def _mark(at: float, middle: int, kind: str, label: str) -> Markup:
    top, bottom, side = middle - 24, middle + 22, "end" if at > WIDTH - 90 else "start"
    place = at - 4 if side == "end" else at + 4
    line = Markup('<line class="{0}" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>').format(kind, _px(at), top, bottom)
    return line + _text(place, top + 8 if kind == "p95" else bottom, label, side)


def _line(points: Sequence[Point], x: Scale, y: Scale, kind: str) -> Markup:
    path = " ".join(f"{_px(x(at))},{_px(y(value))}" for at, value in points if math.isfinite(value))
    return Markup('<polyline class="{}" points="{}"/>').format(kind, path)


def _dot(point: Point, x: Scale, y: Scale) -> Markup:
    title = f"update {point[0]:g}: {point[1]:.4g}"
    return Markup('<circle class="valid" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(
        _px(x(point[0])), _px(y(point[1])), title
    )


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(_px(x), _px(y), anchor, text)


def _svg(height: int, label: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, height, label)
    return head + Markup("").join(escape(part) for part in parts) + Markup("</svg>")


def _px(value: float) -> str:
    return f"{value:.1f}"


@dataclass(frozen=True, slots=True)
class DotRow:
    """One thing that was measured several times: its name, every value, their mean, and whether it stands out."""

    name: str
    values: Sequence[float]
    mean: float
    marked: bool = False


_ROW = 30
_NAMES = 250


def dot_rows(rows: Sequence[DotRow], label: str, floor: float | None = None) -> Markup:
    """Draw a row for each: a dot a value, a line at the mean; `floor` is drawn as wide as it is, from the first row's mean."""
    if not rows:
        return Markup("")
    every = [value for row in rows for value in row.values]
    low, high = min(every), max(every)
    margin = max((high - low) * 0.08, abs(high) * 1e-3, 1e-6)
    x = Scale(low - margin, high + margin, _NAMES, WIDTH - _RIGHT)
    height = _ROW * len(rows) + _BOTTOM
    parts: list[Markup] = []
    if floor is not None:
        ends = [min(max(x(rows[0].mean + side * floor), x.start), x.end) for side in (-1, 1)]
        parts.append(
            Markup('<rect class="floor" x="{}" y="0" width="{}" height="{}"/>').format(
                _px(ends[0]), _px(ends[1] - ends[0]), height - _BOTTOM
            )
        )
    for value in ticks(x.low, x.high, 6):
        parts.append(
            Markup('<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(_px(x(value)), height - _BOTTOM)
        )
        parts.append(_text(x(value), height - _BOTTOM + 16, f"{value:g}", "middle"))
    for number, row in enumerate(rows):
        middle = number * _ROW + _ROW // 2
        parts.append(_text(_NAMES - 10, middle + 4, row.name + (" ★" if row.marked else ""), "end"))
        dot = Markup('<circle class="dot" cx="{}" cy="{}" r="4"/>')
        parts.extend(dot.format(_px(x(value)), middle) for value in row.values)
        parts.append(
            Markup('<line class="p95" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
                _px(x(row.mean)), middle - 9, middle + 9
            )
        )
    parts.append(_text(WIDTH - _RIGHT, height - 4, label, "end"))
    return _svg(height, label, parts)
