"""Warnings: recipes that are correct and still cannot do what they say, each with the measurement behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from jessyfile.language.consistency import RecipeCheck, categories, criteria
from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.draft import Draft
from jessyfile.language.metric_table import metric_suites
from jessyfile.language.without_effect import asked_rows, many, settings_have_effect, training_rows, uncounted, updates

_FOUR_BITS = ("q4_k_m", "q4_k_s", "iq4_nl", "iq4_xs", "q4_1", "q4_0", "q3_k_l", "q3_k_m", "q3_k_s")
_MOST_KEPT_OUT = 30  # per cent; beyond it the rows are missing, not the share
_USUAL_SHARE = 0.1  # where the recipe keeps none out
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}


def warmup_fits(draft: Draft) -> Iterator[Diagnostic]:
    """The learning rate reaches its peak before the training ends."""
    train, made = draft.get("train"), updates(draft)
    if train["warmup_steps"] <= made or uncounted(draft):
        return
    kept = training_rows(draft)
    yield mistake(
        "J201",
        f"warmup_steps {train['warmup_steps']} is more than the {many(made, 'optimizer update')} this recipe makes",
        draft.at("train", "warmup_steps"),
        "the rate never reaches its peak",
        helps=f"warm up for {many(max(made // 10, 1), 'update')}, a tenth of them",
        notes=f"{kept} training rows × {train['epochs']} epochs at {train['batch_size']} × "
        f"{train['grad_accumulation']} rows an update make {made}",
    )


def criterion_provable(draft: Draft) -> Iterator[Diagnostic]:
    """A claim at a confidence can be proved by the cases there are: Wilson's lower end of n passes in n is n / (n
    + z²)."""
    for metric, criterion in criteria(draft):
        confidence, value = criterion["confidence"], criterion["value"]
        cases = sum(draft.cases(suite) or 0 for suite in metric_suites(metric))
        if (
            confidence is None
            or isinstance(value, str)
            or not cases
            or criterion["comparison"] not in (">", ">=")
            or not 0 < value < 1
        ):
            continue
        from statistics import NormalDist  # takes long to import, and few recipes prove anything

        z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
        needed = math.floor(value * z2 / (1 - value)) + 1
        if cases < needed:
            yield mistake(
                "J202",
                f"`{metric}` can never pass: {cases} cases cannot prove {value:.0%} at {confidence:.0%}",
                draft.at("eval", "criterion", metric, "confidence"),
                "too few cases",
                helps=f"answer at least {needed} cases, or leave `at` out",
                notes=f"{cases} passes in {cases} cases have a lower end of {cases / (cases + z2):.1%} (Wilson)",
            )


def category_has_topics(draft: Draft) -> Iterator[Diagnostic]:
    """A category says what it consists of; one that refines consists of the categories that it names."""
    for name, category in categories(draft):
        if not category["topic"] and not category["refine"]:
            yield mistake(
                "J203",
                f"category `{name}` has no TOPIC",
                draft.at("dataset", "category", name),
                "all rows in one group",
                helps="name its parts with `TOPIC name count`: their counts and their validation are kept apart",
            )


def quantization_keeps_tune(draft: Draft) -> Iterator[Diagnostic]:
    """The file keeps what was trained."""
    quantize = draft.get("export", "quantize")
    if quantize in _FOUR_BITS:
        yield mistake(
            "J204",
            f"`{quantize}` loses a part of the tune",
            draft.at("export", "quantize"),
            "too coarse",
            helps="use q8_0",
            notes="of what a tune changed in a 270M's answers 4 bits kept 77 to 89 %, 8 bits 99.8 % (docs/export.md)",
        )


def validation_sees_topics(draft: Draft) -> Iterator[Diagnostic]:
    """Every topic has a row in the validation."""
    asked = draft.get("dataset", "category")
    topics = sum(max(len(c["topic"]), 1) for c in asked.values())
    total, share = asked_rows(draft), draft.get("dataset", "validation")
    held, needed = round(total * share), math.ceil(100 * topics / total) if total else 100
    if held < topics and needed > _MOST_KEPT_OUT:
        enough = math.ceil(round(topics / (share or _USUAL_SHARE), 6))
        yield mistake(
            "J205",
            f"{many(total, 'row')} for {many(topics, 'topic')} are too few: validation would hold {held} of them",
            draft.at("dataset", "category", next(iter(asked)), "count"),
            "too few rows",
            helps=f"ask for at least {many(enough, 'row')}",
        )
    elif held < topics:
        yield mistake(
            "J205",
            f"validation holds {held} of {total} rows, too few for {many(topics, 'topic')}",
            draft.at("dataset", "validation"),
            "too small",
            helps=f"keep at least {needed}% out",
        )


def targets_reach_levels(draft: Draft) -> Iterator[Diagnostic]:
    """A small base with adapters on attention alone does not learn all levels."""
    base, targets = draft.get("from"), draft.get("lora", "targets")
    if "270m" in str(base).lower() and set(targets) <= _ATTENTION and len(draft.get("complexity", "level")) > 2:
        yield mistake(
            "J206",
            "attention layers alone do not teach a 270M base its levels",
            draft.at("lora", "targets"),
            "too few layers",
            helps="add gate_proj up_proj down_proj",
            notes="measured: 0 of 7 questions of the level `high` were recognized",
        )


def rate_converges(draft: Draft) -> Iterator[Diagnostic]:
    """The learning rate is not one that diverges."""
    rate = draft.get("train", "learning_rate")
    if rate >= 2e-3:
        yield mistake(
            "J207",
            f"learning_rate {rate:g} is likely to diverge",
            draft.at("train", "learning_rate"),
            "too high",
            helps="try 5e-4, or 2e-4 for larger bases",
            notes="measured on a 270M base: 5e-4 learns, 2e-3 diverges",
        )


def context_holds_rows(draft: Draft) -> Iterator[Diagnostic]:
    """The served model sees as much as it was trained on."""
    window, longest = draft.get("parameter").get("num_ctx"), draft.get("train", "max_length")
    if window is not None and window < longest:
        yield mistake(
            "J208",
            f"num_ctx {window} is less than the {longest} tokens of max_length",
            draft.at("parameter", "num_ctx"),
            "too short",
            helps=f"raise it to {longest}, or shorten max_length",
        )


def something_decides(draft: Draft) -> Iterator[Diagnostic]:
    """At least one criterion can stop a bad model."""
    at = draft.at("eval") or draft.at("name")
    if at and draft.known("eval") and not any(c["rank"] == "must" for c in draft.get("eval", "criterion").values()):
        yield mistake(
            "J209",
            "no criterion is a MUST: every model will be promoted",
            at,
            "no MUST here",
            helps="add one to EVAL, as `MUST no_loops > 95%`",
        )


CHECKS: tuple[RecipeCheck, ...] = (
    warmup_fits,
    criterion_provable,
    category_has_topics,
    quantization_keeps_tune,
    validation_sees_topics,
    targets_reach_levels,
    rate_converges,
    context_holds_rows,
    something_decides,
    settings_have_effect,
)
