"""Values of a recipe that contradict each other, or name something that is not there: errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.draft import Draft, Unknown
from jessyfile.language.metric_table import metric_level, metric_suites, metric_unit, needs_references, shipped_suites
from jessyfile.language.suggest import help_for, listed

RecipeCheck = Callable[[Draft], Iterator[Diagnostic]]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def categories(draft: Draft) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the categories that could be read whole."""
    for name in draft.get_names("dataset", "category"):
        try:
            yield name, draft.get("dataset", "category", name)
        except Unknown:
            continue


def criteria(draft: Draft) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the criteria that could be read whole."""
    for name in draft.get_names("eval", "criterion"):
        try:
            yield name, draft.get("eval", "criterion", name)
        except Unknown:
            continue


def topics_add_up(draft: Draft) -> Iterator[Diagnostic]:
    """The topics of a category add up to its count."""
    for name, category in categories(draft):
        counts = {topic: t["count"] for topic, t in category["topic"].items()}
        total, declared = sum(counts.values()), category["count"]
        if not counts or total == declared:
            continue
        change = f"add {declared - total} examples" if total < declared else f"take {total - declared} examples away"
        shown = [f"{topic} {count}" for topic, count in counts.items()]
        shown = [*shown[:6], f"{len(shown) - 6} more"] if len(shown) > 7 else shown
        yield mistake(
            "J010",
            f"topics of `{name}` add up to {total}, not {declared}",
            draft.at("dataset", "category", name, "count"),
            "declared total",
            helps=f"change the total to {total}, or {change}",
            notes=" + ".join(shown) + f" = {total}",
            fix=str(total),
        )


def levels_exist(draft: Draft) -> Iterator[Diagnostic]:
    """Every level that is named is one of COMPLEXITY's."""
    levels = draft.get("complexity", "level")
    seen = set()
    for name, category in categories(draft):
        places: list[tuple[tuple[str, ...], Any]] = [(("dataset", "category", name, "level"), category["level"])]
        places += [
            (("dataset", "category", name, "topic", topic, "level"), t["level"])
            for topic, t in category["topic"].items()
        ]
        for address, level in places:
            at = draft.at(*address)
            if level is not None and level not in levels and at not in seen:
                seen.add(at)
                yield _no_level(draft, address, level, list(levels))
    for metric, _ in criteria(draft):
        level = metric_level(metric)
        if level is not None and level not in levels:
            yield _no_level(draft, ("eval", "criterion", metric), level, list(levels))


def _no_level(draft: Draft, address: tuple[str, ...], level: str, levels: list[str]) -> Diagnostic:
    helps = help_for(level, levels, "level", f"COMPLEXITY has {listed(levels)}")
    return mistake("J022", f"`{level}` is no LEVEL of this recipe", draft.at(*address), "not defined", helps=helps)


def levels_apart(draft: Draft) -> Iterator[Diagnostic]:
    """No two levels share a number of iterations: the marker could not tell them apart."""
    taken: dict[int, str] = {}
    for name, level in draft.get("complexity", "level").items():
        low, high = level["iterations"]
        other = next((taken[n] for n in range(low, high + 1) if n in taken), None)
        if other is not None:
            second = draft.at("complexity", "level", other, "iterations")
            yield mistake(
                "J026",
                f"levels `{other}` and `{name}` share a number of iterations",
                draft.at("complexity", "level", name, "iterations"),
                "overlaps",
                second=(second, "with this") if second else None,
                helps="give each level its own numbers, as 1-2, 3-5 and 6-9",
            )
        taken.update(dict.fromkeys(range(low, high + 1), name))


def marker_complete(draft: Draft) -> Iterator[Diagnostic]:
    """The marker holds the level and the iterations, each once."""
    marker = draft.get("complexity", "marker")
    if marker is None:
        return
    found = _PLACEHOLDER.findall(marker)
    if sorted(found) != ["iterations", "level"] or "\n" in marker:
        yield mistake(
            "J027",
            "the marker needs `{level}` and `{iterations}`, each once, on one line",
            draft.at("complexity", "marker"),
            "not readable as a marker",
            helps='write it like `marker "[{level} {iterations}]"`, or `marker none`',
        )


