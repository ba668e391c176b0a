"""When to try again: pure arithmetic."""


def delay(attempt: int, *, first: float = 1.0, most: float = 300.0, jitter: float = 0.0) -> float:
    """Seconds to wait after the given failed attempt (1, 2, ...): doubling from `first`, never over `most`.

    `jitter` in 0..1 is the caller's random number; it shortens the delay by up to a quarter, so that many lanes
    that failed together do not come back together.
    """
    doubled = first * 2.0 ** min(max(attempt, 1) - 1, 30)
    return min(doubled, most) * (1.0 - jitter / 4.0)
