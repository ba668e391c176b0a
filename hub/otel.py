"""Spans by OpenTelemetry's SDK, sent by OTLP over HTTP; imported only where config wants it (extra `otel`).

What the SDK's own variables say holds: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER,
OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_SCHEDULE_DELAY and so on.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from hub import tracing
from hub.tracing import Attributes, Kind

EXPORT_SECONDS = 5.0
"""How long a collector may take, also for the last spans when the hub stops."""
KINDS = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
}


def start(endpoint: str) -> Otel:
    """Have the hub's spans sent to `<endpoint>/v1/traces` from now on."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    made = Otel(provider)
    tracing.install(made)
    return made


def _resource() -> Resource:
    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: "bothub"}))
    return found


class Otel:
    """Makes spans (`hub.tracing.Tracer`)."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("bothub")

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: Attributes, at: float | None) -> OtelSpan:
        """A span below a traceparent, or the first of a trace."""
        above = context.Context() if parent is None else trace.set_span_in_context(_remote(parent), context.Context())
        return OtelSpan(
            self._tracer.start_span(
                name, context=above, kind=KINDS[kind], attributes=attributes, start_time=_nanoseconds(at)
            )
        )

    async def close(self) -> None:
        """Make no more spans, and send those that are left."""
        tracing.install(None)
        ending = threading.Thread(target=self._provider.shutdown, name="otel", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, EXPORT_SECONDS)  # a collector that is away stops nobody


@dataclass(frozen=True)
class OtelSpan:
    """A span of the SDK (`hub.tracing.Span`)."""

    made: trace.Span

    @property
    def traceparent(self) -> str:
        """Its W3C name."""
        named = self.made.get_span_context()
        return f"00-{named.trace_id:032x}-{named.span_id:016x}-{int(named.trace_flags):02x}"

    def set(self, attributes: Attributes) -> None:
        """Say more about it."""
        self.made.set_attributes(attributes)

    def rename(self, name: str) -> None:
        """Call it something else."""
        self.made.update_name(name)

    def end(self, error: BaseException | None = None, at: float | None = None) -> None:
        """It is over; an error's text may quote what somebody said, so only its kind is told."""
        if isinstance(error, Exception):
            self.made.set_attribute("error.type", type(error).__name__)
            self.made.set_status(trace.StatusCode.ERROR)
        self.made.end(_nanoseconds(at))


def _remote(parent: str) -> trace.Span:
    _, trace_id, span_id, flags = parent.split("-")
    named = trace.SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(flags, 16)),
    )
    return trace.NonRecordingSpan(named)


def _nanoseconds(at: float | None) -> int | None:
    return None if at is None else int(at * 1e9)
