"""`bothub` on a real store in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub.cli.command import Bothub


@pytest.fixture
def bothub(tmp_path: Path) -> Bothub:
    return Bothub(tmp_path / "a folder")
