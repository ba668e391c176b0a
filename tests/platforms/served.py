"""What the local upstreams of other providers than OpenAI have in common."""

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.platforms.openai import Answer, Failure, Request, Upstream, Usage, cut, say, silence


class Served(Upstream):
    """A server that is scripted as OpenAI's is, in the words of another provider."""

    def refusal(self, request: Request) -> Failure | None:
        """Why the provider would not take this request, if it would not."""
        raise NotImplementedError

    def failed(self, failure: Failure) -> web.Response:
        """An HTTP error as the provider writes it."""
        raise NotImplementedError

    async def whole(self, http: web.BaseRequest, request: Request, answer: Answer) -> web.StreamResponse:
        raise NotImplementedError

    async def streamed(self, response: web.StreamResponse, request: Request, answer: Answer) -> None:
        """Write the events of an answer until it ends, or breaks off."""
        raise NotImplementedError

    async def serve(
        self, http: web.BaseRequest, request: Request, response: web.StreamResponse | None
    ) -> web.StreamResponse:
        """Answer as the script says, into `response` if it is streamed."""
        if refusal := self.refusal(request):
            return self.failed(refusal)
        step = self.step(request)
        if isinstance(step, Failure):
            return self.failed(step)
        if response is None:
            if step.gate:
                await step.gate.wait()
            if step.end == "silence":
                await silence()
            return self.failed(step.end) if isinstance(step.end, Failure) else await self.whole(http, request, step)
        if step.end == "silence" and not (step.text or step.reasoning):
            await silence()
        await response.prepare(http)
        await self.streamed(response, request, step)
        if step.end == "silence":
            await silence()
        if step.end == "cut":
            return await cut(http, response)
        await response.write_eof()
        return response


class Gate:
    """Holds an answer in front of the piece that its gate stands before."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._passed = 0

    async def wait(self) -> None:
        """Before each piece."""
        if self._answer.gate and self._passed == self._answer.gate_after:
            await self._answer.gate.wait()
        self._passed += 1


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message's content as blocks."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def texts(messages: list[dict[str, Any]]) -> Iterator[str]:
    """What was said in words, oldest first."""
    for message in messages:
        yield from (block["text"] for block in blocks_of(message) if "text" in block)


def counted(request: Request, answer: Answer) -> Usage:
    """The usage of an answer, words counted unless it is given."""
    if isinstance(answer.usage, Usage):
        return answer.usage
    written = ["".join(answer.text), *("".join(tool.fragments) for tool in answer.calls)]
    thought = len("".join(answer.reasoning).split())
    return Usage(
        prompt=sum(len(text.split()) for text in texts(request.body["messages"])),
        completion=sum(len(text.split()) for text in written) + thought,
        reasoning=thought,
    )


def echo(request: Request) -> Answer:
    """What is answered without a script."""
    said = list(texts([message for message in request.body["messages"] if message["role"] == "user"]))
    return say("You said: ", said[-1] if said else "")
