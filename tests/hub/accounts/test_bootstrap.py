"""The admin key of the first start."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex

import pytest

from hub.accounts.audit import START, Act, By
from hub.accounts.bootstrap import Bootstrap, bootstrap, keep
from hub.accounts.keys import new_secret
from hub.errors import ConfigError
from hub.store import Store
from tests.auditing import audited


def test_L3_a_key_is_made_once_and_kept_in_a_private_file(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = bootstrap(data, None)
    assert made.made
    assert made.path
    assert made.path == data / "api-key.json"
    assert json.loads(made.path.read_text()) == {"apiKey": made.secret}
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.path.parent.stat().st_mode & 0o777 == 0o700
    again = bootstrap(data, None)
    assert (again.secret, again.made) == (made.secret, False)
    assert list(data.iterdir()) == [made.path]


def test_L3_the_file_is_private_from_its_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = os.link

    def link(source: Path, target: Path) -> None:
        seen.append(source.stat().st_mode & 0o777)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    old = os.umask(0)
    try:
        bootstrap(tmp_path, None)
    finally:
        os.umask(old)
    assert seen == [0o600]


def test_L3_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(bootstrap, [tmp_path] * 64, [None] * 64))
    assert len({each.secret for each in found}) == 1
    assert sum(each.made for each in found) == 1


def test_L3_the_environments_key_is_used_and_not_written(tmp_path: Path) -> None:
    given = bootstrap(tmp_path, "operators-own-key-7391")
    assert (given.secret, given.path, given.made) == ("operators-own-key-7391", None, False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "weak",
    [
        "short",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "changeme-changeme-changeme",
        "br-your-api-key-goes-here",
        "<your key 0123456789>",
        "sk-xxxxxxxxabcdefghijklm",
        "schlüssel-0123456789abc",
        "with a space 0123456789",
        "PLACEHOLDER-0123456789",
        "1234567890123456",
        "zyxwvutsrqponmlkji",
        "sk-aB3dEf7hsk-aB3dEf7h",
        "abcd1234abcd1234",
        "our-changeme-7391-kq",
        "prod_password_8241",
        "qwertyuiop7391kq",
        "your-api-key",
        "sk-xxx",
    ],
)
def test_L3_a_weak_key_is_refused(tmp_path: Path, weak: str) -> None:
    with pytest.raises(ConfigError, match="BOTHUB_API_KEY") as raised:
        bootstrap(tmp_path, weak)
    assert weak not in str(raised.value)


def test_L3_no_key_made_at_random_is_weak(tmp_path: Path) -> None:
    for secret in (*(new_secret() for _ in range(2000)), *(token_hex(32) for _ in range(2000))):
        assert bootstrap(tmp_path, secret).secret == secret


def test_L3_a_random_key_may_hold_a_word_by_chance(tmp_path: Path) -> None:
    secret = "br-PuTk1WvR8zqXn5LbM2cYdF7hGsJ0aEiO9tUw3x_4QrZ"
    assert bootstrap(tmp_path, secret).secret == secret


@pytest.mark.parametrize("content", ["", "{}", '{"apiKey": 7}', '{"apiKey": "short"}'])
def test_L3_a_file_that_holds_no_key_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "api-key.json").write_text(content)
    with pytest.raises(ConfigError, match=r"api-key\.json"):
        bootstrap(tmp_path, None)


async def test_what_a_start_does_to_keys_is_audited_where_it_changes_something(store: Store) -> None:
    known = list[str]()

    async def start(secret: str, local: str | None = None) -> list[tuple[str, int, object]]:
        """What is written down: of which key, in the order in which they came, and whether it is active now."""
        before = len(await audited(store))
        by = By(called=START)
        await store.write(
            lambda c: keep(Act(connection=c, what="key.create", now=1.0, by=by), Bootstrap(secret=secret), local)
        )
        rows = (await audited(store))[before:]
        known.extend(row.target for row in rows if row.target not in known)
        return [(row.what, known.index(row.target), row.after.get("active")) for row in rows]

    assert await start("first-operators-key") == [("key.create", 0, True)]
    assert await start("first-operators-key") == []
    assert await start("first-operators-key", "demo") == [("key.create", 1, True)]
    assert await start("other-operators-key", "demo") == [("key.update", 0, False), ("key.create", 2, True)]
    assert await start("first-operators-key", "demo") == [("key.update", 0, True), ("key.update", 2, False)]
    assert {row.by for row in await audited(store)} == {START}
    assert "operators-key" not in str([(row.before, row.after) for row in await audited(store)])
