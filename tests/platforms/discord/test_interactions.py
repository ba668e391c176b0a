"""The local Discord's commands and buttons, driven by the real discord.py: they behave as Discord's do."""

from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
from discord import app_commands

from tests.clock import Clock
from tests.platforms.discord import ANNA, BORIS, BOT, GENERAL, GUILD, DiscordServer, Interaction
from tests.platforms.discord.client import Bot, refused, rest, running

Use = discord.Interaction[discord.Client]


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[Bot]:
    async with running(server) as bot:
        bot.tree.add_command(app_commands.Command(name="ask", description="Asks", callback=heard_only))
        await bot.tree.sync()
        yield bot


async def heard_only(interaction: Use, question: str = "", loud: bool = False) -> None:
    """The tests take interactions from the event and answer by hand."""


async def used(server: DiscordServer, bot: Bot, **where: str) -> tuple[Interaction, Use]:
    """/ask on both sides: what the person sees and what the bot got."""
    handle = server.slash("ask", {"question": "why"}, **where)
    return handle, (await bot.hears("interaction"))[-1]


def texts(handle: Interaction) -> list[str]:
    return [message["content"] for message in handle.responses]


class TestCommands:
    async def test_commands_are_registered_as_a_whole(self, server: DiscordServer, bot: Bot) -> None:
        [ask] = server.commands
        assert (ask["name"], [option["name"] for option in ask["options"]]) == ("ask", ["question", "loud"])
        assert [command.name for command in await bot.tree.fetch_commands()] == ["ask"]
        again = await bot.tree.sync()
        assert [str(command.id) for command in again] == [ask["id"]]
        bot.tree.clear_commands(guild=None)
        await bot.tree.sync()
        assert server.commands == []

    async def test_a_guild_has_commands_of_its_own(self, server: DiscordServer, bot: Bot) -> None:
        guild = discord.Object(int(GUILD))
        here: app_commands.Command[Any, ..., None] = app_commands.Command(
            name="here", description="Here", callback=heard_only
        )
        bot.tree.add_command(here, guild=guild)
        await bot.tree.sync(guild=guild)
        server.slash("here")
        [interaction] = await bot.hears("interaction")
        assert interaction.command == here
        with pytest.raises(ValueError, match="no /here here"):
            server.slash("here", channel=server.dm_channel(ANNA))

    async def test_what_was_not_registered_cannot_be_used(self, server: DiscordServer, bot: Bot) -> None:
        with pytest.raises(ValueError, match="no /nothing here"):
            server.slash("nothing")
        with pytest.raises(ValueError, match="no option"):
            server.slash("ask", {"colour": "red"})
        with pytest.raises(ValueError, match="takes no int"):
            server.slash("ask", {"question": 1})

    async def test_names_are_checked(self, server: DiscordServer, bot: Bot) -> None:
        for command in ({"name": "Not A Name", "description": "x"}, {"name": "fine", "description": ""}):
            async with rest(server) as call:
                status, body, _ = await call("PUT", f"/applications/{BOT}/commands", [command])
            assert (status, body["code"]) == (400, 50035)


