"""How often a program may ask: a window of a minute per key (and per address for keys that are wrong).

On SQLite one process counts for itself. On PostgreSQL, where replicas share the keys, each looks once a second, and more often near the limit,
how many requests of a key all of them have noted: so the limit holds for all together, but for what is under way at that moment.
"""

import time
from dataclasses import dataclass
from threading import Lock

from sqlmodel import Session

from crm_core.db import is_sqlite
from crm_core.services.admin import api_door
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


class Everywhere:
    """What all replicas together have noted of a key within the last minute, asked anew after a second or a twentieth of the limit."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[int, tuple[float, int, int, float]] = {}

    def count(self, session: Session, key_id: int, limit: int, *, now: float | None = None) -> Pace:
        """One more request with a key, on top of what is noted."""
        moment = time.monotonic() if now is None else now
        with self._lock:
            asked, own, noted, ends = self._seen.get(key_id, (moment - WINDOW, 0, 0, 0.0))
        if moment - asked >= 1 or own >= max(1, limit // 20):
            noted, seconds = api_door.asked(session, key_id, WINDOW)
            asked, own, ends = moment, 0, moment + WINDOW - seconds
        with self._lock:
            if len(self._seen) > _MOST:
                self._seen.clear()
            self._seen[key_id] = (asked, own + 1, noted, ends)
        return Pace(limit, limit - noted - own - 1, max(1, int(ends - moment) + 1))

    def clear(self) -> None:
        """Forget everything (between tests)."""
        with self._lock:
            self._seen = {}


EVERYWHERE = Everywhere()


def of_key(session: Session, key_id: int) -> Pace:
    """One more request with a key: the tighter of what this process and what all of them counted."""
    here = COUNTER.count(f"key {key_id}", settings().api_per_minute)
    if is_sqlite(session) or here.over:
        return here
    everywhere = EVERYWHERE.count(session, key_id, settings().api_per_minute)
    return everywhere if everywhere.left < here.left else here


def of_stranger(address: str) -> Pace:
    """One more request from an address without a key that works."""
    return COUNTER.count(f"from {address}", WRONG_PER_MINUTE)
