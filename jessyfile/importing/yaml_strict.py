"""YAML with every value's line, and without its traps: no key twice, no alias, no tag, no depth, plain scalars only.

Numbers are read as mlx-lm reads them: `1e-5` is a float, which YAML 1.1 takes for text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from jessyfile.errors import ProjectError

MAX_EVENTS = 20_000
MAX_DEPTH = 16
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?$|[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?$")

Tree = dict[str, "YamlValue"]


@dataclass(frozen=True, slots=True)
class YamlValue:
    """One key's value and the line of the key. A value is a `Tree`, a list of plain values, or a plain value."""

    value: Any
    line: int

    def plain(self) -> Any:  # noqa: ANN401 (any YAML value)
        """Return the value without lines."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.value.items()}
        return self.value


def read_yaml(data: bytes) -> Tree:
    """Return a document that is a mapping. Raises ProjectError for anything else."""
    import yaml

    try:
        text = data.decode("utf-8-sig")
        node = _compose(text)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise _refused(node, "a configuration is a mapping of keys to values")
        return _tree(node)
    except UnicodeDecodeError as error:
        raise ProjectError(f"the configuration is not UTF-8 (byte {error.start})", hint="save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise _broken(error) from error


def _compose(text: str) -> Any:  # noqa: ANN401 (PyYAML's nodes)
    import yaml

    _limits(text)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _limits(text: str) -> None:
    """Refuse what could grow: an alias, a tag, depth, or very many values. The events come one by one."""
    import yaml

    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise _refused(event, f"the alias `*{event.anchor}` is not followed", "write the value out")
        if getattr(event, "tag", None) is not None:
            raise _refused(event, "tags like `!!python/…` are not read", "write the plain value")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_EVENTS:
            raise _refused(event, "the configuration is deeper or longer than any that mlx-lm reads")


def _tree(node: Any) -> Tree:  # noqa: ANN401 (PyYAML's nodes)
    found: Tree = {}
    for key, value in node.value:
        if not isinstance(key.value, str):
            raise _refused(key, "a key is one word")
        name = key.value
        if name in found:
            first = found[name].line
            raise _refused(key, f"`{name}` stands twice, first on line {first}", "keep one of the two")
        found[name] = YamlValue(_value(value), key.start_mark.line + 1)
    return found


def _value(node: Any) -> Any:  # noqa: ANN401 (PyYAML's nodes)
    import yaml

    if isinstance(node, yaml.MappingNode):
        return _tree(node)
    if isinstance(node, yaml.SequenceNode):
        return [YamlValue(_value(item), 0).plain() for item in node.value]
    if node.style is None and node.tag == "tag:yaml.org,2002:str" and _FLOAT.match(node.value):
        return float(node.value.replace("_", ""))
    try:
        return yaml.SafeLoader("").construct_object(node)
    except ValueError as error:
        raise _refused(node, f"`{node.value[:40]}` is no value") from error


def _refused(at: Any, message: str, hint: str | None = None) -> ProjectError:  # noqa: ANN401 (a node or an event)
    return ProjectError(f"line {at.start_mark.line + 1}: {message}", hint=hint)


def _broken(error: Any) -> ProjectError:  # noqa: ANN401 (PyYAML's error)
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}: " if mark else ""
    return ProjectError(f"{line}this is no YAML: {getattr(error, 'problem', None) or 'it cannot be read'}")
