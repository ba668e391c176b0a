"""Every error as its caller gets it: a status, and one of three shapes by path."""

from __future__ import annotations

import logging
import math
from typing import Any, Literal, TypedDict

from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException

from api import sse
from api.wire import TURN, answer
from hub import errors
from hub.accounts.turns import INSUFFICIENT, TurnRecord
from hub.message import Value

log = logging.getLogger(__name__)
BODY_LIMIT = 20 * 1024 * 1024
FLAT = ("/api/v1/chat", "/api/v1/messages", "/api/v1/pairing", "/api/v1/web")
PANEL = ("/admin", "/user")
FINAL = {"X-Should-Retry": "false"}
"""Tells OpenAI's SDKs not to send the request again by themselves: the agent has heard it."""
UPSTREAM: dict[int | None, int] = {408: 504, 429: 429, 504: 504}
"""Our status for an upstream's; any other is a 502."""
RETRY_SECONDS = 1.0
"""What Retry-After says when the error does not know."""


class Problem(Value, frozen=True, kw_only=True):
    """An error in the words of OpenAI's API; `headers` go with the response."""

    status: int
    message: str
    type: str
    param: str | None = None
    code: str | None = None
    headers: dict[str, str] = {}

    @property
    def body(self) -> dict[str, Any]:
        """OpenAI's shape of it."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


STOPPING = Problem(
    status=503,
    message="The hub is stopping; ask again in a moment.",
    type="server_error",
    code="stopping",
    headers={"Retry-After": "1"},
)


class Words(TypedDict):
    """What is wrong: `param` names the field to blame, `code` is for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(TypedDict):
    """An error, in OpenAI's shape."""

    error: Words


class FlatError(TypedDict):
    """An error of the routes that LettaBot's clients use."""

    success: Literal[False]
    error: str
    code: str | None


class PanelError(TypedDict):
    """An error of the routes that BRConnector's clients use."""

    success: Literal[False]
    data: str
    error: Words


NO_HOST = Problem(
    status=400, message="The Host header is not the name of a host.", type="invalid_request_error", code="bad_host"
)


class Told(Exception):
    """An error whose words are already known."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


STATUSES: tuple[tuple[type[errors.RequestError], int, str, str | None], ...] = (
    (errors.Unauthorized, 401, "authentication_error", "invalid_api_key"),
    (errors.Forbidden, 403, "permission_error", "forbidden"),
    (errors.PaymentRequired, 402, INSUFFICIENT, INSUFFICIENT),
    (errors.NotFound, 404, "not_found_error", "not_found"),
    (errors.Conflict, 409, "invalid_request_error", "conflict"),
    (errors.TooLarge, 413, "invalid_request_error", "too_large"),
    (errors.FetchRefused, 400, "invalid_request_error", "fetch_refused"),
    (errors.FetchFailed, 400, "invalid_request_error", "fetch_failed"),
    (errors.RequestError, 400, "invalid_request_error", None),
)
"""The status, type and code of what the caller can mend; the first that fits counts."""


def register(app: Quart) -> None:
    """Answer every exception of the app's routes."""
    app.register_error_handler(Exception, respond)
    app.register_error_handler(HTTPException, respond)
    app.after_request(_say_when)


async def _say_when(response: Response) -> Response:
    """Have every answer that says "not now" say when."""
    if response.status_code in (429, 503):
        response.headers.setdefault("Retry-After", _seconds(RETRY_SECONDS))
    return response


async def respond(error: Exception) -> Response | HTTPException:
    """The response for an exception; one that nobody foresaw is logged and says nothing of itself."""
    if isinstance(error, HTTPException) and (error.code is None or error.code < 400):
        return error
    return response(request.path, describe(error))


def response(path: str, problem: Problem) -> Response:
    """What is answered to a request of which nothing but its path counts."""
    return answer(_shape(path, problem), problem.status, problem.headers)


def stopping_event(path: str) -> bytes:
    """The end of a stream that is cut because the hub stops; rooms and the panel need none: their readers come back."""
    if _below(path, (*FLAT, "/panel")):
        return b""
    return sse.event(STOPPING.body) + sse.DONE


