"""The laws of models, held by the providers that pydantic-ai speaks to."""

import pytest

from agents.models.provided import Provided
from hub.model import Completion
from tests.agents.models.provided.cases import Case
from tests.contracts.model import TOOLS, ModelLaws, ask
from tests.platforms import anthropic
from tests.platforms.openai import Answer, Call, Failure, call
from tests.platforms.served import Served

pytestmark = pytest.mark.slow


class ProvidedSubject:
    """A model of a local upstream in the words of the laws."""

    def __init__(self, case: Case, upstream: Served, model: Provided) -> None:
        self.case = case
        self.upstream = upstream
        self.model = model

    def calling(self, name: str, arguments: str) -> Completion:
        self.upstream.script(call(Call(name, arguments)))
        return Completion(messages=ask("book").messages, tools=TOOLS)

    def failing(self) -> Completion:
        kind = "api_error" if isinstance(self.upstream, anthropic.Anthropic) else "InternalServerException"
        self.upstream.default = lambda _: Failure(status=500, type=kind)
        return ask("fail")

    def lasting(self) -> Completion:
        self.upstream.script(Answer(text=("one",), end="silence"))
        return ask("last")

    def cut_short(self) -> Completion:
        self.upstream.default = lambda _: Answer(text=("one ", "two"), finish="max_tokens")
        return ask("more", max_tokens=2)

    async def stopped(self) -> None:
        await self.upstream.wait_disconnect()


class TestProvidedLaws(ModelLaws):
    """A model of either provider, without a difference."""

    @pytest.fixture
    def subject(self, case: Case, upstream: Served, model: Provided) -> ProvidedSubject:
        # "You said: " and the words come as pieces of their own.
        return ProvidedSubject(case, upstream, model)
