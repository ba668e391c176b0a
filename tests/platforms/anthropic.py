"""A local upstream with Anthropic's Messages API, for tests of whatever calls a model there.

    async with Anthropic() as upstream:
        upstream.script(Answer(text=("Hel", "lo")), fail(529), Answer(calls=(Call("f", '{"a": 1}'),)))
        client = AsyncAnthropic(base_url=upstream.base_url, api_key="k", max_retries=0)

Without a script it answers "You said: <last user text>". It refuses what Anthropic refuses: a request without a key,
`max_tokens`, or a turn of each side after the other; a tool result that does not follow its call; a thinking model's
tool calls without the thoughts behind them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgspec
from aiohttp import web

from tests.platforms.openai import Answer, Failure, Request
from tests.platforms.served import Gate, Served, blocks_of, counted, echo

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_SSE = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
SIGNATURE = "c2lnbmVk"
"""What thoughts are signed with here."""


def fail(status: int, message: str = "", *, retry_after: float | None = None) -> Failure:
    """An HTTP error as Anthropic words its kind."""
    headers = (("retry-after", f"{retry_after:g}"),) if retry_after is not None else ()
    said = message or f"An error with status {status}"
    return Failure(status=status, type=_KINDS.get(status, "api_error"), message=said, headers=headers)


class Anthropic(Served):
    """The server, on a free port of the loopback."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port, echo)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self) -> dict[tuple[str, str], Callable[[web.BaseRequest, Request], Awaitable[web.StreamResponse]]]:
        return {("POST", "/v1/messages"): self._messages}

    async def _messages(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=_SSE) if request.body.get("stream") else None
        return await self.serve(http, request, response)

    def refusal(self, request: Request) -> Failure | None:
        """Why Anthropic would not take this request."""
        if not {"x-api-key", "authorization"} & request.headers.keys():
            return fail(401, "x-api-key header is required")
        if "anthropic-version" not in request.headers:
            return fail(400, "anthropic-version: header is required")
        why = next(_faults(request.body), None)
        return fail(400, why) if why else None

    def failed(self, failure: Failure) -> web.Response:
        return web.Response(
            status=failure.status,
            body=msgspec.json.encode(_error(failure)),
            content_type="application/json",
            headers=[*failure.headers, ("request-id", "req_1")],
        )

    async def whole(self, http: web.BaseRequest, request: Request, answer: Answer) -> web.StreamResponse:
        content = [block for block, _ in _blocks(answer)]
        message = _message(request, _usage(request, answer)) | {"content": content, "stop_reason": _reason(answer)}
        return web.Response(body=msgspec.json.encode(message), content_type="application/json")

    async def streamed(self, response: web.StreamResponse, request: Request, answer: Answer) -> None:
        async for event in _events(request, answer):
            data = msgspec.json.encode(event)
            await response.write(b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), data))


async def _events(request: Request, answer: Answer) -> AsyncIterator[dict[str, Any]]:
    """One answer as it is streamed."""
    usage = _usage(request, answer)
    yield {"type": "message_start", "message": _message(request, usage | {"output_tokens": 1})}
    yield {"type": "ping"}
    gate = Gate(answer)
    for index, (block, deltas) in enumerate(_blocks(answer)):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}
        for delta in deltas:
            await gate.wait()
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        if answer.end not in ("cut", "silence"):
            yield {"type": "content_block_stop", "index": index}
    if isinstance(answer.end, Failure):
        yield _error(answer.end)
    elif answer.end == "done":
        delta = {"stop_reason": _reason(answer), "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": usage}
        yield {"type": "message_stop"}


