"""What a role may do, as two small tables that can be edited: records with a reach per verb, parts of the product with see and manage."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from crm_core.access.permissions import AREAS, RECORDS
from crm_core.entities import label_of
from crm_core.services.admin.role_rules import AREA_ACTIONS, RECORD_ACTIONS
from crm_core.services.admin.roles import Rights
from crm_core.vocabulary import Action, Scope
from ui.components.one_row import wide

Grants = dict[tuple[str, Action], Scope]

NO = "–"
REACH = {NO: None, "Own": Scope.OWN, "Team": Scope.TEAM, "Below": Scope.SUBTREE, "All": Scope.ALL}
_WORDS = {scope: word for word, scope in REACH.items()}
_PROSE = {None: "nothing", Scope.OWN: "own", Scope.TEAM: "the team's", Scope.SUBTREE: "own and below", Scope.ALL: "all"}
_YES_NO = {Action.CREATE, Action.IMPORT, Action.MANAGE}


_NOTHING = "nothing"
TITLES = ("Records", "Parts of the product")


def role_matrix(rights: Rights, *, tag: str, disabled: bool) -> Grants:
    """Draw both tables; gives the grants as they stand in them. ``tag`` keys them."""
    with wide("rights"):
        found = _table(TITLES[0], RECORDS, RECORD_ACTIONS, rights, tag, disabled)
        st.caption(
            "Own: records that one owns. Team: those of one's team. Below: one's own and those of everyone below in the hierarchy."
        )
        found |= _table(TITLES[1], AREAS, AREA_ACTIONS, rights, tag, disabled)
    with st.container(key="narrow_rights", gap=None):  # seen where the tables are not
        for key in (*RECORDS, *AREAS):
            if (words := _said(found, key)) != _NOTHING:
                st.caption(f"**{label_of(key, plural=True)}**: {words}")
    return found


def matrix_keys(tag: str) -> list[str]:
    """The keys of the two tables."""
    return [f"rights_{title}_{tag}" for title in TITLES]


def one_kind(grants: Grants, rights: Rights, tag: str) -> Grants | None:
    """The rights on one kind of record, or one part, as a form; gives all grants as they are to be saved when its button was pressed."""
    names = {key: label_of(key, plural=True) for key in (*RECORDS, *AREAS)}
    with st.expander("Edit one kind of record", icon=":material/edit_note:", key="one_right"):
        chosen = st.selectbox(
            "Records or part of the product", list(names), format_func=lambda key: f"{names[key]} · {_said(grants, key)}", index=None, placeholder="Choose one",
            key=f"one_right_which_{tag}",
        )  # fmt: skip
        if chosen is None:
            return None
        given: Grants = {}
        for action in RECORD_ACTIONS if chosen in RECORDS else AREA_ACTIONS:
            before, key = grants.get((chosen, action)), f"one_right_{tag}_{chosen}_{action.value}"
            if action in _YES_NO:
                value: object = st.toggle(action.label, value=before is not None, key=key)
            else:
                value = st.segmented_control(action.label, list(REACH), default=_WORDS[before], required=True, key=key)
            scope = _meant(value, before or rights.grants.get((chosen, action)))
            if scope is not None:
                given[(chosen, action)] = scope
        if not st.button("Save these rights", type="primary", key="one_right_save"):
            return None
    return {cell: scope for cell, scope in grants.items() if cell[0] != chosen} | given


def _said(grants: Grants, entity: str) -> str:
    """``see all, create, edit own``: what the role may do with it."""
    return ", ".join(_may(action, scope) for (key, action), scope in grants.items() if key == entity) or _NOTHING


def _may(action: Action, scope: Scope) -> str:
    return action.label.lower() if action in _YES_NO else f"{action.label.lower()} {_PROSE[scope]}"


def rights_in_words(rights: Rights, against: Rights) -> str:
    """What differs from other rights, cell by cell; two hundred cells say nobody anything."""
    cells = {*rights.grants, *against.grants}
    parts = [
        f"{label_of(key, plural=True)}: {action.label.lower()} {_PROSE[rights.grants.get((key, action))]}"
        for key, action in sorted(cells, key=lambda cell: (cell[0], cell[1].value))
        if rights.grants.get((key, action)) != against.grants.get((key, action))
    ]
    for entity, key in sorted({*rights.fields, *against.fields}):
        mine = rights.fields.get((entity, key))
        if mine != against.fields.get((entity, key)):
            level = mine.level.label.lower() if mine is not None else "without limits"
            parts.append(f"{label_of(entity)}, {key.removesuffix('_id').replace('_', ' ')}: {level}")
    return "; ".join(parts) or "the same rights"


def _table(title: str, entities: tuple[str, ...], actions: tuple[Action, ...], rights: Rights, tag: str, disabled: bool) -> Grants:
    rows = [
        {"what": label_of(entity, plural=True), **{a.value: _shown(rights.grants, entity, a) for a in actions}}
        for entity in entities
    ]
    key = f"rights_{title}_{tag}"
    edited = st.data_editor(
        pd.DataFrame(rows, index=list(entities)),
        key=key,
        hide_index=True,
        disabled=True if disabled else ["what"],
        height="content",
        column_config={
            "what": st.column_config.TextColumn(title, pinned=True, width="medium"),
            **{action.value: _column(action) for action in actions},
        },
    )
    return {
        (entity, action): scope
        for entity, row in zip(entities, edited.to_dict("records"), strict=True)
        for action in actions
        if (scope := _meant(row[action.value], rights.grants.get((entity, action)))) is not None
    }


def _column(action: Action) -> Any:
    if action in _YES_NO:
        return st.column_config.CheckboxColumn(action.label, width="small")
    return st.column_config.SelectboxColumn(action.label, options=list(REACH), required=True, width="small")


def _shown(grants: Mapping[tuple[str, Action], Scope], entity: str, action: Action) -> str | bool:
    scope = grants.get((entity, action))
    return scope is not None if action in _YES_NO else _WORDS[scope]


def _meant(value: object, before: Scope | None) -> Scope | None:
    """What a cell means; a tick that stays keeps its reach (a manager's quotas are those of everyone below)."""
    return (before or Scope.ALL if value else None) if isinstance(value, bool) else REACH.get(str(value))
