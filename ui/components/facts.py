"""A card of facts about a record: labels and values, links to other records, addresses and numbers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.fields import FieldSpec
from crm_core.veil import Veil
from crm_core.vocabulary import FieldKind
from ui import format as fmt
from ui.navigation import go, page_of

_HERE = Path(__file__).parent
_FACTS = st.components.v2.component(
    "rapport_facts", html='<div class="facts"></div>\n', css=(_HERE / "facts.css").read_text(), js=(_HERE / "facts.js").read_text()
)
_WRITE = "@write"


def facts(
    actor: Actor,
    title: str,
    specs: Mapping[str, FieldSpec],
    row: Mapping[str, Any],
    keys: Sequence[str],
    *,
    barred: Mapping[str, str] | None = None,
    write: Callable[[str], None] | None = None,
) -> None:
    """Draw the card; empty facts are left out. Links lead to their records, mail and phone to their programs, but for ``barred`` ones: field → why.
    ``write``: what an address opens instead of the mail program."""
    shown = [
        _fact(actor, specs[key], row, (barred or {}).get(key, ""), write is not None)
        for key in keys
        if key in specs and row.get(key) not in (None, "")
    ]
    with st.container(border=True, gap="small"):
        st.markdown(f"**{fmt.md(title)}**")
        if not shown:
            st.caption("Nothing entered yet.")
            return
        happened = _FACTS(key=f"facts_{title.split()[0].lower()}", data={"facts": shown}, on_opened_change=_nothing)
    if happened.opened and happened.opened["page"] == _WRITE and write is not None:
        write(str(happened.opened["id"]))
    elif happened.opened:
        go(happened.opened["page"], id=happened.opened["id"])


def _fact(actor: Actor, spec: FieldSpec, row: Mapping[str, Any], barred: str = "", writes: bool = False) -> dict[str, Any]:
    raw, title = row[spec.key], row.get(f"{spec.key}.title")
    text = fmt.value(actor, spec, raw, title)
    found: dict[str, Any] = {"label": spec.label, "text": text}
    if spec.to in ENTITIES and title and page_of(actor, ENTITIES[spec.to].page) is not None:
        page = ENTITIES[spec.to].page
        return {**found, "href": f"/{page}?id={raw}", "page": page, "id": raw}
    if isinstance(raw, Veil):
        return found
    if barred:
        return {**found, "note": barred}
    if spec.kind is FieldKind.URL:
        return {**found, "href": text if text.lower().startswith(("http://", "https://")) else f"https://{text}"}
    if spec.kind is FieldKind.EMAIL:
        return {**found, "href": f"mailto:{text}", **({"page": _WRITE, "id": text} if writes else {})}
    if spec.kind is FieldKind.PHONE:
        return {**found, "href": "tel:" + "".join(c for c in text if c.isdigit() or c == "+")}
    return found


def _nothing() -> None:
    """CCv2 gives a result only for keys that have a callback."""
