"""Making and changing a list to call; and the buttons elsewhere that lead here with the people already chosen."""

import json
from collections.abc import Mapping
from datetime import time
from functools import partial
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import label_of
from crm_core.kit import week
from crm_core.lists import ListQuery
from crm_core.models import DialList
from crm_core.services.admin import workspace
from crm_core.services.collaboration import views
from crm_core.services.marketing import segments
from crm_core.services.telephony import dial_lists, dial_people
from crm_core.vocabulary import Action, DialReach, DialSource, Gate, Purpose
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.cache import cached
from ui.components.filter_bar import PARAM
from ui.components.header import Rare
from ui.components.parts_clash import Part, clashing, columns_of, named, save_parts, saver
from ui.components.whole_input import whole_number
from ui.navigation import go, page_of
from ui.session import current_actor

THEIRS = "A matter of theirs: a question, a contract, an order"
GONE = "No longer there"
LONGEST = 4_000
"""Characters of a filter in an address; browsers and proxies cut longer ones."""


_BEHIND = ("contact", "lead", "contact_point", "consent", "suppression", "outreach_rules", "segment", "segment_member", "campaign_member", "campaign_plan", "saved_view")  # fmt: skip


def why_words(gate: str) -> str:
    """Why somebody is not called, in words."""
    return Gate(gate).label if gate in Gate.options() else GONE


def call_these(actor: Actor, source: DialSource, source_id: int, *, where: Any = st) -> list[Rare]:
    """A button that begins a list to call with these people, for whoever calls people; gives its entry for the menu of phones, too."""
    if page_of(actor, "calls") is None or not dial_lists.may_call(actor):
        return []
    begin = partial(go, "calls", source=source.value, source_id=source_id)
    if where.button(
        "Call them", icon=":material/phone_forwarded:", key="call_them", help="Make a list to call, one person after the other"
    ):
        begin()
    return [Rare("call_them", "Call them", "phone_forwarded", begin)]


def call_button(actor: Actor, entity_key: str, query: ListQuery) -> None:
    """Under a list of contacts or leads: call the people that it shows."""
    packed = json.dumps(query.filter, separators=(",", ":"), default=str) if query.filter else ""
    usable = entity_key in ("contact", "lead") and dial_lists.may_call(actor) and page_of(actor, "calls") is not None
    if not usable or query.deleted or len(packed) > LONGEST:
        return
    if st.button(
        "Call these",
        icon=":material/phone_forwarded:",
        key="call_these",
        type="tertiary",
        help="Make a list to call of what this list shows",
    ):
        go("calls", source=DialSource.FILTER.value, entity=entity_key, q=query.q, **{PARAM: packed})


@st.dialog("List to call", width="large", icon=":material/phone_forwarded:")
def list_dialog(dial: DialList | None, given: Mapping[str, Any] | None = None) -> None:
    """Whom to call, in which order, about what, when. ``given``: what a page has chosen already."""
    tag = f"{dial.id}_{dial.version}" if dial else "new"
    start = dict(given or {})
    values: dict[str, Any] = {}
    if dial is None:
        values = _people(start, tag)
        if not values:
            return
    row = dial or DialList(name=str(values.pop("suggested", "")))
    name = st.text_input(
        "Name *", value=row.name, max_chars=120, key=f"dl_name_{tag}_{row.name}", placeholder="Spring offer, north"
    )
    values |= {"name": name, **_rules(row, tag)}
    label = "Save" if dial else "Make the list"
    if dial is None:
        if st.button(label, type="primary", key=f"dl_save_{tag}", shortcut="ctrl+enter"):
            done = perform(dial_lists.save, None, values)
            if done is not None:
                go("dial", id=done[0])
        show_refusal()
        return
    question = f"dial_{tag}"
    pressed = st.button(label, type="primary", key=f"dl_save_{tag}", shortcut="ctrl+enter", disabled=clashing(question))
    save = saver(dial_lists.save, "List saved.")
    if save_parts(question, pressed, seen=dial, mine=values, parts=_parts(), values_of=columns_of(values), save=save):
        st.rerun()
    show_refusal()