def batch_holds_persona(draft: Draft) -> Iterator[Diagnostic]:
    """A batch cannot hold more persona rows than rows."""
    wanted, size = draft.get("personality", "per_batch"), draft.get("train", "batch_size")
    if wanted > size:
        second = draft.at("train", "batch_size")
        yield mistake(
            "J028",
            f"per_batch {wanted} does not fit into batches of {size} rows",
            draft.at("personality", "per_batch"),
            "too many",
            second=(second, "the batch") if second else None,
            helps=f"ask for at most {size}, or raise batch_size",
        )


def criteria_possible(draft: Draft) -> Iterator[Diagnostic]:
    """No criterion asks for what cannot be, or for an interval that does not exist."""
    for metric, criterion in criteria(draft):
        problem = _impossible(metric, criterion)
        if problem:
            part = "confidence" if "interval" in problem[0] else "value"
            yield mistake(
                "J029",
                f"`{metric}` {problem[0]}",
                draft.at("eval", "criterion", metric, part),
                "cannot be",
                helps=problem[1],
            )


def _impossible(metric: str, criterion: dict[str, Any]) -> tuple[str, str] | None:
    value, comparison, unit = criterion["value"], criterion["comparison"], metric_unit(metric)
    if isinstance(value, str):
        if metric == "training_time":
            return f"has no {value}: the base model is not trained", "compare it with a duration, as `< 60m`"
        if criterion["confidence"] is not None:
            return (
                f"cannot have an interval beside `{value}`",
                f"the comparison with the {value} is a paired test already: leave `at` out",
            )
        return None
    if needs_references(metric) and criterion["confidence"] not in (None, 0.95):
        return "has its interval at 95% alone", "write `at 95%`, or leave `at` out"
    if unit == "seconds" and criterion["confidence"] is not None:
        return "has no interval: it is no share", "leave `at` out"
    if unit == "share" and (
        value > 1 or value < 0 or (value == 1 and comparison == ">") or (value == 0 and comparison == "<")
    ):
        return "can never pass: a share lies between 0% and 100%", "write a share that can be reached, as `> 90%`"
    return None


def suites_run(draft: Draft) -> Iterator[Diagnostic]:
    """Every criterion's suite is one that the recipe answers."""
    suites = draft.get_names("eval", "suite")
    for metric, _ in criteria(draft):
        for suite in metric_suites(metric):
            if suite not in suites:
                yield mistake(
                    "J025",
                    f"`{metric}` needs the suite `{suite}`, which this recipe does not answer",
                    draft.at("eval", "criterion", metric),
                    "no cases",
                    helps=help_for(suite, suites, "suite", f"add `SUITE {suite}` to EVAL"),
                )


def references_read(draft: Draft) -> Iterator[Diagnostic]:
    """No criterion asks for what `contrast none` leaves out."""
    if draft.get("eval", "contrast") is None:
        for metric, _ in criteria(draft):
            if needs_references(metric):
                yield mistake(
                    "J025",
                    f"`{metric}` is measured by reference answers, which this recipe leaves out",
                    draft.at("eval", "criterion", metric),
                    "not measured",
                    helps="delete `contrast none`",
                )


def suites_found(draft: Draft) -> Iterator[Diagnostic]:
    """A suite without a file is a shipped one, or lies in the project's data/eval."""
    shipped = shipped_suites()
    for name in draft.get_names("eval", "suite"):
        if (
            not draft.known("eval", "suite", name)
            or name in shipped
            or draft.get("eval", "suite", name, "file") is not None
        ):
            continue
        if not (draft.root / "data" / "eval" / f"{name}.jsonl").is_file():
            helps = help_for(name, shipped, "suite", f'name its file: `SUITE {name} "cases.jsonl"`')
            yield mistake(
                "J025", f"there is no suite `{name}`", draft.at("eval", "suite", name), "not found", helps=helps
            )


def rules_readable(draft: Draft) -> Iterator[Diagnostic]:
    """A rule between slashes is a regular expression that may be run over any answer."""
    for kind in ("always", "never", "often"):
        for rule in draft.get("personality", kind):
            if len(rule) > 2 and rule[0] == rule[-1] == "/":
                from jessyfile.text.patterns import pattern_fault

                fault = pattern_fault(rule[1:-1])
                if fault is not None:
                    yield mistake(
                        "J038",
                        fault,
                        draft.at("personality", kind),
                        f"in one of the {kind.upper()} rules",
                        helps="close its brackets, escape its special characters, repeat no repetition; "
                        "or leave the slashes out",
                    )


