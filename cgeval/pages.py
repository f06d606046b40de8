"""Templates and what they show go in; one HTML page comes out that asks nobody for anything.

Its style sheet stands inside, under a digest by which a content security policy allows that one alone.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def render(template: Path, style: Path, content: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]]) -> str:
    """Fill the template, whose folder has those that it includes.

    content: its names; `style` and `style_digest` are added. A name that is not there is an error, and text is escaped.
    filters: beside Jinja's own and `place`, a number of percent as an attribute of SVG.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"place": _place, **filters}
    text = style.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    told = {**content, "style": text, "style_digest": f"sha256-{digest}"}
    return environment.get_template(template.name).render(told)


def _place(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"
