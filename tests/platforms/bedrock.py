"""A local upstream with Amazon Bedrock's Converse and ConverseStream, for tests of whatever calls a model there.

    async with Bedrock() as upstream:
        upstream.script(Answer(text=("Hel", "lo")), fail("ThrottlingException"))
        client = boto3.client("bedrock-runtime", endpoint_url=upstream.base_url, region_name=REGION, ...)

Without a script it answers "You said: <last user text>". A stream is framed as `application/vnd.amazon.eventstream`.
It refuses what Bedrock refuses: a request that is not signed for this region, a model it does not have, two turns of
one side in a row, a tool result that does not follow its call, tool blocks without `toolConfig`.
"""

import base64
import re
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgspec
from aiohttp import web

from tests.platforms.openai import Answer, Failure, Request
from tests.platforms.served import Gate, Served, blocks_of, counted, echo

REGION = "eu-central-1"
MODEL = "anthropic.claude-test-v1:0"
THINKER = "anthropic.claude-haiku-4-5-20251001-v1:0"
"""A real one, of which pydantic-ai knows that it thinks."""
SIGNATURE = "c2lnbmVk"
_STATUSES = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ThrottlingException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
_SIGNED = re.compile(
    rf"AWS4-HMAC-SHA256 Credential=[^/]+/\d{{8}}/{REGION}/bedrock/aws4_request, "
    r"SignedHeaders=\S+, Signature=[0-9a-f]{64}"
)
_FORMATS = ("png", "jpeg", "gif", "webp")


def fail(kind: str, message: str = "", *, retry_after: float | None = None) -> Failure:
    """An error by the name of its exception, before or in a stream."""
    headers = (("Retry-After", f"{retry_after:g}"),) if retry_after is not None else ()
    return Failure(status=_STATUSES[kind], type=kind, message=message or f"This is a {kind}", headers=headers)