class TestAnswers:
    async def test_a_command_comes_with_its_options_place_and_user(self, server: DiscordServer, bot: Bot) -> None:
        server.slash("ask", {"question": "why", "loud": True}, user=BORIS)
        [interaction] = await bot.hears("interaction")
        assert (interaction.namespace.question, interaction.namespace.loud) == ("why", True)
        assert (str(interaction.user.id), str(interaction.channel_id)) == (BORIS, GENERAL)
        assert str(interaction.guild_id) == GUILD

    async def test_a_command_can_be_used_in_a_direct_message(self, server: DiscordServer, bot: Bot) -> None:
        direct = server.dm_channel(BORIS)
        handle, interaction = await used(server, bot, user=BORIS, channel=direct)
        assert (interaction.guild_id, str(interaction.user.id)) == (None, BORIS)
        await interaction.response.send_message("because")
        assert texts(handle) == ["because"]
        assert len(server.sent(direct)) == 1

    async def test_an_answer_at_once_stands_in_the_channel(self, server: DiscordServer, bot: Bot) -> None:
        handle, interaction = await used(server, bot)
        await interaction.response.send_message("because")
        assert texts(handle) == ["because"]
        [stands] = server.sent()
        assert stands["interaction_metadata"]["id"] == handle.id
        assert (await interaction.original_response()).content == "because"

    async def test_a_deferred_answer_shows_thinking_until_it_is_edited(self, server: DiscordServer, bot: Bot) -> None:
        handle, interaction = await used(server, bot)
        await interaction.response.defer()
        assert (handle.deferred, handle.responses, len(server.sent())) == (True, [], 1)
        await interaction.edit_original_response(content="because")
        await interaction.followup.send("and also")
        assert (handle.deferred, texts(handle)) == (False, ["because", "and also"])
        assert [message["edited_timestamp"] for message in handle.responses] == [None, None]

    async def test_the_first_followup_takes_the_place_of_the_thinking(self, server: DiscordServer, bot: Bot) -> None:
        handle, interaction = await used(server, bot)
        await interaction.response.defer()
        first = await interaction.followup.send("one", wait=True)
        await interaction.followup.send("two")
        assert [message["content"] for message in server.sent()] == ["one", "two"]
        assert server.sent()[0]["id"] == str(first.id)
        assert texts(handle) == ["one", "two"]

    async def test_what_is_ephemeral_only_the_user_sees(self, server: DiscordServer, bot: Bot) -> None:
        handle, interaction = await used(server, bot)
        await interaction.response.send_message("between us", ephemeral=True)
        assert (texts(handle), server.sent()) == (["between us"], [])
        assert [message async for message in bot.place(GENERAL).history()] == []
        server.say("out loud")
        assert [message.content for message in await bot.hears("message")] == ["out loud"]

    async def test_answers_obey_the_rules_of_messages(self, server: DiscordServer, bot: Bot) -> None:
        _, interaction = await used(server, bot)
        assert await refused(interaction.response.send_message("x" * 2001)) == (400, 50035)

    async def test_followups_can_be_edited_and_deleted(self, server: DiscordServer, bot: Bot) -> None:
        handle, interaction = await used(server, bot)
        await interaction.response.send_message("one")
        two = await interaction.followup.send("two", wait=True)
        await two.edit(content="second")
        assert texts(handle) == ["one", "second"]
        await two.delete()
        await interaction.delete_original_response()
        assert (handle.responses, server.sent()) == ([], [])

    async def test_the_first_answer_has_three_seconds(self, server: DiscordServer, bot: Bot, clock: Clock) -> None:
        _, interaction = await used(server, bot)
        clock.now += 3.1
        assert await refused(interaction.response.defer()) == (404, 10062)

    async def test_there_is_one_first_answer(self, server: DiscordServer, bot: Bot) -> None:
        handle, interaction = await used(server, bot)
        await interaction.response.defer()
        async with rest(server) as call:
            status, body, _ = await call("POST", f"/interactions/{handle.id}/{handle.token}/callback", {"type": 5})
        assert (status, body["code"]) == (400, 40060)

    async def test_the_last_answer_has_fifteen_minutes(self, server: DiscordServer, bot: Bot, clock: Clock) -> None:
        _, interaction = await used(server, bot)
        await interaction.response.defer()
        clock.now += 899
        await interaction.edit_original_response(content="just in time")
        clock.now += 2
        assert await refused(interaction.followup.send("late")) == (401, 50027)

    async def test_nothing_follows_what_was_not_answered(self, server: DiscordServer, bot: Bot) -> None:
        _, interaction = await used(server, bot)
        assert await refused(interaction.followup.send("first things first")) == (404, 10015)


class TestButtons:
    @pytest.fixture
    async def message(self, server: DiscordServer, bot: Bot) -> discord.Message:
        view = discord.ui.View()
        view.add_item(discord.ui.Button[discord.ui.View](label="Yes", custom_id="yes"))
        return await bot.place(GENERAL).send("sure?", view=view)

    async def test_a_press_names_the_button_and_carries_the_message(
        self, server: DiscordServer, bot: Bot, message: discord.Message
    ) -> None:
        handle = server.press(server.sent()[0], "yes", user=BORIS)
        [interaction] = await bot.hears("interaction")
        assert (interaction.data["custom_id"], str(interaction.user.id)) == ("yes", BORIS)
        assert interaction.message.id == message.id
        await interaction.response.edit_message(content="sure!", view=None)
        [stands] = server.sent()
        assert (stands["content"], stands["components"]) == ("sure!", [])
        assert handle.callback == 7

    async def test_a_press_can_be_taken_note_of_and_answered_later(
        self, server: DiscordServer, bot: Bot, message: discord.Message
    ) -> None:
        handle = server.press(server.sent()[0], "yes")
        [interaction] = await bot.hears("interaction")
        await interaction.response.defer()
        assert (handle.callback, handle.deferred) == (6, False)
        await interaction.followup.send("done")
        await interaction.edit_original_response(content="was sure")
        assert [found["content"] for found in server.sent()] == ["was sure", "done"]
        assert texts(handle) == ["done"]

    async def test_there_is_no_pressing_what_is_not_there(
        self, server: DiscordServer, message: discord.Message
    ) -> None:
        with pytest.raises(ValueError, match="no button no"):
            server.press(server.sent()[0], "no")
