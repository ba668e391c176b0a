"""Voice messages become text before a turn begins, each recording once."""

from __future__ import annotations

import asyncio

import structlog
from msgspec import structs

from hub.accounts.billing import Bill
from hub.accounts.tariff import Tariff
from hub.errors import HubError, PaymentRequired
from hub.files import FileStore
from hub.message import File, Message, Part, Text
from hub.model import Recording, Transcriber, Usage

log = structlog.get_logger()
LARGEST = 25_000_000
"""Bytes of a recording; OpenAI takes no larger ones."""
PATIENCE = 60.0
"""Seconds to wait for a transcript; then the agent answers without it."""


class Voices:
    """Writes down what is said in messages, with the model of the configured name."""

    def __init__(self, model: Transcriber, model_name: str, files: FileStore, tariff: Tariff | None = None) -> None:
        self._tariff = tariff or Tariff()
        self._model = model
        self._kind = f"transcript.{model_name}"
        self._files = files

    async def written(self, message: Message, bill: Bill | None = None) -> tuple[Message, Usage]:
        """The message with its recordings as text, and the tokens it took; one that could not be understood says so.

        Raises PaymentRequired where the bill cannot be paid.
        """
        parts: list[Part] = []
        used = Usage()
        for part in message.parts:
            if not isinstance(part, File) or not part.media_type.startswith("audio/"):
                parts.append(part)
                continue
            text, usage = await self._text(part, bill)
            parts.append(Text(text=f"[voice] {text}"))
            used += usage
        return structs.replace(message, parts=tuple(parts)), used

    async def _text(self, file: File, bill: Bill | None) -> tuple[str, Usage]:
        if file.size > LARGEST:
            return f"({file.name}: too large to be transcribed)", Usage()
        try:
            return await self._transcript(file, bill)
        except PaymentRequired:
            raise
        except Exception as error:  # whatever it is, the person gets an answer
            known = isinstance(error, (HubError, TimeoutError))
            why = str(error) or type(error).__name__
            log.warning("voice message not transcribed", file=file.name, error=why, exc_info=not known)
            return f"({file.name}: could not be transcribed)", Usage()

    async def _transcript(self, file: File, bill: Bill | None) -> tuple[str, Usage]:
        """The words of a recording; what was heard before is remembered by its content."""
        if (known := await self._files.derived(file, self._kind)) is not None:
            return known, Usage()
        content = await self._files.read(file)
        recording = Recording(name=file.name, media_type=file.media_type, content=content)
        if bill is not None:
            await bill.reserve(self._tariff.recording(recording))
        async with asyncio.timeout(PATIENCE):
            said = await self._model.transcribe(recording)
        if bill is not None:
            bill.used(said.usage, price=self._tariff.price(None))
        text = said.text.strip() or "(nothing was said)"
        await self._files.derive(file, self._kind, text)
        return text, said.usage
