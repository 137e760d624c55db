"""The customers of a lifetime run as rows of a table: filtered, a page at a time, named as the reader may see them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.kit.numerals import written
from crm_core.services.analytics import customer_rows, runs
from crm_core.services.analytics.methods.value import LEVELS

if TYPE_CHECKING:
    import pandas as pd

SORTS = ("at_stake", "risk", "value", "revenue_12m", "silent_days", "expected_purchases")


@dataclass(frozen=True)
class Row:
    """One customer. Money in major units; ``usual_gap_days`` is None for who bought once."""

    id: int
    title: str
    owner: str
    purchases: int
    silent_days: int
    usual_gap_days: float | None
    revenue_12m: float
    risk: float
    expected_purchases: float
    value: float
    at_stake: float


@dataclass(frozen=True)
class Page:
    """Rows of a page, with how many match and what they carry together."""

    rows: tuple[Row, ...]
    total: int
    at_stake: float


def page(
    session: Session,
    actor: Actor,
    run_id: int,
    *,
    level: str = "",
    sort: str = "at_stake",
    mine: bool = False,
    start: int = 0,
    size: int = 20,
) -> Page:
    """A page of the run's customers whom the reader may see, by one of ``SORTS``, the largest first; beyond the last one it is the last one."""
    kept = _kept(session, actor, run_id, level, mine, sort)
    start = min(start, max(0, len(kept) - 1) // size * size)
    part = kept.iloc[start : start + size]
    return Page(tuple(_rows(session, actor, run_id, part)), len(kept), float(kept["at_stake"].sum()))


def ids(
    session: Session,
    actor: Actor,
    run_id: int,
    *,
    level: str = "",
    sort: str = "at_stake",
    mine: bool = False,
    most: int | None = None,
) -> list[int]:
    """Ids of the customers that match, the largest first."""
    kept = _kept(session, actor, run_id, level, mine, sort)["customer_id"]
    return [int(value) for value in (kept if most is None else kept.head(most))]


def notes(session: Session, actor: Actor, run_id: int, wanted: list[int]) -> dict[int, str]:
    """What a task should say about each customer: why it is at risk, in words."""
    table = runs.table(session, actor, run_id, "customers")
    said = {}
    for row in table[table["customer_id"].isin(wanted)].to_dict("records"):
        usual = f", usually every {row['usual_gap_days']:.0f} days" if row["usual_gap_days"] == row["usual_gap_days"] else ""
        said[int(row["customer_id"])] = (
            f"Last order {int(row['silent_days'])} days ago{usual}. Chance of no further order in the period: {row['risk']:.0%}. "
            f"Brought in {written(row['revenue_12m'], ',.0f')} {actor.currency} over the last twelve months."
        )
    return said


def _kept(session: Session, actor: Actor, run_id: int, level: str, mine: bool, sort: str) -> "pd.DataFrame":
    names = {name: place for place, (_, name) in enumerate(LEVELS)}
    if sort not in SORTS or (level and level not in names):
        raise Invalid("The table can't be shown that way.")
    table = runs.table(session, actor, run_id, "customers")
    if level:
        above = LEVELS[names[level] - 1][0] if names[level] else 1.1
        table = table[(table["risk"] >= LEVELS[names[level]][0]) & (table["risk"] < above)]
    table = table[
        table["customer_id"].isin(
            customer_rows.seen(session, actor, _customer(session, actor, run_id), table["customer_id"].tolist(), mine)
        )
    ]
    return table.sort_values([sort, "customer_id"], ascending=[False, True], kind="stable")


def _customer(session: Session, actor: Actor, run_id: int) -> str:
    return str(runs.get(session, actor, run_id, "value").params["customer"])


def _rows(session: Session, actor: Actor, run_id: int, part: "pd.DataFrame") -> list[Row]:
    customer = _customer(session, actor, run_id)
    named = customer_rows.named(session, actor, customer, part["customer_id"].tolist())
    found = []
    for row in part.to_dict("records"):
        key = int(row["customer_id"])
        name, owner = named[key]
        gap = float(row["usual_gap_days"])
        found.append(
            Row(
                key, name, owner, int(row["purchases"]), int(row["silent_days"]),
                gap if gap == gap else None, float(row["revenue_12m"]), float(row["risk"]), float(row["expected_purchases"]), float(row["value"]),
                float(row["at_stake"]),
            )
        )  # fmt: skip
    return found
