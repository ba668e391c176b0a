"""`bothub backup` and `bothub restore`: what they say, what they refuse, and their exit codes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from hub.bus import Bus
from hub.files import FileStore
from hub.store import copies
from hub.store.migrate import HEAD
from tests.hub.cli.command import CONFIG, Bothub, message
from tests.hub.cli.test_serve import SERVING, Served
from tests.postgres import Postgres


async def asked(bus: Bus) -> None:
    await bus.commit(message("m1", "web:lobby", "hello"))


async def asked_more(bus: Bus) -> None:
    await bus.commit(message("m2", "web:lobby", "hello again"))


@pytest.fixture
def archive(bothub: Bothub, tmp_path: Path) -> Path:
    """A backup of a store where one message waits; another one came since."""
    bothub.work(asked)
    path = tmp_path / "backup.zip"
    assert bothub("backup", str(path)).exit_code == 0
    bothub.work(asked_more)
    return path


def waiting(bothub: Bothub) -> int:
    return sum(inbox["waiting"] for inbox in bothub.json("inbox")["inboxes"])


def test_a_store_is_backed_up_and_restored(bothub: Bothub, archive: Path) -> None:
    assert waiting(bothub) == 2
    told = bothub("restore", str(archive))
    assert told.exit_code == 0
    assert f"the database at revision {HEAD}" in told.stdout
    assert waiting(bothub) == 1
    [replaced] = (bothub.config.parent / "data").glob("bothub.db.replaced-*")
    assert f"what was there before is kept in {replaced}" in told.stdout


def test_what_was_done_is_told_to_programs(bothub: Bothub, archive: Path, tmp_path: Path) -> None:
    files = FileStore(bothub.config.parent / "data" / "files")
    assert files.add("a" * 64 + ".markdown", b"text")
    made = bothub.json("backup", str(tmp_path / "another.zip"))
    assert (made["revision"], made["files"], made["files_bytes"]) == (HEAD, 1, 4)
    assert made["size"] == Path(made["file"]).stat().st_size
    done = bothub.json("restore", made["file"])
    assert Path(done["database"]) == bothub.config.parent / "data" / "bothub.db"
    assert Path(done["replaced"]).exists()
    assert (done["revision"], done["files"], done["files_added"], done["at"]) == (HEAD, 1, 0, made["at"])


def test_a_file_that_is_there_is_wrong_usage(bothub: Bothub, archive: Path) -> None:
    before = archive.read_bytes()
    assert "--overwrite" in bothub.json("backup", str(archive), code=2)["error"]
    assert archive.read_bytes() == before
    assert bothub("backup", str(archive), "--overwrite").exit_code == 0
    assert bothub("backup").exit_code == 2


def test_what_cannot_be_done_fails_with_a_sentence(bothub: Bothub, tmp_path: Path) -> None:
    assert "no database" in bothub.json("backup", str(tmp_path / "a.zip"), code=1)["error"]
    (tmp_path / "b.zip").write_text("nonsense")
    assert "no backup of bothub" in bothub.json("restore", str(tmp_path / "b.zip"), code=1)["error"]
    assert "No such file" in bothub.json("restore", str(tmp_path / "c.zip"), code=1)["error"]
    bothub.work(asked)
    assert "No such file" in bothub.json("backup", str(tmp_path / "nowhere" / "a.zip"), code=1)["error"]
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("roles", [["channels", "api", "agents"], ["api"], ["agents"]])
def test_nothing_is_restored_while_a_hub_runs_whatever_its_roles(
    bothub: Bothub, archive: Path, roles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "IN_USE_AFTER", 0.05)
    bothub.configure({**SERVING, "roles": roles})
    with closing(Served(bothub.config, "--json")) as hub:
        hub.started()
        assert "is in use: stop the hub" in bothub.json("restore", str(archive), code=1)["error"]
        assert bothub("backup", str(archive.with_name("of the running one.zip"))).exit_code == 0
        assert hub.stop() == 0
    assert bothub("restore", str(archive)).exit_code == 0


def test_a_large_backup_shows_how_far_it_is_on_a_terminal(bothub: Bothub, archive: Path) -> None:
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "hub", "--config", str(bothub.config), "restore", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end) as process:
        os.close(end)
        shown = b""
        while chunk := _read(terminal):
            shown += chunk
        assert process.wait() == 0
    os.close(terminal)
    for step in (b"checking", b"keeping the old database", b"replacing the database"):
        assert step in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says that it was closed at the other end
        return b""


def test_postgres_has_tools_of_its_own(
    bothub: Bothub, postgres_url: str, postgres_server: Postgres, tmp_path: Path
) -> None:
    bothub.configure({**CONFIG, "store": {"url": postgres_url}})
    assert bothub("inbox").exit_code == 0  # makes the tables
    path = tmp_path / "a dump"
    told = bothub("backup", str(path))
    assert told.exit_code == 2
    assert told.stdout.startswith("pg_dump --format=custom")
    assert str(bothub.config.parent / "data" / "uploads") in told.stderr
    environ = {**os.environ, "PATH": f"{postgres_server.binaries}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", told.stdout], check=True, env=environ)
    database = postgres_url.split("/")[3].partition("?")[0]
    count = f"--dbname={database}", "-XAtqc", "SELECT count(*) FROM groups"
    psql = [str(postgres_server.binaries / "psql"), "-h", str(postgres_server.directory), "-U", "postgres"]
    subprocess.run([*psql, count[0], "-qc", "DELETE FROM groups"], check=True)
    back = bothub.json("restore", str(path), code=2)
    assert back["command"].startswith("pg_restore ")
    subprocess.run(["sh", "-c", back["command"]], check=True, env=environ)
    assert subprocess.run([*psql, *count], check=True, capture_output=True, text=True).stdout == "1\n"


def test_a_password_is_not_printed(bothub: Bothub) -> None:
    url = "postgresql+asyncpg://bot:s3cret@db.example:5433/bothub?ssl=require&prepared_statement_cache_size=0"
    bothub.configure({**CONFIG, "store": {"url": url}})
    told = bothub("backup", "a.dump", "--json")
    assert told.exit_code == 2
    command = msgspec.json.decode(told.stdout)["command"]
    assert command.endswith("'postgresql://bot@db.example:5433/bothub?sslmode=require'")
    assert "s3cret" not in told.output
