"""What docs/channels/feishu.md shows is true: its settings load, its numbers are the channel's."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

import channels.feishu
from channels.feishu.channel import LIMITS
from channels.feishu.config import Feishu
from channels.feishu.hear import LEFT, MOST, PRESSED, RECEIVED
from channels.feishu.render import SHORT
from hub.config import load

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/channels/feishu.md").read_text()
SHOWN = re.findall(r"^ *```yaml\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
SECRETS = dict.fromkeys(re.findall(r"\$\{(FEISHU_\w+)\}", PAGE), "x")


@pytest.mark.parametrize("shown", SHOWN)
def test_the_settings_load_once_they_are_enabled(tmp_path: Path, shown: str) -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    settings["channels"]["team"] = {**yaml.safe_load(textwrap.dedent(shown))["channels"]["team"], "enabled": True}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    team = load(path, SECRETS).channels["team"]
    assert isinstance(team, Feishu)
    assert team.app_secret.get_secret_value() == "x"
    assert channels.feishu.Channel("team", team)


def test_every_event_it_hears_is_named() -> None:
    assert SHOWN
    for kind in (RECEIVED, PRESSED, *LEFT):
        assert f"`{kind}`" in PAGE


def test_its_limits_are_the_channels() -> None:
    for told in (f"{LIMITS.length:,} bytes", f"{SHORT:,} bytes", f"up to {MOST // 2**20} MB"):
        assert told in PAGE
    assert (LIMITS.image_size, LIMITS.file_size) == (10 * 2**20, 30 * 2**20)
    assert (LIMITS.per_chat, LIMITS.per_bot) == (5, 50)