def _message(request: Request, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": request.body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _blocks(answer: Answer) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each block of content, and the deltas it is streamed in."""
    if answer.reasoning:
        signed = {"type": "signature_delta", "signature": SIGNATURE}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in answer.reasoning]
        yield {"type": "thinking", "thinking": "".join(answer.reasoning), "signature": SIGNATURE}, [*deltas, signed]
    if answer.text:
        yield (
            {"type": "text", "text": "".join(answer.text)},
            [{"type": "text_delta", "text": piece} for piece in answer.text],
        )
    for number, call in enumerate(answer.calls, 1):
        arguments = msgspec.json.decode("".join(call.fragments))
        yield (
            {"type": "tool_use", "id": call.id or f"toolu_{number}", "name": call.name, "input": arguments},
            [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *call.fragments)],
        )


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    """The block as its start event has it."""
    filled = {key: "" if isinstance(value, str) else dict[str, Any]() for key, value in block.items()}
    return filled | {key: block[key] for key in ("type", "id", "name") if key in block}


def _reason(answer: Answer) -> str:
    return answer.finish or ("tool_use" if answer.calls else "end_turn")


def _usage(request: Request, answer: Answer) -> dict[str, Any]:
    usage = counted(request, answer)
    counts: dict[str, Any] = {
        "input_tokens": usage.prompt - usage.cached,
        "output_tokens": usage.completion,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": 0,
    }
    return counts | ({"output_tokens_details": {"thinking_tokens": usage.reasoning}} if usage.reasoning else {})


def _error(failure: Failure) -> dict[str, Any]:
    return {"type": "error", "error": {"type": failure.type, "message": failure.message}, "request_id": "req_1"}


def _faults(body: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a request, in Anthropic's words."""
    for key in ("model", "max_tokens", "messages"):
        if key not in body:
            yield f"{key}: Field required"
            return
    if body["max_tokens"] < 1:
        yield "max_tokens: must be greater than or equal to 1"
    if not body["messages"]:
        yield "messages: at least one message is required"
    thinking: dict[str, Any] = body.get("thinking") or dict[str, Any]()
    if thinking.get("type") == "enabled" and thinking["budget_tokens"] >= body["max_tokens"]:
        yield "max_tokens must be greater than thinking.budget_tokens"
    if thinking and body.get("temperature", 1) != 1:
        yield "temperature may only be set to 1 when thinking is enabled"
    yield from _order(body["messages"])
    for message in body["messages"]:
        yield from _contents(message)
    if thinking.get("type") == "enabled" and _thoughtless(body["messages"]):
        yield (
            "messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a "
            "final `assistant` message must start with a thinking block"
        )
    used = any(block["type"] == "tool_use" for message in body["messages"] for block in blocks_of(message))
    if used and not body.get("tools"):
        yield "Requests which include `tool_use` or `tool_result` blocks must define tools"


def _order(messages: list[dict[str, Any]]) -> Iterator[str]:
    open_calls: list[str] = []
    before = "assistant"
    for number, message in enumerate(messages):
        if message["role"] == before:
            wanted = "user" if before == "assistant" else "assistant"
            yield f"messages.{number}: roles must alternate, expected {wanted}"
        before = message["role"]
        results = [block["tool_use_id"] for block in blocks_of(message) if block["type"] == "tool_result"]
        if results != open_calls:
            yield (
                f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{open_calls}, got {results}"
            )
        open_calls = [block["id"] for block in blocks_of(message) if block["type"] == "tool_use"]


def _contents(message: dict[str, Any]) -> Iterator[str]:
    for block in blocks_of(message):
        if block["type"] == "text" and not block["text"].strip():
            yield "messages: text content blocks must contain non-whitespace text"
        if block["type"] == "thinking" and block["signature"] != SIGNATURE:
            yield "messages: Invalid `signature` in `thinking` block"


def _thoughtless(messages: list[dict[str, Any]]) -> bool:
    """Whether a turn that goes on after tool results has lost the thoughts it began with."""
    if len(messages) < 2 or not any(block["type"] == "tool_result" for block in blocks_of(messages[-1])):
        return False
    return blocks_of(messages[-2])[0]["type"] not in ("thinking", "redacted_thinking")
