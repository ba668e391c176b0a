"""What may be shown of a configuration: secrets are masked wherever they stand; `${NAME}` is a name and stays."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any, cast

from hub.config.environment import REFERENCE
from hub.config.tree import is_list, is_mapping

_SECRET = re.compile(r"(?i)token|secret|passw|passphrase|pwd|credential|authorization|bearer|cookie|signature|key")
"""What a secret is called where nothing else says that it is one."""
_PLAIN = ("local_key",)
"""What is called so and is none."""
_URL = re.compile(r"([A-Za-z][\w+.-]*://)(\S+)")
_OPTION = re.compile(r"(?s)(-{0,2}[\w.-]+=)(.*)")
STARS = "***"
SHORTEST = 6
"""Characters of a secret that is looked for in other texts."""


def is_secret(name: str) -> bool:
    """Whether a text under this name is one that nobody should see."""
    return bool(_SECRET.search(name)) and name not in _PLAIN


def has_reference(text: str) -> bool:
    """Whether a variable of the environment is named in it."""
    return any(found[1] is not None for found in REFERENCE.finditer(text))


def masked(text: str, *, refers: bool = False) -> str:
    """Stars for a secret text; where a text may refer to variables of the environment, their names stay."""
    if not text or not refers:
        return STARS if text else ""
    found = [one[0] for one in REFERENCE.finditer(text) if one[1] is not None]
    return (STARS if REFERENCE.sub("", text) or not found else "") + "".join(found)


def without_password(text: str, *, refers: bool = False) -> str:
    """A text with the passwords in its URLs masked, and what stands behind a `?` in them."""

    def url(found: re.Match[str]) -> str:
        account, at, place = found[2].rpartition("@")
        user, colon, password = account.partition(":")
        who = f"{user}:{masked(password, refers=refers)}" if colon else masked(account, refers=refers)
        path, mark, asked = re.split(r"([?#]|$)", place, maxsplit=1)
        asked = re.sub(r"(?<==)[^&#]+", lambda value: masked(value[0], refers=refers), asked)
        return f"{found[1]}{who}{at}{path}{mark}{asked}"

    return _URL.sub(url, text)


def trimmed(value: float | Decimal) -> str:
    """A number without zeros at its end."""
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Masks:
    """Shows values, without the `known` secrets either; `refers` where texts may refer to the environment."""

    def __init__(self, known: Iterable[str], *, refers: bool) -> None:
        self._refers = refers
        self._known: Collection[str] = sorted({one for one in known if len(one) >= SHORTEST}, key=len, reverse=True)

    def shown(self, value: Any, *, hidden: bool = False) -> Any:
        """A plain value as it may be seen; all texts in it are secrets where it is `hidden`."""
        if is_mapping(value):
            return {
                self._text(str(name)): self.shown(one, hidden=hidden or is_secret(str(name)))
                for name, one in value.items()
            }
        if isinstance(value, frozenset):
            return self._each(sorted(map(str, cast(Iterable[object], value))), hidden)
        if is_list(value) or isinstance(value, tuple):
            return self._each([*cast(Iterable[Any], value)], hidden)
        if isinstance(value, float | Decimal):
            return trimmed(value)
        if value is None or isinstance(value, bool | int):
            return value
        return masked(str(value), refers=self._refers) if hidden else self._text(str(value))

    def _each(self, values: list[Any], hidden: bool) -> list[Any]:
        """Those of a list; what follows an option such as `--token`, or its `=`, is a secret too."""
        said: list[Any] = []
        before = ""
        for value in values:
            option = _OPTION.fullmatch(value) if isinstance(value, str) else None
            if option and is_secret(option[1]) and not hidden:
                said.append(option[1] + masked(option[2], refers=self._refers))
            else:
                follows = before.startswith("-") and "=" not in before and is_secret(before)
                said.append(self.shown(value, hidden=hidden or follows))
            before = value if isinstance(value, str) else ""
        return said

    def _text(self, text: str) -> str:
        text = without_password(text, refers=self._refers)
        for secret in self._known:
            text = text.replace(secret, STARS)
        return text
