"""Holds whoever copies the files of a store, for as long as a test likes."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(data_dir: Path) -> Generator[Path]:
    """A file of a data folder that keeps its readers waiting: a backup stands still there until the block ends."""
    path = data_dir / "files" / "aa" / f"{'a' * 64}.markdown"
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    try:
        yield path
    finally:
        writer = os.open(path, os.O_RDWR)  # lets go who waits, and who is just about to
        path.unlink()
        os.close(writer)
