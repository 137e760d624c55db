"""Whether a group that an analysis found is still what it was: its share among all customers, and how its members buy, against the run.

Each night for live segments whose rule came out of clusters or personas. Orders are read as the owner sees them, once per run, and both days are
reckoned from them the same way. Moves are told from chance (``ml.lead_checks.drift_table``, Wilson's intervals); the owner hears once of a run.
"""

import logging
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import CrmError
from crm_core.jobs import Job, job
from crm_core.kit import clock
from crm_core.models import AnalysisRun, AnalysisTable, Segment, SegmentMember
from crm_core.services.collaboration import notifications
from crm_core.services.marketing import segment_members
from crm_core.vocabulary import RunState, SegmentKind

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("rapport.segments")
_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
_MEMBERS: Any = SegmentMember.__table__  # type: ignore[attr-defined]
_TABLES: Any = AnalysisTable.__table__  # type: ignore[attr-defined]
LABELS = {"cluster": "cluster_name", "persona": "name"}
"""Kind of source → the column of the run's customers that names the group."""
FEATURES = ("recency_days", "frequency", "monetary")
FEWEST = 30
"""Members on either day below which nothing is said."""
TIMES = 1.5
"""How many times larger or smaller a share must have become, beside being no chance."""
MONTH_DAYS = 30.4375


@job("segments.drift", title="Segments of analyses against their runs", cron="10 3 * * *", keep_days=14)
def look(job: Job) -> None:
    """Every night: say on each segment of an analysis how far it has moved since, and tell its owner once when it has drifted."""
    with job.transaction() as session:
        ids = _of_analyses(session)
    kept: dict[Any, Any] = {}
    for done, segment_id in enumerate(ids, 1):
        with job.transaction() as session:
            job.report(done, len(ids))
            segment = session.get(Segment, segment_id)
            if segment is None or segment.deleted_at is not None:
                continue
            try:
                with session.begin_nested():
                    compare(session, segment, kept)
            except Exception as error:
                if not isinstance(error, CrmError):
                    log.exception("segment %s could not be compared with its run", segment_id)


def _of_analyses(session: Session) -> list[int]:
    """Live segments that came out of a run, those of the same run behind each other."""
    live = select(_SEGMENTS.c.id, _SEGMENTS.c.source).where(_SEGMENTS.c.kind == SegmentKind.LIVE, _SEGMENTS.c.deleted_at.is_(None))
    found = [
        (row.source["run_id"], row.id)
        for row in session.execute(live)
        if (row.source or {}).get("kind") in LABELS and row.source.get("run_id")
    ]
    return [segment_id for _, segment_id in sorted(found)]


def compare(session: Session, segment: Segment, kept: dict[Any, Any]) -> dict[str, Any] | None:
    """Compare a segment with its run and write down what came of it; None when there is nothing to compare with. ``kept``: frames that the segments of
    a run share."""
    source = segment.source or {}
    run = session.get(AnalysisRun, int(source.get("run_id") or 0))
    if run is None or run.state is not RunState.DONE:
        return None
    then = _customers_then(session, run, kept)
    if then is None or LABELS[source["kind"]] not in then.columns:
        return None
    actor = segment_members.owner_of(session, segment)
    mine = {int(one) for one in then.loc[then[LABELS[source["kind"]]] == source.get("label"), "customer_id"]}
    here = set(
        session.execute(
            select(_MEMBERS.c.record_id).where(_MEMBERS.c.segment_id == segment.id, _MEMBERS.c.left_at.is_(None))
        ).scalars()
    )
    before, now = _buying(session, actor, run, kept)
    found = _told(run, mine, here, len(then), before, now)
    session.execute(update(_SEGMENTS).where(_SEGMENTS.c.id == segment.id).values(drift=found, updated_at=_SEGMENTS.c.updated_at))
    session.refresh(segment)
    if found["drifted"]:
        _tell(session, segment, run)
    return found


