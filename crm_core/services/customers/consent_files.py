"""Consent in and out of files: what everybody said last, with its legal basis; and words that an import brings, which never lift a no."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlmodel import Session

from crm_core import events, reads
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.kit.csvio import to_csv
from crm_core.services.customers import consent, withdrawing
from crm_core.services.customers.withdrawing import CONSENT, PEOPLE
from crm_core.vocabulary import Action, ConsentStatus, ContactWay, LegalBasis, Purpose

HEADER = ("Kind", "ID", "Name", "E-mail", "Purpose", "Way", "Said", "Legal basis", "How we know", "Since")


def latest(session: Session, actor: Actor) -> bytes:
    """What every contact and lead that the actor may export said last, per purpose and way, as CSV. Only reads; ``log`` it before it is handed out."""
    keys = [key for key in PEOPLE if actor.can(key, Action.EXPORT)]
    if not keys:
        require(actor, "contact", Action.EXPORT)
    return to_csv(list(HEADER), [row for key in keys for row in _rows(session, actor, key)], timezone=actor.timezone)


def log(session: Session, actor: Actor, rows: int) -> None:
    """Note in the audit trail that consent left the house. Events: organisation.exported."""
    require(actor, "campaign", Action.READ)
    for key in (one for one in PEOPLE if actor.can(one, Action.EXPORT)):
        table = entity(key).table
        people = select(table.c.id).where(
            table.c.id.in_(select(CONSENT.c[f"{key}_id"]).where(CONSENT.c.is_latest)), visible(actor, key, table, Action.EXPORT)
        )
        reads.exported(session, actor, key, session.execute(people).scalars(), words="Consent, CSV", fields=("name", "email"))
    events.record(
        session, actor, "organisation.exported", entity="contact", data={"rows": rows, "entity": "words of consent", "form": "csv"}
    )


def _rows(session: Session, actor: Actor, key: str) -> list[list[Any]]:
    table, found = entity(key).table, entity(key)
    query = (
        select(
            table.c.id,
            table.c.name,
            table.c.email,
            CONSENT.c.purpose,
            CONSENT.c.way,
            CONSENT.c.status,
            CONSENT.c.basis,
            CONSENT.c.source,
            CONSENT.c.at,
        )
        .join(CONSENT, CONSENT.c[f"{key}_id"] == table.c.id)
        .where(CONSENT.c.is_latest, visible(actor, key, table, Action.EXPORT))
        .order_by(table.c.id, CONSENT.c.id)
    )
    name, mail = (actor.masked(key, field) for field in ("name", "email"))
    return [
        [
            found.label, row.id, "" if name else row.name, "" if mail else row.email or "", row.purpose.label, row.way.label, row.status.label,
            row.basis.label if row.status is ConsentStatus.GRANTED else "", row.source, row.at,
        ]
        for row in session.execute(query)
    ]  # fmt: skip


def imported(
    session: Session, actor: Actor, key: str, said: Mapping[int, tuple[ConsentStatus, LegalBasis, str]], file: str
) -> None:
    """Write down what a file says about news and offers by e-mail: record → (status, basis, how we know). A yes never lifts a no, and what stands there
    already is not written again; a no holds on every record with the address. The caller has asked."""
    source = f"Import of {file}"
    known = _known(session, key, list(said))
    yes = [one for one, (status, _basis, _source) in said.items() if status is ConsentStatus.GRANTED]
    refused = _refused(session, actor, key, yes)
    for record_id, (status, basis, words) in said.items():
        before = known.get(record_id)
        if before == (status, basis) or (
            status is ConsentStatus.GRANTED and (record_id in refused or (before or ("",))[0] is ConsentStatus.WITHDRAWN)
        ):
            continue
        if status is ConsentStatus.GRANTED:
            consent.append(
                session, actor, key, record_id, Purpose.MARKETING, ContactWay.EMAIL, status, words or source, basis=basis
            )
    no = [(key, one) for one, (status, _basis, _source) in said.items() if status is ConsentStatus.WITHDRAWN]
    if no:
        silence = not consent.rules(session, actor).needs_consent
        theirs = withdrawing.everywhere(session, no)
        withdrawing.withdraw(session, actor, theirs, purposes=[Purpose.MARKETING], source=source, silence=silence)


def _known(session: Session, key: str, ids: Sequence[int]) -> dict[int, tuple[ConsentStatus, LegalBasis]]:
    column = CONSENT.c[f"{key}_id"]
    mine = and_(CONSENT.c.purpose == Purpose.MARKETING, CONSENT.c.way == ContactWay.EMAIL, CONSENT.c.is_latest)
    found: dict[int, tuple[ConsentStatus, LegalBasis]] = {}
    for start in range(0, len(ids), 500):
        rows = session.execute(select(column, CONSENT.c.status, CONSENT.c.basis).where(mine, column.in_(ids[start : start + 500])))
        found |= {row[0]: (row[1], row[2]) for row in rows}
    return found


def _refused(session: Session, actor: Actor, key: str, ids: Sequence[int]) -> set[int]:
    """Who said no on another record with their address, objected, unsubscribed or complained."""
    table = entity(key).table
    open_gates = consent.open_to_yes(key, table, ContactWay.EMAIL, Purpose.MARKETING)
    found: set[int] = set()
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        fine = session.execute(select(table.c.id).where(table.c.id.in_(part), *open_gates)).scalars()
        found |= set(part) - set(fine)
    return found
