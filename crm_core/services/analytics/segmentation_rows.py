"""The members of clusters and grid cells of a run, and who moved between two runs."""

from typing import TYPE_CHECKING

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.services.analytics import runs

if TYPE_CHECKING:
    import pandas as pd


def members(session: Session, actor: Actor, run_id: int, *, cluster: int | None = None, rfm: str | None = None) -> list[int]:
    """Ids of the customers of a cluster, or of a named cell of the grid."""
    table = runs.table(session, actor, run_id, "customers")
    if (cluster is None) == (rfm is None):
        raise Invalid("Choose a group or a cell.")
    chosen = table["cluster"] == cluster if cluster is not None else table["segment"] == rfm
    return [int(value) for value in table.loc[chosen, "customer_id"]]


def moves(session: Session, actor: Actor, before_id: int, after_id: int) -> "pd.DataFrame":
    """``before, after, customers, share``: who went from which cell of the grid to which, the share of the cell before.

    Cells, not clusters: two runs draw their clusters anew, while the cells mean the same in both.
    """
    from ml.rfm import rfm_migration

    before = runs.table(session, actor, before_id, "customers")
    after = runs.table(session, actor, after_id, "customers")
    return rfm_migration(before[["customer_id", "segment"]], after[["customer_id", "segment"]])


def of_persona(session: Session, actor: Actor, run_id: int, persona: int) -> list[int]:
    """Ids of the customers of a persona."""
    return of_personas(session, actor, run_id).get(persona, [])


def of_personas(session: Session, actor: Actor, run_id: int) -> dict[int, list[int]]:
    """Persona → ids of its customers."""
    table = runs.table(session, actor, run_id, "customers")
    if "persona" not in table.columns:
        raise Invalid("This run has no personas.")
    found: dict[int, list[int]] = {}
    for persona, customer in zip(table["persona"].tolist(), table["customer_id"].tolist(), strict=True):
        found.setdefault(int(persona), []).append(int(customer))
    return found
