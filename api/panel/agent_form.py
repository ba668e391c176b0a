"""The form of an agent: what its fields show, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from werkzeug.datastructures import MultiDict

from api.panel.forms import NAME, UNUSABLE, lines, number, trimmed
from api.panel.words import N_
from hub.accounts.definitions import Shown
from hub.errors import RequestError

BUSY = (
    ("queue", N_("Wait until it has answered")),
    ("steer", N_("Hand it on to the running answer")),
    ("interrupt", N_("Stop the running answer, and begin anew")),
)
"""What becomes of a message that comes while it answers."""
FRESH: dict[str, Any] = {"enabled": True, "public": True, "active": True, "busy": "queue", "history": "server"}
CHECKS = ("enabled", "public", "active", "show_tools")
LIMITS = ("steps", "seconds", "tokens")
LISTS = ("posts_to", "learns_from")
_ADDRESSES = N_("Addresses such as support:12345 or support:*, one on each line.")
WRONG = {
    "name": NAME,
    "model": N_("A model that there is, and that is switched on."),
    "fallback": N_("Names of models that there are, and that are switched on, with spaces between them."),
    "transcribe": N_("A model that is switched on, and whose provider is openai."),
    "tools": UNUSABLE,
    "history": UNUSABLE,
    "system_prompt": N_("Up to 1,000,000 characters."),
    "params": N_("One on each line, such as top_p = 0.9."),
    "temperature": N_("A number from 0 to 2, or nothing."),
    "max_tokens": N_("A whole number above 0, or nothing."),
    "posts_to": _ADDRESSES,
    "learns_from": _ADDRESSES,
    "routes": N_(
        "One on each line, such as channel=support chat_id=12345: of a channel that there is, and with no command that "
        "the hub has itself."
    ),
    "debounce": N_("Seconds, 0 or more."),
    "limits": N_("Numbers above 0, or nothing."),
    "context": N_("A whole number from 100 on, or nothing."),
    "month_quota": N_("An amount such as 12.50, or nothing for no limit."),
}
"""What to say of each field where it is wrong."""


def known(one: Shown) -> dict[str, Any]:
    """The fields of an agent that there is."""
    settings = one.settings
    params = _mapping(settings.get("params"))
    limits, context = _mapping(settings.get("limits")), _mapping(settings.get("context"))
    others = {name: value for name, value in params.items() if name not in ("temperature", "max_tokens")}
    return {
        "name": one.name,
        **{name: settings.get(name, "") for name in ("model", "transcribe", "system_prompt")},
        **{name: settings.get(name, True) for name in ("enabled", "public", "active")},
        **{name: settings.get(name, params.get(name)) for name in ("temperature", "max_tokens")},
        **{name: "\n".join(_list(settings.get(name))) for name in LISTS},
        **{f"limit_{name}": limits.get(name) for name in LIMITS},
        "show_tools": settings.get("show_tools", False),
        "fallback": " ".join(_list(settings.get("fallback"))),
        "tool": _list(settings.get("tools")),
        "params": "\n".join(f"{name} = {_written(value)}" for name, value in others.items()),
        "history": settings.get("history", "server"),
        "busy": settings.get("busy", "queue"),
        "debounce": trimmed(settings.get("debounce")),
        "budget": context.get("budget"),
        "month_quota": trimmed(settings.get("month_quota")),
        "routes": "\n".join(map(_route, cast(list[Any], settings.get("routes") or []))),
    }


def typed(form: MultiDict[str, str]) -> dict[str, Any]:
    """The fields as they were sent."""
    return {**dict(form), "tool": form.getlist("tool"), **{name: name in form for name in CHECKS}}


def said(form: MultiDict[str, str], one: Shown | None) -> dict[str, Any]:
    """The form as /admin/agent/save takes it; raises RequestError for lines that say nothing."""
    before = _mapping(one.settings.get("context")) if one else {}
    params = {"temperature": number(form, "temperature"), "max_tokens": number(form, "max_tokens")}
    body: dict[str, Any] = {
        "model": form.get("model", ""),
        "transcribe": form.get("transcribe", ""),
        "system_prompt": form.get("system_prompt", "").replace("\r\n", "\n"),
        "params": {**params, **_params(form.get("params", ""))},
        "tools": form.getlist("tool"),
        **{name: name in form for name in CHECKS},
        **{name: lines(form.get(name, "")) for name in LISTS},
        "fallback": form.get("fallback", "").split(),
        "history": form.get("history", "server"),
        "busy": form.get("busy", "queue"),
        "debounce": number(form, "debounce"),
        "limits": {name: number(form, f"limit_{name}") for name in LIMITS},
        "context": {**before, "budget": number(form, "budget")},
        "month_quota": form.get("month_quota", "").strip() or None,
        "routes": [_parsed(line) for line in lines(form.get("routes", ""))],
    }
    return {**body, "name": form.get("name", "").strip()} if one is None else {**body, "id": one.id}


def _params(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines(text):
        name, mark, value = line.partition("=")
        if not mark or not name.strip():
            raise RequestError(f"params: '{line}' is not of the form top_p = 0.9", param="params")
        try:
            found[name.strip()] = msgspec.json.decode(value.strip())
        except msgspec.DecodeError:
            found[name.strip()] = value.strip()
    return found


def _parsed(line: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in line.split()]
    if wrong := next((name for name, mark, value in pairs if not mark or not value), None):
        raise RequestError(f"routes: '{wrong}' is not of the form channel=support", param="routes")
    return {name: value for name, _, value in pairs}


def _route(route: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in route.items() if value is not None)


def _written(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _mapping(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value or ()]
