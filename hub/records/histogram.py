"""Histograms of durations (pure): one integer with a count in each 32 bits, so that adding two is adding them up.

Bin 0 has what took up to 1 ms, bin n what took up to 2^(n/4) ms: four bins each time the duration doubles, the last of
them for 3.9 hours and all that is longer. A percentile told from them is at most 9.1 % (2^(1/8)) beside the exact one,
or 1 ms where that is more.
"""

from __future__ import annotations

from math import ceil, log2

BITS = 32
BINS = 96
PER_DOUBLING = 4
_COUNT = (1 << BITS) - 1


def one(seconds: float) -> int:
    """The histogram of one duration; one below 0, of clocks that differ, counts as 0."""
    milliseconds = seconds * 1000
    if milliseconds <= 1:
        return 1
    return 1 << BITS * min(ceil(PER_DOUBLING * log2(milliseconds)), BINS - 1)


def count(histogram: int) -> int:
    """How many durations it has."""
    return sum(_counts(histogram))


def percentile(histogram: int, percent: int) -> int | None:
    """The duration in milliseconds that so many percent of them do not exceed; None where there are none."""
    counts = _counts(histogram)
    place, passed = ceil(sum(counts) * percent / 100), 0
    for number, many in enumerate(counts):
        passed += many
        if many and passed >= place:
            return round(2 ** ((number - 0.5) / PER_DOUBLING))
    return None


def pack(histogram: int) -> bytes:
    """As it is stored: bins past the last one that has something take no room."""
    return histogram.to_bytes((histogram.bit_length() + 7) // 8, "little")


def unpack(stored: bytes) -> int:
    """The histogram that `pack` made these of."""
    return int.from_bytes(stored, "little")


def _counts(histogram: int) -> list[int]:
    return [histogram >> BITS * number & _COUNT for number in range(-(-histogram.bit_length() // BITS))]
