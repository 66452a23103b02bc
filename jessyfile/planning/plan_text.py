"""A plan as text: first the steps that have a reason of their own, with the reasons, then the steps that follow them,
then the sum."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jessyfile.planning.change_text import Change, change_block, counted, duration, gathered, size, spanned, spelled
from jessyfile.text.fit import beside, folded

if TYPE_CHECKING:
    from jessyfile.planning.plan import Plan, PlannedStep
    from jessyfile.planning.reasons import Reason
    from jessyfile.results.facts import EncodeFacts

Told = tuple[str, str]
_WIDTH = 78  # of a step's line, before what it costs
_MANY = 3
_TRAININGS = ("train", "prefer")
_LONG = (*_TRAININGS, "baseline", "start", "previous", "evaluate")  # named first where their time is not known
_LEGEND = {
    "+": "runs for the first time",
    "~": "runs again",
    "?": "may be restored from the store",
    ">": "follows a step above, unless that result is unchanged",
}
_WHY = {
    "replace": "asked for with --replace",
    "lost": "its stored result was lost or is damaged",
    "drift": "what it registered was removed or replaced",
    "unfinished": "a part of its last result is still missing",
    "version": "jessy's own code for it changed",
    "forgotten": "no result of it is stored",
}
_SUMS = {
    "retrain": "Retraining is needed.",
    "repackage": "No retraining is needed.",
    "recheck": "Only checks run again.",
    "cosmetic": "Nothing that is trained or served changes.",
}


def render_plan(
    plan: Plan,
    *,
    everything: bool = False,
    short: bool = False,
    command: str | None = None,
    now: dt.datetime | None = None,
    width: int | None = None,
) -> str:
    """Return the plan's text, without colour.

    Args:
        plan: What would be done.
        everything: Whether unchanged steps are listed too.
        short: Whether the reasons' lines are left out.
        command: The command line that would run it; None when it is being run.
        now: The time to count from; the current one unless given.
        width: How many columns there are; None for any number.
    """
    lines = [_title(plan, now or dt.datetime.now(dt.UTC)), *plan.about, ""]
    if not plan.changes:
        kept = [*lines, *_kept(plan, everything), *_mask(plan, everything), *_findings(plan, command)]
        return "\n".join([*kept, *_nothing(plan)]) + "\n"
    lines += [_legend(plan), ""]
    told: set[Told] | None = None if short else set()
    named = max([16, *(len(step.name) for step in plan.steps if step.cause)])
    for step in plan.steps:
        if step.cause:
            lines += _cause(step, named, told, width)
    lines += _follow([step for step in plan.steps if step.runs and not step.cause], width)
    lines += [*_kept(plan, everything), *_mask(plan, everything)]
    return "\n".join([*lines, "", *_findings(plan, command), _sum(plan), *_end(plan, command)]) + "\n"


def _findings(plan: Plan, command: str | None) -> list[str]:
    """Return the findings. While an apply runs, errors are left out: it raises them itself."""
    shown = [finding for finding in plan.findings if command is not None or finding.severity != "error"]
    return [f"{finding}\n" for finding in shown]


def _end(plan: Plan, command: str | None) -> list[str]:
    if command is None:
        return []
    if plan.errors:
        things = "the error above" if len(plan.errors) == 1 else f"the {len(plan.errors)} errors above"
        return [f"Nothing was started, and apply would refuse: fix {things} first."]
    return [f"Nothing was started. To run it: {command}"]


def render_why(plan: Plan, step: PlannedStep) -> str:
    """Return why one step runs, or does not."""
    if not step.runs:
        return f"{step.name} is kept: its values, its files, its inputs and its stored result are as they were.\n"
    if step.cause:
        return "\n".join([_legend_for([_symbol(step)]), "", *_cause(step, len(step.name), set(), None)]) + "\n"
    sources = [reason.what for reason in step.reasons]
    chain = _chain(plan, step)
    unless = ", unless that result is unchanged" if step.answer == "may" else ""
    return f"{step.name} runs again because it reads {_join(sources)}{unless}.\n  {' <- '.join(chain)}\n"


def ago(then: str, now: dt.datetime) -> str:
    """Return how long ago an ISO 8601 time was, in its largest unit."""
    seconds = (now - dt.datetime.fromisoformat(then)).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count >= 1:
            return f"{counted(count, unit)} ago"
    return "just now"


def _title(plan: Plan, now: dt.datetime) -> str:
    if not plan.state.run:
        return f"{plan.name} · {plan.recipe} · never applied"
    return f"{plan.name} · {plan.recipe} · applied {ago(plan.state.applied, now)} (run {plan.state.run})"


def _symbol(step: PlannedStep) -> str:
    if not step.cause:
        return ">"
    if step.answer == "may":
        return "?"
    return "+" if any(reason.kind == "first" for reason in step.reasons) else "~"


def _legend(plan: Plan) -> str:
    used = {_symbol(step) for step in plan.steps if step.runs}
    return _legend_for([symbol for symbol in _LEGEND if symbol in used])


def _legend_for(symbols: Sequence[str]) -> str:
    return "  " + "   ".join(f"{symbol} {_LEGEND[symbol]}" for symbol in symbols)


def _cause(step: PlannedStep, named: int, told: set[Told] | None, width: int | None) -> list[str]:
    """Return a step's header and its reasons; `told` are the changes that stand above already, None leaves all out."""
    head = f"  {_symbol(step)} {step.name:<{named}}  {_header(step)}"
    lines = beside(head, _forecast([step]), width, _WIDTH, named + 6)
    return lines if told is None else lines + list(_reasons(step, told))


