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

Grants = dict[tuple[str, Action], Scope]

NO = "–"
REACH = {NO: None, "Own": Scope.OWN, "Team": Scope.TEAM, "Below": Scope.SUBTREE, "All": Scope.ALL}
_WORDS = {scope: word for word, scope in REACH.items()}
_YES_NO = {Action.CREATE, Action.IMPORT, Action.MANAGE}


def role_matrix(rights: Rights, *, disabled: bool) -> Grants:
    """Draw both tables; gives the grants as they stand in them."""
    found = _table("Records", RECORDS, RECORD_ACTIONS, rights, disabled)
    st.caption(
        "Own: records that one owns. Team: those of one's team. Below: one's own and those of everyone below in the hierarchy."
    )
    return found | _table("Parts of the product", AREAS, AREA_ACTIONS, rights, disabled)


def _table(title: str, entities: tuple[str, ...], actions: tuple[Action, ...], rights: Rights, disabled: bool) -> Grants:
    rows = [
        {"what": label_of(entity, plural=True), **{a.value: _shown(rights.grants, entity, a) for a in actions}}
        for entity in entities
    ]
    key = f"rights_{title}_{rights.role.id}_{rights.role.version}"
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
