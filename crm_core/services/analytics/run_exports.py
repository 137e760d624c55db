"""The tables of a run as files. Rows about single records are taken out only by those who may export such records, with their names."""

import json
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core import events, lists
from crm_core.access import Actor, require
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Invalid
from crm_core.frames.orders import product_names
from crm_core.kit.csvio import to_csv, to_xlsx
from crm_core.kit.money import to_major
from crm_core.kit.numerals import written
from crm_core.services.analytics import offer_worth, runs
from crm_core.services.analytics.methods import method
from crm_core.vocabulary import Action

if TYPE_CHECKING:
    import pandas as pd

MAX_XLSX = 200_000
_BATCH = 500
_PRODUCTS = frozenset({"product_id", "partner_id", "offer_id", "because", "antecedents", "consequents"})


def export(session: Session, actor: Actor, run_id: int, name: str, *, form: str = "csv") -> bytes:
    """A table of a run as CSV or XLSX. Records an event with the number of rows."""
    run = runs.get(session, actor, run_id)
    if form not in ("csv", "xlsx"):
        raise Invalid("Choose CSV or XLSX.")
    frame = runs.table(session, actor, run_id, name)
    if form == "xlsx" and len(frame) > MAX_XLSX:
        raise Invalid(f"A workbook holds at most {written(MAX_XLSX)} rows here; this table has {written(len(frame))}. Take CSV.")
    columns = _record_columns(run, frame)
    for entity_key in columns.values():
        require(actor, entity_key, Action.EXPORT)
    header, rows = _named(session, actor, frame, columns, _product_columns(run, actor, frame))
    if run.kind == "basket" and actor.can("product", Action.READ):
        header, rows = _with_worth(session, actor, frame, header, rows)
    made = (to_csv if form == "csv" else to_xlsx)(header, rows)
    events.record(
        session, actor, "organisation.exported", entity="analytics",
        data={"rows": len(frame), "entity": f"{run.title.lower()}: {name.replace('_', ' ')}", "form": form},
    )  # fmt: skip
    return made


def refusals(session: Session, actor: Actor, run_id: int) -> dict[str, str]:
    """Why this person can't have a table of a run as a file, by table; empty where they can. The file itself asks again."""
    run, found = runs.get(session, actor, run_id), {}
    for name in run.tables:
        columns = _record_columns(run, runs.table(session, actor, run_id, name))
        kept = sorted({entity(key).plural.lower() for key in columns.values() if not actor.can(key, Action.EXPORT)})
        found[name] = f"It names {' and '.join(kept)}, which your role may not export." if kept else ""
    return found


def _record_columns(run: Any, frame: "pd.DataFrame") -> dict[str, str]:
    """Columns that hold ids of records → their entity (the summary may name it); products are no secret of a person."""
    customer = str(run.params.get("customer") or "contact")
    own = str(run.summary.get("entity") or next(iter(method(run.kind).reads), "contact"))
    known = {"customer_id": customer, "record_id": own, **{f"{key}_id": key for key in ENTITIES}}
    return {column: known[column] for column in frame.columns if column in known and known[column] != "product"}


def _product_columns(run: Any, actor: Actor, frame: "pd.DataFrame") -> set[str]:
    """Columns of a basket run that hold products, or lists of them: a file of numbers would help nobody."""
    if run.kind != "basket" or not actor.can("product", Action.READ):
        return set()
    return set(frame.columns) & _PRODUCTS


def _named(
    session: Session, actor: Actor, frame: "pd.DataFrame", columns: dict[str, str], products: set[str]
) -> tuple[list[str], list[list[Any]]]:
    known = product_names(session, actor) if products else {}
    header: list[str] = []
    taken: list[list[Any]] = []
    for column in frame.columns:
        values = _cells(frame[column])
        header.append(column)
        taken.append(values)
        if column in columns:
            titles = _titles(session, actor, columns[column], values)
            header.append(column.removesuffix("_id") + "_name")
            taken.append([titles.get(value, "") for value in values])
        if column in products:
            header.append(column.removesuffix("_id") + "_name")
            taken.append([_product_words(known, value) for value in values])
    return header, [list(row) for row in zip(*taken, strict=True)]


def _with_worth(
    session: Session, actor: Actor, frame: "pd.DataFrame", header: list[str], rows: list[list[Any]]
) -> tuple[list[str], list[list[Any]]]:
    """Beside each offer its stock, margin and margin × probability as they are today; empty where they are not known or hidden."""
    offered = next((name for name in ("consequents", "partner_id", "product_id") if name in frame.columns), None)
    if offered is None or "confidence" not in frame.columns:
        return header, rows
    known, more = offer_worth.worths(session, actor), []
    for cell, chance in zip(_cells(frame[offered]), _cells(frame["confidence"]), strict=True):
        worth = offer_worth.together(
            known, json.loads(cell) if isinstance(cell, str) else cell if isinstance(cell, list) else [cell]
        )
        more.append(_worth_cells(actor, worth, float(chance or 0)))
    return [*header, "stock", "margin", "margin_pct", "expected_margin"], [
        [*row, *cells] for row, cells in zip(rows, more, strict=True)
    ]


def _worth_cells(actor: Actor, worth: offer_worth.Worth | None, chance: float) -> list[Any]:
    if worth is None:
        return [None] * 4
    money = lambda minor: None if minor is None else float(to_major(minor, actor.currency))  # noqa: E731
    share = worth.margin_share
    percent = None if share is None else round(100 * share, 1)
    return [worth.stock, money(worth.margin_minor), percent, money(worth.expected_minor(chance))]


def _product_words(known: dict[int, str], value: Any) -> str:
    ids = json.loads(value) if isinstance(value, str) else [] if value is None else [value]
    return " + ".join(known.get(int(each), "a hidden product") for each in ids)


def _titles(session: Session, actor: Actor, entity_key: str, ids: list[Any]) -> dict[int, str]:
    wanted = list(dict.fromkeys(value for value in ids if value is not None))
    found: dict[int, str] = {}
    for start in range(0, len(wanted), _BATCH):
        found |= lists.titles(session, actor, entity_key, wanted[start : start + _BATCH])
    return found


def _cells(column: "pd.Series[Any]") -> list[Any]:
    """Plain values, without the noise of binary fractions; None where there is none, whatever stands for that in the kind of column (NaN, NaT, NA)."""
    filled = column.astype(object).where(column.notna(), None)
    return [_plain(value) for value in filled.tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return value.isoformat() if hasattr(value, "isoformat") else value
