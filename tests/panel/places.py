"""Where there is something to see of a hub with a day behind it."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageDraw, ImageFilter
from sqlalchemy import func, select

from api.panel.pages import pages
from hub.accounts import keys
from hub.message import Own
from hub.records import deadletters
from hub.store import Connection
from hub.store.tables import turns
from tests.e2e.here import Here
from tests.panel.story import Story


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
        picture = {"file": ("lamp.png", lamp(), "image/png")}
        asked = "How do I dim this lamp from my own program?"
        (await client.post(f"/api/v1/web/{room}", data={"text": asked}, files=picture)).raise_for_status()
        await answered(here, room, 1)
        text = "Tell the team that the olive trees are sold out."
        (await client.post(f"/api/v1/web/{room}", json={"text": text})).raise_for_status()
        await answered(here, room, 2)
    return room


def lamp() -> bytes:
    """A picture: a lamp that hangs over a table, in the evening."""
    wide, high = 480, 270
    light = Image.new("L", (wide, high))
    ImageDraw.Draw(light).polygon([(215, 98), (265, 98), (400, 222), (80, 222)], fill=150)
    light = light.filter(ImageFilter.GaussianBlur(14))
    room = Image.composite(Image.new("RGB", light.size, "#ffd28a"), Image.new("RGB", light.size, "#26384a"), light)
    drawn = ImageDraw.Draw(room)
    drawn.line([(240, 0), (240, 62)], fill="#10171f", width=3)
    drawn.polygon([(222, 62), (258, 62), (288, 100), (192, 100)], fill="#d9603b")
    drawn.ellipse([(226, 90), (254, 112)], fill="#fff3d1")
    drawn.rounded_rectangle([(70, 218), (410, 230)], 4, fill="#8a5a3c")
    for left in (100, 368):
        drawn.rectangle([(left, 230), (left + 12, high)], fill="#6d452d")
    content = BytesIO()
    room.save(content, "PNG")
    return content.getvalue()


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
