"""`bothub send`: into the store at once, and on request until its end."""

from __future__ import annotations

import threading

import msgspec
import pytest

from hub.bus import Bus, Settle
from hub.delivery.deliveries import PartReceipt, add_receipt
from hub.message import Delivery
from tests.hub.cli.command import Bothub


async def inbox(bus: Bus, name: str = "channel:web") -> list[Delivery]:
    """What waits."""
    leases = await bus.claim(name, 10, 0.0)
    return [msgspec.json.decode(lease.head.body, type=Delivery) for lease in leases]


def test_it_is_in_the_store_when_the_command_ends(bothub: Bothub) -> None:
    answer = bothub.json("send", "web:lobby:7", "hello *there*")
    assert (answer["status"], answer["address"]) == ("waiting", "web:lobby:7")
    [sent] = bothub.work(inbox)
    assert sent.id == answer["id"]
    assert sent.id.startswith("cli_")
    assert (sent.text, str(sent.address)) == ("hello *there*", "web:lobby:7")
    assert (sent.author.kind, sent.author.name) == ("api", "bothub send")
    assert sent.expires_at is not None


def test_a_person_reads_its_status_and_id(bothub: Bothub) -> None:
    result = bothub("send", "web:lobby", "hello")
    [sent] = bothub.work(inbox)
    assert result.stdout == f"waiting  web:lobby  {sent.id}\n"


@pytest.mark.parametrize("outcome", ["delivered", "dead"])
def test_waiting_sees_the_end_that_a_hub_writes(bothub: Bothub, outcome: str) -> None:
    async def hub(bus: Bus) -> None:
        while not (leases := await bus.claim("channel:web", 1, 8.0)):
            pass
        lease = leases[0]
        receipt = PartReceipt(part=0, platform_id="p-1", at=1.0)
        settle = (
            Settle(lease=lease, outcome="delivered")
            if outcome == "delivered"
            else Settle(lease=lease, outcome="dead", reason="gone", error="the bot was blocked")
        )
        await bus.commit(settle, also=lambda connection: add_receipt(connection, lease.head.id, receipt))

    bothub("inbox")  # makes the tables
    other = threading.Thread(target=lambda: bothub.work(hub))
    other.start()
    result = bothub("send", "web:lobby", "hello", "--wait", "20")
    other.join()
    if outcome == "delivered":
        assert result.exit_code == 0
        assert result.stdout.startswith("delivered  web:lobby")
        assert result.stdout.rstrip().endswith("as p-1")
    else:
        assert result.exit_code == 1
        assert result.stdout.startswith("failed  web:lobby")
        assert "gone\nthe bot was blocked" in result.stdout


def test_waiting_in_vain_is_a_failure(bothub: Bothub) -> None:
    answer = bothub.json("send", "web:lobby", "hello", "--wait", "0.05", code=1)
    assert answer["status"] == "waiting"
    assert len(bothub.work(inbox)) == 1
    assert "does a hub run?" in bothub("send", "web:lobby", "hello", "--wait", "0.05").stdout


def test_a_channel_that_is_not_enabled_keeps_it_and_says_so(bothub: Bothub) -> None:
    answer = bothub.json("send", "support:12345", "hello")
    assert (answer["status"], answer["reason"]) == ("waiting", "channel not enabled")


def test_the_name_of_a_kind_means_its_one_channel(bothub: Bothub) -> None:
    assert bothub.json("send", "telegram:12345", "hello")["address"] == "support:12345"


def test_an_unknown_channel_is_wrong_usage(bothub: Bothub) -> None:
    result = bothub("send", "nope:1", "hello")
    assert (result.exit_code, result.stderr) == (2, "Unknown channel 'nope'. Channels: support, web.\n")
    assert "Unknown channel" in bothub.json("send", "nope:1", "hello", code=2)["error"]


@pytest.mark.parametrize(("address", "text"), [("lobby", "hello"), ("web:", "hello"), ("web:lobby", " ")])
def test_no_address_or_no_text_is_wrong_usage(bothub: Bothub, address: str, text: str) -> None:
    assert bothub("send", address, text).exit_code == 2
    assert bothub.json("inbox")["inboxes"] == []
