"""What the evaluation measures, as the table lists it: units, and the suites a metric needs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal

from jessyfile.language.table import Schema, root
from jessyfile.resources import resource

THINKING = "thinking."  # what begins a metric of the whole loop
_NAME = "[a-z][a-z0-9_-]*"


@cache
def _metrics() -> Schema:
    found: Schema = root().nodes["eval"].nodes["criterion"].schema["x-metrics"]
    return found


def metric_names() -> tuple[str, ...]:
    """Return the metrics as the reference lists them, with `<level>` and `<suite>` where a name belongs."""
    return tuple(_metrics())


def _pattern_of(metric: str) -> tuple[str, str] | None:
    """Return the listed metric that a written one is, and the level's or suite's name in it."""
    if metric in _metrics():
        return metric, ""
    for listed in _metrics():
        if "<" in listed:
            match = re.fullmatch(re.sub(r"<[a-z]+>", f"({_NAME})", listed.replace(".", r"\.")), metric)
            if match:
                return listed, match[1]
    return None


def is_listed(metric: str) -> bool:
    """Return whether the table lists a metric, by its own name or by that of a level or a suite."""
    return _pattern_of(metric) is not None


def metrics_of_suite(metric: str) -> tuple[str, ...]:
    """Return the metrics that the suite has whose name begins a metric, as it is written: `shop.form` for `shop.frm`."""
    suite, dot, _ = metric.partition(".")
    named = dot and re.fullmatch(_NAME, suite)
    return tuple(name.replace("<suite>", suite) for name in _metrics() if "<suite>" in name) if named else ()


def known_metric(metric: str) -> bool:
    """Return whether anything measures it, of jessy or of a plugin; whether its level or suite exists is another question."""
    from jessyfile.plugins import METRICS, find_plugin

    return is_listed(metric) or find_plugin(METRICS, metric) is not None


def metric_unit(metric: str) -> Literal["share", "seconds"]:
    """Return the unit of a metric that is known."""
    found = _pattern_of(metric)
    unit: Literal["share", "seconds"] = _metrics()[found[0]]["unit"] if found else "share"
    return unit


def shipped_suites() -> list[str]:
    """Return the suites that come with jessy, those too that no recipe answers unasked."""
    return sorted(path.stem for path in resource("data", "eval").glob("*.jsonl"))


def metric_level(metric: str) -> str | None:
    """Return the level that a metric names, as `low` in `latency.low`."""
    found = _pattern_of(metric)
    return found[1] if found and "<level>" in found[0] else None


def metric_field(metric: str) -> str | None:
    """Return the field of JSON answers that a metric names, as `queue` in `tickets.field.queue`."""
    found = _pattern_of(metric)
    return metric.rpartition(".")[2] if found and found[0].endswith("<field>") else None


def metric_suites(metric: str) -> tuple[str, ...]:
    """Return the suites whose cases a metric needs; none for one that takes all, or no cases."""
    found = _pattern_of(metric)
    suites = _metrics()[found[0]]["suites"] if found else ()
    return tuple(found[1] if found and suite == "<suite>" else suite for suite in suites)


def judges_content(metric: str) -> bool:
    """Return whether a metric of some suite looks at what answers say, and not at their form or level alone."""
    found = _pattern_of(metric)
    return found is not None and found[0] not in ("iteration_efficiency", "<suite>.form")


def needs_references(metric: str) -> bool:
    """Return whether a metric is measured by a suite's reference answers, and not by the answers that a model gives."""
    return bool(_metrics().get(metric, {}).get("references", False))


def thought_levels(metrics: Iterable[str]) -> tuple[str, ...]:
    """Return the levels whose whole loop some of these metrics time, as `high` in `thinking.high`."""
    asked = (metric for metric in metrics if metric.startswith(THINKING) and is_listed(metric))
    return tuple(dict.fromkeys(level for level in map(metric_level, asked) if level is not None))
