"""Fitting a score of leads or deals: rows as they were, judged on later ones, frozen as JSON, refused when it knows nothing."""

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.filters import where
from crm_core.frames import scoring
from crm_core.services.analytics.methods.base import Mark, Outcome, Report
from crm_core.services.analytics.score_fields import KEPT_OUT, Fields, fields_of
from crm_core.vocabulary import LeadKind, StageKind
from ml.errors import DataError
from ml.lead_frozen import freeze
from ml.lead_model import ScoreModel
from ml.lead_rows import MIN_EACH
from ml.lead_score import fit_score

MIN_AMOUNTS = 10
TOP = 5
_OPEN = (LeadKind.OPEN, LeadKind.WORKING, LeadKind.QUALIFIED)


@dataclass(frozen=True)
class Subject:
    """What is scored. ``kind``: of the run and of the marks; ``happened``: what the good outcome is called."""

    entity: str
    kind: str
    noun: str
    happened: str
    ended: str
    failed: str


LEADS = Subject("lead", "lead_score", "leads", "converted", "converted", "were given up")
DEALS = Subject("deal", "deal_score", "deals", "won", "were won", "were lost")


def learn(session: Session, actor: Actor, subject: Subject, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    """Fit, judge and freeze a score, and score what is open. Raises DataError when there is too little to learn from."""
    report(0.05, f"Reading {subject.noun}")
    known = _narrowed(session, actor, subject, outcomes(session, actor, subject.entity, as_of, params["age_days"]), params, as_of)
    _enough(known, subject)
    report(0.2, "Rebuilding them as they were")
    fields = fields_of(session, actor, subject.entity, known.rows["at"], owner=params["owner"])
    table = known.rows.join(fields.table).rename_axis("id").reset_index()
    report(0.4, "Learning from the earlier ones, judging on the later ones")
    spend = "spend" if _amounts(table) >= MIN_AMOUNTS and not _hides_amounts(actor) else None
    model = fit_score(
        table, outcome="outcome", at="at", id="id", outcome_at="outcome_at", spend=spend, features=list(fields.labels), as_of=as_of
    )
    model = strict(model, subject)
    report(0.85, "Scoring what is open")
    scores = score(model, table[table["outcome"].isna() & model.usable], fields.labels)
    return Outcome(
        verdict=model.verdict,
        reliable=reliable(model),
        summary=_summary(model, known, subject, params, len(scores)),
        tables=_tables(model, fields, scores, subject, params),
        warnings=[*(in_words(one, fields.labels) for one in model.advice[1:]), *_warnings(model, known, subject)],
        missing=_missing(model, subject),
        sql=_SQL[subject.entity],
        python=_python(subject, spend),
        marks=marks(subject.kind, subject.entity, scores) if model.usable else [],
    )


def strict(model: ScoreModel, subject: Subject) -> ScoreModel:
    """Refused too when its chances miss by more than the base rate does: then it would rank by what it does not know."""
    found = model.metrics
    if not model.usable or found["brier"] < found["brier_base_rate"]:
        return model
    verdict = (
        f"No better than the base rate of {model.base_rate:.0%}: it orders later {subject.noun} a little better than chance (AUC "
        f"{found['auc']:.2f}, interval {found['auc_low']:.2f} to {found['auc_high']:.2f}), but its chances miss by more than the base rate "
        f"does (Brier {found['brier']:.3f} against {found['brier_base_rate']:.3f})."
    )
    return replace(model, usable=False, verdict=verdict)


def in_words(advice: str, labels: dict[str, str]) -> str:
    """Advice of the mathematics with labels in the place of keys."""
    known = {**labels, "(outcome)": "the share that turned out well"}
    keys = "|".join(re.escape(key) for key in sorted(known, key=len, reverse=True))
    return re.sub(rf"(?<!\w)({keys})(?!\w)", lambda hit: known[hit.group(1)], advice)


def _enough(known: "Known", subject: Subject) -> None:
    good, bad = (int((known.rows["outcome"] == value).sum()) for value in (1, 0))
    if min(good, bad) < MIN_EACH:
        raise DataError(
            f"{good:,} {subject.happened} and {bad:,} not",
            f"at least {MIN_EACH} {subject.noun} that {subject.ended} and {MIN_EACH} that {subject.failed}",
        )


@dataclass(frozen=True)
class Known:
    """Records at their moments (index: id; at, outcome, outcome_at, spend). ``quick``: closed before they would have been scored;
    ``late``: entered here only after they were closed; ``young``: left out as too young; ``wait_days``: in these nine of ten are decided."""

    rows: pd.DataFrame
    quick: int
    late: int
    young: int
    wait_days: float


def _narrowed(session: Session, actor: Actor, subject: Subject, known: Known, params: dict[str, Any], as_of: datetime) -> Known:
    """Those of the chosen period and filter; open ones of any age are scored all the same."""
    rows = known.rows
    if int(params["months"]):
        since = pd.Timestamp(as_of) - pd.DateOffset(months=int(params["months"]))
        rows = rows[(rows["at"] >= since) | rows["outcome"].isna()]
    if params["filter"]:
        table = entity(subject.entity).table
        chosen = where(session, subject.entity, params["filter"], actor, now=as_of)
        ids = session.execute(select(table.c.id).where(visible(actor, subject.entity, table), chosen)).scalars()
        rows = rows[rows.index.isin(list(ids))]
    return replace(known, rows=rows)


def outcomes(session: Session, actor: Actor, entity_key: str, as_of: datetime, age_days: int) -> Known:
    """Every record with the moment at which it is scored (when it came in, plus ``age_days``) and what had become of it by ``as_of``."""
    frame = (_lead_ends if entity_key == "lead" else _deal_ends)(session, actor).set_index("id")
    now = pd.Timestamp(as_of)
    frame = frame[frame["began"] <= now].copy()
    frame["at"] = frame["began"] + timedelta(days=age_days)
    frame["at"] = frame["at"].where(frame["at"] < now, now)
    unknown = frame["outcome"].isna() | (frame["outcome_at"] > now)
    frame.loc[unknown, ["outcome", "spend"]] = np.nan
    frame.loc[unknown, "outcome_at"] = pd.NaT
    quick = ~unknown & (frame["outcome_at"] <= frame["at"])
    late = int((~unknown & (frame["created_at"] > frame["outcome_at"])).sum())
    rows = frame.loc[~quick, ["at", "outcome", "outcome_at", "spend"]]
    young, wait_days = _too_young(rows, now)
    return Known(rows[~young], int(quick.sum()), late, int(young.sum()), wait_days)


def _too_young(rows: pd.DataFrame, now: pd.Timestamp) -> tuple[pd.Series, float]:
    """Closed ones that came in so lately that most of their like are still open: of these, only the quick outcomes are known.

    Lately: less than the time in which nine of ten are decided. None when too few would be left to learn from.
    """
    wait = (rows["outcome_at"] - rows["at"]).dt.total_seconds() / 86_400
    nobody = pd.Series(False, index=rows.index)
    if not wait.notna().any():
        return nobody, 0.0
    days = float(wait.quantile(0.9))
    young = rows["outcome"].notna() & (rows["at"] > now - timedelta(days=days))
    left = rows.loc[~young, "outcome"].value_counts()
    enough = min(left.get(0.0, 0), left.get(1.0, 0)) >= MIN_EACH
    return (young if enough else nobody), days


def _lead_ends(session: Session, actor: Actor) -> pd.DataFrame:
    found = scoring.lead_outcomes(session, actor)
    open_ones = found["kind"].isin([kind.value for kind in _OPEN]) & found["converted_at"].isna()
    outcome = found["converted_at"].notna().astype(float).mask(open_ones)
    ended = found["converted_at"].fillna(found["ended_at"])
    columns = {"began": found["created_at"], "outcome": outcome, "outcome_at": ended.mask(open_ones), "spend": found["worth"]}
    return found[["id", "created_at"]].assign(**columns)


def _deal_ends(session: Session, actor: Actor) -> pd.DataFrame:
    """A deal is scored at the end of the day on which it was opened; a closing day counts from its end too."""
    found = scoring.deal_outcomes(session, actor)
    day = timedelta(days=1)
    open_ones = (found["outcome"] == StageKind.OPEN.value) | found["closed_on"].isna()
    won = (found["outcome"] == StageKind.WON.value).astype(float).mask(open_ones)
    began, ended = (found[name].dt.tz_localize("UTC").dt.as_unit("us") + day for name in ("created_on", "closed_on"))
    columns = {"began": began, "outcome": won, "outcome_at": ended.mask(open_ones), "spend": found["amount"].mask(won != 1)}
    return found[["id", "created_at"]].assign(**columns)


def _amounts(table: pd.DataFrame) -> int:
    return int((table["spend"].notna() & (table["outcome"] == 1)).sum())


def _hides_amounts(actor: Actor) -> bool:
    return actor.masked("deal", "amount_minor")


def score(model: ScoreModel, rows: pd.DataFrame, labels: dict[str, str]) -> pd.DataFrame:
    """Chance, range, expected value and reasons of each row, best first: ``id, p, p_low, p_high, …, reasons`` (JSON text)."""
    if rows.empty:
        return pd.DataFrame(
            {"id": pd.Series(dtype="int64"), "p": [], "p_low": [], "p_high": [], "reasons": pd.Series(dtype=object)}
        )
    found = model.score(rows, top=TOP)
    reasons = [
        json.dumps([{**one, "label": labels.get(one["field"], one["field"])} for one in each])
        for each in found.pop("contributions")
    ]
    found = found.assign(id=rows["id"], reasons=reasons)
    by = "expected_value" if "expected_value" in found else "p"
    return found.sort_values([by, "id"], ascending=[False, True], ignore_index=True)


def marks(kind: str, entity_key: str, scores: pd.DataFrame) -> list[Mark]:
    """What is published per open record: the chance in percent, with everything that explains it."""
    found = []
    for row in scores.to_dict("records"):
        detail = {key: round(float(row[key]), 4) for key in ("p", "p_low", "p_high")}
        if "expected_value" in row:
            detail |= {key: round(float(row[key]), 2) for key in ("expected_spend", "expected_value", "value_low", "value_high")}
        detail["reasons"] = json.loads(row["reasons"])
        found.append(Mark(kind, entity_key, int(row["id"]), round(100 * row["p"], 1), f"{100 * row['p']:.0f} of 100", detail))
    return found


def reliable(model: ScoreModel) -> Any:
    if not model.usable:
        return "no"
    sound = model.metrics["auc"] >= 0.65 and model.metrics["ece"] <= 0.05
    return "yes" if sound and model.metrics["auc"] < 0.97 else "partly"


def _summary(model: ScoreModel, known: Known, subject: Subject, params: dict[str, Any], n_open: int) -> dict[str, Any]:
    return {
        **{key: round(float(value), 6) for key, value in model.metrics.items()},
        "usable": model.usable,
        "base": [model.base_rate, model.base_low, model.base_high],
        "closed": int(known.rows["outcome"].notna().sum()),
        "good": int((known.rows["outcome"] == 1).sum()),
        "open": n_open,
        "quick": known.quick,
        "young": known.young,
        "age_days": params["age_days"],
        "entity": subject.entity,
        "happened": subject.happened,
    }


def _tables(
    model: ScoreModel, fields: Fields, scores: pd.DataFrame, subject: Subject, params: dict[str, Any]
) -> dict[str, pd.DataFrame]:
    """Evidence with labels in the place of keys; the frozen score stands in ``model`` as JSON."""
    labels = fields.labels
    named = {key: labels.get(key, key) for key in model.dropped}
    left = [(named[key], why) for key, why in model.dropped.items()] + list(KEPT_OUT[subject.entity].items())
    frozen = {**freeze(model), "labels": labels, "age_days": params["age_days"], "owner": params["owner"]}
    terms = [term_words(term, labels) for term in model.coefficients.get("term", [])]
    return {
        "scores": scores,
        "coefficients": model.coefficients.assign(term=terms),
        "calibration": model.calibration,
        "lift": model.lift,
        "leaks": model.leaks.assign(field=[labels.get(key, key) for key in model.leaks["field"]]),
        "drift": model.drift.assign(field=[labels.get(key, key) for key in model.drift["field"]]),
        "left_out": pd.DataFrame(left, columns=["field", "why"]),
        "model": pd.DataFrame({"json": [json.dumps(frozen)]}),
    }


def term_words(term: str, labels: dict[str, str]) -> str:
    for key in sorted(labels, key=len, reverse=True):
        if term == key or term.startswith((f"{key} ", f"{key},")):
            return labels[key] + term[len(key) :].replace(" = ", ": ", 1)
    return term


def _warnings(model: ScoreModel, known: Known, subject: Subject) -> list[str]:
    said = []
    if known.late:
        said.append(
            f"{known.late:,} {subject.noun} were entered here only after they were closed: of these, fields are known as they were "
            "entered, not as they were before."
        )
    if known.quick:
        said.append(f"{known.quick:,} {subject.noun} were closed before they would have been scored, and are left out.")
    if known.young:
        said.append(
            f"{known.young:,} {subject.noun} of the last {known.wait_days:.0f} days are left out although they are closed: "
            "most of their like are still open, and the quick ones are not typical."
        )
    return said


def _missing(model: ScoreModel, subject: Subject) -> list[str]:
    if model.usable:
        return []
    wide = model.metrics["auc_high"] - model.metrics["auc_low"] > 0.2
    if wide:
        return [
            f"Closed {subject.noun}: only {model.metrics['n']:,.0f} later ones could be judged, so the interval is wide. "
            "A useful score may show itself with more of them."
        ]
    return [
        f"Fields that tell good {subject.noun} from others before the outcome: what is known at that moment tells them apart no better than "
        "a coin. More fields filled early, or more closed ones, may change that."
    ]


_SQL = {
    "lead": (
        "SELECT lead.id, lead.created_at, lead_status.kind, lead.converted_at\n  FROM lead JOIN lead_status ON lead_status.id = lead.status_id\n"
        " WHERE lead.deleted_at IS NULL;\n\n-- later changes, to be taken back\n"
        "SELECT record_id, at, changes FROM event_log WHERE entity = 'lead' ORDER BY id;"
    ),
    "deal": (
        "SELECT id, created_on, closed_on, outcome, source, amount_minor, product_id, account_id\n  FROM deal WHERE deleted_at IS NULL;\n\n"
        "-- later changes, to be taken back\nSELECT record_id, at, changes FROM event_log WHERE entity = 'deal' ORDER BY id;"
    ),
}


def _python(subject: Subject, spend: str | None) -> str:
    amount = ', spend="spend"' if spend else ""
    return (
        "from ml.lead_score import fit_score\n\n"
        "# table: one row per record as it was at the moment `at`; outcome 1, 0, or empty while it is open\n"
        f'model = fit_score(table, outcome="outcome", at="at", id="id", outcome_at="outcome_at"{amount})\n'
        f"print(model.verdict, model.metrics)\nmodel.score(table[table.outcome.isna()])  # the open {subject.noun}\n"
    )
