"""The company before it is written: columns of numbers per table, and the random streams, days and instants they are drawn from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crm_core.services.admin.demo.scales import Sizes, Truth, truth

Array = NDArray[Any]
US_PER_SECOND = 1_000_000
OPENS_AT, OPEN_SECONDS = 7 * 3600, 9 * 3600  # business hours of Berlin, read as UTC


@dataclass
class Draft:
    """Columns by table, in the order in which tables are written. ``known``: ids and arrays that later parts need."""

    seed: int
    sizes: Sizes
    now: datetime
    known: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    truth: Truth = field(default_factory=truth)
    events: list[dict[str, Any]] = field(default_factory=list)

    def stream(self, part: int) -> np.random.Generator:
        """The random stream of one part: a new part never changes an old one."""
        return np.random.default_rng([self.seed, part])

    def put(self, table: str, **columns: Any) -> None:
        """Keep the columns of a table; a scalar stands for a whole column. ``id`` counts from 1 unless given."""
        length = next(len(column) for column in columns.values() if isinstance(column, np.ndarray | list))
        self.tables[table] = {"id": np.arange(1, length + 1), **columns} if "id" not in columns else columns

    def happened(self, kind: str | Array, entity: str, record_id: Array, at: Array, **more: Any) -> None:
        """Note events of one kind; ``account_id``, ``actor_id`` and ``data`` may be given."""
        self.events.append({"type": kind, "entity": entity, "record_id": record_id, "at": at, **more})

    @property
    def today(self) -> np.datetime64:
        """The day of building."""
        return np.datetime64(self.now.date(), "D")

    @property
    def instant(self) -> np.datetime64:
        """The instant of building, in UTC."""
        return np.datetime64(self.now.replace(tzinfo=None), "us")

    def day(self, offset: Array | int) -> Array:
        """Calendar days from today (negative: past)."""
        return self.today + np.asarray(offset).astype("timedelta64[D]")

    def business_day(self, offset: Array | int) -> Array:
        """Working days from yesterday, which is 0 (or the last working day before it); negative: past."""
        return np.busday_offset(self.today - 1, np.asarray(offset), roll="backward")

    def at(self, day: Array, rng: np.random.Generator) -> Array:
        """An instant in business hours of each day, whole seconds; never later than now."""
        seconds = OPENS_AT + rng.integers(0, OPEN_SECONDS, len(day))
        instant = day.astype("datetime64[us]") + (seconds * US_PER_SECOND).astype("timedelta64[us]")
        return np.minimum(instant, self.instant)


def pick(rng: np.random.Generator, options: Any, n: int, p: Any = None) -> Array:
    """``n`` options as Python objects (texts may be None)."""
    array = np.empty(len(options), dtype=object)
    array[:] = list(options)
    return array[rng.choice(len(array), n, p=p)]


def only(rows: Array, values: Array) -> Array:
    """The values in the given rows, None elsewhere."""
    kept = values.astype(object)
    kept[~rows] = None
    return kept


def maybe(rng: np.random.Generator, values: Array, share: float) -> Array:
    """The values, with all but a share replaced by None."""
    return only(rng.random(len(values)) < share, values)


def normalised(weights: Any) -> Array:
    """Weights that sum to one."""
    array = np.asarray(weights, dtype=float)
    return array / array.sum()


def line_totals(quantity: Array, price: Array, discount: Array) -> Array:
    """Net totals in minor units, rounded half to even: the vectorised twin of ``kit.money.line_total`` for whole discounts and quantities."""
    return _hundredth(quantity.astype(np.int64) * price.astype(np.int64) * (100 - discount.astype(np.int64)))


def taxes(net: Array, rate: Array) -> Array:
    """Tax on net totals in minor units, rounded half to even: the vectorised twin of ``kit.money.tax_of`` for whole rates in percent."""
    return _hundredth(net.astype(np.int64) * rate.astype(np.int64))


def _hundredth(scaled: Array) -> Array:
    whole, rest = np.divmod(scaled, 100)
    return whole + ((rest > 50) | ((rest == 50) & (whole % 2 == 1)))
