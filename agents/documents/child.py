"""The process that reads one document: `python -m agents.documents.child MEMORY SECONDS CHARACTERS`.

The document comes on stdin, Markdown goes to stdout. Limits are set before any parser is imported.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Iterator

from agents.documents.refusal import REFUSED, TOO_MUCH, Refusal


def main(memory: int, seconds: int, characters: int) -> int:
    """Read the document on stdin; returns the exit code."""
    _limit(memory, seconds)
    try:
        from agents.documents.formats import pieces

        text = "".join(_within(pieces(sys.stdin.buffer.read()), characters)).strip()
        if not text:
            raise Refusal("has no text in it; pages that are pictures cannot be read.")
    except Refusal as refusal:
        return _end(str(refusal), REFUSED)
    except MemoryError:
        return TOO_MUCH
    except ImportError as missing:
        return _end(f"cannot be read here: {missing.name} is not installed (pip install 'bothub[documents]').", REFUSED)
    except Exception as error:  # noqa: BLE001 - a parser may raise anything
        return _end(f"is broken or not what its name says ({type(error).__name__}).", REFUSED)
    return _end(text, 0)


def _limit(memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "darwin":  # which refuses any
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _within(pieces: Iterable[str], characters: int) -> Iterator[str]:
    for piece in pieces:
        if len(piece) > characters:
            yield piece[:characters]
            yield "\n\n(The document goes on; this is its beginning.)"
            return
        characters -= len(piece)
        yield piece


def _end(text: str, code: int) -> int:
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
    return code


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
