"""Every error bothub raises, in one tree; a name says who must act.

HubError
├── ConfigError             the operator mends config.yaml (every problem at once)
├── RequestError            the caller changes the request
│   ├── Unauthorized        ... sends a valid key
│   ├── Forbidden           ... asks an admin for the right
│   ├── PaymentRequired     ... when there is money for it again
│   ├── NotFound            ... names something that exists
│   ├── Ambiguous           ... names one of its `candidates`
│   ├── Conflict            ... uses another name or idempotency key
│   ├── TooLarge            ... sends less
│   ├── FetchRefused        ... names a URL on the public internet
│   └── FetchFailed         ... names a URL that answers
├── InboxFull               the caller waits `retry_after` seconds
├── LimitReached            ... as well: the key asked as much as it may
├── TurnTimeout             nobody answered in time; the turn was cancelled
├── StoreUnavailable        the operator brings the database back; callers try again
├── MigrationFailed         the operator uses another version of bothub; the database is as it was
├── BackupFailed            the operator makes room, stops the hub or names another file; nothing was changed
├── LeaseLost               the worker drops what it holds: another one has the lane
├── ModelError              the upstream model did not answer
│   ├── ModelRefused        ... and will not, whatever the number of tries
│   └── ModelUnavailable    ... now; trying again may help (`retry_after`)
└── ChannelError            the platform did not take a message
    ├── RateLimited         ... now; it said when (`retry_after`)
    ├── Unreachable         ... now; `maybe_sent` when its answer was lost
    ├── MessageRefused      ... and never will take this message
    ├── ChatGone            ... and never will take anything for this chat
    ├── ChatMoved           ... under this id; the chat is now `to`
    └── ChannelRefused      ... and refuses our token: the operator mends it

The text of an error is a sentence that may be shown to a person; it holds no secret.
"""

from collections.abc import Sequence


class HubError(Exception):
    """Something bothub can name went wrong."""


class ConfigError(HubError):
    """The configuration cannot be used; `problems` lists every reason, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RequestError(HubError):
    """The request is wrong; `param` names the field, `code` is a stable word for programs.

    Where several fields are wrong, `each` has them with a sentence for each; `param` is the first.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        each: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.each = each


class Unauthorized(RequestError):
    """No key, or one that is not valid."""


class Forbidden(RequestError):
    """The key is valid and may not do this."""


class PaymentRequired(RequestError):
    """The quota and the balance of who pays do not cover what this may cost."""


class NotFound(RequestError):
    """What the request names does not exist, or is not the caller's to see."""


class Ambiguous(RequestError):
    """What the request names may be several things: `candidates` are the names of some of them."""

    def __init__(self, message: str, candidates: Sequence[str] = (), *, param: str | None = None) -> None:
        super().__init__(message, param=param, code="ambiguous")
        self.candidates = tuple(candidates)


class Conflict(RequestError):
    """The request contradicts what is already there."""


class TooLarge(RequestError):
    """The request is over a size limit that the message names."""


class FetchRefused(RequestError):
    """The hub does not fetch such a URL; `code` is `bad_url` or `not_public`."""


class FetchFailed(RequestError):
    """Nothing useful came from a URL; another time it may."""


class InboxFull(HubError):
    """A bounded inbox or lane takes no more; try again in `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LimitReached(HubError):
    """A key asked as much as it may in a minute or a day; the next one begins in `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TurnTimeout(HubError):
    """The turn took longer than its caller would wait."""


class StoreUnavailable(HubError):
    """The database did not answer."""


class MigrationFailed(HubError):
    """The database could not be brought to this version's revision."""


class BackupFailed(HubError):
    """No backup was made, or none restored."""


class LeaseLost(HubError):
    """The lane was leased again: nothing of this holder may be written."""


class ModelError(HubError):
    """An upstream model failed; `status` is its HTTP status when it gave one."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ModelRefused(ModelError):
    """The model will not answer this request."""


class ModelUnavailable(ModelError):
    """The model cannot answer now."""


class ChannelError(HubError):
    """A chat platform did not take a message."""


class RateLimited(ChannelError):
    """The platform asks to wait `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(ChannelError):
    """The platform did not answer; with `maybe_sent` the message may have arrived all the same."""

    def __init__(self, message: str, *, maybe_sent: bool = False) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


class MessageRefused(ChannelError):
    """The platform refuses this message for good."""


class ChatGone(ChannelError):
    """The chat cannot be written to any more (blocked, left, deleted)."""


class ChatMoved(ChannelError):
    """The chat has another id now."""

    def __init__(self, message: str, *, to: str) -> None:
        super().__init__(message)
        self.to = to


class ChannelRefused(ChannelError):
    """The platform refuses the channel's credentials."""