def dotenv_usable(draft: Draft) -> Iterator[Diagnostic]:
    """The .env stays in the project, and its variable has a name that a shell takes."""
    dotenv = draft.get("deploy", "dotenv")
    if dotenv is None:
        return
    file, variable = dotenv
    at = draft.at("deploy", "dotenv")
    if not (draft.root / file).resolve().is_relative_to(draft.root) or "\0" in file:
        yield mistake(
            "J041",
            f"`{file}` is outside the project's root",
            at,
            "named here",
            helps='write `".env"`: the file in the project\'s root',
        )
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        yield mistake(
            "J021",
            f"`{variable}` is no name of a variable",
            at,
            "not a name",
            helps="use letters, digits and `_`, as in `JESSY_MODEL`",
        )


def start_named(draft: Draft) -> Iterator[Diagnostic]:
    """What a criterion calls the start is another model than the base."""
    if draft.get("adapter") is not None:
        return
    for metric, criterion in criteria(draft):
        if criterion["value"] == "start":
            yield mistake(
                "J052",
                f"`{metric}` is compared with `start`, and training starts from the base itself",
                draft.at("eval", "criterion", metric, "value"),
                "no ADAPTER",
                helps="write `baseline`, or name with ADAPTER what training goes on from",
                fix="baseline",
            )


def learned_or_found(draft: Draft) -> Iterator[Diagnostic]:
    """Some row is trained, and what is not trained is found by RETRIEVE."""
    shares = {name: float(category["learn"]) for name, category in categories(draft)}
    part = next((name for name, share in shares.items() if share < 1), None)
    if part is None:
        return
    own = ("dataset", "category", part, "learn")
    at = draft.at(*own) if own in draft.merged.settings else draft.at("dataset", "learn")
    if not any(shares.values()):
        yield mistake("J051", "no row is trained", at, "nothing to learn", helps="write `learn 100%` in a CATEGORY")
    elif not (retrieve := draft.get("retrieve")) or retrieve["examples"] is None:
        lacks = "the recipe has no RETRIEVE" if not retrieve else "RETRIEVE has no `examples`"
        message = f"`learn {100 * shares[part]:g}%` leaves rows out that nothing would find: {lacks}"
        helps = "add `RETRIEVE { examples 3 from seeds }`, or delete it and ask for fewer rows"
        yield mistake("J051", message, at, "the others are nowhere", helps=helps)


def refined_there(draft: Draft) -> Iterator[Diagnostic]:
    """What a category refines is another category, whose rows are no refinements themselves; its topics are among them."""
    known = dict(categories(draft))
    plain = [name for name, category in known.items() if not category["refine"]]
    for name, category in known.items():
        wanted, at = category["refine"], draft.at("dataset", "category", name, "refine")
        for source in wanted:
            if source not in plain:
                refines = source in known
                said = (
                    f"the rows of `{source}` are refinements themselves"
                    if refines
                    else f"there is no CATEGORY `{source}`"
                )
                helps = help_for(source, plain, "category", f"it can refine {listed(plain)}" if plain else "add one")
                yield mistake(
                    "J056", f"`{name}` cannot refine `{source}`: {said}", at, "nothing to refine", helps=helps
                )
        for topic in category["topic"] if wanted else ():
            if topic not in wanted:
                at = draft.at("dataset", "category", name, "topic", topic)
                helps = help_for(topic, wanted, "category", f"a TOPIC here is one of {listed(wanted)}")
                yield mistake("J056", f"`{name}` does not refine `{topic}`", at, "no rows to refine", helps=helps)


def preferences_named(draft: Draft) -> Iterator[Diagnostic]:
    """PREFER names pairs to learn from."""
    prefer = draft.get("prefer")
    if prefer and not prefer["files"] and not prefer["feedback"] and prefer["references"] is None:
        yield mistake(
            "J047",
            "PREFER names nothing to learn from",
            draft.at("prefer"),
            "no pairs",
            helps=f'name a file, as in `PREFER {prefer["method"]} "pairs.jsonl"`, or write `references development`',
        )


def feedback_joins(draft: Draft) -> Iterator[Diagnostic]:
    """The category that corrections join is one of the recipe's."""
    named, names = draft.get("dataset", "feedback"), draft.get_names("dataset", "category")
    if named is not None and named not in names:
        yield mistake(
            "J054",
            f"corrections are to join `{named}`, and there is no such CATEGORY",
            draft.at("dataset", "feedback"),
            "not a category",
            helps=help_for(named, names, "category", f"name one of {listed(names)}"),
        )


