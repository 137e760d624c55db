"""How often a program may ask: so many times in each minute of the clock, per key (and per address for keys that are wrong).

On SQLite one process counts for itself. On PostgreSQL, where replicas share the keys and the database's clock, each looks once a second, and with
every request near the limit, how many requests the others have noted in this minute: so the limit holds for all together, but for what is under way
elsewhere at that moment.
"""

import time
from dataclasses import dataclass
from threading import Lock

from sqlmodel import Session

from crm_core.db import is_sqlite
from crm_core.kit.network import network_of
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
        self._seen: dict[str, tuple[int, int]] = {}
        self.clock = time.time
        self._full = _MOST

    def count(self, name: str, limit: int, *, now: float | None = None) -> Pace:
        """One more request of this name."""
        moment = self.clock() if now is None else now
        minute = int(moment // WINDOW)
        with self._lock:
            if len(self._seen) > self._full:
                self._seen = {key: found for key, found in self._seen.items() if found[0] == minute}
                self._full = max(_MOST, 2 * len(self._seen))  # many at once: looked through again when they have doubled
            began, used = self._seen.get(name, (minute, 0))
            used = used if began == minute else 0
            self._seen[name] = (minute, used + 1)
        return Pace(limit, limit - used - 1, _seconds(WINDOW - moment % WINDOW))

    def clear(self) -> None:
        """Forget everything (between tests)."""
        with self._lock:
            self._seen = {}


COUNTER = Counter()


def _seconds(rest: float) -> int:
    return max(1, int(rest) + 1)


@dataclass
class _Minute:
    """A key's minute: until when it lasts, what this process let through and has noted of that, what others noted when it last asked."""

    ends: float
    asked: float
    others: int = 0
    started: int = 0
    noted: int = 0


class Everywhere:
    """What all replicas together let through with a key in this minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[int, _Minute] = {}

    def count(self, session: Session, key_id: int, limit: int, *, now: float | None = None) -> Pace:
        """One more request with a key; who is let through says ``done`` when it is noted."""
        moment = time.monotonic() if now is None else now
        with self._lock:
            known = self._seen.get(key_id)
            known = known if known is not None and moment < known.ends else None
            left = limit - known.others - known.started if known is not None else 0
            own = known.noted if known is not None else 0
        if known is None or moment - known.asked >= 1 or 0 < left <= max(1, limit // 20):
            known = self._ask(session, key_id, own, known, moment)
        with self._lock:
            left = limit - known.others - known.started - 1
            known.started += left >= 0
        return Pace(limit, left, _seconds(known.ends - moment))

    def _ask(self, session: Session, key_id: int, own: int, known: _Minute | None, moment: float) -> _Minute:
        noted, rest = api_door.asked(session, key_id)
        with self._lock:
            if known is None:  # a new minute, which another thread may have opened meanwhile
                if len(self._seen) > _MOST:
                    self._seen.clear()
                there = self._seen.get(key_id)
                known = there if there is not None and moment < there.ends else _Minute(moment + rest, moment)
                self._seen[key_id] = known
            known.others, known.asked = max(0, noted - own), moment
        return known

    def done(self, key_id: int) -> None:
        """A request that was let through stands in the log."""
        with self._lock:
            if key_id in self._seen:
                self._seen[key_id].noted += 1

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
    return COUNTER.count(f"from {network_of(address)}", WRONG_PER_MINUTE)
