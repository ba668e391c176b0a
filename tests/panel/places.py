"""Where there is something to see of a hub with a day behind it."""

from __future__ import annotations

from sqlalchemy import func, select

from api.panel.pages import pages
from hub.accounts import keys
from hub.records import deadletters
from hub.records.rooms import Own
from hub.store import Connection
from hub.store.tables import turns
from tests.e2e.here import Here
from tests.panel.story import Story
from tests.panel.talking import png


async def places(story: Story) -> dict[str, str]:
    """The path of each page of the navigation, and of those that they lead to, by what they are called."""
    room = await talk(story)
    session = await story.here.store.read(longest)
    [channel] = [one.id for one in await story.here.live.list("channel") if one.name == "community"]
    return {page.name: page.path for page in pages()} | {
        "talk": f"/panel/chat/{room}",
        "channel": f"/panel/channels/{channel}",
        "channel-form": "/panel/channels/new/telegram",
        "agent": f"/panel/agents/{story.saved['agent']}",
        "model": f"/panel/models/{story.saved['model']}",
        "key": f"/panel/keys/{await key_of(story.here, story.secrets['online shop'])}",
        "session": f"/panel/sessions/{session}",
        "configuration": "/panel/settings/config",
        "work": "/panel/settings/jobs",
        "backup": "/panel/settings/backup",
        "audit": "/panel/settings/audit",
        "delivery": f"/panel/deliveries/{await story.here.store.read(dead)}",
        "timeline": f"/panel/trace?id={await story.here.store.read(newest)}",
    }


async def talk(story: Story) -> str:
    """A conversation of the admin with the agent; returns its room."""
    here = story.here
    room = Own(await key_of(here, here.key), "helpdesk", "talk").room
    async with here.http() as client:
        picture = {"file": ("lamp.png", png(240, 120), "image/png")}
        asked = "How do I dim this lamp from my own program?"
        (await client.post(f"/api/v1/web/{room}", data={"text": asked}, files=picture)).raise_for_status()
        await answered(here, room, 1)
        text = "Tell the team that the olive trees are sold out."
        (await client.post(f"/api/v1/web/{room}", json={"text": text})).raise_for_status()
        await answered(here, room, 2)
    return room


async def key_of(here: Here, secret: str) -> int:
    """The id of a key."""
    found = await here.store.read(lambda connection: keys.identify(connection, secret, None, here.engine.clock()))
    assert found is not None
    return found.id


def longest(connection: Connection) -> int:
    """A unit: the session in which most was said."""
    counted = select(turns.c.session).group_by(turns.c.session).order_by(func.count().desc())
    return connection.execute(counted.where(turns.c.session.is_not(None))).scalars().first() or 0


def newest(connection: Connection) -> str:
    """A unit: the turn that was asked for last."""
    return connection.execute(select(turns.c.id).order_by(turns.c.created_at.desc())).scalars().first() or ""


def dead(connection: Connection) -> str:
    """A unit: a delivery that wants a decision."""
    return deadletters.newest(connection, "channel:support", 1)[0].id


async def answered(here: Here, room: str, times: int) -> None:
    """Wait until so many messages have their answers."""

    async def is_answered() -> bool:
        return len(await here.engine.rooms.read("web", room, 0, 20)) == 2 * times

    await here.store.until(is_answered)
