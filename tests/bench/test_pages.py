"""`python -m bench.pages`, with a small store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import pages
from bench.history import History

PAST = History(sessions=130, turns=700, keys=5, days=30)


@pytest.mark.slow
def test_it_asks_a_hub_for_every_page_and_prints_what_they_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.run(["sqlite"], PAST, rounds=2, keep=tmp_path)
    printed = capsys.readouterr().out
    for look in ("/login (nobody)", "/overview?over=30d", "/chat/lobby/events", "/sessions?q=weather (user)"):
        assert f" {look} " in printed
    assert (tmp_path / "sqlite" / "many.db").exists()
