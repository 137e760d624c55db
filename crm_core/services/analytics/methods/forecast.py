"""Forecast of a series: several methods are rehearsed on the past, the closest one is used, its range is calibrated on its own errors."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.services.analytics import choices
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report

if TYPE_CHECKING:
    from ml.forecast import Forecast

SERIES = {
    "order_revenue": "Order revenue",
    "orders": "Number of orders",
    "won_revenue": "Revenue of won deals",
    "won_deals": "Number of won deals",
    "new_leads": "New leads",
    "tickets": "New tickets",
}
ENTITY = {
    "order_revenue": "order",
    "orders": "order",
    "won_revenue": "deal",
    "won_deals": "deal",
    "new_leads": "lead",
    "tickets": "ticket",
}
GRAINS = {"day": "Day", "week": "Week", "month": "Month"}
METHODS = {
    "best": "The best in the rehearsals",
    "prophet": "Prophet",
    "ets": "Exponential smoothing",
    "theta": "Theta",
    "seasonal_naive": "Repeating the last season",
    "mean": "The flat mean",
}
LEVELS = {"0.8": "80%", "0.9": "90%", "0.95": "95%"}
CLOSE = 0.1
"""How far the measured share inside the range may lie from the promised one."""


def series_choices(_session: Session, actor: Actor) -> dict[str, str]:
    """The series over records that the actor may read."""
    from crm_core.vocabulary import Action

    return {key: label for key, label in SERIES.items() if actor.can(ENTITY[key], Action.READ)}


def last_day(as_of: datetime, timezone: str) -> date:
    """The last day that is over: the chosen one, or yesterday when that is today."""
    return (
        min(as_of, clock.utcnow()).astimezone(as_of.tzinfo) - timedelta(days=1 if as_of > clock.utcnow() else 0, microseconds=1)
    ).date()


def _compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    from crm_core.frames import series as frames
    from crm_core.frames.read import sql_of
    from ml.errors import DataError
    from ml.forecast import METHODS as COMPETING
    from ml.forecast import forecast

    until = last_day(as_of, actor.timezone)
    choice = frames.Choice(params["owner"] or None, params["pipeline"] or None, params["category"] or None)
    choice = _known(choice, params["series"], frames)
    since = date.fromisoformat(params["since"]) if params["since"] else None
    data = frames.series(
        session, actor, params["series"], grain=params["grain"], until=until, since=since, choice=choice, rule=params["filter"]
    )
    if len(data) < 2 or not data["y"].any():
        raise DataError(
            f"{len(data)} {params['grain']}s with records",
            f"at least eight {params['grain']}s of {SERIES[params['series']].lower()}",
        )
    report(0.1, "Rehearsing on the past")
    found = forecast(
        data,
        horizon=params["horizon"],
        freq=frames.freq(params["grain"], actor.first_weekday),
        methods=COMPETING,
        level=float(params["level"]),
        holidays=params["holidays"] or None,
        floor=0 if (data["y"] >= 0).all() else None,
        choose=params["method"],
        progress=lambda done, total, words: report(0.1 + 0.85 * done / total, f"Rehearsing: {words}"),
    )
    reliable, missing = _reliable(found), _missing(found, params["grain"])
    return Outcome(
        verdict=found.advice[0],
        reliable=reliable,
        summary={
            "chosen": found.chosen, "forced": found.forced, "level": found.level, "has_pattern": found.has_pattern, "skill": found.skill,
            "freq": found.freq, "season": found.season, "money": frames.SERIES[params["series"]].money, "until": until.isoformat(),
            "total": float(found.forecast["yhat"].sum()), "periods": len(data), "ignored": _ignored(params, frames),
        },
        tables={
            "forecast": found.forecast, "history": found.history, "backtest": found.backtest, "accuracy": found.accuracy,
            "rehearsals": found.rehearsals,
        },
        warnings=[*found.advice[1:], *_ignored(params, frames)],
        missing=missing,
        sql=sql_of(session, frames.query(session, actor, params["series"], choice, until, params["filter"])),
        python=_snippet(params, frames.freq(params["grain"], actor.first_weekday)),
    )  # fmt: skip


def _known(choice: Any, key: str, frames: Any) -> Any:
    """Without what the series can't be narrowed by."""
    by = frames.SERIES[key].by
    return frames.Choice(*[getattr(choice, name) if name in by else None for name in ("owner_id", "pipeline_id", "category_id")])


def _ignored(params: dict[str, Any], frames: Any) -> list[str]:
    by = frames.SERIES[params["series"]].by
    words = {"pipeline": ("pipeline_id", "The pipeline"), "category": ("category_id", "The product category")}
    return [
        f"{text} does not apply to this series and was ignored."
        for key, (name, text) in words.items()
        if params[key] and name not in by
    ]


def _reliable(found: "Forecast") -> Any:
    """Yes only with a pattern, a range that held what it promised, and at least four rehearsals."""
    if not found.has_pattern:
        return "no"
    own: Any = found.accuracy.set_index("method").loc[found.chosen]
    held = abs(float(own["coverage_calibrated"]) - found.level) <= CLOSE
    return "yes" if held and found.backtest["origin"].nunique() >= 4 and float(own["mase"]) < 1 else "partly"


def _missing(found: "Forecast", grain: str) -> list[str]:
    if found.season > 1 and len(found.history) < 2 * found.season:
        return [
            f"Two full seasons ({2 * found.season} {grain}s) are needed to learn a season; there are {len(found.history)}. "
            "Importing older records would help."
        ]
    return []


def _snippet(params: dict[str, Any], freq: str) -> str:
    return f"""import pandas as pd
from ml.forecast import forecast

daily = pd.read_csv("daily.csv", parse_dates=["day"])  # the SQL above: day, y; money divided by its minor unit
y = daily.set_index("day")["y"].resample("{freq}", label="left", closed="left").sum()
found = forecast(y.rename_axis("ds").reset_index(), horizon={params["horizon"]}, freq="{freq}", level={params["level"]}, choose="{params["method"]}")
print(found.accuracy)
print(found.forecast)
"""


METHOD = Method(
    kind="forecast",
    title="Forecast",
    entities=(),
    also=("order", "deal", "lead", "ticket"),
    tables=(
        "sales_order", "order_line", "product", "deal", "lead", "ticket", "order_daily", "sale_daily", "deal_daily", "summary_dirty",
        "organisation",
    ),
    params=(
        Param("series", "What", "choice", "order_revenue", series_choices),
        Param("grain", "By", "choice", "week", GRAINS),
        Param("horizon", "How many ahead", "int", 13, low=1, high=366, help="Days, weeks or months"),
        Param("owner", "Owner", "choice", 0, choices.owners),
        Param("pipeline", "Pipeline", "choice", 0, choices.pipelines, help="For won deals"),
        Param("category", "Product category", "choice", 0, choices.categories, help="For order revenue"),
        Param("filter", "Only records that match", "filter", None, entity="@series", entities=ENTITY),
        Param("method", "Method", "choice", "best", METHODS, advanced=True, help="Forcing one shows what that costs"),
        Param("level", "Range", "choice", "0.8", LEVELS, advanced=True, help="Share of what happens that should lie inside"),
        Param("holidays", "Holidays of", "text", "", advanced=True, help="Country code such as DE; used only if the rehearsals improve"),
        Param("since", "Only from", "date", None, advanced=True),
    ),
    compute=_compute,
    how=(
        "Each method is put back to earlier days, sees only what was known then, and says what came next. The one with the smallest error is "
        "used if it beats the flat mean; the range shown is stretched to the errors it really made. Only periods that are over count."
    ),
)  # fmt: skip
