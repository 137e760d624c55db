"""All e-mail addresses and phone numbers of a person or a company; one of each is the main one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.customers import accounts, contacts
from crm_core.services.customers import points as point_rules
from crm_core.services.customers.preferences import Preferences
from crm_core.services.inbox import correspondence
from crm_core.vocabulary import Action, PointKind, Way
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.rows_clash import begin, grid_of, mine_stay, save_rows
from ui.components.wishes import reach_button
from ui.components.write_dialog import write_dialog


def contact_points(actor: Actor, contact_id: int, wanted: Preferences) -> None:
    """The card. The person's wishes are obeyed: no call link where calls are not wanted, no mail link where mail is not."""
    _card(actor, "contact", contacts, contact_id, load(contacts.points, contact_id), wanted)


def account_points(actor: Actor, account_id: int) -> None:
    """The card of a company: its switchboard, its branches, the addresses for orders and invoices."""
    _card(actor, "account", accounts, account_id, load(accounts.points, account_id), None)


def _card(actor: Actor, entity: str, service: Any, record_id: int, points: Sequence[Any], wanted: Preferences | None) -> None:
    hidden = [name for name in ("email", "phone") if actor.masked(entity, name)]
    may_edit = actor.can(entity, Action.EDIT) and not any(actor.locked(entity, name) for name in ("email", "phone"))
    with st.container(border=True, gap="small", key=f"{entity}_points"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Reach**", width="content")
            if may_edit and st.button("Change", icon=":material/edit:", type="tertiary", key="edit_points"):
                begin("points", point_rules.rows_of(points))
                _dialog(service, record_id)
        if traces := load(service.traces, record_id):
            st.markdown(" · ".join(fmt.md(one) for one in traces))
            st.caption("Masked for your role.")
        if len(hidden) == 2:
            if not traces:
                st.caption("Contact details are hidden from your role.")
        elif not points:
            st.caption("No e-mail address or phone number yet.")
        writes = wanted is not None and any(point.kind is PointKind.EMAIL for point in points) and load(correspondence.may_write)
        for n, point in enumerate(points):
            _point(actor, point, wanted, writes, f"point_{point.id or f'n{n}'}")


def _point(actor: Actor, point: Any, wanted: Preferences | None, writes: bool, key: str) -> None:
    way = Way.CALL if point.kind is PointKind.PHONE else Way.EMAIL
    icon = ":material/call:" if point.kind is PointKind.PHONE else ":material/mail:"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if point.opted_out or point.invalid:
            st.button(
                fmt.md(point.value), icon=icon, type="tertiary", disabled=True, key=f"{key}_no"
            )  # no text: it would be a link
            st.badge("Not valid" if point.invalid else "Not wanted", color="red")
        else:
            href = f"tel:{point.value_key}" if point.kind is PointKind.PHONE else f"mailto:{point.value}"
            if wanted is not None:
                write = partial(write_dialog, "contact", wanted.contact_id, to=point.value) if writes and way is Way.EMAIL else None
                reach_button(actor, wanted, way, point.value, href, key=key, write=write)
            else:
                st.link_button(fmt.md(point.value), href, icon=icon, type="tertiary")
        if point.is_primary:
            st.badge("Main", color="gray")
        if point.verified_at is not None and not point.invalid:
            st.badge(
                "Verified",
                icon=":material/check:",
                color="green",
                help=fmt.md(f"Made sure of on {fmt.day(actor, fmt.local(actor, point.verified_at).date())}"),
            )
        if point.label:
            st.caption(fmt.md(point.label), width="content")


@st.dialog("E-mail addresses and phone numbers", width="large")
def _dialog(service: Any, record_id: int) -> None:
    options, grid = PointKind.options(), grid_of("points")
    edited = st.data_editor(
        grid.seen
        or [
            {"kind": "email", "value": "", "label": "", "is_primary": True, "opted_out": False, "invalid": False, "verified": False}
        ],
        num_rows="dynamic",
        hide_index=True,
        placeholder=fmt.NOTHING,
        key=f"points_editor_{grid.turn}",
        column_config={
            "kind": st.column_config.SelectboxColumn(
                "Kind", options=list(options), format_func=lambda one: options[str(one)], required=True, default="email"
            ),
            "value": st.column_config.TextColumn("Address or number", required=True, width="large"),
            "label": st.column_config.TextColumn("Label", help="Work, mobile, private …"),
            "is_primary": st.column_config.CheckboxColumn("Main", default=False),
            "opted_out": st.column_config.CheckboxColumn(
                "Not wanted", default=False, help="They asked us not to use this one; others stay"
            ),
            "invalid": st.column_config.CheckboxColumn("Not valid", default=False, help="It bounced, or the number is dead"),
            "verified": st.column_config.CheckboxColumn("Verified", default=False, help="Somebody made sure that it works"),
        },
    )
    pressed = st.button("Save", type="primary", key="points_save", disabled=grid.theirs is not None)
    if mine_stay("points", "these addresses and numbers", _listed) or pressed:
        rows = [row for row in edited if row.get("value")]
        words = "Contact details saved."
        save_rows("points", lambda seen: perform(service.set_points, record_id, rows, base_points=seen, success=words))
    show_refusal()


def _listed(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = [f"{row['value']}{' (main)' if row['is_primary'] else ''}" for row in rows]
    return ", ".join(shown) or "no address and no number"
