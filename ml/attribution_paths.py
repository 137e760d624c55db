"""From touches to journeys, and from journeys to arrays: every distinct journey once, with its counts."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from ml.contracts import CONVERSIONS, PATHS, TOUCHPOINTS, instant
from ml.errors import DataError

_NUMBERS = replace(PATHS, columns=tuple(c for c in PATHS.columns if c.kind == "number"), merge_by="")
MAX_CHANNELS = 1_000
_TABLE = 20_000_000


@dataclass(frozen=True)
class Journeys:
    """Distinct journeys as flat arrays.

    Attributes
    ----------
    channels
        Names, sorted; a code is a position in it.
    codes
        Codes of all touches, journey after journey.
    lengths
        Touches per journey; its sum is ``len(codes)``.
    conversions, value, nulls
        Per journey.
    decay
        Weight of each touch by the time before the conversion, summing to 1 per journey; None when only the order of
        the touches is known.
    """

    channels: tuple[str, ...]
    codes: np.ndarray
    lengths: np.ndarray
    conversions: np.ndarray
    value: np.ndarray
    nulls: np.ndarray
    decay: np.ndarray | None = None

    @cached_property
    def ends(self) -> np.ndarray:
        """One past the last touch of each journey."""
        return np.cumsum(self.lengths)

    @cached_property
    def size(self) -> np.ndarray:
        """Touches of the journey of each touch."""
        return np.repeat(self.lengths, self.lengths)

    @cached_property
    def owner(self) -> np.ndarray:
        """The journey of each touch."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def position(self) -> np.ndarray:
        """Place of each touch in its journey, from 0."""
        return np.arange(len(self.codes)) - np.repeat(self.ends - self.lengths, self.lengths)


def read_paths(paths: pd.DataFrame) -> Journeys:
    """PATHS as arrays, journeys of the same kind merged.

    Raises
    ------
    DataError
        The frame breaks its contract, counts are not whole numbers, or nothing converted.
    """
    frame, tuples, group = _checked(paths)
    numbers = [frame[name].to_numpy(dtype=float) for name in ("conversions", "value", "nulls")]
    for name, counts in (("conversions", numbers[0]), ("nulls", numbers[2])):
        broken = counts != np.floor(counts)
        if broken.any():
            raise DataError(f"{counts[broken][0]:g} {name}", f"whole numbers of journeys in PATHS.{name}")
    if numbers[0].sum() == 0:
        raise DataError("no conversion in any path", "at least one journey that converted")
    if (numbers[1][numbers[0] == 0] > 0).any():
        raise DataError("value on a path without conversions", "value only where something converted")
    if "time_weights" in frame.columns:  # each row shares out by its own clock
        tuples = [tuples[i] for i in group.tolist()]
    else:
        numbers = [np.bincount(group, weights=column, minlength=len(tuples)) for column in numbers]
    channels = tuple(sorted(_names(tuples)))
    if len(channels) > MAX_CHANNELS:
        raise DataError(f"{len(channels):,} channels", f"at most {MAX_CHANNELS:,}; group the campaigns into channels")
    place = {channel: code for code, channel in enumerate(channels)}
    lengths = np.fromiter(map(len, tuples), dtype=np.int64, count=len(tuples))
    codes = np.fromiter(map(place.__getitem__, chain.from_iterable(tuples)), dtype=np.int64, count=int(lengths.sum()))
    return merged(channels, codes, lengths, numbers, _read_decay(frame, lengths))


def _names(tuples: Iterable[Any]) -> set[Any]:
    return set(chain.from_iterable(tuples))


def _checked(paths: pd.DataFrame) -> tuple[pd.DataFrame, list[Any], np.ndarray]:
    """PATHS.check, looking at each distinct path once: a million journeys are a few hundred thousand paths.

    Returns the checked rows, the distinct paths, and which of them each row has.
    """
    if isinstance(paths, pd.DataFrame) and not paths.empty and "path" in paths.columns:
        with suppress(TypeError):  # lists cannot be hashed
            group, distinct = paths["path"].factorize()
            tuples = distinct.tolist()
            plain = (group >= 0).all() and set(map(type, tuples)) == {tuple} and min(map(len, tuples)) > 0
            if plain and all(isinstance(name, str) and name for name in _names(tuples)):
                return _NUMBERS.check(paths), tuples, group
    frame = replace(PATHS, merge_by="").check(paths)
    group, distinct = frame["path"].factorize()
    return frame, distinct.tolist(), group


