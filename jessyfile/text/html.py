"""HTML pages from the templates in `templates/report`: one file each, every value escaped, nothing loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jessyfile.resources import resource
from jessyfile.text.printable import printable


def render_template(name: str, filters: Mapping[str, Callable[..., object]] | None = None, **values: object) -> str:
    """Return a template of `templates/report` filled in; `filters` adds to `clean`, which is `printable`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(resource("templates", "report")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clean=printable, **(filters or {}))
    return environment.get_template(name).render(**values)
