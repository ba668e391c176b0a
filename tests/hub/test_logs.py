"""What is logged, and what never is."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAILING = """
import logging, sys
import structlog
from hub import logs

logs.configure("info", terminal=sys.argv[1] == "terminal")
said = "my " + "diary"
try:
    raise ValueError("no")
except ValueError:
    structlog.get_logger().exception("cannot answer")
    logging.getLogger("library").exception("cannot connect")
"""


@pytest.mark.parametrize("reader", ["terminal", "machine"])
def test_tracebacks_show_no_local_variables(reader: str) -> None:
    done = subprocess.run([sys.executable, "-c", FAILING, reader], capture_output=True, text=True, check=True)
    assert done.stderr.count("ValueError") >= 2
    assert "my diary" not in done.stderr
