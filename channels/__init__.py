"""Chat platforms: one folder each, named here by strings so that nothing is imported before it is used.

Other packages add theirs by an entry point: docs/channels/write-your-own.md.
"""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "bothub.channels"
"""The entry points by which other packages add kinds: `name = "module:KIND"`, a `Kind`."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A chat platform that config may name; `config` and `channel` are `module:Class` for `load`.

    The config model needs no SDK. `extra` installs `sdk`.
    `webhook` names what makes a `hub.channel.Webhook` of a channel's name and settings, where the platform may push.
    """

    config: str
    channel: str
    webhook: str | None = None
    extra: str | None = None
    sdk: str | None = None


KINDS: dict[str, Kind] = {
    "telegram": Kind(
        config="channels.telegram.config:Telegram",
        channel="channels.telegram:Channel",
        webhook="channels.telegram:webhook",
        extra="telegram",
        sdk="aiogram",
    ),
    "discord": Kind(
        config="channels.discord.config:Discord",
        channel="channels.discord:Channel",
        extra="discord",
        sdk="discord",
    ),
    "feishu": Kind(
        config="channels.feishu.config:Feishu",
        channel="channels.feishu:Channel",
        webhook="channels.feishu:webhook",
        extra="feishu",
        sdk="lark_oapi",
    ),
    "web": Kind(config="channels.web.config:Web", channel="channels.web:Channel"),
}


class Unusable(Exception):
    """What a package adds as a kind is none; the text says what is wrong with it."""


def names() -> list[str]:
    """Every kind there is: ours, then those that installed packages add."""
    return [*KINDS, *added()]


@cache
def kind(name: str) -> Kind:
    """The kind of one of the `names`, its settings known to load; raises Unusable."""
    return KINDS[name] if name in KINDS else _found(*added()[name])


@cache
def added() -> Mapping[str, list[EntryPoint]]:
    """The entry points of installed packages; nothing of theirs is imported, and our names stay ours."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if re.fullmatch(r"[a-z0-9_-]+", point.name) and point.name not in KINDS and point.name != "api":
            found.setdefault(point.name, []).append(point)
    return found


def _found(point: EntryPoint, *others: EntryPoint) -> Kind:
    from channels.config import ChannelSettings

    if others:
        packages = " and ".join(sorted(_package(one) for one in (point, *others)))
        raise Unusable(f"is added by more than one package, {packages}: uninstall all but one")
    broken = f"cannot be used: {_package(point)} adds it as '{point.value}'"
    try:
        kind: object = point.load()
    except Exception as error:
        raise Unusable(f"{broken}, which cannot be imported ({type(error).__name__}: {error})") from error
    if not isinstance(kind, Kind):
        raise Unusable(f"{broken}, which is no channels.Kind")
    try:
        settings: object = load(kind.config)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise Unusable(f"{broken}, whose settings '{kind.config}' cannot be imported ({why})") from error
    if not (isinstance(settings, type) and issubclass(settings, ChannelSettings)):
        raise Unusable(f"{broken}, whose settings '{kind.config}' are no channels.config.ChannelSettings")
    if not _is_there(kind.channel):
        raise Unusable(f"{broken}, whose adapter '{kind.channel}' cannot be found")
    return kind


def _is_there(reference: str) -> bool:
    """Whether the module of a reference can be found; it is not imported, nor any SDK with it."""
    try:
        return importlib.util.find_spec(reference.partition(":")[0]) is not None
    except ImportError:
        return False


def _package(point: EntryPoint) -> str:
    return f"'{point.dist.name}'" if point.dist else "a package"


def load(reference: str) -> Any:
    """Import what `module:Name` names."""
    return pkgutil.resolve_name(reference)
