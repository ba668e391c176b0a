"""lark-oapi's long connection works without the rest of lark-oapi, and leaves no trace that others could trip over."""

from __future__ import annotations

import subprocess
import sys

ALONE = """
import sys, threading, time
from channels.feishu.sdk import load

found = []
thread = threading.Thread(target=lambda: found.append(load()))
thread.start()
thread.join()
sdk = found[0]

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "lark_oapi":
            raise ImportError(name + " is imported late, on the loop")

sys.meta_path.insert(0, Blocked())
frame = sdk._new_ping_frame(7)
frame.payload = b"{}"
other = sdk.Frame()
other.ParseFromString(frame.SerializeToString())
assert other.service == 7 and other.payload == b"{}" and other.headers[0].value == "ping"
assert "lark_oapi" not in sys.modules and "lark_oapi.ws.client" not in sys.modules
print(sum(name.startswith("lark_oapi") for name in sys.modules) < 100)
"""
AFTER = """
import threading
from channels.feishu.sdk import load
thread = threading.Thread(target=load)
thread.start()
thread.join()
import lark_oapi
assert lark_oapi.Client.builder and lark_oapi.ws.Client and lark_oapi.im.v1.CreateMessageRequest
print(True)
"""
IMPORTED = """
import sys
from pydantic import SecretStr
from channels import KINDS, load
from channels.feishu.config import Feishu
config = Feishu(app_id="a", app_secret=SecretStr("b"), encrypt_key=SecretStr("c"))
load(KINDS["feishu"].webhook)("team", config)
load(KINDS["feishu"].channel)("team", config)
print(not [name for name in sys.modules if name.partition(".")[0] in ("lark_oapi", "requests", "websockets")])
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert not done.stderr, done.stderr
    return done.stdout.strip()


def test_frames_are_written_and_read_without_importing_the_rest_of_it() -> None:
    assert run(ALONE) == "True"


def test_whoever_imports_lark_oapi_afterwards_gets_the_real_one() -> None:
    assert (
        run(AFTER.replace("import lark_oapi\n", "import warnings\nwarnings.simplefilter('ignore')\nimport lark_oapi\n"))
        == "True"
    )


def test_neither_the_channel_nor_the_webhook_imports_it_before_there_is_a_long_connection() -> None:
    assert run(IMPORTED) == "True"
