"""One trace from inbound to delivery, in one process and over several, as a real collector gets it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.otel import Collector, Span
from tests.patience import PATIENCE
from tests.platforms.anthropic import Anthropic
from tests.platforms.openai import Answer, Call, Upstream, fail
from tests.platforms.telegram import TelegramServer

KEY = "k7Qp2Zr9Xw4Lm8Tn3Vb6Yc1DsF5h"
SECRET = "a-very-secret-key"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ABOVE = "00f067aa0ba902b7"
ASKED = {"traceparent": f"00-{TRACE}-{ABOVE}-01", "X-Request-Id": "build-41"}
SAID = "sesame opens"
POST = Call("message", '{"content": "porridge is ready", "channel": "support", "chat_id": "77"}')


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def collector(stack: AsyncExitStack) -> Collector:
    return await stack.enter_async_context(Collector())


@pytest.fixture
async def upstream(stack: AsyncExitStack) -> Upstream:
    return await stack.enter_async_context(Upstream())


def config(upstream: Upstream, **more: Any) -> dict[str, Any]:
    made = demo_config(**more)
    openai = {"provider": "openai", "api_key": SECRET, "base_url": upstream.base_url, "model": "gpt-test"}
    made["models"]["gpt"] = openai
    made["agents"]["assistant"]["model"] = "gpt"
    made["agents"]["typist"] = {"model": "gpt", "history": "client", "tools": ["message"]}
    return made


async def hub(stack: AsyncExitStack, folder: Path, config: dict[str, Any], collector: Collector) -> HubProcess:
    """A hub that sends its spans to the collector, soon; it is ended before the servers that it uses."""
    environ = {
        "BOTHUB_API_KEY": KEY,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_SERVICE_NAME": folder.name,
    }
    return await stack.enter_async_context(HubProcess(folder, config, environ))


def client(hub: HubProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=hub.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=PATIENCE)


async def ask(hub: HubProcess, model: str, **headers: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": SAID}]}
    async with client(hub) as http:
        return await http.post("/v1/chat/completions", json=body, headers=headers)


def by_name(spans: list[Span], trace: str = TRACE) -> dict[str, Span]:
    """The spans of a trace; of those with one name the last that began."""
    return {span.name: span for span in sorted(spans, key=lambda span: span.began_at) if span.trace == trace}


def names(spans: list[Span], trace: str = TRACE) -> list[str]:
    return [span.name for span in spans if span.trace == trace]


async def logged(hub: HubProcess, event: str) -> dict[str, Any]:
    await hub.logged(f'"event": "{event}"')
    [line] = [each for each in hub.log if f'"event": "{event}"' in each]
    return msgspec.json.decode(line)


async def test_one_trace_goes_from_a_request_through_both_processes_to_the_part(
    tmp_path: Path,
    stack: AsyncExitStack,
    collector: Collector,
    upstream: Upstream,
    postgres_url: str,
    nats_url: str,
) -> None:
    telegram = await stack.enter_async_context(TelegramServer())
    shared = config(upstream, store={"url": postgres_url}, signals={"url": f"{nats_url}/{uuid4().hex}"})
    shared["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
    a = await hub(stack, tmp_path / "front", {**shared, "roles": ["api", "channels"]}, collector)
    b = await hub(stack, tmp_path / "back", {**shared, "roles": ["agents"]}, collector)
    upstream.script(Answer(calls=(POST,)), Answer(text=("It is ", "posted.")))
    answer = await ask(a, "assistant", **ASKED)
    assert answer.status_code == 200, answer.text
    wanted = {
        *("POST /v1/chat/completions", "accept api", "queue agent:assistant", "invoke_agent assistant", "chat gpt"),
        *("execute_tool message", "queue channel:support", "deliver support", "part 1"),
    }
    spans = await collector.until(lambda spans: set(names(spans)) >= wanted and names(spans).count("chat gpt") == 2)
    found = by_name(spans)
    assert set(found) == wanted
    above = {name: found[name].parent for name in wanted}
    assert above["POST /v1/chat/completions"] == ABOVE
    assert above["accept api"] == found["POST /v1/chat/completions"].id
    assert above["queue agent:assistant"] == above["invoke_agent assistant"] == found["accept api"].id
    assert above["chat gpt"] == above["execute_tool message"] == found["invoke_agent assistant"].id
    assert above["queue channel:support"] == above["deliver support"] == found["execute_tool message"].id
    assert above["part 1"] == found["deliver support"].id
    assert {span.kind for span in found.values()} == {"server", "consumer", "internal", "client", "producer"}
    assert collector.services == {"front", "back"}
    _check_attributes(found, answer.headers["X-Turn-Id"])
    asked = [request.headers["traceparent"].split("-")[1:3] for request in upstream.requests]
    assert asked == [[TRACE, span.id] for span in sorted(spans, key=lambda s: s.began_at) if span.name == "chat gpt"]
    turn = await logged(b, "turn")
    assert (turn["request_id"], turn["trace_id"]) == ("build-41", TRACE)
    sent = await logged(a, "delivery")
    assert (sent["request_id"], sent["trace_id"]) == ("build-41", TRACE)
    for word in (SECRET, KEY, SAID, "porridge", "It is"):
        assert not [body for body in collector.bodies if word.encode() in body], word
    await _check_a_chat(telegram, upstream, collector)


def _check_attributes(found: dict[str, Span], turn: str) -> None:
    asked = found["chat gpt"].attributes
    assert asked["gen_ai.operation.name"] == "chat"
    assert asked["gen_ai.provider.name"] == "openai"
    assert asked["gen_ai.request.model"] == "gpt-test"
    assert asked["gen_ai.usage.input_tokens"] > 0
    assert asked["gen_ai.usage.output_tokens"] == 3
    assert asked["gen_ai.response.finish_reasons"] == ["stop"]
    told = found["invoke_agent assistant"].attributes
    assert (told["gen_ai.agent.name"], told["bothub.turn.id"], told["bothub.outcome"]) == (
        "assistant",
        turn,
        "answered",
    )
    assert found["execute_tool message"].attributes["gen_ai.tool.name"] == "message"
    request = found["POST /v1/chat/completions"].attributes
    assert (request["http.route"], request["http.response.status_code"]) == ("/v1/chat/completions", 200)
    assert found["deliver support"].attributes["bothub.outcome"] == "delivered"
    assert found["part 1"].attributes["bothub.part"] == 1


async def _check_a_chat(telegram: TelegramServer, upstream: Upstream, collector: Collector) -> None:
    """A message of a chat begins a trace of its own, which ends with the part of the answer."""
    upstream.script(Answer(text=("Good ", "morning.")))
    telegram.say("hello")
    await telegram.wait_text("Good morning.")
    wanted = {"accept support", "invoke_agent assistant", "chat gpt", "deliver support", "part 1"}

    def is_whole(spans: list[Span]) -> bool:
        return any(set(names(spans, span.trace)) >= wanted for span in spans if span.name == "accept support")

    spans = await collector.until(is_whole)
    [first] = [span for span in spans if span.name == "accept support"]
    found = by_name(spans, first.trace)
    assert first.parent == ""
    assert found["invoke_agent assistant"].parent == first.id
    assert found["deliver support"].parent == found["invoke_agent assistant"].id


async def test_what_bypasses_the_bus_is_one_trace_too(
    tmp_path: Path, stack: AsyncExitStack, collector: Collector, upstream: Upstream
) -> None:
    process = await hub(stack, tmp_path / "hub", config(upstream), collector)
    async with client(process) as http:
        await http.get("/health")
        await http.post("/v1/embeddings", json={"model": "gpt", "input": "x"}, headers={"traceparent": "nonsense"})
    assert (await ask(process, "gpt", **ASKED)).status_code == 200
    upstream.script(Answer(calls=(Call("message", '{"content": "x", "channel": "web", "chat_id": "y"}'),)), "done")
    assert (await ask(process, "typist", traceparent=f"00-{'a' * 32}-{ABOVE}-01")).status_code == 200
    upstream.script(fail(401, f"no such thing as {SAID}"))
    assert (await ask(process, "gpt", traceparent=f"00-{'b' * 32}-{ABOVE}-01")).status_code == 502
    assert await process.stop() == 0  # what is left is sent before it ends
    spans = collector.spans
    assert sorted(names(spans)) == ["POST /v1/chat/completions", "chat gpt"]
    assert by_name(spans)["chat gpt"].parent == by_name(spans)["POST /v1/chat/completions"].id
    typist = by_name(spans, "a" * 32)
    above = typist["invoke_agent typist"]
    assert typist["chat gpt"].parent == typist["execute_tool message"].parent == above.id
    assert typist["deliver web"].parent == typist["execute_tool message"].id
    failed = by_name(spans, "b" * 32)["chat gpt"]
    assert (failed.failed, failed.attributes["error.type"]) == (True, "ModelRefused")
    [embedded] = [span for span in spans if span.name == "embeddings gpt"]
    assert embedded.trace not in (TRACE, "a" * 32, "b" * 32)
    assert embedded.attributes["gen_ai.operation.name"] == "embeddings"
    assert not [span for span in spans if "health" in str(span)]
    assert not [body for body in collector.bodies if SAID.encode() in body]


async def test_another_providers_request_carries_the_trace(
    tmp_path: Path, stack: AsyncExitStack, collector: Collector, upstream: Upstream
) -> None:
    anthropic = await stack.enter_async_context(Anthropic())
    made = config(upstream)
    claude = {"provider": "anthropic", "model": "claude-test", "api_key": SECRET, "base_url": anthropic.base_url}
    made["models"]["claude"] = claude
    process = await hub(stack, tmp_path / "hub", made, collector)
    assert (await ask(process, "claude", **ASKED)).status_code == 200
    spans = await collector.until(lambda spans: "chat claude" in names(spans))
    [request] = anthropic.requests
    assert request.headers["traceparent"] == f"00-{TRACE}-{by_name(spans)['chat claude'].id}-01"


async def test_a_collector_that_is_away_stops_nobody(tmp_path: Path, stack: AsyncExitStack, upstream: Upstream) -> None:
    nobody = Collector()
    nobody.url = "http://127.0.0.1:1"
    process = await hub(stack, tmp_path / "hub", config(upstream), nobody)
    assert (await ask(process, "assistant", **ASKED)).status_code == 200
    assert await process.stop() == 0


def test_nothing_of_it_is_imported_where_nobody_asked_for_it(tmp_path: Path) -> None:
    program = (
        "import sys, hub.app, hub.cli.serve, agents.models.openai, agents.models.traced\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'opentelemetry'])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert said.stdout.strip() == "[]"