def _parts() -> dict[str, Part]:
    return {
        "name": Part("Name"), "reach": Part("Who calls", lambda one: DialReach(one).label), "team_id": Part("Team"),
        "from_minute": Part("From", lambda minute: fmt.clock_time(_time(minute))), "until_minute": Part("Until", lambda minute: fmt.clock_time(_time(minute))),
        "retry_hours": Part("Not reached: again after (hours)"), "max_attempts": Part("Calls per person at most"),
        "weekdays_only": Part("On working days only"),
        "calendar_id": Part("Keep the holidays of", named(load(dial_lists.holiday_sets)[0], "None: call on every day")),
    }  # fmt: skip


def _people(start: dict[str, Any], tag: str) -> dict[str, Any]:
    """Whom the list is made of; nothing while that is not chosen."""
    values = _source(start, tag)
    if not values:
        return {}
    about = st.columns(2)
    orders = load(dial_people.orders, values["entity"])
    order = about[0].selectbox(
        "Who comes first", list(orders), format_func=lambda one: orders[one], key=f"dl_order_{tag}_{values['entity']}"
    )
    purposes = [None, *Purpose]
    chosen = about[1].selectbox(
        "What you call about", purposes, index=1 if values["source"] == DialSource.CAMPAIGN else 0, format_func=lambda one: one.label if one else THEIRS,
        key=f"dl_purpose_{tag}_{values['source']}",
        help="Offers, events and surveys reach only people whose consent the workspace asks for. Who wants no calls is never called.",
    )  # fmt: skip
    values |= {"order_by": order or "", "purpose": chosen.value if chosen else None}
    _look(values)
    return values


def _look(values: Mapping[str, Any]) -> None:
    """How many can be called, and why others can't."""
    found = cached(dial_lists.preview, dict(values), entities=("contact", "lead", "campaign", "segment"), tables=_BEHIND, own=True)
    ready = found.get("", 0)
    words = f"**{fmt.plural(ready, 'person', 'people')}** can be called."
    if ready > dial_people.MOST:
        words += f" The list takes the first {fmt.written(dial_people.MOST)}; fill it again for the rest."
    out = sorted(((n, why) for why, n in found.items() if why), reverse=True)
    rest = "; ".join(f"{fmt.written(n)} × {why_words(why).lower()}" for n, why in out)
    (st.info if ready else st.warning)(words + (f" Left out: {fmt.md(rest)}." if rest else ""), icon=":material/groups:")


def _source(start: dict[str, Any], tag: str) -> dict[str, Any]:
    actor = current_actor()
    given = start.get("source")
    if given == DialSource.FILTER:
        key = str(start.get("entity"))
        st.caption(f"The {fmt.md(label_of(key, plural=True).lower())} that your list shows")
        return {**start, "suggested": label_of(key, plural=True)}
    kinds = [DialSource.VIEW, DialSource.SEGMENT, DialSource.CAMPAIGN]
    kinds = [one for one in kinds if one is not DialSource.SEGMENT or actor.can("segment", Action.READ)]
    kinds = [one for one in kinds if one is not DialSource.CAMPAIGN or actor.can("campaign", Action.READ)]
    first = DialSource(given) if given in kinds else kinds[0]
    kind = st.segmented_control(
        "People of", kinds, default=first, format_func=lambda one: one.label, required=True, key=f"dl_source_{tag}"
    )
    options, names, entities = _choices(actor, kind or first)
    if not options:
        st.info(_EMPTY[kind or first], icon=":material/info:")
        return {}
    before = start.get("source_id")
    chosen = st.selectbox(
        (kind or first).label,
        options,
        index=options.index(before) if before in options else 0,
        format_func=lambda one: names[one],
        key=f"dl_id_{tag}_{kind}",
    )
    return {
        "source": (kind or first).value,
        "source_id": chosen,
        "entity": entities[chosen],
        "suggested": names[chosen].split(" · ")[0],
    }


