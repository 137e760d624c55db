"""The letter of a campaign: wordings, fields, what is wrong with it, and how real people would get it."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.lists import ListQuery
from crm_core.models import CampaignPlan, CampaignVariant, LetterTemplate
from crm_core.services.marketing import letters, plans
from crm_core.vocabulary import Action, LetterUse, PromotionState
from ui.actions import load, perform, renew, submit_key
from ui.components import campaign_plan, letter_merge
from ui.components.letter_parts import body_input, body_typed
from ui.components.letter_preview import fields_help, flaw_list, shown_for
from ui.components.letter_start import keep_button, start_button
from ui.components.parts_clash import SAVED_ELSEWHERE, clashing, forget, save_parts, stands
from ui.components.whole_input import whole_number

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
        if may_edit and not fixed:
            campaign_plan.question(campaign_id)
        coupon_choice(actor, campaign_id, plan, disabled=fixed or not may_edit)
        _editor(campaign_id, plan, rows, disabled=fixed or not may_edit)
    with right:
        if rows:
            _previews(actor, campaign_id, rows)
        else:
            st.caption("Once the letter is saved, it is shown here as real people of the audience would get it.")


def keep_typed(campaign_id: int) -> None:
    """Take what was typed since the last drawing into the draft: before anything asks for it, and also when another tab is drawn."""
    draft = st.session_state.get(_key(campaign_id))
    if draft is not None:
        name = _name(campaign_id, draft)
        draft["typed"] = [
            {
                field: body_typed(f"{name}_{n}_body", value)
                if field == "body"
                else st.session_state.get(f"{name}_{n}_{field}", value)
                for field, value in one.items()
            }
            for n, one in enumerate(draft["typed"])
        ]


def unsaved(campaign_id: int) -> bool:
    """Whether this person typed something into the letter that is not saved."""
    draft = st.session_state.get(_key(campaign_id))
    return draft is not None and draft["typed"] != draft["saved"]


def _key(campaign_id: int) -> str:
    return f"letter_draft_{campaign_id}"


def _name(campaign_id: int, draft: dict[str, Any]) -> str:
    """What the keys of a draft's fields begin with."""
    return f"letter_{campaign_id}_{'-'.join(map(str, draft['versions']))}_{draft['turn']}"


def _plain(rows: Sequence[CampaignVariant]) -> list[dict[str, Any]]:
    return [
        {"subject": one.subject, "body": one.body, "weight": one.weight, "drop": False, "template_id": one.template_id}
        for one in rows
    ] or [{"subject": "", "body": EXAMPLE, "weight": 1, "drop": False, "template_id": None}]


def coupon_choice(actor: Actor, campaign_id: int, plan: CampaignPlan, *, disabled: bool) -> None:
    """Which promotion the discount codes come from; nothing where there is none to choose."""
    if not actor.can("promotion", Action.READ):
        return
    found = load(_promotions, plan.promotion_id)
    if not found:
        return
    options = [0, *found]
    key = f"plan_{campaign_id}_promotion_{campaign_plan.widgets(campaign_id, plan)}"
    st.selectbox(
        "Discount codes of", options, index=options.index(plan.promotion_id) if plan.promotion_id in found else 0, key=key,
        format_func=lambda one: found.get(one, "No promotion"), on_change=campaign_plan.choose, args=(campaign_id, "promotion_id", key, plan), disabled=disabled,
        help="Write `{{coupon}}` where the code should stand. Each person gets one code, the same in every letter of this promotion",
    )  # fmt: skip


def _promotions(session: Any, actor: Actor, chosen: int | None) -> dict[int, str]:
    """Promotions that are not over, and the chosen one."""
    open_ones = {"field": "state", "cmp": "in", "value": [one.value for one in PromotionState if one is not PromotionState.ENDED]}
    query = ListQuery(filter=open_ones, columns=("name", "state"), sort=("name", False), size=200)
    rows = lists.find(session, actor, "promotion", query, sums=False).rows
    found = {row["id"]: f"{row['name']} ({row['state'].label.lower()})" for row in rows}
    return found if not chosen or chosen in found else found | lists.titles(session, actor, "promotion", [chosen])


def _editor(campaign_id: int, plan: CampaignPlan, rows: Sequence[CampaignVariant], *, disabled: bool) -> None:
    """The wordings as they are typed. What is not saved yet outlives a look at another tab, and somebody else's saving."""
    versions, saved = [one.version for one in rows], _plain(rows)
    draft: dict[str, Any] = {"rows": rows, "versions": versions, "saved": saved, "typed": saved, "turn": 0}
    if not disabled:
        draft = st.session_state.setdefault(_key(campaign_id), draft)
    start, name = draft["typed"], _name(campaign_id, draft)
    if not disabled:
        start_button(f"start_{campaign_id}", LetterUse.MARKETING, len(start), lambda one, place: _take(campaign_id, one, place))
    draft["typed"] = [_wording(one, f"{name}_{n}", n if len(start) > 1 else None, disabled=disabled) for n, one in enumerate(start)]
    if disabled:
        return
    elsewhere = draft["versions"] != versions
    if elsewhere and (not unsaved(campaign_id) or _kept(draft["typed"]) == _kept(saved)):  # the latter: a second click on Save
        st.session_state.pop(_key(campaign_id))
        forget(f"letter_{campaign_id}")
        st.rerun()
    if elsewhere and not clashing(f"letter_{campaign_id}"):
        st.warning(SAVED_ELSEWHERE, icon=":material/group:")
    fields_help(load(letters.fields, plan))
    _buttons(campaign_id, draft, rows)


