"""Files that come with a message."""

from __future__ import annotations

import asyncio
import mimetypes

import aiohttp
import discord
import structlog

from channels.discord.read import file_name
from hub.channel import Intake
from hub.message import Part, Text

log = structlog.get_logger()
LARGEST = 25 * 2**20
"""The largest file that is taken in, in bytes."""
PATIENCE = 60.0
"""How long one may take to come, in seconds."""


async def keep(intake: Intake, file: discord.Attachment) -> Part:
    """Store a file; what is too large or cannot be had is named in words."""
    name = file_name(file)
    if file.size > LARGEST:
        return named(file, f"{file.size / 2**20:.0f} MB is too large")
    try:
        async with asyncio.timeout(PATIENCE):
            content = await file.read()
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        log.warning("a file cannot be had", name=name, error=type(error).__name__)
        return named(file, "it could not be downloaded")
    kind = (file.content_type or mimetypes.guess_type(name)[0] or "application/octet-stream").partition(";")[0]
    return await intake.keep(name, kind, content)


def named(file: discord.Attachment, why: str = "") -> Text:
    """A word for a file that is not kept."""
    return Text(text=f"[file {file_name(file)}{': ' if why else ''}{why}]")
