"""The local Feishu's cards and card entities, driven by the real lark-oapi."""

from typing import Any

import pytest

from tests.clock import Clock
from tests.platforms.feishu import FEISHU_LIMITS, P2P, FeishuServer
from tests.platforms.feishu.sdk import Bot

TABLE = "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
Card = dict[str, Any]


def markdown(*texts: str, **config: Any) -> Card:
    elements = [
        {"tag": "markdown", "element_id": "md" if n == 0 else f"md{n}", "content": t} for n, t in enumerate(texts)
    ]
    return {"schema": "2.0", "config": config, "body": {"elements": elements}}


async def streaming(bot: Bot) -> str:
    """A card entity that streams, shown in the p2p chat."""
    card = (await bot.card(markdown("…", streaming_mode=True))).data.card_id
    await bot.show(card, P2P)
    return card


class TestCardMessages:
    async def test_a_card_is_sent_and_patched_and_sent_shows_its_markdown(self, server: FeishuServer, bot: Bot) -> None:
        sent = (await bot.create(P2P, markdown("one", "**two**"), "interactive")).data.message_id
        assert server.sent()[0]["text"] == "one\n**two**"
        assert (await bot.patch(sent, markdown("three"))).success()
        assert (await server.wait_text("three"))["edits"] == 1

    async def test_a_card_of_the_old_schema_is_patched_only_if_it_is_shared(self, bot: Bot) -> None:
        def old(**config: Any) -> Card:
            return {"config": config, "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": "old"}}]}

        private = (await bot.create(P2P, old(), "interactive")).data.message_id
        assert (await bot.patch(private, old(update_multi=True))).code == 230099
        both = (await bot.create(P2P, old(update_multi=True), "interactive")).data.message_id
        assert (await bot.patch(both, old(update_multi=True))).success()

    async def test_a_card_is_patched_for_fourteen_days(self, server: FeishuServer, clock: Clock, bot: Bot) -> None:
        sent = (await bot.create(P2P, markdown("hi"), "interactive")).data.message_id
        clock.now += 14 * 86400 + 1
        assert (await Bot(server).patch(sent, markdown("late"))).code == 230031

    async def test_the_body_of_a_card_has_30_kilobytes(self, bot: Bot) -> None:
        assert (await bot.create(P2P, markdown("ж" * 14_000), "interactive")).success()
        assert (await bot.create(P2P, markdown("ж" * 16_000), "interactive")).code == 230025

    @pytest.mark.parametrize("texts", [("\n".join([TABLE] * 6),), ("\n".join([TABLE] * 3), "\n".join([TABLE] * 3))])
    async def test_six_tables_are_too_many_wherever_they_stand(self, bot: Bot, texts: tuple[str, ...]) -> None:
        refused = await bot.create(P2P, markdown(*texts), "interactive")
        assert refused.code == 230099
        assert "ErrCode: 11310; ErrMsg: card table number over limit" in refused.msg

    async def test_five_tables_pass_and_those_in_code_do_not_count(self, bot: Bot) -> None:
        text = "\n".join([TABLE] * 5 + ["```", TABLE, "```", "a --- b", "---"])
        assert (await bot.create(P2P, markdown(text), "interactive")).success()

    async def test_two_hundred_elements_are_the_most(self, bot: Bot) -> None:
        assert (await bot.create(P2P, markdown(*["x"] * 200), "interactive")).success()
        refused = await bot.create(P2P, markdown(*["x"] * 201), "interactive")
        assert "element exceeds the limit" in refused.msg


