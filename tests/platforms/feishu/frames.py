"""The long connection's frames: the protobuf message `pbbp2.Frame`, written and read without its generated code.

SeqID uint64 = 1, LogID uint64 = 2, service int32 = 3, method int32 = 4,
headers {key string = 1, value string = 2} = 5, payload_encoding = 6, payload_type = 7, payload bytes = 8
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

CONTROL, DATA = 0, 1
VARINT, LENGTH = 0, 2


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One binary message of the websocket."""

    method: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    payload: bytes = b""
    service: int = 1
    sequence: int = 0
    log: int = 0

    def encode(self) -> bytes:
        numbers = zip((1, 2, 3, 4), (self.sequence, self.log, self.service, self.method), strict=True)
        head = b"".join(_varint(number << 3 | VARINT) + _varint(value) for number, value in numbers)
        return head + b"".join(map(_header, self.headers.items())) + (_bytes(8, self.payload) if self.payload else b"")


def decode(data: bytes) -> Frame:
    """The frame in `data`; ValueError when it is none."""
    numbers = {1: 0, 2: 0, 3: 0, 4: 0}
    headers: dict[str, str] = {}
    payload = b""
    for number, value in _fields(data):
        if isinstance(value, int):
            numbers[number] = value
        elif number == 5:
            key, text = _pair(value)
            headers[key] = text
        elif number == 8:
            payload = value
    return Frame(
        sequence=numbers[1], log=numbers[2], service=numbers[3], method=numbers[4], headers=headers, payload=payload
    )


def _header(pair: tuple[str, str]) -> bytes:
    key, value = pair
    return _bytes(5, _bytes(1, key.encode()) + _bytes(2, value.encode()))


def _pair(data: bytes) -> tuple[str, str]:
    found = {number: value for number, value in _fields(data) if isinstance(value, bytes)}
    return found.get(1, b"").decode(), found.get(2, b"").decode()


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _read(data, at)
        value, at = _read(data, at)
        if tag & 7 == VARINT:
            yield tag >> 3, value
        elif tag & 7 == LENGTH and at + value <= len(data):
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            raise ValueError(f"not a frame: tag {tag} at byte {at}")


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
    raise ValueError("not a frame: it ends in the middle of a number")
