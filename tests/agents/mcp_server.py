"""A server with tools for tests/agents/test_mcp.py: `python mcp_server.py [http]`; over HTTP it prints its port."""

import os
import socket
import sys

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("tools", log_level="CRITICAL")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def pid() -> int:
    """The process."""
    return os.getpid()


@server.tool()
def die() -> str:
    """End in the middle of a call."""
    os._exit(1)


@server.tool()
def fail() -> str:
    """Raise."""
    raise ValueError("not today")


@server.tool()
def environment(context: Context) -> str:
    """What it was given: variables and headers."""
    headers = dict(context.headers or {})
    return repr([sorted(os.environ.items()), headers])


@server.tool()
def much() -> str:
    """A long text."""
    return "x" * 200_000


if __name__ == "__main__":
    if sys.argv[1:] == ["http"]:
        listening = socket.create_server(("127.0.0.1", 0))
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(server.streamable_http_app(), log_level="critical")
        uvicorn.Server(config).run(sockets=[listening])
    else:
        server.run("stdio")
