"""lark-oapi's client of the long connection, without the rest of lark-oapi.

`import lark_oapi` reads 11,000 modules: 1.1 to 4 s, most of them with the interpreter's lock held, and 150 MB. What
the long connection needs of it are 60: 0.2 s and 15 MB with `requests`, `websockets` and all, in a thread, once. So
the packages around are stood in for by empty ones while it is imported, and afterwards are gone from `sys.modules`:
whoever imports lark-oapi later gets the real thing. Held by tests/channels/feishu/test_sdk.py; lark-oapi is pinned.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

ROOT = "lark_oapi"
KEPT = f"{ROOT}.ws.pb."
"""These stay: the frames' code imports some of its own when it is first used."""
_lock = threading.Lock()
_loaded: list[Any] = []


def load() -> Any:
    """The module `lark_oapi.ws.client`; to be called where no event loop runs, because it takes one for itself."""
    with _lock:
        if not _loaded:
            _loaded.append(import_module(f"{ROOT}.ws.client") if ROOT in sys.modules else _import_alone())
        return _loaded[0]


def _import_alone() -> Any:
    with _stand_ins():
        client: Any = import_module(f"{ROOT}.ws.client")
        client.Frame().ParseFromString(client._new_ping_frame(1).SerializeToString())
    client.loop.close()
    asyncio.set_event_loop(None)
    return client


@contextmanager
def _stand_ins() -> Generator[None]:
    """Empty packages where importing the real ones would import everything."""
    spec = find_spec(ROOT)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {ROOT!r}", name=ROOT)
    package = ModuleType(ROOT)
    package.__path__ = [*spec.submodule_search_locations]
    events = ModuleType(f"{ROOT}.event")
    events.__path__ = []
    handler: Any = ModuleType(f"{ROOT}.event.dispatcher_handler")
    handler.EventDispatcherHandler = object  # named in an annotation only
    for module in (package, events, handler):
        sys.modules[module.__name__] = module
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == ROOT and not name.startswith(KEPT)]:
            del sys.modules[name]
