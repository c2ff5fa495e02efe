"""What every page of ours is made of: escaped templates, one style sheet, scripts by digest.

A page is one file. Nothing is fetched, and nothing in it is obeyed: every text is escaped, and the
page's policy allows no script but its own, each named by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from netvigil.evaluation import printable

_HERE = __package__ or ""


def asset(name: str, package: str = _HERE) -> str:
    """Return the text of a file that lies beside a package's modules."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def render(
    template: str, package: str, *, scripts: tuple[str, ...] = (), style: str = "", **values: Any
) -> str:
    """Fill a template of a package.

    It finds `plain` (text without control characters), `data` (values for a script), `style` (the
    common sheet and the package's own), `scripts` (what it must embed) and `policy` (what its head
    must declare).
    """

    def load(name: str) -> str | None:
        # A package's own template, else one of those that pages share.
        for place in (package, _HERE):
            if resources.files(place).joinpath(name).is_file():
                return asset(name, place)
        return None

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    texts = [str(load(name)) for name in scripts]
    sheet = asset("base.css") + (str(load(style)) if style else "")
    return environment.get_template(template).render(
        plain=plain,
        data=data,
        style=Markup(sheet),  # noqa: S704 - our own files
        scripts=[Markup(text) for text in texts],  # noqa: S704 - our own files
        policy=Markup(policy(texts)),  # noqa: S704 - our own words and digests
        **values,
    )


def plain(value: object) -> str:
    """Return text without control characters; Jinja escapes it."""
    return printable(str(value))


def data(value: object) -> Markup:
    """Return values as JSON that a `<script type="application/json">` can hold.

    Example:
        >>> "<" in data({"host": "</script><b>"})
        False
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - no character is left that ends a script


def policy(scripts: list[str]) -> str:
    """Return a page's Content-Security-Policy: its own scripts and styles, and nothing fetched."""
    allowed = " ".join(f"'sha256-{_digest(text)}'" for text in scripts) or "'none'"
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