def _read_decay(frame: pd.DataFrame, lengths: np.ndarray) -> np.ndarray | None:
    if "time_weights" not in frame.columns:
        return None
    weights = [_as_weights(value) for value in frame["time_weights"]]
    if any(len(w) != n for w, n in zip(weights, lengths.tolist(), strict=True)):
        raise DataError("time_weights of another length than the path", "one weight per touch")
    flat = np.fromiter(chain.from_iterable(weights), dtype=float, count=int(lengths.sum()))
    if not np.isfinite(flat).all() or (flat < 0).any():
        raise DataError("a negative or missing weight in time_weights", "weights of 0 or more")
    sums = np.add.reduceat(flat, np.cumsum(lengths) - lengths)
    if (np.abs(sums - 1) > 1e-6).any():
        raise DataError("time_weights that do not sum to 1", "weights that share out one conversion")
    return flat / np.repeat(sums, lengths)


def _as_weights(value: Any) -> tuple[float, ...]:
    """Weights as a sequence, or as the ``0.3 > 0.7`` that a CSV file keeps of it."""
    parts = value.split(">") if isinstance(value, str) else value if np.ndim(value) else [value]
    try:
        return tuple(map(float, parts))
    except (TypeError, ValueError):
        raise DataError(f"{value!r} in time_weights", "one number per touch") from None


def merged(
    channels: tuple[str, ...],
    codes: np.ndarray,
    lengths: np.ndarray,
    numbers: list[np.ndarray],
    decay: np.ndarray | None = None,
) -> Journeys:
    """Journeys of the same touches in the same order become one."""
    group, first = same_sequences(codes, lengths)
    size = len(first)
    summed = [np.bincount(group, weights=column, minlength=size) for column in numbers]
    lead = lengths[first]
    where = ragged(np.cumsum(lengths)[first] - lead, lead)
    shares = None
    if decay is not None:
        # the mean share-out of a journey's conversions; journeys without any only need some weights
        weight = np.repeat(np.where(summed[0][group] > 0, numbers[0], 1.0), lengths)
        slot = np.repeat((np.cumsum(lead) - lead)[group], lengths) + ragged(np.zeros(len(lengths), np.int64), lengths)
        total = np.bincount(slot, weights=weight * decay, minlength=int(lead.sum()))
        norm = np.bincount(slot, weights=weight, minlength=int(lead.sum()))
        shares = total / norm
    return Journeys(channels, codes[where], lead, summed[0], summed[1], summed[2], shares)


