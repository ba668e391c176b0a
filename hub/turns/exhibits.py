"""Files of a conversation that a model is shown: images as they are, documents as text; each is opened once a turn."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence

import structlog

from hub.errors import HubError, NotFound
from hub.files import FileStore
from hub.memory import Entry
from hub.message import File
from hub.turns.view import Past, Shown, newest_documents, newest_images

log = structlog.get_logger()
DOCUMENTS = 4
"""Documents of a conversation that are shown again."""
MARKDOWN = "markdown"
"""The name under which the text of a document is kept beside it."""

Reader = Callable[[str, bytes], Awaitable[str]]
"""What makes Markdown of a document, given its name and content; raises HubError with a sentence."""


class Exhibits:
    """The files of one turn's conversation."""

    def __init__(self, files: FileStore | None, read: Reader | None) -> None:
        self._files = files
        self._read = read
        self._images: dict[str, str] = {}
        """Data URLs by ref; empty for what was removed."""
        self._documents: dict[str, str] = {}

    async def show(self, past: Past, own: Sequence[Entry], images: int) -> Shown:
        """What of them a model sees that takes so many images."""
        for file in newest_images(past, own, images):
            if file.ref not in self._images:
                self._images[file.ref] = await self._data_url(file)
        if self._read is not None:
            for file in newest_documents(past, own, DOCUMENTS):
                if file.ref not in self._documents:
                    self._documents[file.ref] = await self._markdown(file, self._read)
        return Shown(images={ref: url for ref, url in self._images.items() if url}, documents=self._documents)

    async def open(self, file: File) -> bytes:
        """What is in a file; raises NotFound when it was removed."""
        if self._files is None:
            raise NotFound(f"The file '{file.name}' is not stored here.")
        return await self._files.read(file)

    async def _data_url(self, file: File) -> str:
        try:
            content = await self.open(file)
        except NotFound as error:
            log.warning("image not shown", error=str(error))
            return ""
        return f"data:{file.media_type};base64,{b64encode(content).decode()}"

    async def _markdown(self, file: File, read: Reader) -> str:
        """A document's text, or why there is none; either is found out once for all turns."""
        try:
            content = await self.open(file)
        except NotFound as error:
            return f"({error})"
        assert self._files is not None
        if (known := await self._files.derived(file, MARKDOWN)) is not None:
            return known
        try:
            text = await read(file.name, content)
        except HubError as error:
            log.warning("document not read", file=file.name, error=str(error))
            text = f"({error})"
        await self._files.derive(file, MARKDOWN, text)
        return text
