"""`bothub check`: what is wrong with the settings, or what they amount to."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hub.cli.call import Call
from hub.cli.output import table, tell
from hub.config import Config, load
from hub.config.masking import without_password
from hub.config.routes import routing


def run(call: Call) -> None:
    """Print the settings in short; raises ConfigError."""
    config = load(call.path, call.environ)
    tell(_data(config), *_shown(call, config), json=call.json)


def _data(config: Config) -> dict[str, object]:
    return {
        "ok": True,
        "hints": _hints(config),
        "roles": config.roles,
        "listens": {"host": config.api.host, "port": config.api.port} if "api" in config.roles else None,
        "store": without_password(config.store_url),
        "signals": without_password(config.signals_url),
        "channels": [
            {"name": name, "kind": channel.kind, "agent": channel.agent, "enabled": channel.enabled}
            for name, channel in config.channels.items()
        ],
        "agents": [
            {
                "name": name,
                "model": agent.model,
                "tools": agent.tools,
                "posts_to": agent.posts_to,
                "enabled": agent.enabled,
            }
            for name, agent in config.agents.items()
        ],
        "routes": [
            {key: value for key, value in asdict(one).items() if value is not None} for one in routing(config).routes
        ],
        "public": routing(config).public,
        "models": [
            {"name": name, "provider": model.provider, "model": model.model, "enabled": model.enabled}
            for name, model in config.models.items()
        ],
    }


def _shown(call: Call, config: Config) -> list[RenderableType]:
    shown: list[RenderableType] = [Text.assemble((str(call.path), "bold"), " is in order", style="green"), ""]
    for title, part in (("channels", _channels(config)), ("agents", _agents(config)), ("models", _models(config))):
        shown += [part, ""] if part.row_count else [Text(f"no {title}", style="yellow"), ""]
    if (routes := _routes(config)).row_count:
        shown += [routes, ""]
    shown.append(_places(config))
    if hints := _hints(config):
        shown += ["", *(Text.assemble(("· ", "bold cyan"), hint) for hint in hints)]
    return shown


def _hints(config: Config) -> list[str]:
    """What has to be so elsewhere, which nobody can see from here."""
    return [
        f"{section}.{name}.{key}: {hint}"
        for section, entries in (("channels", config.channels), ("models", config.models))
        for name, entry in entries.items()
        if entry.enabled
        for key, hint in entry.hints()
    ]


def _channels(config: Config) -> Table:
    made = table("channel", "kind", "agent", "direct", "groups", "state")
    for name, channel in config.channels.items():
        row = (name, channel.kind, channel.agent, channel.direct, channel.groups)
        made.add_row(*row, _state(channel.enabled), style=_style(channel.enabled))
    return made


def _agents(config: Config) -> Table:
    made = table("agent", "model", "tools", "posts to", "history", "state")
    for name, agent in config.agents.items():
        posts_to = ", ".join(("the asking chat", *agent.posts_to))
        row = (name, agent.model, ", ".join(agent.tools) or "none", posts_to, agent.history)
        made.add_row(*row, _state(agent.enabled), style=_style(agent.enabled))
    return made


def _routes(config: Config) -> Table:
    made = table("route", "channel", "chat", "thread", "sender", "command", "to")
    for number, one in enumerate(routing(config).routes, 1):
        places = (one.channel, one.chat_id, one.thread_id, one.sender)
        made.add_row(str(number), *(place or "any" for place in places), one.command and f"/{one.command}", one.agent)
    for channel, settings in config.channels.items():
        for chat_id, chat in settings.chats.items() if settings.enabled else ():
            if chat.agent:
                made.add_row("chat", channel, chat_id, "any", "any", "", chat.agent)
    return made


def _models(config: Config) -> Table:
    made = table("model", "provider", "called", "at", "state")
    for name, model in config.models.items():
        row = (name, model.provider, model.model, model.base_url or "")
        made.add_row(*row, _state(model.enabled), style=_style(model.enabled))
    return made


def _places(config: Config) -> Table:
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold")
    made.add_row("store", Text(without_password(config.store_url), overflow="fold"))
    made.add_row("signals", Text(without_password(config.signals_url), overflow="fold"))
    made.add_row("roles", ", ".join(config.roles))
    made.add_row("listens", _listens(config))
    made.add_row("in chats", f"/agent offers {', '.join(routing(config).public) or 'nobody'}")
    return made


def _listens(config: Config) -> str:
    if "api" not in config.roles:
        return "nowhere: the role api is not among its roles"
    host = f"[{config.api.host}]" if ":" in config.api.host else config.api.host
    url = f"http://{host}:{config.api.port}" if config.api.port else f"http://{host}, on a free port"
    who = "this machine only" if config.api.is_loopback else "whoever reaches this machine and has a key"
    local = f"; without a key as '{config.api.local_key}'" if config.api.local_key else ""
    return f"{url} ({who}{local})"


def _state(enabled: bool) -> Text:
    return Text("on", style="green") if enabled else Text("off")


def _style(enabled: bool) -> str:
    return "" if enabled else "dim"
