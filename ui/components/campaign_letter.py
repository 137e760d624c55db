"""The letter of a campaign: wordings, fields, what is wrong with it, and how real people would get it."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.models import CampaignPlan, CampaignVariant
from crm_core.services.marketing import letters, plans
from ui import format as fmt
from ui.actions import load, perform, renew, submit_key

EXAMPLE = """Hello {{first_name|there}},

we have something new for {{company|you}}: [have a look](https://www.example.com).

- First point
- Second point

Kind regards
{{owner|Your team}}"""


def letter_tab(actor: Actor, campaign_id: int, plan: CampaignPlan, may_edit: bool) -> None:
    """Write on the left, see what arrives on the right."""
    fixed = plan.state not in plans.OPEN
    rows = load(plans.variants, campaign_id)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _editor(campaign_id, plan, rows, disabled=fixed or not may_edit)
    with right:
        if rows:
            _previews(actor, campaign_id, rows)
        else:
            st.caption("Once the letter is saved, it is shown here as real people of the audience would get it.")


def _start(rows: Sequence[CampaignVariant]) -> list[dict[str, Any]]:
    return [{"subject": one.subject, "body": one.body, "weight": one.weight} for one in rows] or [
        {"subject": "", "body": EXAMPLE, "weight": 1}
    ]


def _editor(campaign_id: int, plan: CampaignPlan, rows: Sequence[CampaignVariant], *, disabled: bool) -> None:
    turn = "-".join(str(one.version) for one in rows)
    start = _start(rows)
    extra = st.session_state.get(f"wordings_{campaign_id}", 0)
    start += [{"subject": start[0]["subject"], "body": start[0]["body"], "weight": 1}] * min(extra, plans.MAX_VARIANTS - len(start))
    given = []
    for n, one in enumerate(start):
        with st.container(border=len(start) > 1, gap="small"):
            if len(start) > 1:
                st.markdown(f"**Wording {'ABCD'[n]}**")
            key = f"letter_{campaign_id}_{n}_{turn}"
            subject = st.text_input(
                "Subject",
                value=one["subject"],
                key=f"{key}_subject",
                max_chars=150,
                disabled=disabled,
                placeholder="What is it about?",
            )
            body = st.text_area("Letter", value=one["body"], key=f"{key}_body", height=300, max_chars=50_000, disabled=disabled)
            weight = (
                st.number_input(
                    "Parts of the audience", 1, 99, value=one["weight"], key=f"{key}_weight", disabled=disabled, width=160
                )
                if len(start) > 1
                else 1
            )
            drop = len(start) > 1 and st.checkbox("Leave this wording out", key=f"{key}_drop", disabled=disabled)
            if not drop:
                given.append({"subject": subject, "body": body, "weight": weight})
    if disabled:
        return
    _help()
    with st.container(horizontal=True):
        if st.button("Save letter", type="primary", key="letter_save"):
            if perform(plans.set_variants, campaign_id, given, success="Letter saved.") is not None:
                st.session_state.pop(f"wordings_{campaign_id}", None)
            st.rerun()
        if len(start) < plans.MAX_VARIANTS and st.button(
            "Compare with another wording", icon=":material/alt_route:", key="letter_more"
        ):
            st.session_state[f"wordings_{campaign_id}"] = extra + 1
            st.rerun()


def _help() -> None:
    with st.popover("Fields and marks", icon=":material/data_object:", type="tertiary"):
        names = load(letters.fields)
        st.table(
            {"Field": [f"`{{{{{key}}}}}`" for key in names], "Shows": [fmt.md(label) for label in names.values()]},
            border="horizontal",
        )
        st.markdown(
            "`{{company|your company}}` names what stands there when the field is empty.  \n"
            "`{{#if city}} … {{/if}}` shows a part only to those who have the field.  \n"
            "`[words](https://…)` is a link, `**bold**` is bold, `- ` begins a point, `# ` a heading."
        )


def _previews(actor: Actor, campaign_id: int, rows: Sequence[CampaignVariant]) -> None:
    keys = [one.key for one in rows]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**As real people get it**", width="content")
        if len(keys) > 1:
            chosen = st.segmented_control(
                "Wording", keys, default=keys[0], key="preview_wording", label_visibility="collapsed", required=True
            )
        else:
            chosen = keys[0]
    variant = next(one for one in rows if one.key == (chosen or keys[0]))
    for flaw in load(_flaws, campaign_id, variant.key):
        st.markdown(f":{'red' if flaw.stops else 'orange'}[:material/{'error' if flaw.stops else 'info'}:] {fmt.md(flaw.words)}")
    turn = st.session_state.get("preview_turn", 0)
    found = load(_shown, campaign_id, variant.key, turn)
    if not found:
        st.caption("Nobody in the audience passes the gates yet, so there is nobody to show it for.")
    else:
        names = [f"{one.name} · {one.address}" for one in found]
        place = st.selectbox("Shown for", range(len(found)), format_func=lambda n: names[n], key=f"preview_person_{turn}")
        one = found[place]
        with st.container(border=True, gap="small", key="letter_preview"):
            st.markdown(f"**{fmt.md(one.letter.subject)}**")
            st.iframe(one.letter.html, height=460)
    _tools(campaign_id, variant, turn, bool(found))


def _tools(campaign_id: int, variant: CampaignVariant, turn: int, some: bool) -> None:
    with st.container(horizontal=True):
        if some and st.button("Five others", icon=":material/shuffle:", key="preview_others"):
            st.session_state["preview_turn"] = turn + 1
            st.rerun()
        if st.button("Mail it to me", icon=":material/outgoing_mail:", key="letter_test"):
            sent = perform(
                letters.send_test,
                campaign_id,
                variant.key,
                submit_key=submit_key(f"test_{campaign_id}"),
                success="A test is on its way to you.",
            )
            if sent is not None:
                renew(f"test_{campaign_id}")
            st.rerun()


def _flaws(session: Any, actor: Actor, campaign_id: int, key: str) -> list[Any]:
    plan = plans.get(session, actor, campaign_id)
    return [
        flaw
        for one in plans.variants(session, actor, campaign_id)
        if one.key == key
        for flaw in letters.lint(session, actor, plan, one)
    ]


def _shown(session: Any, actor: Actor, campaign_id: int, key: str, turn: int) -> list[letters.Preview]:
    plan = plans.get(session, actor, campaign_id)
    one = next(one for one in plans.variants(session, actor, campaign_id) if one.key == key)
    return letters.previews(session, actor, plan, one, turn=turn)
