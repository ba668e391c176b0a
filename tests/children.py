"""Servers that tests start must not outlive them."""

import contextlib
import ctypes
import signal

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Run in a new child: have Linux stop it, should pytest be killed before it can.

    A shell has its background jobs ignore Ctrl-C, and whatever they start would.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
