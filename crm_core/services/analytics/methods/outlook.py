"""Outlook of a month or quarter: weighted pipeline, the reps' commit and the statistical forecast, each with its own past error."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, require
from crm_core.kit import clock
from crm_core.kit.money import exponent
from crm_core.models import Organisation
from crm_core.services.analytics import choices, pipeline_history
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report
from crm_core.services.analytics.methods.forecast import last_day
from crm_core.services.analytics.periods import Period, add_months, unit_start
from crm_core.vocabulary import Action

if TYPE_CHECKING:
    import pandas as pd

UNITS = {"month": "Month", "quarter": "Quarter"}
WHICH = {"0": "The running one", "1": "The next one"}
MONTHS = {"month": 1, "quarter": 3}
REHEARSED = {"month": 12, "quarter": 8}
WAYS = {
    "weighted": "the weighted pipeline",
    "commit": "the commit of the reps",
    "statistical": "the statistical forecast",
    "blend": "the blend",
}
TITLES = {
    "weighted": "Weighted pipeline",
    "commit": "Commit of the reps",
    "statistical": "Statistical forecast",
    "blend": "Blend of all",
}
"""The ways as headings of charts and tables; ``WAYS`` are the words inside a sentence."""
TODAY = (
    "The filter or segment looks at deals and customers as they are today, also where earlier evenings are rehearsed: one that has to do with "
    "how deals ended makes the past record look better than it was."
)
UNSEEN = 0.1
"""A past period is no rehearsal when more than this share of what was then won stood in no record of that evening."""


def period_of(day: date, unit: str, *, ahead: int = 0, fiscal_start_month: int = 1) -> Period:
    """The month or fiscal quarter that holds a day, or one of the following ones."""
    start = add_months(unit_start(day, MONTHS[unit], fiscal_start_month), MONTHS[unit] * ahead)
    return Period(start, add_months(start, MONTHS[unit]) - timedelta(days=1))


def chosen(params: Mapping[str, Any]) -> dict[str, Any]:
    """Which deals a run is about, as the functions of ``pipeline_history`` take it; runs from before there was a filter have none."""
    return {"owner_id": params["owner"] or None, "pipeline_id": params["pipeline"] or None, "rule": params.get("filter")}


def fiscal_start(session: Session, actor: Actor) -> int:
    """First month of the workspace's fiscal year."""
    require(actor, "analytics", Action.READ)
    return session.execute(select(Organisation.fiscal_year_start_month).limit(1)).scalar() or 1  # type: ignore[call-overload]


def _compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    import pandas as pd

    from ml.forecast_ways import judge_ways

    pipeline_history.require_amounts(actor)
    until = last_day(as_of, actor.timezone)
    month = fiscal_start(session, actor)
    today = (as_of - timedelta(microseconds=1)).date()
    period: Any = period_of(today, params["unit"], ahead=int(params["which"]), fiscal_start_month=month)
    only = chosen(params)
    report(0.05, "Reading past evenings")
    rehearsals, left_out = _rehearsals(session, actor, params, period, until, month, only)
    report(0.3, "Rehearsing the statistical forecast")
    rest, trouble = _statistical(session, actor, period, until, rehearsals, only)
    unit = 10 ** exponent(actor.currency)
    now, reached = _now(session, actor, period, until, as_of, only, rest)
    past = _past(rehearsals, rest, unit)
    said = {WAYS[key]: value / unit for key, value in now.items()}
    found = judge_ways(said, past.assign(way=past["way"].map(WAYS)), floor=reached / unit)
    ways, past = found.ways.assign(way=_keys(found.ways["way"])), found.past.assign(way=_keys(found.past["way"]))
    judged = int(ways["n"].max())
    return Outcome(
        verdict=found.advice[0],
        reliable="yes" if judged >= 6 and float(ways["wape"].min()) <= 0.2 and not only["rule"] else "partly" if judged >= 3 else "no",
        summary={
            "start": period.start.isoformat(), "end": period.end.isoformat(), "until": until.isoformat(), "reached": reached / unit, "rehearsed": judged, "level": found.level,
            "method": rest.method if rest else "",
        },
        tables={"ways": ways, "past": past, "left_out": pd.DataFrame(left_out, columns=["end", "reason"])},
        warnings=[*found.advice[1:], *trouble, *([TODAY] if only["rule"] else [])],
        missing=_missing(session, actor, judged, left_out),
        sql=_SQL,
        python=_PYTHON,
    )  # fmt: skip


Rehearsal = dict[str, Any]


def _rehearsals(
    session: Session, actor: Actor, params: dict[str, Any], period: Period, until: date, month: int, only: dict[str, Any]
) -> tuple[list[Rehearsal], list[tuple[date, str]]]:
    """What the pipeline said of earlier periods, at the same distance from their end; and the ones that can't be judged fairly."""
    assert period.start is not None and period.end is not None
    known = pipeline_history.covered(session, actor).known_from
    distance = max(0, (period.end - until).days)
    found, left_out = [], []
    for back in range(1, REHEARSED[params["unit"]] + 1 + int(params["which"])):
        then = period_of(period.start, params["unit"], ahead=-back, fiscal_start_month=month)
        if then.end is None or then.end > until:
            continue
        seen = then.end - timedelta(days=distance)
        actual = pipeline_history.won(session, actor, then, **only)
        row: Rehearsal = {
            "period": then,
            "seen": seen,
            "actual": actual,
            "closed": pipeline_history.won(session, actor, then, seen, **only),
        }
        if known is None or seen < known:
            left_out.append((then.end, "before the record of the pipeline begins"))
        elif pipeline_history.unseen(session, actor, then, seen, **only) > UNSEEN * max(actual, 1):
            left_out.append((then.end, "deals that were won later did not stand in the record yet"))
        else:
            row["standing"] = pipeline_history.standing(session, actor, then, seen, **only)
        found.append(row)
    return found, left_out


