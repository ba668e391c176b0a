"""Edit forms that another change overtook: what was typed stays, and what is stored by now is told beside it.

A form carries a mark of what it was made from, field by field. Where what is stored differs from that by the time it
is sent, nothing is saved: the form is shown again, made from what is stored now, and sent again it is saved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any, cast

import msgspec
from werkzeug.datastructures import MultiDict

from api.panel.forms import OWN, Form, News

FIELD = "was"
"""The field that carries the mark."""
_WHEN = ""
"""In the mark: when it was saved last, by which secrets are compared, which no form shows."""


def made_from(values: Mapping[str, Any], at: float | None = None) -> Form:
    """The form of what is stored, saved at a time."""
    return Form(values=values, was=_mark(values, at))


def overtaken(
    form: MultiDict[str, str],
    typed: Mapping[str, Any],
    now: Mapping[str, Any],
    at: float | None = None,
    secrets: Collection[str] = (),
) -> Form | None:
    """The form to show again, where what is stored `now` is neither what it was made from nor what was typed.

    What nobody had typed over is as it is stored; `secrets` are the fields of those that are given anew.
    """
    was = _read(form.get(FIELD, ""))
    given = any(form.get(name, "").strip() for name in secrets)
    yours = {name for name, value in typed.items() if name in now and was.get(name) != _digest(value)}
    news = [
        News(name=name, now=value, yours=name in yours)
        for name, value in now.items()
        if name in typed and _digest(value) not in (was.get(name), _digest(typed[name]))
    ]
    if not news and not (given and was.get(_WHEN) != _digest(at)):
        return None
    values = {**typed, **{name: value for name, value in now.items() if name not in yours}}
    return Form(values=values, was=_mark(now, at), news=news, overtaken=True, retype=given)


def told(form: Form, fields: str) -> Sequence[tuple[str, str | bool, bool]]:
    """What was changed meanwhile, in the words of the form's own fields (HTML): name, value now, whether it differs
    from what stands in the field."""
    words = _Words()
    words.feed(fields)
    news = sorted(form.news, key=lambda one: words.place(one.name))
    return [(words.name(one.name), words.value(one.name, one.now), one.yours) for one in news]


class _Words(HTMLParser):
    """How a form calls its fields and their choices."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[str, str] = {}
        self.labels: defaultdict[str, str] = defaultdict(str)
        self.choices: defaultdict[tuple[str, str], str] = defaultdict(str)
        self.groups: dict[str, str] = {}
        self._group = self._select = ""
        self._at: tuple[str, ...] = ()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        match tag:
            case "input" | "select" | "textarea":
                name = self._select = known.get("name", "")
                self.ids.setdefault(name, known.get("id", ""))
                self.groups.setdefault(name, self._group)
            case "label":
                self._at = ("label", known.get("for", ""))
            case "option":
                self._at = ("option", self._select, known.get("value", ""))
            case "legend":
                self._group, self._at = "", ("legend",)
            case _:
                pass

    def handle_endtag(self, tag: str) -> None:
        self._at = ()
        if tag == "fieldset":
            self._group = ""

    def handle_data(self, data: str) -> None:
        match self._at:
            case ("label", id):
                self.labels[id] += data
            case ("option", name, value):
                self.choices[name, value] += data
            case ("legend",):
                self._group += data
            case _:
                pass

    def place(self, field: str) -> int:
        """How many fields are above one."""
        found = self._input(field)
        return list(self.ids).index(found) if found in self.ids else len(self.ids)

    def name(self, field: str) -> str:
        """What a field, or the group of its boxes, is called."""
        found = self._input(field)
        return self.groups.get(found) or self.labels.get(self.ids.get(found, "")) or field

    def value(self, field: str, value: Any) -> str | bool:
        """What a field would show."""
        if isinstance(value, bool):
            return value
        found = self._input(field)
        if isinstance(value, (list, tuple)):
            each = map(str, cast(Sequence[object], value))
            return ", ".join(self.labels.get(f"f-{found}-{one}") or one for one in each)
        text = "" if value is None else str(value)
        return self.choices.get((found, text)) or text

    def _input(self, field: str) -> str:
        return field if field in self.ids else f"{OWN}{field}"


def _mark(values: Mapping[str, Any], at: float | None) -> str:
    return msgspec.json.encode({name: _digest(value) for name, value in {**values, _WHEN: at}.items()}).decode()


def _read(mark: str) -> Mapping[str, str]:
    try:
        return msgspec.json.decode(mark, type=dict[str, str])
    except msgspec.MsgspecError:
        return {}


def _digest(value: object) -> str:
    """Short, and the same for a value as it is stored and as a browser sends it."""
    if isinstance(value, (list, tuple)):
        value = "\n".join(sorted(map(str, cast(Sequence[object], value))))
    text = "" if value is None or value is False else str(value).replace("\r\n", "\n").strip()
    return sha256(text.encode()).hexdigest()[:12]
