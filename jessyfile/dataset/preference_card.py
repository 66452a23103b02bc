"""What cards tell of preferences: the headline figures, for terminal, report and model card."""

from __future__ import annotations

from collections.abc import Mapping

from jessyfile.results.facts import PreferencesFacts, compared_by


def preference_lines(facts: PreferencesFacts) -> list[tuple[str, str]]:
    """Return the figures of a recipe's preferences as pairs of words."""
    held_out = f"{facts.valid} to validate with" if facts.valid else "none held out"
    lines = [
        (compared_by(facts.method), f"{facts.train} to train on, {held_out}"),
        ("answers", f"{facts.good} good and {facts.bad} bad"),
        ("median length", f"good {facts.good_length} characters, bad {facts.bad_length}"),
        ("came from", _listed(facts.sources)),
        ("levels", _listed({name or "none said": count for name, count in facts.levels.items()})),
    ]
    return lines + ([("told twice, taken once", str(facts.duplicates))] if facts.duplicates else [])


def preference_text(facts: PreferencesFacts) -> str:
    """Return the figures a line each, for a terminal."""
    lines = preference_lines(facts)
    width = max(len(name) for name, _ in lines)
    return "preferences\n" + "".join(f"  {name:<{width}}  {value}\n" for name, value in lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
