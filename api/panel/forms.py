"""What a form said, kept so that it can be shown again, and what is wrong with it, beside the fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from werkzeug.datastructures import MultiDict

from api.panel.words import N_, Words
from hub.accounts.money import UNIT
from hub.errors import RequestError

OWN = "bot_"
"""Before the names of fields that a form would have twice otherwise."""
Sentences = Mapping[str, str]
"""By the field that may be wrong, what to say then, `{why}` being what the error says; an empty one: that alone."""
NAME = N_("Small letters, digits, - and _, at most 200 of them; and no other agent or model is called so.")
UNUSABLE = N_("This cannot be used: {why}")


@dataclass(frozen=True, kw_only=True)
class News:
    """A field that somebody else changed while the form was open; `yours` where something else was typed there."""

    name: str
    now: Any
    yours: bool


@dataclass(frozen=True, kw_only=True)
class Form:
    """The values of fields: a text, True, or the chosen ones of several; `wrong` has sentences by field.

    `was` marks what is stored that it was made from (api/panel/meanwhile.py); where that was `overtaken`, `news` are
    what differs now, and `retype` tells that a secret was typed, which no form shows again.
    """

    values: Mapping[str, Any]
    wrong: Mapping[str, str] = field(default_factory=dict[str, str])
    was: str = ""
    news: Sequence[News] = ()
    overtaken: bool = False
    retype: bool = False

    def of(self, name: str) -> Any:
        """A field's value; empty where it has none yet."""
        return self.values.get(name, "")

    @property
    def problem(self) -> str:
        """What is wrong with no field of its own."""
        return self.wrong.get("", "")


def wrong(says: Words, error: RequestError, sentences: Sentences) -> dict[str, str]:
    """What an error says, each thing under the field that it is about, or under none."""
    found: dict[str, list[str]] = {}
    whole = error.param or ("name" if error.code == "exists" else "")
    for param, said in error.each or [(whole, str(error))]:
        name = param.partition(".")[0].partition("[")[0]
        if name in sentences:
            why = said.removeprefix(f"{name}: ")
            found.setdefault(name, []).append(says.say(sentences[name], why=why) if sentences[name] else why)
        else:
            found.setdefault("", []).append(said)
    return {name: "; ".join(dict.fromkeys(all_)) for name, all_ in found.items()}


def lines(text: str) -> list[str]:
    """The lines of a field that hold something."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def number(form: MultiDict[str, str], name: str) -> Any:
    """The number in a field, None where it is empty; what is none is left for whoever checks it to name."""
    text = form.get(name, "").strip()
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return text


def exact(amount: int | None) -> str:
    """An integer of money as a field shows it: no digit is lost, and none is there for nothing."""
    return "" if amount is None else trimmed(Decimal(amount) / UNIT)


def trimmed(amount: Decimal | str | float | None) -> str:
    """A number as a field shows it, without zeros at its end; what is none stays as it is."""
    try:
        return "" if amount is None else f"{Decimal(str(amount)).normalize():f}"
    except InvalidOperation:
        return str(amount)


def options(names: Sequence[str], *known: str) -> list[tuple[str, str]]:
    """Values and labels of a choice of names, also of those that are chosen and not there any more."""
    return [(name, name) for name in dict.fromkeys([*names, *filter(None, known)])]
