"""Keep this process on the machine: whatever looks further than loopback is refused, and remembered.

An audit hook sees every connect and every name look-up, whichever library makes it, and cannot be undone.
A program that a test starts is a process of its own and is not seen.
"""

import ipaddress
import socket
import sys
from typing import Any

attempts: list[str] = []


class NetworkForbidden(OSError):
    """A test tried to leave the machine."""


def install() -> None:
    """Refuse, from now on and for good, everything but loopback."""
    sys.addaudithook(_judge)


def _judge(event: str, args: tuple[Any, ...]) -> None:
    match event:
        case "socket.connect" | "socket.sendto":
            if args[0].family in (socket.AF_INET, socket.AF_INET6) and not _is_local(args[1][0]):
                _refuse(f"{event} to {args[1][0]}")
        case "socket.getaddrinfo" | "socket.gethostbyname" | "socket.gethostbyaddr":
            if not _is_address(args[0]) and not _is_local(args[0]):
                _refuse(f"look-up of {_text(args[0])}")
        case _:
            pass


def _refuse(what: str) -> None:
    attempts.append(what)
    raise NetworkForbidden(f"tests stay on this machine: {what}")


def _is_local(host: str | bytes | None) -> bool:
    name = _text(host)
    if _is_address(name):
        address = ipaddress.ip_address(name.partition("%")[0])
        return address.is_loopback or address.is_unspecified
    return name in ("", "localhost", socket.gethostname()) or name.endswith(".localhost")


def _is_address(host: str | bytes | None) -> bool:
    try:
        ipaddress.ip_address(_text(host).partition("%")[0])
    except ValueError:
        return False
    return True


def _text(host: str | bytes | None) -> str:
    return host.decode() if isinstance(host, bytes) else host or ""