def _statistical(
    session: Session, actor: Actor, period: Period, until: date, rehearsals: list[Rehearsal], only: dict[str, Any]
) -> tuple[Any, list[str]]:
    """The rest of the period from the daily figures; None with the reason where the history is too short."""
    from crm_core.frames import series as frames
    from ml.errors import DataError
    from ml.forecast_rest import rest_of_period

    daily = frames.series(
        session, actor, "won_revenue", grain="day", until=until, choice=frames.Choice(only["owner_id"], only["pipeline_id"]), rule=only["rule"]
    )  # fmt: skip
    try:
        return rest_of_period(daily, end=period.end, past=[(row["seen"], row["period"].end) for row in rehearsals]), []
    except DataError as error:
        return None, [f"There is no statistical forecast: it needs {error.needed}, found {error.found}."]


def _now(
    session: Session, actor: Actor, period: Period, until: date, as_of: datetime, only: dict[str, Any], rest: Any
) -> tuple[dict[str, float], int]:
    """What each way says now, in minor units, and what has been reached."""
    reached = pipeline_history.won(session, actor, period, (as_of - timedelta(microseconds=1)).date(), **only)
    by_then = pipeline_history.won(session, actor, period, until, **only)
    live = as_of > clock.utcnow()
    stands = pipeline_history.standing(session, actor, period, None if live else until, **only)
    now = {"weighted": float(reached + stands.weighted_minor), "commit": float(reached + stands.commit_minor)}
    if rest is not None:
        now["statistical"] = max(float(reached), by_then + rest.estimate * 10 ** exponent(actor.currency))
    return now, reached


def _past(rehearsals: list[Rehearsal], rest: Any, unit: int) -> "pd.DataFrame":
    """``period, way, forecast, actual`` in major units."""
    import pandas as pd

    rows: list[tuple[date, str, float, float]] = []
    for row in rehearsals:
        if "standing" in row:
            stood, end, actual = row["standing"], row["period"].end, row["actual"] / unit
            rows.append((end, "weighted", (row["closed"] + stood.weighted_minor) / unit, actual))
            rows.append((end, "commit", (row["closed"] + stood.commit_minor) / unit, actual))
    known = {pd.Timestamp(row["period"].end): row for row in rehearsals}
    for said in rest.past.itertuples() if rest is not None else ():
        row = known[said.end]
        rows.append((row["period"].end, "statistical", row["closed"] / unit + said.forecast, row["actual"] / unit))
    return pd.DataFrame(rows, columns=["period", "way", "forecast", "actual"])


def _keys(names: "pd.Series") -> "pd.Series":
    """Way → its key, for tables."""
    return names.map({label: key for key, label in WAYS.items()})


def _missing(session: Session, actor: Actor, judged: int, left_out: list[tuple[date, str]]) -> list[str]:
    reach = pipeline_history.covered(session, actor)
    found = []
    if reach.known_from is None:
        found.append("The pipeline has not been remembered on any evening yet. The worker does so every night; come back tomorrow.")
    elif judged < 6:
        found.append(f"{judged} past periods could be rehearsed; every finished period adds one.")
    if left_out:
        reasons = sorted({reason for _, reason in left_out})
        found.append(f"{len(left_out)} past periods tell nothing about weighted pipeline and commit: {', and '.join(reasons)}.")
    return found


_SQL = """-- The pipeline of a period as it stood on the evening :seen (for each rehearsed period; today's comes from "deal" itself)
select count(*), sum(s.amount_minor),
       sum(case when s.category = 'omitted' then 0 else s.amount_minor * s.probability_pct end) / 100.0 as weighted,
       sum(case when s.category in ('commit', 'closed') then s.amount_minor else 0 end) as committed
from pipeline_snapshot s join deal d on d.id = s.deal_id and d.deleted_at is null
where s.from_on <= :seen and (s.until_on is null or s.until_on > :seen)
  and s.expected_close_on between :first_day and :last_day;

-- What was won in it, until then and in the end
select sum(case when closed_on <= :seen then amount_minor else 0 end), sum(amount_minor)
from deal where outcome = 'won' and deleted_at is null and closed_on between :first_day and :last_day;
"""

_PYTHON = """import pandas as pd
from ml.forecast_ways import judge_ways

past = pd.read_csv("past.csv")  # the table "past": period, way, forecast, actual
now = {"weighted": 120_000, "commit": 95_000, "statistical": 110_000}
found = judge_ways(now, past, floor=40_000)  # floor: won so far
print(found.ways)
print(found.advice)
"""

METHOD = Method(
    kind="outlook",
    title="Sales outlook",
    version=2,
    entities=("deal",),
    tables=("deal", "stage", "pipeline", "pipeline_snapshot", "deal_daily", "summary_dirty", "organisation"),
    params=(
        Param("unit", "Period", "choice", "quarter", UNITS),
        Param("which", "Which", "choice", "0", WHICH),
        Param("owner", "Owner", "choice", 0, choices.owners),
        Param("pipeline", "Pipeline", "choice", 0, choices.pipelines),
        Param("filter", "Only deals that match", "filter", None, entity="deal"),
    ),
    compute=_compute,
    how=(
        "Each way adds what it expects to what has been won so far. Weighted pipeline: amount times probability of the open deals expected to "
        "close in the period. Commit: those of the forecast category Commit, in full. Statistical: the daily won revenue carried forward by the "
        "method that was closest in rehearsals. Each is judged by what it said of earlier periods, as many days before their end; the range "
        "holds four of five of these errors. The blend weighs the ways by the inverse square of their errors."
    ),
)
