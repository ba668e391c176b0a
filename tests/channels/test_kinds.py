"""Kinds of channels and agents are named by strings, and their settings load without any platform's SDK."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

import channels
from channels.config import ChannelSettings

SDKS = ["aiogram", "discord", "lark_oapi"]
BLOCKED = """
import sys
for name in {blocked}:
    sys.modules[name] = None
from channels import KINDS, load
model = load(KINDS[{kind!r}].config)
print(model(kind={kind!r}).kind)
"""


@pytest.mark.parametrize("kind", channels.KINDS)
def test_settings_of_a_channel_load_with_every_sdk_blocked(kind: str) -> None:
    code = BLOCKED.format(blocked=SDKS, kind=kind)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"{kind}\n", "")


def test_reading_a_configuration_imports_nothing_heavy() -> None:
    code = "import sys, hub.config; print([name for name in {names} if name in sys.modules])"
    names = [*SDKS, "quart", "sqlalchemy", "alembic", "cryptography", "openai", "nats"]
    done = subprocess.run(
        [sys.executable, "-c", code.format(names=names)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("kind", channels.KINDS)
def test_settings_of_a_channel_are_closed_and_know_the_common_keys(kind: str) -> None:
    model = channels.load(channels.KINDS[kind].config)
    assert issubclass(model, ChannelSettings)
    settings = model(kind=kind)
    with pytest.raises(ValidationError):
        model.model_validate({"kind": kind, "unknown": 1})
    with pytest.raises(ValidationError):
        settings.enabled = False


@pytest.mark.parametrize("kind", list(channels.KINDS))
def test_every_kind_with_an_adapter_has_its_channel(kind: str) -> None:
    reference = channels.KINDS[kind].channel
    assert reference
    assert callable(channels.load(reference).listen)