def _kept(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """What saving these would keep."""
    return [plans.wording(one) for one in rows if not one["drop"]]


def _wording(one: dict[str, Any], key: str, place: int | None, *, disabled: bool) -> dict[str, Any]:
    """One wording; ``place`` counts them when there are several."""
    with st.container(border=place is not None, gap="small"):
        if place is not None:
            st.markdown(f"**Wording {'ABCD'[place]}**")
        subject = st.text_input(
            "Subject", value=one["subject"], key=f"{key}_subject", max_chars=150, disabled=disabled, placeholder="What is it about?"
        )
        body = body_input(f"{key}_body", one["body"], disabled=disabled)
        weight, drop = one["weight"], False
        if place is not None:
            weight = whole_number(
                "Parts of the audience", 1, 99, weight, key=f"{key}_weight", disabled=disabled, width=160,
                help="With 1 and 1 each gets half, with 1 and 3 a quarter and three quarters",
            )  # fmt: skip
            drop = st.checkbox("Leave this wording out", value=one["drop"], key=f"{key}_drop", disabled=disabled)
    return {**one, "subject": subject, "body": body, "weight": weight, "drop": drop}


def _discard(campaign_id: int) -> None:
    """Show the letter as it is saved."""
    draft = st.session_state[_key(campaign_id)]
    turn = draft["turn"] + 1  # other widgets: the old ones would keep what was typed
    rows = load(plans.variants, campaign_id)
    versions, saved = [one.version for one in rows], _plain(rows)
    st.session_state[_key(campaign_id)] = {"rows": rows, "versions": versions, "saved": saved, "typed": saved, "turn": turn}
    forget(f"letter_{campaign_id}")


def _take(campaign_id: int, one: LetterTemplate, place: int) -> None:
    """Put a kept letter into a wording; what stood there comes back with “Discard changes”."""
    keep_typed(campaign_id)
    draft = st.session_state[_key(campaign_id)]
    typed = [dict(row) for row in draft["typed"]]
    typed[place] |= {"subject": one.subject, "body": one.body, "template_id": one.id}
    draft |= {"typed": typed, "turn": draft["turn"] + 1}


def _buttons(campaign_id: int, draft: dict[str, Any], rows: Sequence[CampaignVariant]) -> None:
    typed, question = draft["typed"], f"letter_{campaign_id}"
    asked = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Save letter", type="primary", key="letter_save", disabled=clashing(question))
        if len(typed) < plans.MAX_VARIANTS and st.button(
            "Compare with another wording", icon=":material/alt_route:", key="letter_more"
        ):
            draft["typed"] = [*typed, {**typed[0], "drop": False}]
            st.rerun()
        keep_button(f"keep_{campaign_id}", LetterUse.MARKETING, typed[0]["subject"], typed[0]["body"])
        if unsaved(campaign_id):
            st.button("Discard changes", type="tertiary", key="letter_discard", on_click=_discard, args=(campaign_id,))
            st.caption(":orange[:material/edit_note: Not saved yet]", width="content")
    with asked:
        if _saved(campaign_id, question, pressed, draft, rows):
            _discard(campaign_id)
            st.rerun()


def _saved(campaign_id: int, question: str, pressed: bool, draft: dict[str, Any], rows: Sequence[CampaignVariant]) -> bool:
    """Whether the wordings were saved. Those of another number, which somebody else left out or added, can't be laid beside each other one by one:
    then the letter is one whole."""
    seen, typed, now = draft["rows"], draft["typed"], stands(question)
    whole = len(rows if now is None else now) != len(seen)
    mine = letter_merge.whole(typed) if whole else letter_merge.each(typed)

    def save(values: Mapping[str, Any], base: Sequence[CampaignVariant]) -> Any:
        if not whole and len(base) != len(seen):
            return None
        made = letter_merge.letter(values, typed, base)
        return perform(plans.set_variants, campaign_id, made, base_versions=[one.version for one in base], success="Letter saved.")

    return save_parts(
        question, pressed, seen=seen, mine=mine, parts=letter_merge.parts(len(typed)), save=save, scope="app",
        values_of=lambda given: (letter_merge.whole if whole else letter_merge.each)([one.model_dump() for one in given]),
    )  # fmt: skip


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
    flaw_list(load(_flaws, campaign_id, variant.key))
    turn = st.session_state.get("preview_turn", 0)
    found = load(_shown, campaign_id, variant.key, turn)
    if not found:
        st.caption("Nobody in the audience passes the gates yet, so there is nobody to show it for.")
    else:
        shown_for(found, f"preview_person_{turn}")
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
