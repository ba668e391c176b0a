"""The commands that administer: models, agents, keys, groups, grants and what was used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hub.cli.call import Call
from hub.cli.command import Callback, takes_json


@click.group()
def models() -> None:
    """Models, those that were saved while a hub ran too."""


@models.command("list")
@takes_json
@click.pass_obj
def models_list(call: Call) -> None:
    """Show every model, and why one is not in use."""
    from hub.cli.models import show

    show(call)


@models.command("save")
@click.argument("name")
@click.argument("given", nargs=-1, metavar="KEY=VALUE...")
@takes_json
@click.pass_obj
def models_save(call: Call, name: str, given: tuple[str, ...]) -> None:
    """Save a model called NAME, or change it: keys as in config.yaml.

    `api_key=-` reads the key from standard input, `KEY=` takes it back to its default.
    """
    from hub.cli.models import save

    save(call, name, given)


@models.command("delete")
@click.argument("name")
@takes_json
@click.pass_obj
def models_delete(call: Call, name: str) -> None:
    """Forget a model that was saved."""
    from hub.cli.saved import delete

    delete(call, "model", name)


@click.group()
def agents() -> None:
    """Agents, those that were saved while a hub ran too."""


@agents.command("list")
@takes_json
@click.pass_obj
def agents_list(call: Call) -> None:
    """Show every agent, who may use it, and why one is not in use."""
    from hub.cli.agents import show

    show(call)


@agents.command("save")
@click.argument("name")
@click.argument("given", nargs=-1, metavar="KEY=VALUE...")
@click.option(
    "--owner", metavar="KEY", help="The key (id or name) that may use it though it is not public; '' for none."
)
@takes_json
@click.pass_obj
def agents_save(call: Call, name: str, given: tuple[str, ...], owner: str | None) -> None:
    """Save an agent called NAME, or change it: keys as in config.yaml.

    `tools=recall,schedule` is a list, `params={"top_p": 0.9}` JSON, `system_prompt=-` reads standard input, and `KEY=`
    takes a key back to its default.
    """
    from hub.cli.agents import save

    save(call, name, given, owner)


@agents.command("delete")
@click.argument("name")
@takes_json
@click.pass_obj
def agents_delete(call: Call, name: str) -> None:
    """Forget an agent that was saved."""
    from hub.cli.saved import delete

    delete(call, "agent", name)


@click.group()
def keys() -> None:
    """API keys: who may ask what."""


@keys.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["user", "admin"]), default="user", show_default=True, help="An admin may all."
)
@click.option(
    "--scope", "scopes", multiple=True, metavar="SCOPE", help="chat, read, deliver, deliver=PATTERN or admin."
)
@click.option("--quota", metavar="AMOUNT", help="What it may spend each month; without it as much as it likes.")
@click.option("--group", type=int, metavar="ID", help="The group it belongs to.")
@click.option("--agent", "agents", multiple=True, metavar="NAME", help="The only agents it may use.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="The only models it may use.")
@click.option("--expires", metavar="TIME", help="How long it lasts, such as 30d or 12h.")
@click.option("--email", metavar="ADDRESS", help="Whose it is.")
@takes_json
@click.pass_obj
def create(call: Call, name: str, **options: Any) -> None:
    """Make a key called NAME and print its secret, this once."""
    from hub.cli.keys import create

    create(call, name, **options)


@keys.command("list")
@takes_json
@click.pass_obj
def keys_list(call: Call) -> None:
    """Show every key, what it may and what it spent this month."""
    from hub.cli.keys import show

    show(call)


@keys.command()
@click.argument("key")
@click.option("--grace", default="24h", show_default=True, metavar="TIME", help="How long the secret before is good.")
@takes_json
@click.pass_obj
def rotate(call: Call, key: str, grace: str) -> None:
    """Give KEY (an id or a name) another secret and print it, this once."""
    from hub.cli.keys import renew

    renew(call, key, grace)


@keys.command("revoke")
@click.argument("key")
@takes_json
@click.pass_obj
def keys_revoke(call: Call, key: str) -> None:
    """End KEY (an id or a name) and those made with it, for good."""
    from hub.cli.keys import revoke

    revoke(call, key)


@click.group()
def groups() -> None:
    """Groups of keys: what a group is granted, its keys may use."""


@groups.command("list")
@takes_json
@click.pass_obj
def groups_list(call: Call) -> None:
    """Show every group, and how many keys it has."""
    from hub.cli.groups import show

    show(call)


@groups.command("save")
@click.argument("group")
@click.option("--name", metavar="NAME", help="What it is called from now on.")
@click.option("--key", metavar="TEXT", help="What other systems call it; '' for nothing.")
@takes_json
@click.pass_obj
def groups_save(call: Call, group: str, name: str | None, key: str | None) -> None:
    """Make a group called GROUP, or change the one with this id or name."""
    from hub.cli.groups import save

    save(call, group, name, key)


@groups.command("delete")
@click.argument("group")
@takes_json
@click.pass_obj
def groups_delete(call: Call, group: str) -> None:
    """Forget GROUP (an id or a name) and its grants; its keys stay."""
    from hub.cli.groups import delete

    delete(call, group)


@click.group()
def grants() -> None:
    """Models and agents that are granted to keys and to groups."""


def _held(command: Callback) -> Callback:
    """Options that say to whom something is granted."""
    for decorate in (
        takes_json,
        click.option("--key", metavar="KEY", help="A key, by its id or name."),
        click.option("--group", metavar="GROUP", help="A group, by its id or name."),
    ):
        command = decorate(command)
    return command


@grants.command("list")
@_held
@click.pass_obj
def grants_list(call: Call, group: str | None, key: str | None) -> None:
    """Show every grant, or those of one group or key."""
    from hub.cli.grants import show

    show(call, group, key)


@grants.command("add")
@click.argument("name")
@_held
@click.pass_obj
def grants_add(call: Call, name: str, group: str | None, key: str | None) -> None:
    """Grant the model or agent NAME to a group or a key."""
    from hub.cli.grants import bind

    bind(call, name, group, key, wanted=True)


@grants.command("remove")
@click.argument("name")
@_held
@click.pass_obj
def grants_remove(call: Call, name: str, group: str | None, key: str | None) -> None:
    """Take the model or agent NAME back from a group or a key."""
    from hub.cli.grants import bind

    bind(call, name, group, key, wanted=False)


@click.command()
@click.option(
    "--by",
    type=click.Choice(["day", "agent", "model", "key"]),
    default="day",
    show_default=True,
    help="What is told apart.",
)
@click.option(
    "--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="The last so many, today too."
)
@click.option("--key", type=int, metavar="ID", help="Only what this key asked.")
@takes_json
@click.pass_obj
def usage(call: Call, by: Any, days: int, key: int | None) -> None:
    """Show turns, tokens and fees, with bars."""
    from hub.cli.usage import run

    run(call, by, days, key)


@click.command()
@click.argument("what", type=click.Choice(["sessions", "turns", "usage"]))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True, help="What to write."
)
@click.option("--since", metavar="TIME", help="From then on: 2026-11-01, 2026-11-01T12:00, or 30d for so long ago.")
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--agent", metavar="NAME", help="Only of this agent.")
@click.option("--key", type=int, metavar="ID", help="Only of this key.")
@click.option("--overwrite", is_flag=True, help="Also if FILE is there already.")
@takes_json
@click.pass_obj
def export(call: Call, what: Any, file: Path, **options: Any) -> None:
    """Write what was said, which turns there were or what was used into FILE, while the hub runs or not."""
    from hub.cli.export import run

    run(call, what, file, **options)


@click.group()
def jobs() -> None:
    """Long work that a hub does in the background: exports, erasing, sweeping."""


@jobs.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many.")
@takes_json
@click.pass_obj
def jobs_list(call: Call, limit: int) -> None:
    """Show the newest jobs and how far they are."""
    from hub.cli.jobs import show

    show(call, limit)


@jobs.command("show")
@click.argument("id", type=int)
@takes_json
@click.pass_obj
def jobs_show(call: Call, id: int) -> None:
    """Show one job."""
    from hub.cli.jobs import one

    one(call, id)


@jobs.command("cancel")
@click.argument("id", type=int)
@takes_json
@click.pass_obj
def jobs_cancel(call: Call, id: int) -> None:
    """End a job; what it has done until then stays done."""
    from hub.cli.jobs import cancel

    cancel(call, id)


@click.command("audit")
@click.option("--what", metavar="KIND", help="Only changes of a kind, such as post or key.update.")
@click.option("--target", metavar="THING", help="Only changes to something, such as key:7 or support:42.")
@click.option("--key", type=int, metavar="ID", help="Only what this key did, or had an agent do.")
@click.option("--days", type=click.IntRange(1, 3660), help="Only the last so many.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="So many at most.")
@takes_json
@click.pass_obj
def audit(call: Call, what: str | None, target: str | None, key: int | None, days: int | None, limit: int) -> None:
    """Show who changed what, the newest last."""
    from hub.cli.audit import run

    run(call, what, target, key, days, limit)


COMMANDS = (models, agents, keys, groups, grants, usage, export, jobs, audit)
