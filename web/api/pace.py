"""How often a program may ask: a window of a minute per key (and per address for keys that are wrong), in this process."""

import time
from dataclasses import dataclass
from threading import Lock

from crm_core.settings import settings

WINDOW = 60
WRONG_PER_MINUTE = 60
_MOST = 10_000


@dataclass(frozen=True)
class Pace:
    """Where a caller stands in its window."""

    limit: int
    left: int
    seconds: int

    @property
    def over(self) -> bool:
        return self.left < 0

    def headers(self) -> dict[str, str]:
        """As the IETF draft on RateLimit header fields writes them."""
        made = {
            "ratelimit-policy": f'"minute";q={self.limit};w={WINDOW}',
            "ratelimit": f'"minute";r={max(0, self.left)};t={self.seconds}',
        }
        return made | ({"retry-after": str(self.seconds)} if self.over else {})


class Counter:
    """Counts requests per name and minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[str, tuple[float, int]] = {}

    def count(self, name: str, limit: int, *, now: float | None = None) -> Pace:
        """One more request of this name."""
        moment = time.monotonic() if now is None else now
        with self._lock:
            if len(self._seen) > _MOST:
                self._seen = {key: found for key, found in self._seen.items() if moment - found[0] < WINDOW}
            began, used = self._seen.get(name, (moment, 0))
            if moment - began >= WINDOW:
                began, used = moment, 0
            self._seen[name] = (began, used + 1)
        return Pace(limit, limit - used - 1, max(1, int(WINDOW - (moment - began)) + 1))

    def clear(self) -> None:
        """Forget everything (between tests)."""
        with self._lock:
            self._seen = {}


COUNTER = Counter()


def of_key(key_id: int) -> Pace:
    """One more request with a key."""
    return COUNTER.count(f"key {key_id}", settings().api_per_minute)


def of_stranger(address: str) -> Pace:
    """One more request from an address without a key that works."""
    return COUNTER.count(f"from {address}", WRONG_PER_MINUTE)
