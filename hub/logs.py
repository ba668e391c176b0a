"""How bothub logs: one line an event, coloured for a terminal, JSON for a machine."""

from __future__ import annotations

import logging
import sys

import structlog

from hub import tracing
from hub.logbook import LEVELS, Logbook, mask

BOOK = Logbook()
"""The newest lines of this process."""


def configure(level: str, *, terminal: bool) -> None:
    """Set up structlog and, for the libraries, the standard logging; to stderr, and to `BOOK`."""
    BOOK.level = level
    renderer = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=16,
            exception_formatter=structlog.dev.RichTracebackFormatter(show_locals=False),
        )
        if terminal
        else structlog.processors.JSONRenderer()
    )
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal)
    context = [structlog.contextvars.merge_contextvars, tracing.stamp]
    shared = [*context, structlog.stdlib.add_log_level, mask, BOOK.keep, stamp]
    # Local variables hold what people said, and secrets: no traceback shows them.
    as_json = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    exceptions = [] if terminal else [as_json]
    structlog.configure(
        processors=[*shared, *exceptions, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *exceptions, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.WARNING), force=True)
