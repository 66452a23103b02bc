"""A plan's picture as an SVG that loads nothing: boxes in columns, each to the right of all that it needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from jessyfile.planning.picture import COLOURS
from jessyfile.text.fit import cells

if TYPE_CHECKING:
    from jessyfile.planning.picture import Box, Kind

_TALL, _DOWN, _ACROSS, _EDGE, _LETTER = 34, 20, 56, 16, 8.5
_Place = tuple[float, float, float]  # left, top, width
_MEANING: Mapping[Kind, str] = {
    "runs": "runs",
    "follows": "follows a step before it, unless that result is unchanged",
    "kept": "unchanged",
}


def svg(drawn: Sequence[Box]) -> str:
    """Return the boxes as an SVG image, with what their colours mean below."""
    places = _places(drawn)
    wide = max([620.0, *(left + width + _EDGE for left, _, width in places.values())])
    low = max([0.0, *(top + _TALL for _, top, _ in places.values())]) + _DOWN
    lines = [_line(places[name], places[box.name]) for box in drawn for name in box.inputs]
    boxes = [_box(box.label, box.kind, places[box.name]) for box in drawn]
    legend, left = list[str](), float(_EDGE)
    for kind, meaning in _MEANING.items():
        legend.append(_box(meaning, kind, (left, low, _width(meaning))))
        left += _width(meaning) + _EDGE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {low + _TALL + _EDGE:g}" width="{wide:g}"'
    style = 'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="none" stroke="#777777"'
    ground = '<rect width="100%" height="100%" fill="#ffffff" stroke="none"/>'
    return "\n".join([f"{head} {style}>", ground, *lines, *boxes, *legend, "</svg>"]) + "\n"


def _places(drawn: Sequence[Box]) -> Mapping[str, _Place]:
    """Return where each box stands: in the column behind the last of those that it needs, in a row that no line passes."""
    columns: dict[str, int] = {}
    for box in drawn:
        columns[box.name] = max([-1, *(columns[name] for name in box.inputs)]) + 1
    last = {name: max([columns[box.name] for box in drawn if name in box.inputs], default=0) for name in columns}
    busy: dict[int, set[int]] = defaultdict(set)
    found, left = dict[str, _Place](), float(_EDGE)
    for column in range(max(columns.values(), default=-1) + 1):
        members = [box for box in drawn if columns[box.name] == column]
        wide = max(_width(box.label) for box in members)
        for box in members:
            row = next(row for row in count() if row not in busy[column])
            for passed in range(column, max(last[box.name], column + 1)):
                busy[passed].add(row)
            found[box.name] = (left, _EDGE + row * (_TALL + _DOWN), wide)
        left += wide + _ACROSS
    return found


def _width(label: str) -> float:
    return cells(label) * _LETTER + 2 * _EDGE


def _line(start: _Place, end: _Place) -> str:
    y, far, down = start[1] + _TALL / 2, end[0], end[1] + _TALL / 2
    near, half = far - _ACROSS, far - _ACROSS / 2
    return f'<path d="M{start[0] + start[2]:g} {y:g}H{near:g}C{half:g} {y:g} {half:g} {down:g} {far:g} {down:g}"/>'


def _box(label: str, kind: Kind, place: _Place) -> str:
    (left, top, wide), (fill, edge) = place, COLOURS[kind]
    rect = f'<rect x="{left:g}" y="{top:g}" width="{wide:g}" height="{_TALL}" rx="6" fill="{fill}" stroke="{edge}"/>'
    text = f'<text x="{left + _EDGE:g}" y="{top + _TALL / 2 + 5:g}" fill="#222222" stroke="none">{escape(label)}</text>'
    return f'<g class="{kind}">{rect}{text}</g>'
