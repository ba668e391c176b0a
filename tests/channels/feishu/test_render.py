"""Cards: what they say, what they take of the limits, and that Feishu takes every one of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.feishu.channel import LIMITS
from channels.feishu.render import LENGTH, TABLES, card, count_tables, markdown, plain, size, summary
from hub.channel import Sending
from hub.delivery.preview import pieces
from hub.message import Button
from hub.text import split
from tests.platforms.feishu.cards import CARD_LIMIT, check_card
from tests.platforms.feishu.cards import count_tables as count_of_feishu

TABLE = "| a | b |\n|---|---|\n| 1 | 2 |\n"
PIECES = ["word ", "\n", "\n\n", "```\n", "| a | b |\n", "|---|---|\n", "> ", "- ", '"', "\\", "🦜", "é"]
"""No fences of other kinds: the local server takes any of them for the end of any other, CommonMark does not."""
MARKDOWN = st.lists(st.one_of(st.sampled_from([*PIECES, TABLE]), st.text(max_size=5)), max_size=60).map("".join)


def request_of(text: str) -> bytes:
    """The bytes of a request that sends the card of a text."""
    body = {
        "receive_id": "oc_" + "x" * 32,
        "msg_type": "interactive",
        "content": json.dumps(card(text), ensure_ascii=False),
    }
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


@given(MARKDOWN, st.integers(1, 400))
@settings(max_examples=200, deadline=None)
@example(text=TABLE * 7, times=1)
@example(text=f"{TABLE}\n" * 7, times=1)
@example(text='"\\', times=9000)
def test_any_text_that_fits_is_a_card_that_feishu_takes(text: str, times: int) -> None:
    for part in split(text * times, LENGTH, "bytes")[:5]:
        shown = card(part)
        check_card(shown)
        assert size(part) > LENGTH or len(request_of(part)) <= CARD_LIMIT


@given(MARKDOWN)
@settings(max_examples=300, deadline=None)
def test_tables_are_counted_as_feishu_counts_them_and_more_are_shown_as_code(text: str) -> None:
    assert count_tables(markdown(text * 3)) <= TABLES
    assert count_of_feishu(card(text * 3)) <= TABLES


@given(MARKDOWN)
@settings(max_examples=300, deadline=None)
@example(text=f"{TABLE}\n" * 6 + "\x85end")
@example(text=f"{TABLE}\x85\n" * 9)
def test_nothing_is_lost_and_nobody_is_mentioned(text: str) -> None:
    said = f'{text}<at id="all">'
    shown = markdown(said)
    assert "<at" not in shown
    assert "<at" not in plain(said)
    assert "![" in said or bare(shown) == bare(said.replace("<at", "<\u2060at"))


def bare(text: str) -> str:
    """A text without fences, and without the new lines that they bring."""
    return text.replace("```", "").replace("\n", "")


@pytest.mark.parametrize(
    "mention", ['<at id="all"></at>', "<AT id=all>", '<at user_id="all">x</at>', "< at id=all>", "</at>"]
)
def test_every_way_to_mention_is_taken_apart(mention: str) -> None:
    for said in (markdown(mention), plain(mention), json.dumps(card(mention)), summary(mention)):
        assert mention.lower() not in said.lower()


def test_five_tables_take_a_whole_card_and_a_sixth_no_longer_fits() -> None:
    long = f"{TABLE}\n{'word ' * 400}\n\n"
    assert size(long * 5) < LENGTH
    assert size(long * 6) > LENGTH
    assert size("```\n" + long * 6 + "```") < LENGTH


def test_many_small_tables_are_no_reason_for_many_small_cards() -> None:
    assert size(f"{TABLE}\n" * 60) < LENGTH
    parts = pieces(Measured(), f"{TABLE}\n" * 1000)
    assert len(parts) < 15
    assert all(size(part) <= LENGTH for part in parts)


class Measured:
    """As much of a channel as it takes to split a text."""

    limits = LIMITS

    def size(self, text: str) -> int:
        return size(text)

    async def send(self, sending: Sending) -> str:
        raise NotImplementedError


def test_a_plain_text_names_its_buttons() -> None:
    rows = ((Button(text="Yes", value="y"), Button(text="No", value="n")),)
    assert plain("Sure?", rows) == "Sure?\n[Yes]  [No]"


def test_the_notification_shows_words_and_no_marks() -> None:
    assert summary("# Title\n\n**bold** `code` | a | b |") == "Title bold code a b"
    assert summary("   ") == "…"