def describe(error: Exception) -> Problem:
    """What the caller is told of an exception."""
    match error:
        case Told():
            return error.problem
        case errors.RequestError():
            return _of_request(error)
        case errors.InboxFull():
            wait = {"Retry-After": _seconds(error.retry_after)}
            return Problem(status=429, message=str(error), type="rate_limit_error", code="queue_full", headers=wait)
        case errors.LimitReached():
            wait = {"Retry-After": _seconds(error.retry_after)}
            code = "rate_limit_exceeded"
            return Problem(status=429, message=str(error), type="rate_limit_error", code=code, headers=wait)
        case errors.TurnTimeout():
            return Problem(status=504, message=str(error), type="server_error", code="timeout", headers=FINAL)
        case errors.StoreUnavailable():
            wait = {"Retry-After": _seconds(RETRY_SECONDS)}
            return Problem(status=503, message=str(error), type="server_error", code="store_unavailable", headers=wait)
        case errors.ModelError():
            return _of_model(error)
        case HTTPException():
            return _of_http(error)
        case _:
            log.error("A request failed", exc_info=error)
            return Problem(
                status=500,
                message="Something went wrong here; it was logged.",
                type="server_error",
                code="internal_error",
            )


def _of_request(error: errors.RequestError) -> Problem:
    status, kind, code = next(row[1:] for row in STATUSES if isinstance(error, row[0]))
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Problem(
        status=status, message=str(error), type=kind, param=error.param, code=error.code or code, headers=headers
    )


def _of_model(error: errors.ModelError) -> Problem:
    """An upstream's failure: the caller's where it is about the request, else ours, and never a 401 or 403."""
    refused = isinstance(error, errors.ModelRefused)
    code = f"upstream_{error.status or 'unavailable'}"
    if refused and error.status in (400, 413, 415, 422):
        return Problem(status=error.status, message=str(error), type="invalid_request_error", code=code)
    status = UPSTREAM.get(error.status, 502)
    headers = FINAL if refused else {}
    if status == 429:
        headers = headers | {"Retry-After": _seconds(error.retry_after or RETRY_SECONDS)}
    kind = "rate_limit_error" if status == 429 else "server_error"
    return Problem(status=status, message=str(error), type=kind, code=code, headers=headers)


def completed(record: TurnRecord) -> TurnRecord:
    """The record of a turn that was answered; raises what its asker is told of any other."""
    if record.status != "completed":
        raise Told(of_turn(record))
    return record


def of_turn(record: TurnRecord) -> Problem:
    """What the asker is told of a turn that was not answered; asking again is theirs to decide, not their SDK's."""
    headers = FINAL | {TURN: record.id}
    if record.status == "cancelled":
        message = "The turn was cancelled."
        return Problem(status=409, message=message, type="server_error", code="turn_cancelled", headers=headers)
    code = record.error_code or "internal_error"
    if code == INSUFFICIENT:
        return Problem(status=402, message=record.error or "", type=code, code=code, headers=headers)
    status = 500 if code == "internal_error" else UPSTREAM.get(_number(code), 502)
    kind = "rate_limit_error" if status == 429 else "server_error"
    message = record.error or "The turn failed."
    return Problem(status=status, message=message, type=kind, code=code, headers=headers)


def _number(code: str) -> int | None:
    number = code.removeprefix("upstream_")
    return int(number) if number.isdecimal() else None


def _of_http(error: HTTPException) -> Problem:
    status = error.code or 500
    message = error.description or error.name
    if status == 413:
        message = f"The body is over the limit of {BODY_LIMIT // 1024 // 1024} MB."
    if status == 404:
        message = f"There is no {request.method} {request.path}."
    if status == 405:
        message = f"{request.path} does not take {request.method}."
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    code = error.name.lower().replace(" ", "_")
    kind = "not_found_error" if status == 404 else "invalid_request_error" if status < 500 else "server_error"
    return Problem(status=status, message=message, type=kind, code=code, headers=headers)


def shape(path: str) -> type[Error | FlatError | PanelError]:
    """The shape of the errors of a path, as `_shape` makes them."""
    return FlatError if _below(path, FLAT) else PanelError if _below(path, PANEL) else Error


def _shape(path: str, problem: Problem) -> dict[str, Any]:
    if _below(path, FLAT):
        return {"success": False, "error": problem.message, "code": problem.code}
    if _below(path, PANEL):
        return {"success": False, "data": problem.message, **problem.body}
    return problem.body


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _seconds(wait: float) -> str:
    return str(max(1, math.ceil(wait)))
