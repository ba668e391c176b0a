"""A collector of OpenTelemetry: takes OTLP over HTTP on a loopback port and keeps the spans."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.patience import PATIENCE

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True, kw_only=True)
class Span:
    """A span as it came in; ids in hex, times in Unix seconds."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool
    began_at: float
    ended_at: float


class Collector:
    """The server, and what it was sent: spans, and the bytes they came in."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.bodies: list[bytes] = []
        self._came = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def until(self, is_so: Callable[[list[Span]], bool]) -> list[Span]:
        """Wait until the spans that came are as they should be."""
        async with asyncio.timeout(PATIENCE), self._came:
            await self._came.wait_for(lambda: is_so(self.spans))
            return [*self.spans]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        sent = ExportTraceServiceRequest.FromString(body)
        async with self._came:
            self.bodies.append(body)
            for resource in sent.resource_spans:
                of = {pair.key: _plain(pair.value) for pair in resource.resource.attributes}
                self.services.add(str(of["service.name"]))
                self.spans += [_span(one) for scope in resource.scope_spans for one in scope.spans]
            self._came.notify_all()
        return web.Response(body=b"", content_type="application/x-protobuf")

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


def _span(sent: Any) -> Span:
    return Span(
        name=sent.name,
        kind=KINDS[sent.kind],
        trace=sent.trace_id.hex(),
        id=sent.span_id.hex(),
        parent=sent.parent_span_id.hex(),
        attributes={pair.key: _plain(pair.value) for pair in sent.attributes},
        failed=sent.status.code == 2,
        began_at=sent.start_time_unix_nano / 1e9,
        ended_at=sent.end_time_unix_nano / 1e9,
    )


def _plain(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, str(which))
