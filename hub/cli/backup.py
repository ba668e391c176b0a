"""`bothub backup` and `bothub restore`: one file with everything a hub needs to go on elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.filesize import decimal
from rich.progress import Progress
from rich.text import Text

from hub import backup
from hub.backup import Kept, Manifest
from hub.cli.call import Call
from hub.cli.output import console, tell
from hub.config import Config, load
from hub.errors import Conflict
from hub.store import sqlite_path
from hub.store.migrate import HEAD

NOT_IN_IT = "Not in it: config.yaml, .env and the key files of the data folder."


def make(call: Call, file: Path, *, overwrite: bool) -> None:
    """Write a backup; raises Conflict for a file that is there, BackupFailed."""
    config = load(call.path, call.environ)
    if (database := sqlite_path(config.store_url)) is None:
        _by_its_own_tools(call, config, backup.DUMP, file)
    with _shown(call) as progress:
        try:
            manifest = backup.backup(_kept(config, database, progress), file, overwrite=overwrite)
        except Conflict as error:
            raise Conflict(f"{error} Nothing was written: give another name, or --overwrite.") from None
    size = file.stat().st_size
    tell(
        {"file": str(file.absolute()), "size": size, **_told(manifest)},
        Text.assemble("backed up to ", (str(file), "bold"), f" ({decimal(size)}): {_holds(manifest)}"),
        Text(f"It holds conversations: keep it as safe as the data folder. {NOT_IN_IT}", style="dim"),
        json=call.json,
    )


def put_back(call: Call, file: Path) -> None:
    """Restore a backup; raises BackupFailed, and has then changed nothing."""
    config = load(call.path, call.environ)
    if (database := sqlite_path(config.store_url)) is None:
        command = "pg_restore --clean --if-exists --single-transaction --dbname={url} {file}"
        _by_its_own_tools(call, config, command, file)
    with _shown(call) as progress:
        done = backup.restore(file, _kept(config, database, progress))
    there = [Text.assemble("what was there before is kept in ", (str(done.replaced), "bold"))] if done.replaced else []
    when = datetime.fromtimestamp(done.manifest.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    older = [] if done.manifest.revision == HEAD else [Text(f"`bothub serve` will bring it to revision {HEAD}.")]
    tell(
        {
            "database": str(database),
            "replaced": done.replaced and str(done.replaced),
            "files_added": done.files_added,
            **_told(done.manifest),
        },
        Text.assemble("restored ", (str(database), "bold"), f" as it was on {when}: {_holds(done.manifest)}"),
        Text(f"{done.files_added} of the files were not here and were added"),
        *there,
        *older,
        json=call.json,
    )


def _kept(config: Config, database: Path, progress: Callable[[str, int, int], None]) -> Kept:
    return Kept(database=database, data_dir=config.data_dir, progress=progress)


def _told(manifest: Manifest) -> dict[str, Any]:
    return {
        "revision": manifest.revision,
        "bothub": manifest.bothub,
        "at": manifest.at,
        "database_bytes": manifest.database_bytes,
        "files": manifest.files,
        "files_bytes": manifest.files_bytes,
    }


def _holds(manifest: Manifest) -> str:
    files = f"{manifest.files} file{'' if manifest.files == 1 else 's'} ({decimal(manifest.files_bytes)})"
    return f"the database at revision {manifest.revision} ({decimal(manifest.database_bytes)}), {files}"


@contextmanager
def _shown(call: Call) -> Generator[Callable[[str, int, int], None]]:
    """A bar for each step, where somebody looks."""
    out = console(stderr=True)
    with Progress(console=out, transient=True, disable=call.json or not out.is_terminal) as bars:
        begun: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in begun:
                begun[what] = bars.add_task(what)
            bars.update(begun[what], completed=done, total=total)

        yield show


def _by_its_own_tools(call: Call, config: Config, command: str, file: Path) -> NoReturn:
    """Say how PostgreSQL does it, and end with 2: a copy of ours would be a poorer one."""
    line = backup.by_hand(command, config.store_url, file)
    folders = " and ".join(str(config.data_dir / name) for name in backup.FOLDERS)
    why = "This hub is on PostgreSQL, whose own tools do this"
    if call.json:
        tell(
            {"error": f"{why}.", "command": line, "folders": [str(config.data_dir / n) for n in backup.FOLDERS]},
            json=True,
        )
    else:
        console(stderr=True).print(
            Text(f"{why}; {folders} are to be copied too, where they are there:"), soft_wrap=True
        )
        click.echo(line)
    click.get_current_context().exit(2)