def _header(step: PlannedStep) -> str:
    kinds = [reason.kind for reason in step.reasons]
    if "first" in kinds:
        return step.title
    for kind, text in _WHY.items():
        if kind in kinds and "value" not in kinds and "file" not in kinds:
            return text
    text = _rows(step) or (
        step.effect if step.effect != "retrain" else "retrain" if step.name in _TRAININGS else step.title
    )
    return f"{text}, from its last checkpoint" if step.resumes else text


def _rows(step: PlannedStep) -> str | None:
    for reason in step.reasons:
        if reason.what == _count_address(step) and isinstance(reason.old, int) and isinstance(reason.new, int):
            difference = "more" if reason.new > reason.old else "fewer"
            return f"make {reason.new} rows, {abs(reason.new - reason.old)} {difference}"
    return None


def _count_address(step: PlannedStep) -> str:
    return f"dataset.category.{step.name.partition('.')[2]}.count"


def _reasons(step: PlannedStep, told: set[Told]) -> Iterator[str]:
    own = _count_address(step) if _rows(step) else None
    values = [r for r in step.reasons if r.kind == "value" and r.what != own]
    known = {r.what for r in values if (r.what, repr(r.new)) in told}
    yield from change_block(gathered([Change(r.what, r.old, r.new, r.where) for r in values if r.what not in known]))
    if known:
        yield f"        {', '.join(sorted({spelled(address) for address in known}))}  as above"
    told.update((r.what, repr(r.new)) for r in values)
    yield from _files([reason for reason in step.reasons if reason.kind == "file"])
    for reason in step.reasons:
        if reason.kind == "version":
            yield f"        version {reason.old} -> {reason.new} of the step"
        elif reason.kind == "gone":
            yield f"        {reason.what}  no longer read"


