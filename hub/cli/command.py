"""What every command of `bothub` has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from hub.cli.call import Call
from hub.errors import ConfigError, HubError, RequestError

Callback = Callable[..., Any]


class Commands(click.Group):
    """Commands whose errors are sentences: exit 2 for usage and config, 1 for everything else."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except HubError as error:
            from hub.cli.output import complain

            complain(error, json=ctx.ensure_object(Call).json)
            ctx.exit(2 if isinstance(error, ConfigError | RequestError) else 1)


def _as_json(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    context.ensure_object(Call).json |= wanted


def takes_json(command: Callback) -> Callback:
    """Give a command `--json`."""
    text = "Print JSON, also what went wrong."
    return click.option("--json", is_flag=True, expose_value=False, callback=_as_json, help=text)(command)