class Bedrock(Served):
    """The server, on a free port of the loopback."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port, echo)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self) -> dict[tuple[str, str], Callable[[web.BaseRequest, Request], Awaitable[web.StreamResponse]]]:
        answers = {"converse": self._converse, "converse-stream": self._converse_stream}
        return {("POST", f"/model/{model}/{how}"): answers[how] for model in (MODEL, THINKER) for how in answers}

    async def _converse(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        return await self.serve(http, request, None)

    async def _converse_stream(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/vnd.amazon.eventstream", "x-amzn-RequestId": "r1"}
        return await self.serve(http, request, web.StreamResponse(headers=headers))

    def refusal(self, request: Request) -> Failure | None:
        if not _SIGNED.fullmatch(request.headers.get("authorization", "")) or "x-amz-date" not in request.headers:
            return fail("AccessDeniedException", "The request is not signed for this service and region")
        why = next(_faults(request.body), None)
        return fail("ValidationException", why) if why else None

    def failed(self, failure: Failure) -> web.Response:
        return web.Response(
            status=failure.status,
            body=msgspec.json.encode({"message": failure.message}),
            content_type="application/json",
            headers=[*failure.headers, ("x-amzn-ErrorType", f"{failure.type}:http://internal.amazon.com/")],
        )

    async def whole(self, http: web.BaseRequest, request: Request, answer: Answer) -> web.StreamResponse:
        answered = {
            "output": {"message": {"role": "assistant", "content": [block for block, _, _ in _blocks(answer)]}},
            "stopReason": _reason(answer),
            "usage": _usage(request, answer),
            "metrics": {"latencyMs": 1},
        }
        return web.Response(body=msgspec.json.encode(answered), content_type="application/json")

    async def streamed(self, response: web.StreamResponse, request: Request, answer: Answer) -> None:
        async for kind, payload in _events(request, answer):
            await response.write(framed(kind, payload, exception=kind.endswith("Exception")))


async def _events(request: Request, answer: Answer) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """One answer as it is streamed."""
    yield "messageStart", {"role": "assistant"}
    gate = Gate(answer)
    for index, (_, start, deltas) in enumerate(_blocks(answer)):
        if start:
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        for delta in deltas:
            await gate.wait()
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        if answer.end not in ("cut", "silence"):
            yield "contentBlockStop", {"contentBlockIndex": index}
    if isinstance(answer.end, Failure):
        yield answer.end.type[0].lower() + answer.end.type[1:], {"message": answer.end.message}
    elif answer.end == "done":
        yield "messageStop", {"stopReason": _reason(answer)}
        yield "metadata", {"usage": _usage(request, answer), "metrics": {"latencyMs": 1}}


def framed(kind: str, payload: dict[str, Any], *, exception: bool = False) -> bytes:
    """One message of an event stream: lengths, their checksum, headers, payload, checksum of all."""
    named = {":exception-type" if exception else ":event-type": kind, ":content-type": "application/json"}
    named[":message-type"] = "exception" if exception else "event"
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    body = msgspec.json.encode(payload)
    lengths = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + body
    return message + struct.pack("!I", zlib.crc32(message))


_Block = tuple[dict[str, Any], dict[str, Any] | None, list[dict[str, Any]]]


def _blocks(answer: Answer) -> Iterator[_Block]:
    """Each block of content, how it starts in a stream, and the deltas that follow."""
    if answer.reasoning:
        deltas = [{"reasoningContent": {"text": piece}} for piece in answer.reasoning]
        deltas.append({"reasoningContent": {"signature": SIGNATURE}})
        text = {"text": "".join(answer.reasoning), "signature": SIGNATURE}
        yield {"reasoningContent": {"reasoningText": text}}, None, deltas
    if answer.text:
        yield {"text": "".join(answer.text)}, None, [{"text": piece} for piece in answer.text]
    for number, call in enumerate(answer.calls, 1):
        start = {"toolUseId": call.id or f"tooluse_{number}", "name": call.name}
        whole = {"toolUse": start | {"input": msgspec.json.decode("".join(call.fragments))}}
        yield whole, {"toolUse": start}, [{"toolUse": {"input": piece}} for piece in call.fragments]


def _reason(answer: Answer) -> str:
    return answer.finish or ("tool_use" if answer.calls else "end_turn")


def _usage(request: Request, answer: Answer) -> dict[str, int]:
    usage = counted(request, answer)
    return {
        "inputTokens": usage.prompt - usage.cached,
        "outputTokens": usage.completion,
        "totalTokens": usage.prompt + usage.completion,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": 0,
    }


def _faults(body: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a request, in Bedrock's words."""
    messages: list[dict[str, Any]] = body.get("messages") or []
    if not messages or messages[0]["role"] != "user":
        yield "A conversation must start with a user message."
    open_calls: list[str] = []
    before = "assistant"
    for number, message in enumerate(messages):
        if message["role"] == before:
            yield f"messages.{number}: roles must alternate between user and assistant"
        before = message["role"]
        results = [block["toolResult"]["toolUseId"] for block in blocks_of(message) if "toolResult" in block]
        if results != open_calls:
            yield f"Expected toolResult blocks for the following Ids: {open_calls}, got {results}"
        open_calls = [block["toolUse"]["toolUseId"] for block in blocks_of(message) if "toolUse" in block]
        yield from (why for block in blocks_of(message) if (why := _fault(block)))
    tools = any("toolUse" in block or "toolResult" in block for message in messages for block in blocks_of(message))
    if tools and not body.get("toolConfig"):
        yield "The toolConfig field must be defined when using toolUse and toolResult content blocks."


def _fault(block: dict[str, Any]) -> str | None:
    match block:
        case {"text": str(text)} if not text.strip():
            return "The text field in the ContentBlock object is blank."
        case {"image": {"format": kind, "source": {"bytes": str(data)}}}:
            good = kind in _FORMATS and base64.b64decode(data, validate=True)
            return None if good else "The image is not valid."
        case {"reasoningContent": {"reasoningText": {"signature": signature}}} if signature != SIGNATURE:
            return "Invalid signature in reasoningContent"
        case _:
            return None