def _files(reasons: Sequence[Reason]) -> Iterator[str]:
    """Yield changed files a line each; more than three of a folder that changed alike as one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for reason in reasons:
        word = "changed" if reason.old and reason.new else "new" if reason.new else "gone"
        groups.setdefault((reason.what.rpartition("/")[0], word), []).append(reason.what)
    for (folder, word), names in groups.items():
        if len(names) > _MANY:
            yield f"        {folder}/  {len(names)} files {word}"
        else:
            yield from (f"        {name}  {word}" for name in names)


def _follow(steps: Sequence[PlannedStep], width: int | None) -> list[str]:
    if not steps:
        return []
    names = [step.name for step in steps]
    text = f"  > {', '.join(names)} follow{'s' if len(names) == 1 else ''}"
    cost = _forecast(steps)
    *lines, last = folded(text, min(_WIDTH - 4, (width or _WIDTH) - len(cost) - 1), 4)
    return [*lines, *beside(last, cost, width, _WIDTH, 4)]


def _kept(plan: Plan, everything: bool) -> list[str]:
    kept = [step for step in plan.steps if not step.runs and step.made_by is None]
    made = list(_made_before(plan))
    if everything:
        return [*made, *(f"    {step.name:<16} unchanged" for step in kept)]
    if not kept or not plan.changes:
        return made
    return [*made, f"    ({counted(len(kept), 'step')} unchanged; --all shows {'it' if len(kept) == 1 else 'them'})"]


def _made_before(plan: Plan) -> Iterator[str]:
    """Yield the steps that other models, applied before this one, have made by then: a line a model."""
    for name in dict.fromkeys(step.made_by for step in plan.steps if step.made_by is not None):
        steps = ", ".join(step.name for step in plan.steps if step.made_by == name)
        yield from folded(f"    = {steps}: made by {name}", _WIDTH, 6)


def _mask(plan: Plan, everything: bool) -> list[str]:
    """Return what the mask trains, as the kept `encode` step counted it: a line, and one a category with
    `everything`."""
    mask = plan.mask
    if mask is None or not mask.tokens or not (plan.changes or everything):
        return []
    lines = [f"    mask: {mask.trained_tokens} of {mask.tokens} tokens are trained, {_ends(mask)}"]
    if mask.rows_cut and mask.longest:
        lines.append(
            f"    to keep every row whole: --set train.max_length={mask.longest} (longer rows take longer to train)"
        )
    if given := mask.neighbours + mask.neighbours_dropped:
        lines.append(
            f"    neighbours: {mask.neighbours} of {given} stand before the rows; the others were beyond max_length"
        )
    if everything:
        lines += [f"      {name:<18} {c.trained} of {c.tokens}" for name, c in sorted(mask.categories.items())]
    return lines


def _ends(mask: EncodeFacts) -> str:
    """Say whether answers end where they should, and why not."""
    if not mask.rows_cut:
        return "the end of every answer too"
    lost = mask.chat_rows - mask.ends_trained
    cause = f"{counted(mask.rows_cut, 'row')} {'is' if mask.rows_cut == 1 else 'are'} longer than max_length and cut"
    return f"{cause}: {f'{lost} of {mask.chat_rows} answers lose their end' if lost else 'no answer loses its end'}"


def _nothing(plan: Plan) -> list[str]:
    if plan.withheld is not None:
        return [f"No changes. {plan.name} is not promoted: {plan.withheld}"]
    return [f"No changes. {plan.name} is what {plan.recipe} says."]


def _sum(plan: Plan) -> str:
    will = sum(step.cause for step in plan.steps)
    follow = sum(step.runs and not step.cause for step in plan.steps)
    made = sum(step.made_by is not None for step in plan.steps)
    counts = (
        [f"{will} to run"]
        + ([f"{follow} to follow"] if follow else [])
        + ([f"{made} made before"] if made else [])
        + [f"{len(plan.steps) - will - follow - made} unchanged"]
    )
    return " ".join(part for part in (f"Plan: {', '.join(counts)}.", _about(plan), _price(plan)) if part)


def _price(plan: Plan) -> str:
    trainings = [step for step in plan.steps if step.name in _TRAININGS]
    if plan.effect == "retrain" and trainings and not any(step.cause for step in trainings):
        follows = any(step.runs for step in trainings)
        return "Retraining follows, unless its inputs turn out unchanged." if follows else "Nothing is retrained."
    if plan.effect == "retrain" and not plan.state.run:
        return "Nothing was trained yet."
    return _SUMS[plan.effect]


def _about(plan: Plan) -> str:
    running = [step for step in plan.steps if step.runs]
    if estimate := _estimate(plan, running):
        return estimate
    known = [step.seconds for step in running if step.seconds is not None]
    about = f"about {duration(max(1, sum(known)))}" if known else ""
    unknown = sorted((step.name for step in running if step.seconds is None), key=lambda name: name not in _LONG)
    if not unknown:
        last = f" (last full run: {duration(plan.last_seconds)})" if plan.last_seconds else ""
        return f"A{about[1:]} on this machine{last}." if about else ""
    if not known:
        return "How long is not known: nothing of it ran on this machine yet."
    names = unknown if len(unknown) <= _MANY else [*unknown[:_MANY], f"{len(unknown) - _MANY} more"]
    return f"How long is not known: {_join(names)} never ran here; the rest takes {about}."


def _estimate(plan: Plan, running: Sequence[PlannedStep]) -> str:
    """Return between how long the steps take where sizes must tell a part of it; nothing where they cannot."""
    guessed = [step for step in running if step.seconds is None]
    ranges = [step.between for step in running if step.between is not None]
    if not any(step.between for step in guessed) or any(step.name in _LONG and not step.between for step in guessed):
        return ""
    span = spanned(sum(low for low, _ in ranges), sum(high for _, high in ranges))
    why = "nothing ran here yet" if len(guessed) == len(running) else f"{len(guessed)} steps never ran here"
    disk = f", and writes about {size(plan.disk)}" if plan.disk else ""
    return f"By sizes it takes {span} on this machine{disk}: an estimate, for {why}."


def _forecast(steps: Sequence[PlannedStep]) -> str:
    known = [step.seconds for step in steps if step.seconds is not None]
    guessed = [step.between for step in steps if step.between is not None]
    seconds = [f"~{duration(sum(known))}".replace("~<", "<")] if known else []
    if len(guessed) > len(known):
        seconds = [spanned(sum(low for low, _ in guessed), sum(high for _, high in guessed))]
    forecast = steps[0].forecast if len(steps) == 1 else None
    peak = (forecast.peak if forecast else None) or 0
    return ", ".join([*seconds, *([size(peak)] if peak >= 1e9 else [])])


def _chain(plan: Plan, step: PlannedStep) -> list[str]:
    """Return the names from a step back to the first cause that it follows."""
    by_name = {planned.name: planned for planned in plan.steps}
    chain = [step.name]
    while not step.cause and step.reasons:
        step = by_name[step.reasons[0].what]
        chain.append(step.name)
    return chain


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