def ragged(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Indices starts[0] … starts[0]+lengths[0]−1, starts[1] …, in one array."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)


def renumber(keys: np.ndarray, upper: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys, ascending, and the place of each key among them; by a table where the range is small."""
    if upper > _TABLE:
        return np.unique(keys, return_inverse=True)
    seen = np.zeros(upper, dtype=bool)
    seen[keys] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[keys]


def same_sequences(codes: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group number of each sequence, and a sequence of each group; equal means equal touch by touch.

    By a 64-bit hash, and then by comparing every sequence with the one of its group: a collision is seen, not believed.
    Groups are numbered by the hash, hence by content: the order of the rows changes nothing.
    """
    position = ragged(np.zeros(len(lengths), np.int64), lengths)
    starts = np.cumsum(lengths) - lengths
    for seed in range(8):
        rng = np.random.default_rng(seed)
        names = rng.integers(1, 2**63, int(codes.max()) + 1, dtype=np.uint64)
        places = rng.integers(1, 2**63, int(lengths.max()), dtype=np.uint64) | np.uint64(1)
        keys = np.add.reduceat(names[codes] * places[position], starts)
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        lead = first[group]
        if (lengths[lead] == lengths).all() and (codes[ragged(starts[lead], lengths)] == codes).all():
            return group, first
    raise AssertionError("eight hash functions collided")  # pragma: no cover - odds below 1e-30


def in_order(journeys: Journeys) -> np.ndarray:
    """Journeys by length, then by their channels."""
    lengths, starts = journeys.lengths, journeys.ends - journeys.lengths
    keys = [lengths]
    width = len(journeys.channels) + 1
    per_word = max(1, int(62 / np.log2(width)))
    for low in range(0, int(lengths.max()), per_word):
        word = np.zeros(len(lengths), dtype=np.int64)
        for step in range(low, low + per_word):
            inside = step < lengths
            word *= width
            word[inside] += journeys.codes[starts[inside] + step] + 1
        keys.append(word)
    return np.lexsort(keys[::-1])


def paths_from_touches(
    touchpoints: pd.DataFrame,
    conversions: pd.DataFrame,
    *,
    lookback_days: float,
    keep_nulls: bool = True,
    collapse_direct: str | None = None,
    as_of: object = None,
    half_life_days: float = 7.0,
) -> pd.DataFrame:
    """Cut each customer's touches into journeys.

    A journey is a run of touches without a pause longer than the look-back window. A conversion ends the journey that
    runs when it happens and takes the touches of the last `lookback_days`; the next journey begins after it. A journey
    that nothing ended is a null. A touch at the very instant of a conversion counts as before it.

    Parameters
    ----------
    touchpoints, conversions
        TOUCHPOINTS and CONVERSIONS. What counts as a conversion is decided by the rows given.
    lookback_days
        The window.
    keep_nulls
        Keep journeys that did not convert; without them the Markov model knows successes only.
    collapse_direct
        Name of the channel of direct visits: its touches are dropped from journeys that have any other touch.
    as_of
        Ignore everything after this instant; default: nothing is ignored.
    half_life_days
        For the time decay model: a touch this long before the conversion weighs half.

    Returns
    -------
    DataFrame
        PATHS plus ``time_weights`` (mean share-out by age, for the time decay model). ``attrs``: ``journeys``, ``nulls``,
        ``open`` (nulls whose last touch is younger than the window: they may still convert), ``without_touch`` and
        ``value_without_touch`` (conversions no touch preceded: in no path), ``too_old`` (touches before the window of
        their conversion), ``note`` (all of it in words).

    Raises
    ------
    DataError
        A frame breaks its contract, the window is not positive, or no conversion was preceded by any touch: the message
        names the missing input.
    """
    if not np.isfinite(lookback_days) or lookback_days <= 0 or not half_life_days > 0:
        raise DataError(f"lookback_days {lookback_days!r}, half_life_days {half_life_days!r}", "positive numbers of days")
    touches, won = _known(TOUCHPOINTS.check(touchpoints), as_of), _known(CONVERSIONS.check(conversions), as_of)
    if touches.empty or won.empty:
        empty = "touchpoints" if touches.empty else "conversions"
        raise DataError(f"none on or before {instant(as_of):%Y-%m-%d}", f"{empty} to attribute")  # type: ignore[arg-type]
    events = _Events(touches, won, int(lookback_days * 86_400e6))
    if not events.converted.any():
        raise DataError(
            f"{len(won):,} conversions and {len(touches):,} touches, but no touch within {lookback_days:g} days before a "
            "conversion of the same customer",
            "touchpoints and conversions that share customers and dates",
        )
    if collapse_direct is not None:
        events.collapse(collapse_direct)
    return events.table(keep_nulls, half_life_days * 86_400e6, lookback_days)


def _known(frame: pd.DataFrame, as_of: object) -> pd.DataFrame:
    return frame if as_of is None else frame[frame["at"] <= instant(as_of)]  # type: ignore[arg-type]


class _Events:
    """Touches and conversions of all customers in one sorted run of arrays; times in microseconds."""

    def __init__(self, touches: pd.DataFrame, won: pd.DataFrame, window: int) -> None:
        self.window = window
        people = pd.factorize(pd.concat([touches["customer_id"], won["customer_id"]], ignore_index=True))[0]
        channel, names = touches["channel"].factorize(sort=True)
        self.channels = tuple(map(str, names))
        at = np.concatenate([_micros(touches["at"]), _micros(won["at"])])
        kind = np.concatenate([channel, np.full(len(won), len(names))])  # a conversion sorts after the touches
        value = np.concatenate([np.zeros(len(touches)), won["value"].to_numpy()])
        order = np.lexsort((value, kind, at, people))
        self.who, self.at, self.kind, self.value = people[order], at[order], kind[order], value[order]
        self.is_touch = self.kind < len(names)
        self.last_instant = int(at.max())
        self._cut()

    def _cut(self) -> None:
        new = np.ones(len(self.who), dtype=bool)
        new[1:] = (self.who[1:] != self.who[:-1]) | ~self.is_touch[:-1]
        new[1:] |= (self.at[1:] - self.at[:-1]) > self.window
        run = np.cumsum(new) - 1
        bare = ~self.is_touch & new  # a conversion that no touch precedes within the window
        self.without_touch, self.value_without_touch = int(bare.sum()), float(self.value[bare].sum())
        ends = np.append(np.flatnonzero(new)[1:], len(new)) - 1
        closing, last = ~self.is_touch[ends], self.at[ends]
        keep = self.is_touch & ~(closing[run] & (last[run] - self.at > self.window))
        self.too_old = int((self.is_touch & ~keep).sum())
        runs = np.unique(run[keep])
        self.converted = closing[runs]
        self.worth = np.where(self.converted, self.value[ends[runs]], 0.0)
        self.ended = last[runs]
        self.run, self.codes = np.searchsorted(runs, run[keep]), self.kind[keep]
        self.age = self.ended[self.run] - self.at[keep]

    def collapse(self, direct: str) -> None:
        """Drop the touches of one channel wherever the journey has another."""
        if direct not in self.channels:
            raise DataError(f"no channel named {direct!r}", f"one of {', '.join(self.channels[:12])} as direct channel")
        bare = self.codes == self.channels.index(direct)
        others = np.bincount(self.run, weights=~bare, minlength=len(self.converted))
        keep = ~bare | (others[self.run] == 0)
        self.run, self.codes, self.age = self.run[keep], self.codes[keep], self.age[keep]

    def table(self, keep_nulls: bool, half_life: float, lookback_days: float) -> pd.DataFrame:
        lengths = np.bincount(self.run, minlength=len(self.converted))
        weight = np.exp2(-self.age / half_life) + 1e-300
        weight /= np.repeat(np.add.reduceat(weight, np.cumsum(lengths) - lengths), lengths)
        still_open = ~self.converted & (self.last_instant - self.ended < self.window)
        n_open, n_nulls = int(still_open.sum()), int((~self.converted).sum())
        codes = self.codes
        wins = self.converted.astype(float)
        if not keep_nulls:
            touched = self.converted[self.run]
            codes, weight, lengths = codes[touched], weight[touched], lengths[self.converted]
        rows = self.converted if not keep_nulls else np.ones(len(wins), dtype=bool)
        found = merged(self.channels, codes, lengths, [wins[rows], self.worth[rows], 1 - wins[rows]], weight)
        frame = pd.DataFrame({"path": pd.Series(_tuples(found.channels, found), dtype=object)})
        frame["conversions"], frame["value"], frame["nulls"] = found.conversions, found.value, found.nulls
        decay = found.decay.tolist() if found.decay is not None else []
        frame["time_weights"] = pd.Series(_slices(decay, found.ends), dtype=object)
        frame = frame.iloc[in_order(found)].reset_index(drop=True)
        frame.attrs = {
            "journeys": int(rows.sum()),
            "nulls": n_nulls if keep_nulls else 0,
            "open": n_open if keep_nulls else 0,
            "without_touch": self.without_touch,
            "value_without_touch": self.value_without_touch,
            "too_old": self.too_old,
            "note": (
                f"{int(wins.sum()):,} converting journeys within {lookback_days:g} days; {self.without_touch:,} conversions "
                f"(worth {self.value_without_touch:,.2f}) had no touch before them and are in no path; "
                + (
                    f"{n_nulls:,} journeys did not convert, {n_open:,} of them still open."
                    if keep_nulls
                    else f"{n_nulls:,} journeys that did not convert were left out."
                )
            ),
        }
        return frame


def _micros(at: pd.Series) -> np.ndarray:
    return at.dt.tz_localize(None).to_numpy(dtype="datetime64[us]").astype(np.int64)


def _tuples(channels: tuple[str, ...], found: Journeys) -> list[tuple[Any, ...]]:
    return _slices([channels[code] for code in found.codes.tolist()], found.ends)


def _slices(flat: list[Any], ends: np.ndarray) -> list[tuple[Any, ...]]:
    stops = ends.tolist()
    return [tuple(flat[low:high]) for low, high in zip([0, *stops[:-1]], stops, strict=True)]


def as_text(path: Iterable[str]) -> str:
    """``a > b`` for people."""
    return " > ".join(path)
