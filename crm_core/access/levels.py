"""What several roles together leave a person of each field: the most permissive one wins, unless one says that it holds against all others."""

from collections.abc import Iterable, Mapping

from crm_core.vocabulary import Action, FieldLevel

Key = tuple[str, str]

_RANK = {FieldLevel.HIDDEN: 0, FieldLevel.MASKED: 1, FieldLevel.READ: 2, FieldLevel.EDIT: 3}


def merged(
    rows: Iterable[tuple[int, str, str, FieldLevel, bool]], verbs: Mapping[int, frozenset[tuple[str, Action]]]
) -> dict[Key, FieldLevel]:
    """(entity, field) → level, for each field that some role restricts. ``rows``: role, entity, field, level, strict; ``verbs``: role → what it
    may do. A role that only sees a kind of record gives no more than reading, and one that does not see it has no say."""
    told: dict[Key, dict[int, FieldLevel]] = {}
    strict: dict[Key, list[FieldLevel]] = {}
    for role, entity, field, level, holds in rows:
        told.setdefault((entity, field), {})[role] = level
        if holds:
            strict.setdefault((entity, field), []).append(level)
    found = {}
    for key, by_role in told.items():
        given = [_given(by_role.get(role), key[0], may) for role, may in verbs.items()]
        allowed = [level for level in given if level is not None] or list(by_role.values())
        found[key] = min([max(allowed, key=_RANK.__getitem__), *strict.get(key, [])], key=_RANK.__getitem__)
    return {key: level for key, level in found.items() if level is not FieldLevel.EDIT}


def _given(level: FieldLevel | None, entity: str, may: frozenset[tuple[str, Action]]) -> FieldLevel | None:
    if (entity, Action.EDIT) in may or (entity, Action.CREATE) in may:
        return level or FieldLevel.EDIT
    if (entity, Action.READ) not in may:
        return None
    return min(level or FieldLevel.READ, FieldLevel.READ, key=_RANK.__getitem__)