class TestCardEntities:
    async def test_a_card_streams_and_is_closed(self, server: FeishuServer, bot: Bot) -> None:
        card = await streaming(bot)
        for sequence, text in enumerate(["Hel", "Hello", "Hello world"], 1):
            assert (await bot.content(card, text, sequence)).success()
        assert (server.sent()[0]["text"], server.sent()[0]["streaming"]) == ("Hello world", True)
        assert (await bot.settings(card, {"streaming_mode": False}, 4)).success()
        assert server.sent()[0]["streaming"] is False
        assert (await bot.content(card, "Hello world!", 5)).code == 300309

    @pytest.mark.parametrize("sequence", [1, 2])
    async def test_a_sequence_that_does_not_grow_is_refused(self, bot: Bot, sequence: int) -> None:
        card = await streaming(bot)
        await bot.content(card, "new", 2)
        assert (await bot.content(card, "old", sequence)).code == 300317
        assert (await bot.settings(card, {"streaming_mode": False}, sequence)).code == 300317

    async def test_a_refused_operation_uses_up_no_sequence(self, bot: Bot) -> None:
        card = await streaming(bot)
        assert (await bot.content(card, "new", 1, element="none")).code == 300313
        assert (await bot.content(card, "new", 1)).success()

    async def test_an_operation_is_not_done_twice(self, server: FeishuServer, bot: Bot) -> None:
        card = await streaming(bot)
        await bot.content(card, "once", 1, uuid="u1")
        assert (await bot.content(card, "twice", 2, uuid="u1")).code == 200770
        assert server.sent()[0]["text"] == "once"

    async def test_streaming_ends_by_itself_and_begins_again(
        self, server: FeishuServer, clock: Clock, bot: Bot
    ) -> None:
        card = await streaming(bot)
        clock.now += 599
        assert (await bot.content(card, "in time", 1)).success()
        clock.now += 1
        assert [(await bot.content(card, "late", 2)).code for _ in range(2)] == [200850, 300309]
        assert (await bot.settings(card, {"streaming_mode": True}, 2)).success()
        assert (await bot.content(card, "again", 3)).success()
        assert server.sent()[0]["text"] == "again"

    async def test_how_long_streaming_lasts_is_a_parameter(self, clock: Clock) -> None:
        async with FeishuServer(clock=clock, streaming_seconds=1) as server:
            bot = Bot(server)
            card = await streaming(bot)
            clock.now += 1
            assert (await bot.content(card, "late", 1)).code == 200850

    async def test_a_whole_card_is_replaced_and_parts_are_changed_at_once(self, server: FeishuServer, bot: Bot) -> None:
        card = await streaming(bot)
        assert (await bot.replace(card, markdown("one", "two"), 1)).success()
        assert (await bot.batch(card, CHANGES, 2)).success()
        assert server.sent()[0]["text"] == "one\nbetween\n2"
        assert server.sent()[0]["streaming"] is True

    async def test_a_batch_is_done_wholly_or_not_at_all(self, server: FeishuServer, bot: Bot) -> None:
        card = await streaming(bot)
        missing = {"action": "delete_elements", "params": {"element_ids": ["none"]}}
        change = {
            "action": "partial_update_element",
            "params": {"element_id": "md", "partial_element": {"content": "x"}},
        }
        assert (await bot.batch(card, [change, missing], 1)).code == 300313
        assert server.sent()[0]["text"] == "…"

    async def test_a_card_is_shown_by_one_message_only(self, bot: Bot) -> None:
        card = await streaming(bot)
        assert (await bot.show(card, P2P)).code == 230099
        assert (await bot.show("ck_404", P2P)).code == 230099

    async def test_what_is_no_shared_card_of_the_new_schema_is_no_entity(self, bot: Bot) -> None:
        assert (await bot.card({"elements": []})).code == 200220
        assert (await bot.card(markdown("x", update_multi=False))).code == 300302
        assert (await bot.card(markdown("ж" * 16_000))).code == 200860
        assert (await bot.card(markdown(*["x"] * 201))).code == 300305

    async def test_tables_and_sizes_are_counted_while_it_streams(self, bot: Bot) -> None:
        card = await streaming(bot)
        assert (await bot.content(card, "\n".join([TABLE] * 6), 1)).code == 230099
        assert (await bot.content(card, "x" * 31_000, 1)).code == 200860
        assert (await bot.content(card, "", 1)).code == 99992402

    async def test_a_card_takes_ten_operations_a_second(self, server: FeishuServer, bot: Bot) -> None:
        server.limit(FEISHU_LIMITS)
        card = await streaming(bot)
        answers = [await bot.content(card, str(n), n) for n in range(1, 12)]
        assert [answer.code for answer in answers] == [0] * 10 + [99991400]
        assert answers[-1].raw.headers["x-ogw-ratelimit-reset"] == "1"

    async def test_a_dead_stream_is_ended_by_patching_its_message(
        self, server: FeishuServer, clock: Clock, bot: Bot
    ) -> None:
        await streaming(bot)
        clock.now += 600
        assert (await bot.patch(server.sent()[0]["message_id"], markdown("whole"))).success()
        assert server.sent()[0]["text"] == "whole"

    async def test_faults_know_the_chat_a_card_is_shown_in(self, server: FeishuServer, bot: Bot) -> None:
        card = await streaming(bot)
        server.fail("card.content", 200810, chat=P2P)
        assert (await bot.content(card, "x", 1)).code == 200810
        assert server.called("card.content")[0].params["sequence"] == 1


CHANGES: list[Card] = [
    {
        "action": "add_elements",
        "params": {
            "type": "insert_after",
            "target_element_id": "md",
            "elements": [{"tag": "markdown", "element_id": "new", "content": "between"}],
        },
    },
    {"action": "partial_update_element", "params": {"element_id": "md1", "partial_element": {"content": "2"}}},
    {"action": "partial_update_setting", "params": {"settings": {"config": {"streaming_mode": True}}}},
]
