"""`bothub serve` as a process: its greeting, its logs, and every way it ends."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.bus import Bus
from tests.children import die_with_parent
from tests.hub.cli.command import CONFIG, Bothub, message, settle
from tests.patience import PATIENCE

SERVING: dict[str, Any] = {**CONFIG, "api": {"port": 0}}
SECRET = "br-Zq4Lw8Xn2Rt6Vk0Pd5Ms9Hb3Jf7Gc1Ye"
SLOW_TO_LOAD = """
import sys, time
from hub.cli import main
class Slow:
    def find_spec(self, name, *_):
        if name == "hub.app":
            print("loading", flush=True)
            time.sleep(3600)
sys.meta_path.insert(0, Slow())
main()
"""
Serve = Callable[..., "Served"]


class Served:
    """One `bothub serve`; what it says is read line by line."""

    def __init__(self, config: Path, *words: str, environ: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hub", "--config", str(config), "serve", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})},
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls one C function
        )
        self.logged: list[str] = []

    def line(self, holding: str) -> str:
        """The next line on stdout that holds a text."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if holding in line:
                return line.rstrip("\n")
        raise AssertionError(f"no line with '{holding}'; stderr: {self.rest()}")

    def started(self) -> dict[str, Any]:
        """What `--json` says at its start."""
        return msgspec.json.decode(self.line("{"))

    def log(self, event: str) -> dict[str, Any]:
        """The next event in the log that begins like this."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.logged.append(line)
            entry: dict[str, Any] = msgspec.json.decode(line)
            if entry["event"].startswith(event):
                return entry
        raise AssertionError(f"no event '{event}' in {self.logged}")

    def rest(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def serve(bothub: Bothub) -> Iterator[Serve]:
    """Start `bothub serve`; what still runs in the end is killed."""
    bothub.configure(SERVING)
    running: list[Served] = []

    def start(*words: str, environ: dict[str, str] | None = None) -> Served:
        running.append(Served(bothub.config, *words, environ=environ))
        return running[-1]

    yield start
    for served in running:
        served.close()


def paste(line: str, environ: dict[str, str] | None = None) -> Any:
    """What a line answers in another terminal."""
    assert shutil.which("curl"), "the greeting names curl"
    said = subprocess.run(
        ["sh", "-c", line], cwd="/", capture_output=True, text=True, env={**os.environ, **(environ or {})}, check=True
    )
    return msgspec.json.decode(said.stdout)["choices"][0]["message"]["content"]


def test_the_greeting_has_the_url_the_key_file_and_a_line_that_works(serve: Serve, bothub: Bothub) -> None:
    hub = serve()
    assert "listens on http://127.0.0.1:" in hub.line("listens on")
    assert hub.line("panel at").endswith("/panel")
    assert f"admin key in {bothub.config.parent}/data/api-key.json (made just now)" in hub.line("admin key")
    assert paste(hub.line("curl")) == "1 2 3"
    assert hub.stop() == 0
    assert "(as before)" in serve().line("admin key")


@pytest.mark.parametrize("layout", ['{"apiKey":"KEY"}', '{\n  "note": "mine",\n  "apiKey": "KEY"\n}\n'])
def test_the_line_works_with_a_key_file_of_ones_own(serve: Serve, bothub: Bothub, layout: str) -> None:
    data = bothub.config.parent / "data"
    data.mkdir()
    (data / "api-key.json").write_text(layout.replace("KEY", SECRET))
    assert paste(serve().line("curl")) == "1 2 3"


@pytest.mark.parametrize("name", ["BOTHUB_API_KEY", "ADMIN_API_KEY"])
def test_a_key_from_the_environment_is_named_and_not_shown(serve: Serve, bothub: Bothub, name: str) -> None:
    hub = serve(environ={name: SECRET})
    assert hub.line("admin key") == f"admin key from ${name}"
    line = hub.line("curl")
    assert SECRET not in line
    assert paste(line, {name: SECRET}) == "1 2 3"
    assert not (bothub.config.parent / "data" / "api-key.json").exists()


def test_a_key_in_the_env_file_beside_the_config_counts(serve: Serve, bothub: Bothub) -> None:
    (bothub.config.parent / ".env").write_text(f"BOTHUB_API_KEY={SECRET}\n")
    assert serve("--json").started()["key_variable"] == "BOTHUB_API_KEY"


def test_with_a_local_key_the_line_needs_none(serve: Serve, bothub: Bothub) -> None:
    bothub.configure({**CONFIG, "api": {"port": 0, "local_key": "demo"}})
    line = serve().line("curl")
    assert "Authorization" not in line
    assert paste(line) == "1 2 3"


def test_bound_to_every_address_the_line_names_one_that_works(serve: Serve, bothub: Bothub) -> None:
    bothub.configure({**CONFIG, "api": {"port": 0, "host": "0.0.0.0"}})
    hub = serve()
    assert "http://127.0.0.1:" in (where := hub.line("listens on"))
    assert "every other address" in where
    assert paste(hub.line("curl")) == "1 2 3"


def test_a_local_key_for_everyone_is_refused(bothub: Bothub) -> None:
    bothub.configure({**CONFIG, "api": {"host": "0.0.0.0", "local_key": "demo"}})
    result = bothub("serve")
    assert (result.exit_code, "api.local_key" in result.stderr) == (2, True)


def test_without_the_role_api_it_says_so(serve: Serve, bothub: Bothub) -> None:
    bothub.configure({**CONFIG, "roles": ["agents", "channels"]})
    hub = serve()
    hub.line("listens nowhere")
    assert hub.stop() == 0


def test_logs_are_json_where_nobody_reads(serve: Serve, bothub: Bothub) -> None:
    bothub.configure(SERVING)
    assert serve().log("channel up")["channel"] == "web"


def test_in_a_terminal_logs_are_lines_for_people(bothub: Bothub) -> None:
    bothub.configure(SERVING)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "hub", "--config", str(bothub.config), "serve"]
    environ = {**os.environ, "COLUMNS": "400", "TERM": "xterm-256color"}
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    shown = ""
    try:
        while "channel up" not in shown:
            shown += os.read(ours, 4096).decode()
    finally:
        process.terminate()
        process.wait(PATIENCE)
        os.close(ours)
    assert "╭" in shown
    assert "\x1b[" in shown
    assert '"event"' not in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_when_nothing_runs(serve: Serve, number: int) -> None:
    hub = serve("--json")
    hub.started()
    assert hub.stop(number) == 0
    assert "Traceback" not in hub.rest()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_also_while_it_is_still_being_loaded(bothub: Bothub, number: int) -> None:
    bothub.configure(SERVING)
    words = [sys.executable, "-c", SLOW_TO_LOAD, "--config", str(bothub.config), "serve"]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls one C function
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0


def test_it_ends_while_a_platforms_library_is_still_imported(serve: Serve, bothub: Bothub) -> None:
    bot = {"kind": "telegram", "token": "1:a", "base_url": "http://127.0.0.1:9", "agent": "assistant"}
    bothub.configure({**SERVING, "channels": {"tg": bot}})
    hub = serve("--json")
    hub.started()
    assert hub.stop() == 0


AGENTS = ("a", "b", "c", "d")


def slow(bothub: Bothub) -> None:
    """Several agents, each with an answer that takes a minute."""
    agents = {name: {"model": "demo"} for name in AGENTS}
    bothub.configure({**SERVING, "agents": agents, "channels": {"web": {"kind": "web"}}})

    async def say(bus: Bus) -> None:
        for name in AGENTS:
            await bus.commit(message(f"m-{name}", f"web:{name}", "slowly 60 one two three", name))

    bothub.work(say)


def running(bothub: Bothub) -> dict[str, tuple[int, int]]:
    """Running and waiting, by agent."""
    found = bothub.json("inbox")["inboxes"]
    return {one["inbox"]: (one["running"], one["waiting"]) for one in found if one["inbox"].startswith("agent:")}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline


def test_what_runs_is_given_back(serve: Serve, bothub: Bothub) -> None:
    slow(bothub)
    hub = serve("--json")
    hub.started()
    until(lambda: all(count == (1, 0) for count in running(bothub).values()))
    assert hub.stop() == 0
    assert running(bothub) == {f"agent:{name}": (0, 1) for name in AGENTS}


def test_a_second_ctrl_c_ends_it_at_once(serve: Serve, bothub: Bothub) -> None:
    slow(bothub)
    hub = serve("--json")
    hub.started()
    until(lambda: all(count == (1, 0) for count in running(bothub).values()))
    hub.process.send_signal(signal.SIGINT)
    hub.log("stopping")
    assert hub.stop(signal.SIGINT) == 130


def test_ctrl_c_ends_it_while_the_database_does_not_answer(serve: Serve, bothub: Bothub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        bothub.configure({**SERVING, "store": {"url": f"postgresql+asyncpg://me:secret@127.0.0.1:{port}/x"}})
        hub = serve("--json")
        connection, _ = silent.accept()
        with connection:
            assert hub.stop(signal.SIGINT) == 0


def test_a_port_in_use_is_one_sentence(serve: Serve, bothub: Bothub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bothub.configure({**CONFIG, "api": {"port": port}})
        hub = serve()
        assert hub.process.wait(PATIENCE) == 2
        assert hub.rest() == f"api.host, api.port: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_store_that_cannot_be_reached_is_a_sentence(serve: Serve, bothub: Bothub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bothub.configure({**SERVING, "store": {"url": f"postgresql+asyncpg://me:secret@127.0.0.1:{port}/x"}})
    hub = serve()
    assert hub.process.wait(PATIENCE) == 1
    said = hub.rest()
    assert said.startswith("The database does not answer: ")
    assert "Traceback" not in said
    assert "secret" not in said


def test_a_folder_that_cannot_be_written_is_a_sentence(serve: Serve, bothub: Bothub) -> None:
    (bothub.config.parent / "data").write_text("a file")
    hub = serve()
    assert hub.process.wait(PATIENCE) == 1
    assert hub.rest().startswith("Cannot open the database ")


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_a_sentence(serve: Serve, bothub: Bothub, postgres_url: str) -> None:
    bothub.configure({**SERVING, "store": {"url": postgres_url.replace("?", "_nope?", 1)}})
    hub = serve()
    assert hub.process.wait(PATIENCE) == 1
    assert hub.rest().startswith("Cannot open the database: database")


def test_commands_and_a_running_hub_work_on_one_store(serve: Serve, bothub: Bothub) -> None:
    bothub.work(lambda bus: settle(bus, message("m1", "web:lobby", "count to 2"), error="The model was away."))
    serve("--json").started()
    sent = bothub.json("send", "web:lobby", "hello", "--wait", "10")
    assert (sent["status"], len(sent["platform_ids"])) == ("delivered", 1)
    bothub("dead", "retry", "m1")
    until(lambda: b"1 2" in bothub.work(said))
    assert bothub.json("dead", "list")["total"] == 0


async def said(bus: Bus) -> bytes:
    """Everything that stands in the web rooms."""
    from sqlalchemy import select

    from hub.store.tables import posts

    return b"\n".join(await bus.store.read(lambda connection: connection.execute(select(posts.c.body)).scalars().all()))
