"""The child process in which chat templates of foreign files are rendered: sandboxed, with little time and memory.

It reads one JSON object from its input, `{"template", "bos", "eos", "chats"}`, and writes a list with a text for each
conversation, null where the template refuses it.
"""

from __future__ import annotations

import json
import resource
import sys

_SECONDS, _BYTES = 10, 1 << 30
_TODAY = "01 Jan 2030"  # a template that writes the day writes one that no training saw


def main() -> None:
    """Render what stands in the input."""
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    asked = json.load(sys.stdin)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], autoescape=False
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda _: _TODAY
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    given = {"bos_token": asked["bos"], "eos_token": asked["eos"], "add_generation_prompt": True}
    found: list[str | None] = []
    for messages in asked["chats"]:
        try:
            found.append(environment.from_string(asked["template"]).render(messages=messages, **given))
        except (TemplateError, ValueError, TypeError, KeyError, AttributeError, IndexError):
            found.append(None)
    json.dump(found, sys.stdout)


def _refuse(message: str) -> None:
    raise ValueError(message)


if __name__ == "__main__":
    main()
