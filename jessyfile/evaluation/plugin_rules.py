"""A user's own metrics and checks in an evaluation: which are used, whether they work, and what they say of an answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import EvaluationError
from jessyfile.evaluation.suite_inputs import suite_files
from jessyfile.language.metric_table import is_listed, metric_names
from jessyfile.plugins import CHECKS, METRICS, Group, Plugin, find_plugin, installed
from jessyfile.project import find_root

if TYPE_CHECKING:
    from jessyfile.evaluation.answers import Answered
    from jessyfile.evaluation.cases import Case
    from jessyfile.evaluation.scores import Score
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.preflight import Finding, Outlook

_KIND = re.compile(rb'"check"\s*:\s*"([a-z][a-z0-9_-]*)"')
_TRIED = ("Bence önce çay koy, sonra konuşuruz.", "")


@cache
def _function(plugin: Plugin) -> Callable[..., object]:
    return plugin.load()


def plugin_rule(name: str) -> Callable[[Score], bool | None]:
    """Return what the metric of a plugin says of a score: passed, not passed, or (None) that the case does not count.

    Raises EvaluationError when no plugin has that name, or it fails on an answer.
    """
    plugin = _require(METRICS, name)
    return lambda score: _said_of(plugin, score.case, score.answer)


def _said_of(plugin: Plugin, case: Case, answer: Answered) -> bool | None:
    said = _call(plugin, case, answer)
    if said is not None and not isinstance(said, bool):
        raise EvaluationError(f"{plugin.said} returned {said!r} for `{case.id}`", hint="it returns True, False or None")
    return said


def plugin_check(name: str, answer: str, prompt: str, words: tuple[str, ...]) -> bool:
    """Return whether an answer passes the check of a plugin.

    Args:
        name: the plugin's name.
        answer: the answer, without its marker.
        prompt: what was asked.
        words: the words that the case gives.

    Raises:
        EvaluationError: no plugin has that name, or it fails on this answer.
    """
    plugin = _require(CHECKS, name)
    said = _call(plugin, answer, prompt, words)
    if not isinstance(said, bool):
        raise EvaluationError(f"{plugin.said} returned {said!r}", hint="it returns True or False")
    return said


def _require(group: Group, name: str) -> Plugin:
    plugin = find_plugin(group, name)
    if plugin is None:
        raise EvaluationError(f"nothing measures `{name}`", hint=f"install what brings it (entry point {group})")
    return plugin


def _call(plugin: Plugin, *given: object) -> object:
    function = _function(plugin)
    try:
        return function(*given)
    except Exception as error:  # (whatever another program raises)
        raise plugin.failed(error, "failed on an answer") from error


def used_plugins(recipe: Recipe, root: Path) -> list[Plugin]:
    """Return the plugins that a recipe's criteria and the cases of its suites name. Raises EvaluationError for a name that two bring."""
    metrics = [find_plugin(METRICS, one.metric) for one in recipe.evaluation.criteria if not is_listed(one.metric)]
    own = sorted(_kinds(recipe, root) - built_in_checks())
    return [found for found in (*metrics, *(find_plugin(CHECKS, kind) for kind in own)) if found is not None]


def _kinds(recipe: Recipe, root: Path) -> set[str]:
    """Return the kinds of check that the suites' files name; a file that cannot be read is reported where it is read."""
    try:
        files = suite_files(recipe, root)
    except EvaluationError:
        return set()
    return {kind.decode() for path in files for kind in _KIND.findall(path.read_bytes())}


def plugin_versions(recipe: Recipe) -> Mapping[str, str]:
    """Return the plugins that an evaluation rests on with their versions: another version may say something else."""
    try:
        used = used_plugins(recipe, find_root(recipe.path))
    except EvaluationError:  # the step's preflight says so
        return {}
    return {f"{plugin.group}.{plugin.name}": f"{plugin.distribution} {plugin.version}" for plugin in used}


@cache
def built_in_checks() -> frozenset[str]:
    """Return the kinds of check that come with jessy, as the schema of a case lists them."""
    import json

    from jessyfile.resources import resource

    schema = json.loads(resource("grammar", "case.schema.json").read_text(encoding="utf-8"))
    return frozenset(schema["$defs"]["own"]["properties"]["check"]["not"]["enum"])


def plugins_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield what keeps the plugins from being used, as errors of the step that looks."""
    # looking at every installed distribution takes a tenth of a second, which a plan does not spend for nothing
    for error in plugin_faults(outlook.recipe, outlook.root, unused=outlook.network):
        yield outlook.error(error)


def plugin_faults(recipe: Recipe, root: Path, *, unused: bool = True) -> Iterator[EvaluationError]:
    """Yield why plugins cannot be used: an import that fails, a wrong signature or result, and when `unused` ones are looked at
    too, a name that is taken. Raises EvaluationError for a name that two distributions bring."""
    if unused:
        yield from map(_taken, filter(_is_taken, (*installed(METRICS).values(), *installed(CHECKS).values())))
    for plugin in used_plugins(recipe, root):
        try:
            _try(plugin)
        except EvaluationError as error:
            yield error


def _is_taken(plugin: Plugin) -> bool:
    return is_listed(plugin.name) if plugin.group == METRICS else plugin.name in built_in_checks()


def _taken(plugin: Plugin) -> EvaluationError:
    kind = f"metric ({', '.join(metric_names())})" if plugin.group == METRICS else "check"
    return EvaluationError(
        f"{plugin.said} has the name of a {kind} that comes with jessy",
        hint=f"rename its entry point in {plugin.distribution}",
    )


def _try(plugin: Plugin) -> None:
    """Call a plugin as the evaluation will, on a made answer and on an empty one."""
    from jessyfile.evaluation.answers import Answered
    from jessyfile.evaluation.cases import Case

    case = Case("tried-001", "tried", "naber, ne yapalım", "low", "tr")
    for text in _TRIED:
        if plugin.group == METRICS:
            _said_of(plugin, case, Answered(case.id, text, "low", 1, 9, 12, 1.0, 0.1, "stop"))
        else:
            plugin_check(plugin.name, text, case.prompt, ("çay",))
