"""What the models of an agent cost, and the most that one call of them may cost (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from hub.accounts.money import Price
from hub.message import Value
from hub.model import Completion, Embeddable, Recording
from hub.tokens import longest

LONGEST = 4096
"""Tokens of an answer where neither the request nor the model's `max_output` says; few models refuse so many."""
IMAGE = 4096
"""Tokens that an image may be counted as."""
BYTES_A_TOKEN = 16
"""Of a recording, at least: the thriftiest codecs take 750 bytes a second, in which models count 10 to 32 tokens."""
_SEEN = ("image_url", "image")


class Rate(Value, frozen=True, kw_only=True):
    """One model's price, the most tokens of its answers, and of an image."""

    price: Price = Price()
    output: int | None = None
    image: int = IMAGE

    @property
    def is_free(self) -> bool:
        return not (self.price.input or self.price.output or self.price.cached)


class Tariff(Value, frozen=True, kw_only=True):
    """The rates of the models that may answer, by name, the one that is asked first at the head."""

    rates: dict[str, Rate] = {}

    @property
    def is_free(self) -> bool:
        """Whether no call can cost anything."""
        return all(rate.is_free for rate in self.rates.values())

    def price(self, model: str | None) -> Price:
        """What a model's tokens cost; the first one's where it is not named."""
        rate = self.rates.get(model or "") or next(iter(self.rates.values()), None)
        return Price() if rate is None else rate.price

    def bounded(self, request: Completion) -> Completion:
        """The request as it is sent: it says how long the answer may be, where the models do not."""
        if all(longest(request.params, rate.output) is not None for rate in self.rates.values()):
            return request
        return msgspec.structs.replace(request, params=request.params | {"max_tokens": LONGEST})

    def most(self, request: Completion) -> int:
        """The most that a bounded request may cost, whichever model answers: a token has at least one byte."""
        size, images = _weight(request)
        return max(
            (
                rate.price.most(size + images * rate.image, longest(request.params, rate.output) or LONGEST)
                for rate in self.rates.values()
            ),
            default=0,
        )

    def embedding(self, inputs: Sequence[Embeddable]) -> int:
        """The most that the vectors of some texts may cost."""
        sizes = (len(each.encode("utf-8", "surrogatepass")) if isinstance(each, str) else len(each) for each in inputs)
        return self.price(None).most(sum(sizes), 0)

    def recording(self, recording: Recording) -> int:
        """The most that the words of a recording may cost."""
        tokens = len(recording.content) // BYTES_A_TOKEN + 1
        return self.price(None).most(tokens + len((recording.prompt or "").encode()), tokens)


FREE = Tariff()
"""What costs nothing."""


def _weight(request: Completion) -> tuple[int, int]:
    """Bytes of a request without its images, and how many of these there are."""
    images, messages = 0, list[dict[str, Any]]()
    for message in request.messages:
        content = message.get("content")
        if isinstance(content, list):
            parts = cast("list[dict[str, Any]]", content)
            kept = [part for part in parts if part.get("type") not in _SEEN]
            images += len(parts) - len(kept)
            message = message | {"content": kept}  # noqa: PLW2901
        messages.append(message)
    return len(msgspec.json.encode((messages, request.tools, request.params))), images
