"""What the panel says, in the reader's language: sentences by their English, numbers and times as people say them.

A catalog is a folder of TOML files, `"English sentence" = "translation"`, of which the English is the key; one file a
page, so that who adds a page adds a file. Sentences are marked where they stand, and a test finds them by the marks:
`_("...")` and `_n("one", "many", n)` in templates, `view.say("...")` and `view.count("one", "many", n)` in Python, and
`N_("...")` where a sentence is only noted. Placeholders are `{name}`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Literal

from markupsafe import Markup, escape

from hub.accounts.money import UNIT

Language = Literal["en", "zh-CN"]
LANGUAGES: dict[Language, str] = {"en": "English", "zh-CN": "简体中文"}
"""Each by its own name."""
FOLDERS: dict[Language, Path] = {"zh-CN": Path(__file__).with_name("zh")}


NOTHING = "\N{EN DASH}"
"""Stands where there is no value."""


def N_(sentence: str) -> str:  # noqa: N802 - the mark that gettext has for it
    """A sentence that is said later: the mark by which it gets its translation."""
    return sentence


@dataclass(frozen=True)
class Words:
    """A language."""

    language: Language
    catalog: Mapping[str, str]

    def say(self, sentence: str, /, **values: object) -> str:
        """A sentence, with values in its places; one with HTML among them is HTML, and the rest of it escaped."""
        found = self.catalog.get(sentence, sentence)
        if not values:
            return found
        if any(isinstance(value, Markup) for value in values.values()):
            return Markup(escape(found)).format(**values)  # noqa: S704 - escaped
        return found.format(**values)

    def count(self, one: str, many: str, n: int, /, **values: object) -> str:
        """A sentence about `{n}` things; in a catalog it stands under `many`."""
        sentence = one if n == 1 and self.language == "en" else many
        return self.say(sentence, n=self.number(n), **values)

    def number(self, value: float | None, digits: int = 0) -> str:
        """`12,345`, or a dash for None."""
        return NOTHING if value is None else f"{value:,.{digits}f}"

    def short(self, value: float | None) -> str:
        """A number in at most five characters: `12.3k`."""
        if value is None:
            return NOTHING
        for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
            if abs(value) >= limit:
                scale = 1e3 if letter == "k" else limit
                return f"{value / scale:.3g}{letter}"
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}"

    def money(self, value: int | None) -> str:
        """An integer of 1e-9 as an amount, to two places or, where that would say nothing, two digits."""
        if value is None:
            return NOTHING
        exact = Decimal(value) / UNIT
        if value == 0 or abs(exact) >= Decimal("0.1"):
            return f"{exact.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
        return f"{exact:.2g}" if abs(exact) >= Decimal("0.0001") else "< 0.0001"

    def size(self, value: int) -> str:
        """Bytes: `3.4 MB`."""
        amount = float(value)
        for unit in ("B", "KB", "MB"):
            if amount < 1024:
                return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
            amount /= 1024
        return f"{amount:.1f} GB"

    def duration(self, seconds: float | None) -> str:
        """`0.4 ms`, `240 ms`, `3.2 s`, `4 min`, `2 h`, `3 d`."""
        if seconds is None:
            return NOTHING
        if seconds < 0.01:
            return self.say("{n} ms", n=f"{seconds * 1000:.1f}".removesuffix(".0"))
        if seconds < 1:
            return self.say("{n} ms", n=f"{seconds * 1000:.0f}")
        if seconds < 60:
            return self.say("{n} s", n=f"{seconds:.1f}".removesuffix(".0"))
        if seconds < 3600:
            return self.say("{n} min", n=int(seconds // 60))
        if seconds < 86_400:
            return self.say("{n} h", n=int(seconds // 3600))
        return self.say("{n} d", n=int(seconds // 86_400))

    def ago(self, at: float, now: float) -> str:
        """How long ago, or in how long, a time is."""
        away = now - at
        if abs(away) < 60:
            return self.say("just now") if away >= 0 else self.say("in a moment")
        span = self.duration(abs(away))
        return self.say("{span} ago", span=span) if away > 0 else self.say("in {span}", span=span)

    def when(self, at: float | None, now: float) -> Markup | str:
        """A time for people, its exact moment to be seen on pointing; the reader's zone is known in the browser."""
        if at is None:
            return NOTHING
        exact = datetime.fromtimestamp(at, UTC)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            f"{exact:%Y-%m-%dT%H:%M:%SZ}", f"{exact:%Y-%m-%d %H:%M:%S} UTC", self.ago(at, now)
        )


@cache
def words(language: Language) -> Words:
    """A language with its catalog; raises ValueError for a sentence that two of its files say differently."""
    catalog: dict[str, str] = {}
    if language in FOLDERS:
        for path in sorted(FOLDERS[language].glob("*.toml")):
            found: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8"))
            if twice := {one for one in catalog.keys() & found.keys() if catalog[one] != found[one]}:
                raise ValueError(f"{path.name}: another file says these differently: {sorted(twice)}")
            catalog |= found
    return Words(language, catalog)


def preferred(cookie: str | None, accepted: str) -> Language:
    """The language of a reader: chosen before, else the first of what the browser accepts that there is."""
    if cookie in LANGUAGES:
        return cookie
    asked = [part.strip().partition(";") for part in accepted.split(",")]
    for tag, _, quality in sorted(asked, key=lambda one: -_quality(one[2])):
        primary = tag.partition("-")[0].lower()
        if primary in ("en", "zh") and _quality(quality) > 0:
            return "en" if primary == "en" else "zh-CN"
    return "en"


def _quality(said: str) -> float:
    name, _, value = said.strip().partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0
