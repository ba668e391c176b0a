"""What a model may attach: files of the turn, public URLs and `data:` URLs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hub.agent import Turn
from hub.errors import RequestError
from hub.inline import MB, file_name, media_type, read_data_url
from hub.message import File

if TYPE_CHECKING:
    from hub.fetch import Fetcher

MOST = 10
"""Files of one message."""
LARGEST = 20 * MB
"""Bytes of a file that is fetched, or inline."""
DESCRIPTION = (
    "Files to attach, each the name of a file that you were sent just now (`photo.jpg#2` is the second of that name),"
    " a public https:// URL, or a data: URL."
)


class Media:
    """Brings what a model attaches into the hub."""

    def __init__(self, fetcher: Fetcher | None = None) -> None:
        self._fetcher = fetcher

    async def bring(self, turn: Turn, wanted: Sequence[str]) -> tuple[File, ...]:
        """The files, stored, in the order they were named; raises RequestError for one that cannot be had."""
        if len(wanted) > MOST:
            raise RequestError(f"media has more than {MOST} files.")
        return tuple([await self._file(turn, name.strip()) for name in wanted])

    async def _file(self, turn: Turn, wanted: str) -> File:
        scheme = wanted.partition(":")[0].lower()
        if scheme == "data":
            found = read_data_url(wanted, LARGEST)
            return await turn.keep(file_name(None, found.media_type), found.media_type, found.content)
        if scheme == "https":
            fetched = await self._made().get(wanted)
            kind = media_type(fetched.media_type, fetched.name)
            return await turn.keep(file_name(fetched.name, kind), kind, fetched.data)
        return _of_turn(turn, wanted)

    def _made(self) -> Fetcher:
        if self._fetcher is None:
            from hub.fetch import Fetcher

            self._fetcher = Fetcher(most=LARGEST)
        return self._fetcher


def _of_turn(turn: Turn, wanted: str) -> File:
    """A file that the asker sent, by its name or its id."""
    files = [part for message in turn.messages for part in message.parts if isinstance(part, File)]
    seen: dict[str, int] = {}
    for file in files:
        seen[file.name] = seen.get(file.name, 0) + 1
        if wanted in (file.name, file.ref, f"{file.name}#{seen[file.name]}"):
            return file
    there = ", ".join(f"'{file.name}'" for file in files) or "none"
    raise RequestError(
        f"There is no file '{wanted[:100]}' in what you were sent (there: {there}), and it is no https:// or data: URL."
    )
