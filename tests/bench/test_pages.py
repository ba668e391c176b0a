"""`python -m bench.pages`, with a small store; and that it leaves no page out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from api.app import create_app
from bench import pages
from bench.history import History
from bench.looks import looks
from hub.store import Store
from tests.api.fake_hub import FakeHub

PAST = History(sessions=130, turns=700, keys=5, days=30)
NUMBERS: Mapping[tuple[str, str], int] = defaultdict(lambda: 1)
ELSEWHERE = ("/panel/", "/panel/prefer", "/panel/static/<version>/<name>", "/panel/<path:rest>")
"""Routes that lead to another page, to a file of all pages, or to none."""


@pytest.mark.slow
def test_it_asks_a_hub_for_every_page_and_prints_what_they_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.run(["sqlite"], PAST, rounds=2, keep=tmp_path)
    printed = capsys.readouterr().out
    for look in ("/login (nobody)", "/overview?over=30d", "/chat/lobby/events", "/sessions?q=weather (user)"):
        assert f" {look} " in printed
    assert (tmp_path / "sqlite" / "many.db").exists()


def test_no_page_is_left_out(store: Store) -> None:
    rules = create_app(FakeHub(store).hub()).url_map
    there = {
        rule.rule for rule in rules.iter_rules() if rule.rule.startswith("/panel/") and "GET" in (rule.methods or ())
    }
    pages = {rule for rule in there if rule not in ELSEWHERE and "/file" not in rule}
    urls = rules.bind("127.0.0.1")
    asked = [urls.match(look.path.partition("?")[0], "GET", return_rule=True)[0].rule for look in looks(PAST, NUMBERS)]
    assert pages.difference(asked) == set()