def _customers_then(session: Session, run: AnalysisRun, kept: dict[Any, Any]) -> "pd.DataFrame | None":
    from crm_core.frames.arrow import unpack

    if ("then", run.id) not in kept:
        kept.clear()  # the segments come run by run: one run's frames at a time
        data = session.execute(select(_TABLES.c.data).where(_TABLES.c.run_id == run.id, _TABLES.c.name == "customers")).scalar()
        kept["then", run.id] = unpack(data) if data is not None else None
    found: pd.DataFrame | None = kept["then", run.id]
    return found


def _buying(session: Session, actor: Actor, run: AnalysisRun, kept: dict[Any, Any]) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """How everybody bought, on the day of the run and today, over spans of the same length."""
    from crm_core.frames.orders import orders

    key = ("buying", run.id, actor.user_id)
    if key not in kept:
        months = int(run.params.get("months") or 0)
        span = timedelta(days=round(months * MONTH_DAYS)) if months else None
        today = clock.utcnow()
        day = datetime.combine(run.as_of + timedelta(days=1), datetime.min.time(), today.tzinfo)
        bought = orders(session, actor, customer=run.params["customer"], since=day - span if span else None, until=today)
        kept[key] = _rfm(bought, day, span), _rfm(bought, today, span)
    found: tuple[pd.DataFrame, pd.DataFrame] = kept[key]
    return found


def _rfm(bought: "pd.DataFrame", day: datetime, span: timedelta | None) -> "pd.DataFrame":
    import pandas as pd

    from ml.rfm import rfm_table

    inside = bought[bought["ordered_at"] < pd.Timestamp(day)]
    inside = inside[inside["ordered_at"] >= pd.Timestamp(day - span)] if span else inside
    if inside.empty:
        return pd.DataFrame(columns=["customer_id", *FEATURES])
    return rfm_table(inside.assign(revenue=inside["revenue"].clip(lower=0)), as_of=day)[["customer_id", *FEATURES]]


def _told(
    run: AnalysisRun, mine: set[int], here: set[int], all_then: int, before: "pd.DataFrame", now: "pd.DataFrame"
) -> dict[str, Any]:
    """What there is to say, as plain values."""
    buys = bool(run.params.get("behaviour"))
    all_now = len(now) if buys and len(now) else all_then
    shares = [len(mine), all_then, len(here), max(all_now, len(here))]
    features = _features(before[before["customer_id"].isin(mine)], now[now["customer_id"].isin(here)])
    moved = _share_moved(*shares)
    return {
        "run_id": run.id, "at": clock.utcnow().isoformat(), "as_of": run.as_of.isoformat(), "then": shares[:2], "now": shares[2:],
        "stayed": len(mine & here) / len(mine) if mine else None, "features": features, "share_moved": moved,
        "stability": run.result.get("summary", {}).get("worst_jaccard"),
        "drifted": moved or any(one["verdict"] == "drifted" for one in features),
        "few": min(len(mine), len(here)) < FEWEST,
    }  # fmt: skip


def _share_moved(then: int, all_then: int, now: int, all_now: int) -> bool:
    """Whether a share became half as large again, or smaller by as much, and that is no chance."""
    import numpy as np

    from ml.kpis import wilson

    if min(then, now) < FEWEST:
        return False
    low, high = wilson(np.array([then, now]), np.array([all_then, all_now]))
    apart = bool(low[1] > high[0] or low[0] > high[1])
    return apart and abs(math.log((now / all_now) / (then / all_then))) >= math.log(TIMES)


def _features(before: "pd.DataFrame", now: "pd.DataFrame") -> list[dict[str, Any]]:
    from ml.lead_checks import drift_table

    if min(len(before), len(now)) < FEWEST:
        return []
    rows = drift_table(before, now, list(FEATURES)).to_dict("records")
    return [
        {"name": row["field"], "psi": round(row["psi"], 3), "then": row["early"], "now": row["late"], "verdict": row["verdict"]}
        for row in rows
    ]


def _tell(session: Session, segment: Segment, run: AnalysisRun) -> None:
    if segment.owner_id is not None:
        notifications.notify(
            session, segment.owner_id, kind="segment.drift", params={"name": segment.name, "segment": segment.id},
            dedupe_key=f"segment.drift:{segment.id}:{run.id}",
        )  # fmt: skip
