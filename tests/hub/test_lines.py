"""What config says of a channel, as its supervisor is told it."""

from __future__ import annotations

from typing import Any

import pytest

from channels.config import ChannelSettings
from hub.app.channels import lines
from hub.records.rooms import StoredRooms
from tests.hub.engine import Engine


@pytest.mark.parametrize(
    ("commands", "stoppable"),
    [(True, True), (False, False), ({"stop": "off"}, False), ({"stop": [7]}, True), ({"new": "off"}, True)],
)
def test_a_preview_has_a_button_to_stop_where_somebody_may(engine: Engine, commands: Any, stoppable: bool) -> None:
    rooms = StoredRooms(engine.store, engine.signals, engine.clock)
    settings = ChannelSettings(kind="web", commands=commands)
    assert lines({"web": settings}, rooms)["web"].stoppable == stoppable