def previous_measured(draft: Draft) -> Iterator[Diagnostic]:
    """What was promoted before is held against by what answers are checked for: its weights are asked, not read."""
    for metric, criterion in criteria(draft):
        if criterion["value"] == "previous" and needs_references(metric):
            yield mistake(
                "J055",
                f"`{metric}` is read from a model's weights, and of `previous` only the answers are known",
                draft.at("eval", "criterion", metric, "value"),
                "not measured",
                helps="write `baseline`, or compare a suite, as in `MUST golden.relevance >= previous`",
                fix="baseline",
            )


def preference_settings_fit(draft: Draft) -> Iterator[Diagnostic]:
    """What is set inside PREFER is read by its method."""
    prefer = draft.get("prefer")
    if not prefer or prefer["method"] == "kto":
        return
    for name in ("desirable_weight", "undesirable_weight"):
        if ("prefer", name) in draft.merged.settings:
            yield mistake(
                "J048",
                f"`{name}` is a setting of kto, and this PREFER is {prefer['method']}",
                draft.at("prefer", name),
                "not read",
                helps="delete it: both answers of a pair weigh the same (`DROP PREFER` removes what EXTENDS brings)",
            )


def preferences_compared(draft: Draft) -> Iterator[Diagnostic]:
    """A batch of kto holds an answer to compare each with."""
    prefer = draft.get("prefer")
    if prefer and prefer["method"] == "kto" and prefer["batch_size"] == 1:
        yield mistake(
            "J049",
            "kto holds an answer against the others of its batch, and batch_size 1 leaves none",
            draft.at("prefer", "batch_size"),
            "too small",
            helps="write at least 2; 8 is usual",
        )


def retrieval_named(draft: Draft) -> Iterator[Diagnostic]:
    """RETRIEVE names rows or documents to find."""
    retrieve = draft.get("retrieve")
    if retrieve and retrieve["examples"] is None and retrieve["documents"] is None:
        yield mistake(
            "J053",
            "RETRIEVE names nothing to put before a question",
            draft.at("retrieve"),
            "nothing to find",
            helps='write `examples 3 from seeds`, or `documents "notes/**/*.md" top 4`, or both',
        )


def routes_lead(draft: Draft) -> Iterator[Diagnostic]:
    """Every line of ROUTE names one level or one category, and a category is one that can be recognised."""
    levels, names = [*draft.get("complexity", "level")], draft.get_names("dataset", "category")
    retrieve = draft.get("retrieve")
    for name in draft.get_names("route", "to"):
        at = draft.at("route", "to", name)
        if name in levels and name in names:
            helps = "give the category another name"
            yield mistake("J057", f"`{name}` is a level and a category", at, "which one?", helps=helps)
        elif name not in levels and name not in names:
            known = help_for(name, [*levels, *names], "level or category", f"the levels are {listed(levels)}")
            yield mistake("J057", f"`{name}` is no level and no category", at, "nothing is routed", helps=known)
        elif name in names and not (retrieve and retrieve["examples"]):
            helps = "add `examples 3 from seeds` to a RETRIEVE block, or route by level"
            told = f"nothing tells that a question is of the category `{name}`"
            yield mistake(
                "J057",
                told,
                at,
                "not recognised",
                helps=helps,
                notes="a question's category is that of the rows nearest to it",
            )


def references_unseen(draft: Draft) -> Iterator[Diagnostic]:
    """No reference answer is both trained and measured."""
    prefer, split = draft.get("prefer"), draft.get("eval", "contrast")
    if prefer and split is not None and prefer["references"] == split:
        second = draft.at("prefer", "references")
        yield mistake(
            "J050",
            f"`contrast {split}` measures by the answers that PREFER trains",
            draft.at("eval", "contrast"),
            "would measure memory",
            second=(second, "trained here") if second else None,
            helps="delete the line: `contrast final` measures by the others",
        )


CHECKS: tuple[RecipeCheck, ...] = (
    topics_add_up,
    levels_exist,
    levels_apart,
    marker_complete,
    batch_holds_persona,
    criteria_possible,
    suites_run,
    references_read,
    suites_found,
    rules_readable,
    dotenv_usable,
    start_named,
    learned_or_found,
    feedback_joins,
    previous_measured,
    refined_there,
    preferences_named,
    preference_settings_fit,
    preferences_compared,
    retrieval_named,
    routes_lead,
    references_unseen,
)