_EMPTY = {
    DialSource.VIEW: "You have no saved views of leads or contacts. Filter one of those lists, save it as a view, or press “Call these” under it.",
    DialSource.SEGMENT: "There is no segment that you may see. Under a list of leads or contacts, “Call these” calls what it shows.",
    DialSource.CAMPAIGN: "No campaign with a call list was launched yet.",
}


def _choices(actor: Actor, kind: DialSource) -> tuple[list[int], dict[int, str], dict[int, str]]:
    if kind is DialSource.SEGMENT:
        found = load(segments.find)
        return (
            [one.id for one in found],
            {one.id: f"{one.name} · {one.entity.label}" for one in found},
            {one.id: "lead" if one.entity == "lead" else "contact" for one in found},
        )
    if kind is DialSource.CAMPAIGN:
        named = load(dial_lists.launched)
        return list(named), named, dict.fromkeys(named, "")
    kept = [view for key in ("lead", "contact") if actor.can(key, Action.READ) for view in load(views.find, key)]
    return (
        [one.id for one in kept],
        {one.id: f"{one.name} · {label_of(one.entity, plural=True)}" for one in kept},
        {one.id: one.entity for one in kept},
    )


def _rules(row: DialList, tag: str) -> dict[str, Any]:
    """Who calls, when, and how often somebody is tried."""
    actor = current_actor()
    reaches = [one for one in DialReach if one is not DialReach.TEAM or actor.team_id or row.team_id]
    reach = st.segmented_control(
        "Who calls", reaches, default=row.reach, format_func=lambda one: one.label, required=True, key=f"dl_reach_{tag}"
    )
    with st.expander("Hours and retries", icon=":material/schedule:"):
        st.caption("By the clock of the person who is called. Hours that somebody wishes for come first.")
        with st.grid(2, min_column_width=150):
            begin = st.time_input("From", value=_time(row.from_minute), step=1800, key=f"dl_from_{tag}")
            end = st.time_input("Until", value=_time(row.until_minute), step=1800, key=f"dl_until_{tag}")
            retry = whole_number("Not reached: again after (hours)", 1, 240, row.retry_hours, key=f"dl_retry_{tag}")
            most = whole_number("Calls per person at most", 1, 10, row.max_attempts, key=f"dl_most_{tag}")
        off = load(workspace.days_off)
        working = week.days_in_words(set(range(7)) - off, first=week.first_day(off))
        days = st.toggle(f"{working} only", value=row.weekdays_only, key=f"dl_days_{tag}")
        sets, usual = load(dial_lists.holiday_sets)
        kept = row.calendar_id if row.id else usual
        options = [None, *sets]
        holidays = st.selectbox(
            "Keep the holidays of", options, index=options.index(kept) if kept in options else 0, format_func=lambda one: sets[one] if one else "None: call on every day",
            key=f"dl_holidays_{tag}", help="Nobody is called on days without hours, and only within them on days with special ones. Day and clock are those of the person who is called.",
        )  # fmt: skip
    return {
        "reach": (reach or row.reach).value, "team_id": row.team_id, "from_minute": _minutes(begin, row.from_minute), "until_minute": _minutes(end, row.until_minute),
        "retry_hours": int(retry), "max_attempts": int(most), "weekdays_only": days, "calendar_id": holidays,
    }  # fmt: skip


def _time(minute: int) -> time:
    return time(min(minute, 1439) // 60, min(minute, 1439) % 60)


def _minutes(value: time | None, otherwise: int) -> int:
    """What stands in the input; midnight at the end of a day, which an input can't show, stays when nobody typed."""
    return value.hour * 60 + value.minute if value is not None and value != _time(otherwise) else otherwise
