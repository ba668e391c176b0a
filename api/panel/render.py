"""Templates: pages, and the blocks of them that change while somebody looks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from api.panel import forms, icons, markdown, meanwhile, mends
from api.panel.words import LANGUAGES, NOTHING, Language, words

STATIC = Path(__file__).with_name("static")


def page(language: Language, template: str, context: Mapping[str, Any]) -> str:
    """The whole page."""
    return environment(language).get_template(template).render(context)


def block(language: Language, template: str, name: str, context: Mapping[str, Any]) -> str:
    """One of its blocks alone."""
    found = environment(language).get_template(template)
    return "".join(found.blocks[name](found.new_context(dict(context))))


@cache
def files() -> Mapping[str, bytes]:
    """The static files."""
    return {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}


@cache
def version() -> str:
    """What changes when any of the static files does: it stands in their URLs, so browsers may keep them."""
    digest = sha256()
    for name, content in files().items():
        digest.update(name.encode() + content)
    return digest.hexdigest()[:12]


class Numbers(str):
    """The name of a column of numbers."""

    __slots__ = ()


_CELLS = re.compile(r"<(tr|td|th)(?=[\s>])")


def labelled(columns: Sequence[str], rows: Markup) -> Markup:
    """Rows of a table whose cells know their column, so that each row can be a card where it is narrow."""
    place = 0

    def mark(found: re.Match[str]) -> str:
        nonlocal place
        if found[1] == "tr":
            place = 0
            return '<tr role="row"'
        name = columns[place] if place < len(columns) else ""
        place += 1
        number = ' class="num"' if isinstance(name, Numbers) else ""
        return f'<{found[1]} role="cell" data-label="{escape(str(name))}"{number}'

    return Markup(_CELLS.sub(mark, rows))  # noqa: S704 - what the rows hold is escaped already


def plain(value: object) -> str:
    """A value as people write it: a list with commas, a mapping as `name: value`, never JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        pairs = cast(Mapping[object, object], value).items()
        return "; ".join(f"{name}: {plain(inner)}" for name, inner in pairs)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain, cast(Sequence[object], value)))
    return NOTHING if value is None else str(value)


def static(name: str) -> str:
    """The URL of a static file."""
    return f"/panel/static/{version()}/{name}"


@cache
def environment(language: Language) -> Environment:
    """The templates in a language."""
    says = words(language)
    made = Environment(
        loader=PackageLoader("api.panel"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    given: dict[str, Any] = {
        "_": says.say,
        "_n": says.count,
        "number": says.number,
        "short": says.short,
        "money": says.money,
        "size": says.size,
        "duration": says.duration,
        "static": static,
        "icon": icons.icon,
        "drawn": icons.icon,
        "labelled": labelled,
        "numbers": Numbers,
        "fresh": lambda: uuid.uuid4().hex,
        "plain": plain,
        "trimmed": forms.trimmed,
        "options": forms.options,
        "heard": partial(mends.heard, says=says),
        "meanwhile": meanwhile.told,
        "markdown": markdown.html,
        "languages": LANGUAGES,
    }
    known: dict[str, Any] = made.globals
    known.update(given)
    made.tests["of_numbers"] = lambda value: isinstance(value, Numbers)
    known["ui"] = made.get_template("ui.html").module
    return made
