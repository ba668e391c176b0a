"""The floor: Quart alone, served as the hub is, says hello or streams. `python -m bench.hello` prints its URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from quart import Quart, Response

from api.serve import listen, serve

CHUNK = b'data: {"id":"chatcmpl-%s","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n' % (b"0" * 32)


async def main() -> None:
    """Serve until terminated."""
    app = Quart(__name__, static_folder=None)

    @app.post("/")
    async def hello() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction] - the route
        return {"hello": "there"}

    @app.post("/stream/<int:chunks>/<float:delay>")
    async def stream(chunks: int, delay: float) -> Response:  # pyright: ignore[reportUnusedFunction] - the route
        async def events() -> AsyncIterator[bytes]:
            for _ in range(chunks):
                yield CHUNK
                await asyncio.sleep(delay)
            yield b"data: [DONE]\n\n"

        return Response(events(), content_type="text/event-stream")

    listener = listen("127.0.0.1", 0)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    await serve(app, listener, asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main())
