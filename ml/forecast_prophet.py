"""Prophet, imported only when asked for, silent, reproducible, and with threads instead of processes."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from ml.errors import DataError
from ml.forecast_models import Path
from ml.forecast_series import Prepared

Array = np.ndarray


def prophet_paths(
    data: Prepared,
    ends: Sequence[int],
    horizon: int,
    *,
    holidays: pd.DataFrame | None = None,
    seed: int = 0,
    options: dict[str, Any] | None = None,
) -> list[Path]:
    """Prophet with its defaults (or `options`), fitted to what was observed before each origin.

    The standard errors are computed instead of sampled: noise plus the variance of future trend changes, Laplace
    distributed and as frequent as in the past (Taylor & Letham 2018, section 3.1.4). That is what Prophet's own 1,000
    draws estimate, without their noise and without touching numpy's global seed.
    """

    def one(end: int) -> Path:
        known = data.observed[:end]
        history = pd.DataFrame({"ds": data.ds[:end][known], "y": data.y[:end][known]})
        return _fit(history, data.stamps(end, horizon), holidays, seed, options or {})

    with _silence():
        _load()
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            return list(pool.map(one, ends))


def country_holidays(country: str, stamps: pd.DatetimeIndex) -> pd.DataFrame:
    """Public holidays of a country (ISO code) over the years of `stamps`, in Prophet's columns ``ds, holiday``.

    Raises
    ------
    DataError
        A country that the calendar does not know.
    """
    with _silence():
        _load()
        from prophet.make_holidays import make_holidays_df

        years = list(range(stamps.min().year, stamps.max().year + 1))
        try:
            return make_holidays_df(years, country.upper())
        except (AttributeError, NotImplementedError, KeyError, TypeError):
            raise DataError(repr(country), "a country code of two letters, such as DE or US, for holidays") from None


def check_holidays(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of special days: ``ds, holiday`` and, if wanted, ``lower_window, upper_window`` (days before and after).

    Raises
    ------
    DataError
        A missing column, something that is no date, or no rows.
    """
    missing = [name for name in ("ds", "holiday") if name not in frame.columns]
    if missing:
        raise DataError(f"no {' and no '.join(missing)}", "the columns ds and holiday in holidays")
    if frame.empty or frame[["ds", "holiday"]].isna().any().any():
        raise DataError("missing values" if len(frame) else "none", "a date and a name in every row of holidays")
    stamps = pd.to_datetime(frame["ds"], errors="coerce")
    if stamps.isna().any():
        raise DataError("something that is no date", "dates in the column ds of holidays")
    clean = frame.assign(ds=stamps.dt.tz_localize(None) if stamps.dt.tz is None else stamps.dt.tz_convert(None))
    return clean.reset_index(drop=True)


def _load() -> Any:
    """Two seconds of import, paid by the first forecast that wants Prophet and by nobody else."""
    from prophet import Prophet

    return Prophet


def _fit(history: pd.DataFrame, future: pd.DatetimeIndex, holidays: Any, seed: int, options: dict[str, Any]) -> Path:
    model = _load()(uncertainty_samples=0, holidays=holidays, **options)
    model.fit(history, seed=seed + 1)  # cmdstan wants a seed above zero
    frame = model.setup_dataframe(pd.DataFrame({"ds": future}))
    predicted = model.predict(pd.DataFrame({"ds": future}))
    scale = float(model.y_scale)
    noise = float(np.ravel(model.params["sigma_obs"])[0]) * scale
    jump = float(np.abs(model.params["delta"]).mean())
    beyond = np.maximum(frame["t"].to_numpy(dtype=float) - 1, 0)
    wander = 2 * jump**2 * len(model.changepoints_t) * beyond**3 / 3 * scale**2
    lift = 1 + predicted["multiplicative_terms"].to_numpy(dtype=float)
    return Path(predicted["yhat"].to_numpy(dtype=float), np.sqrt(noise**2 + wander * lift**2))


@contextmanager
def _silence() -> Iterator[None]:
    """Keep cmdstan's chatter and Prophet's notes on missing plotting libraries out of the host's log."""
    loggers = [logging.getLogger(name) for name in ("cmdstanpy", "prophet", "prophet.plot")]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level, disabled in before:
            logger.setLevel(level)
            logger.disabled = disabled
