"""Values of a file that no list has, each with the value that was probably meant: ``technolgy`` → ``Technology``, ``GTXPro`` → ``GTX Pro``."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rapidfuzz import fuzz, process
from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.fields import FieldSpec, registry
from crm_core.kit.text import fold
from crm_core.services.admin.imports.memory import Memory
from crm_core.services.admin.imports.plan import Plan
from crm_core.services.admin.imports.profile import Profile
from crm_core.services.admin.imports.targets import FOUND_BY
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


class Likeness:
    """Finds the most similar of some known values; prepared once, asked often."""

    def __init__(self, known: Iterable[str]) -> None:
        self._names = list(known)[:MAX_NAMES]
        self._folded = [fold(name) for name in self._names]
        self._bare = {_bare(name): name for name in self._names}
        self.known = set(self._folded)

    def best(self, text: str) -> tuple[str, float]:
        """The most similar value and how similar it is; the same letters and digits count as the same."""
        bare = _bare(text)
        if bare and bare in self._bare:
            return self._bare[bare], 100.0
        found = process.extractOne(fold(text), self._folded, scorer=fuzz.ratio, score_cutoff=70)
        return (self._names[found[2]], round(found[1], 1)) if found else ("", 0.0)


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
        likeness = Likeness(known_values(session, actor, cell.spec, cell.column.by))
        for text, count in column.values.items():
            if text not in cell.column.values and fold(text) not in likeness.known:
                found.append(Stranger(cell.header, text, count, *likeness.best(text)))
    return sorted(found, key=lambda stranger: (-stranger.count, stranger.header, stranger.text))


def known_values(session: Session, actor: Actor, spec: FieldSpec, by: str = "") -> list[str]:
    """What a field's list offers, or what the linked records are called, as far as the actor may see them."""
    if spec.kind is not FieldKind.REFERENCE:
        options = spec.options or {}
        return [*options.values(), *(value for value in options if value not in options.values())]
    found = entity(spec.to or "")
    table, names = found.table, []
    for key in (by,) if by else FOUND_BY.get(found.key, ("name",)):
        field = registry(session, found.key).get(key)
        if field is None or actor.masked(found.key, key):
            continue
        value = field.expression(table)
        statement = select(value).where(value.is_not(None)).limit(MAX_NAMES)
        if not found.lookup:
            statement = statement.where(visible(actor, found.key, table))
        names += [str(name) for name in session.execute(statement).scalars()]
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
