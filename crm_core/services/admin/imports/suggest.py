"""Values of a file that no list has, each with the value that was probably meant: ``technolgy`` → ``Technology``, ``GTXPro`` → ``GTX Pro``."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rapidfuzz import fuzz, process
from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.fields import FieldSpec
from crm_core.kit.text import fold
from crm_core.services.admin.imports.memory import Memory
from crm_core.services.admin.imports.plan import Plan
from crm_core.services.admin.imports.profile import Profile
from crm_core.services.admin.imports.values import LISTS
from crm_core.vocabulary import FieldKind

LIKELY = 88
"""Likeness (0–100) from which the suggestion is filled in; a person still sees it."""

MAX_NAMES = 20_000
"""Linked records that are looked through for a similar name."""


@dataclass(frozen=True)
class Stranger:
    """A value that is on no list. ``suggestion`` is empty when nothing is like it; ``score`` 0–100."""

    header: str
    text: str
    count: int
    suggestion: str = ""
    score: float = 0


def best(text: str, known: Iterable[str]) -> tuple[str, float]:
    """The most similar known value and how similar it is; the same letters and digits count as the same."""
    names = list(known)
    bare = {_bare(name): name for name in names}
    if _bare(text) in bare and _bare(text):
        return bare[_bare(text)], 100.0
    found = process.extractOne(fold(text), [fold(name) for name in names], scorer=fuzz.ratio, score_cutoff=70)
    return (names[found[2]], round(found[1], 1)) if found else ("", 0.0)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", fold(text))


def strangers(session: Session, actor: Actor, entity_key: str, plan: Plan, seen: Profile) -> list[Stranger]:
    """Values of matched columns that are on no list and not yet decided on, the most frequent first."""
    memory = Memory.prepare(session, actor, entity_key, plan, seen.headers)
    found: list[Stranger] = []
    for cell in memory.cells:
        column = seen.column(cell.header)
        if column is None or cell.spec.to == entity_key or (cell.spec.kind not in LISTS and not cell.is_reference):
            continue
        known = _known(session, actor, memory, cell.spec, cell.column.by)
        folded = {fold(name) for name in known}
        for text, count in column.values.items():
            if text not in cell.column.values and fold(text) not in folded:
                found.append(Stranger(cell.header, text, count, *best(text, known)))
    return sorted(found, key=lambda stranger: (-stranger.count, stranger.header, stranger.text))


def _known(session: Session, actor: Actor, memory: Memory, spec: FieldSpec, by: str) -> list[str]:
    if spec.kind is not FieldKind.REFERENCE:
        options = spec.options or {}
        return [*options.values(), *(value for value in options if value not in options.values())]
    found = entity(spec.to or "")
    table = found.table
    names: list[str] = []
    for finder in memory.finders_for(session, found.key, by):
        key = finder.specs[0]
        statement = select(key.expression(table)).where(key.expression(table).is_not(None)).limit(MAX_NAMES)
        if not found.lookup:
            statement = statement.where(visible(actor, found.key, table))
        names += [str(value) for value in session.execute(statement).scalars()]
    return names


def accept(plan: Plan, found: Iterable[Stranger], *, from_score: float = LIKELY) -> Plan:
    """The plan with every likely suggestion filled in."""
    chosen: dict[str, dict[str, str | None]] = {}
    for stranger in found:
        if stranger.suggestion and stranger.score >= from_score:
            chosen.setdefault(stranger.header, {})[stranger.text] = stranger.suggestion
    return replace(
        plan,
        columns=tuple(
            replace(column, values={**column.values, **chosen[column.header]}) if column.header in chosen else column
            for column in plan.columns
        ),
    )
