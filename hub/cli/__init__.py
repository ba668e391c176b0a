"""The commands of `bothub`, one file each; what they need is imported when they run, so that help is quick."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

from hub.cli.administering import COMMANDS
from hub.cli.call import Call
from hub.cli.command import Callback, Commands, takes_json


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="BOTHUB_CONFIG",
    show_envvar=True,
    default=Path("config.yaml"),
    show_default=True,
    help="The settings file.",
)
@click.pass_context
def main(context: click.Context, path: Path) -> None:
    """A hub for chat bots.

    Every command but `serve` and `check` works on the store, whether the hub runs or not.
    """
    context.obj = Call(path=path, environ=os.environ)


@main.command()
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is worth a line on stderr.",
)
@takes_json
@click.pass_obj
def serve(call: Call, log_level: str) -> None:
    """Run the hub until Ctrl-C."""
    # Until the hub handles signals itself, which its imports put off by a second, both are an interrupt.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from hub.cli.serve import run

        run(call, log_level)
    except KeyboardInterrupt:
        pass  # nothing had begun
    finally:
        signal.signal(signal.SIGTERM, before)


@main.command()
@takes_json
@click.pass_obj
def check(call: Call) -> None:
    """Check the settings, and show what they amount to."""
    from hub.cli.check import run

    run(call)


@main.command()
@click.argument("address")
@click.argument("text")
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, metavar="S", help="Seconds to wait for its end.")
@takes_json
@click.pass_obj
def send(call: Call, address: str, text: str, wait: float) -> None:
    """Post TEXT (Markdown) to ADDRESS: channel:chat_id or channel:chat_id:thread_id."""
    from hub.cli.send import run

    run(call, address, text, wait)


@main.command()
@takes_json
@click.pass_obj
def inbox(call: Call) -> None:
    """Show what waits, runs and failed in every inbox."""
    from hub.cli.inbox import run

    run(call)


@main.group()
def dead() -> None:
    """Messages that were given up: look at them, try again, or let them go."""


_of_inbox = click.option("--inbox", metavar="INBOX", help="Only of this one, e.g. channel:support.")


def _chosen(command: Callback) -> Callback:
    """Ids of dead messages, or all of them."""
    for decorate in (
        takes_json,
        _of_inbox,
        click.option("--all", "everything", is_flag=True, help="All of them."),
        click.argument("ids", nargs=-1, metavar="[ID]..."),
    ):
        command = decorate(command)
    return command


@dead.command("list")
@_of_inbox
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The newest so many.")
@takes_json
@click.pass_obj
def dead_list(call: Call, inbox: str | None, limit: int) -> None:
    """Show the messages that were given up, and why."""
    from hub.cli.dead import show

    show(call, inbox, limit)


@dead.command()
@_chosen
@click.pass_obj
def retry(call: Call, ids: tuple[str, ...], everything: bool, inbox: str | None) -> None:
    """Put messages back at the end of their lane, as ID#2; parts that were sent are not sent again."""
    from hub.cli.dead import retry

    retry(call, ids, everything=everything, inbox=inbox)


@dead.command()
@click.argument("id")
@click.argument("text")
@_of_inbox
@takes_json
@click.pass_obj
def resend(call: Call, id: str, text: str, inbox: str | None) -> None:
    """Put a message back at the end of its lane with another TEXT, as ID#2; all of it is sent."""
    from hub.cli.dead import resend

    resend(call, id, text, inbox=inbox)


@dead.command()
@_chosen
@click.pass_obj
def discard(call: Call, ids: tuple[str, ...], everything: bool, inbox: str | None) -> None:
    """Take messages off the list for good."""
    from hub.cli.dead import discard

    discard(call, ids, everything=everything, inbox=inbox)


@main.group()
def pairing() -> None:
    """Strangers who ask to talk to a bot."""


@pairing.command("list")
@click.argument("channel", required=False)
@takes_json
@click.pass_obj
def pairing_list(call: Call, channel: str | None) -> None:
    """Show who waits for approval and who was approved."""
    from hub.cli.pairing import show

    show(call, channel)


@pairing.command()
@click.argument("channel")
@click.argument("code")
@takes_json
@click.pass_obj
def approve(call: Call, channel: str, code: str) -> None:
    """Let the person in who was given CODE."""
    from hub.cli.pairing import approve

    approve(call, channel, code)


@pairing.command()
@click.argument("channel")
@click.argument("sender")
@takes_json
@click.pass_obj
def revoke(call: Call, channel: str, sender: str) -> None:
    """Make SENDER (an id of `pairing list`) a stranger again."""
    from hub.cli.pairing import revoke

    revoke(call, channel, sender)


@main.command()
@click.argument("id")
@takes_json
@click.pass_obj
def trace(call: Call, id: str) -> None:
    """Show what happened to a message from end to end.

    ID is that of a message, a turn, a delivery or an HTTP request (X-Request-Id), or what a platform calls a message
    that it was sent.
    """
    from hub.cli.trace import run

    run(call, id)


@main.group()
def people() -> None:
    """What is stored about one person."""


_person = click.argument("person", metavar="CHANNEL:SENDER")


@people.command()
@_person
@takes_json
@click.pass_obj
def export(call: Call, person: str) -> None:
    """Print everything that is stored about a person, as JSON."""
    from hub.cli.people import export

    export(call, person)


@people.command()
@_person
@click.option("--yes", is_flag=True, help="Do not ask.")
@takes_json
@click.pass_obj
def erase(call: Call, person: str, yes: bool) -> None:
    """Erase everything that is stored about a person, for good."""
    from hub.cli.people import erase

    erase(call, person, yes=yes)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Also if FILE is there already.")
@takes_json
@click.pass_obj
def backup(call: Call, file: Path, overwrite: bool) -> None:
    """Write the database and the stored files into FILE, while the hub runs or not."""
    from hub.cli.backup import make

    make(call, file, overwrite=overwrite)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@takes_json
@click.pass_obj
def restore(call: Call, file: Path) -> None:
    """Put back what `backup` wrote; the hub must not run, and the old database is kept."""
    from hub.cli.backup import put_back

    put_back(call, file)


@main.group()
def channels() -> None:
    """The accounts on chat platforms."""


@channels.command("list")
@takes_json
@click.pass_obj
def channels_list(call: Call) -> None:
    """Show how each channel is, since when, and its last error."""
    from hub.cli.channels import show

    show(call)


@channels.command()
@click.argument("name")
@takes_json
@click.pass_obj
def restart(call: Call, name: str) -> None:
    """Have the channel NAME connect anew, whichever hub holds it."""
    from hub.cli.channels import restart

    restart(call, name)


for each in COMMANDS:
    main.add_command(each)
