"""The dialogs that close or re-open a deal, the same from the board and from the record; and the one that creates it."""

import streamlit as st

from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.services.sales import deals, gates
from crm_core.vocabulary import Action, StageKind
from ui import format as fmt
from ui.actions import hush, load, perform, show_refusal, tell
from ui.components.day_input import day_input
from ui.components.gate_question import carry_gate, forget_gate, gate_question, gate_words, kept_outside, may_go_on, refuses
from ui.components.moved_twice import moved_twice
from ui.components.record_page import new_dialog
from ui.navigation import go
from ui.session import current_actor

NEW_FIELDS = ("name", "account_id", "amount_minor", "expected_close_on", "stage_id", "owner_id", "next_step", "next_step_on")
FILL_IN = "_fill_in"
"""Where the page of a deal finds that its form is to be open: the deal, and the stage that it was to go to."""
STAGE_TURN = "_stage_turn"
"""Counts the moves that were refused or ask something first: after each, what showed the wanted stage is drawn anew with the real one."""
MORE_FIELDS = ("contact_id", "source", "campaign_id", "forecast_category", "description")


def new_deal(pipeline_id: int | None = None, **preset: object) -> None:
    """The dialog for a new deal; it begins in the first stage of the pipeline (None: the usual one)."""
    forget_gate("new_deal")
    first = next((stage.id for stage in load(deals.stages, pipeline_id) if stage.kind is StageKind.OPEN), None)
    new_dialog("deal", NEW_FIELDS, preset={"stage_id": first, **preset}, more=MORE_FIELDS)


def _options(field: str) -> list[str]:
    return list((load(lambda session, _actor: registry(session, "deal")[field]).options or {}).values())


def win_dialog(deal_id: int, version: int, name: str, has_lines: bool = False) -> None:
    """Day, reason, and whether its products become an order."""
    forget_gate("win")
    _win(deal_id, version, name, has_lines)


@st.dialog("Win this deal", icon=":material/trophy:", on_dismiss="rerun")
def _win(deal_id: int, version: int, name: str, has_lines: bool) -> None:
    st.text(name)
    reason = st.selectbox("Why did we win?", _options("won_reason"), index=None, placeholder="Choose a reason", key="win_reason")
    closed_on = day_input("Closed on", value=clock.today(current_actor().timezone), key="win_on")
    create_order = _order_question(deal_id) if has_lines else False
    answer = gate_question("win")
    if st.button(
        gate_words("win", "Mark as won", "Win anyway"),
        type="primary",
        key="win_yes",
        icon=":material/trophy:",
        shortcut="ctrl+enter",
    ):
        done = perform(
            gates.answering(deals.win, answer),
            deal_id,
            closed_on=closed_on,
            reason=reason,
            create_order=create_order,
            base_version=version,
            success=fmt.md(f"{name} won."),
        )
        _after(done is not None, "win")


def _order_question(deal_id: int) -> bool:
    """Whether its products become an order; says so where they are one already, and asks nobody who may enter none."""
    number = load(deals.standing_order, deal_id)
    if number is not None:
        named = f"order {number}" if number else "an order"
        st.caption(f":material/receipt_long: {fmt.md(f'Its products are {named} already, so no other is made.')}")
        return False
    if not current_actor().can("order", Action.CREATE):
        return False
    return st.toggle("Create an order from its products", value=True, key="win_order")


@st.dialog("Lose this deal", on_dismiss="rerun")
def lose_dialog(deal_id: int, version: int, name: str) -> None:
    """Why, and who won it instead: both are needed, by whoever may write them."""
    st.text(name)
    reason = st.selectbox(
        "Why was it lost? *", _options("lost_reason"), index=None, placeholder="Choose a reason", key="lose_reason"
    )
    competitor = None
    if not current_actor().locked("deal", "competitor"):
        known = _options("competitor")
        words = f"Choose a competitor, or {deals.NOBODY}" if known else "Choose or write a competitor"
        if known and deals.NOBODY not in known:
            known.append(deals.NOBODY)
        competitor = st.selectbox(
            "Who won it? *", known, index=None, placeholder=words, key="lose_to", accept_new_options=not known
        )
    closed_on = day_input("Closed on", value=clock.today(current_actor().timezone), key="lose_on")
    if st.button("Mark as lost", type="primary", key="lose_yes", shortcut="ctrl+enter"):
        done = perform(
            deals.lose,
            deal_id,
            reason=reason,
            competitor=competitor,
            closed_on=closed_on,
            base_version=version,
            success=fmt.md(f"{name} marked as lost."),
        )
        _after(done is not None)


def reopen_dialog(deal_id: int, version: int, name: str, pipeline_id: int) -> None:
    """Into which stage it goes back."""
    forget_gate("reopen")
    _reopen(deal_id, version, name, pipeline_id)


@st.dialog("Re-open this deal", on_dismiss="rerun")
def _reopen(deal_id: int, version: int, name: str, pipeline_id: int) -> None:
    st.text(name)
    stages = {stage.id: stage.name for stage in load(deals.stages, pipeline_id) if stage.kind is StageKind.OPEN}
    stage_id = st.selectbox("Back into stage", list(stages), format_func=lambda one: stages[one], key="reopen_stage")
    number = load(deals.standing_order, deal_id)
    if number is not None:
        named = f"Order {number}" if number else "Its order"
        st.info(
            fmt.md(f"{named} stays as it is. Cancel it if it does not hold any more."),
            icon=":material/receipt_long:",
        )
    answer = gate_question("reopen")
    if st.button(gate_words("reopen", "Re-open", "Re-open anyway"), type="primary", key="reopen_yes", shortcut="ctrl+enter"):
        reopen, again = gates.answering(deals.reopen, answer), fmt.md(f"{name} is open again.")
        done = perform(reopen, deal_id, stage_id=stage_id, base_version=version, success=again)
        _after(done is not None, "reopen")


def move_to(deal_id: int, version: int, name: str, stage_id: int, pipeline_id: int) -> None:
    """Put a deal into another open stage; when that asks for more, say so; when somebody else has moved the deal meanwhile, ask whose move counts."""
    there = {stage.id: stage for stage in load(deals.stages, pipeline_id)}
    stages = {known: stage.name for known, stage in there.items()}
    moved = fmt.md(f"{name} moved to {stages.get(stage_id, 'another stage')}.")
    forget_gate("move")
    if perform(deals.move, deal_id, stage_id, base_version=version, success=moved) is None:
        if kept_outside("move"):
            stays_perhaps()
            _at_the_gate(deal_id, version, name, stage_id, moved)
            return
        conflict = st.session_state.get("_conflict")
        if conflict is not None and "stage_id" in conflict.details.get("fields", {}):
            hush()
            before, theirs, _ = conflict.details["fields"]["stage_id"]
            if theirs in there and there[theirs].kind is not StageKind.OPEN:
                closed_meanwhile(name, stages[theirs])
                st.rerun()
            _moved_twice(deal_id, conflict.details["version"], name, (stage_id, theirs, before), stages)
            return
    st.rerun()


def stays_perhaps() -> None:
    """A move is refused, or asks something first: the board and the stages of a deal must not go on showing the wanted stage."""
    st.session_state[STAGE_TURN] = st.session_state.get(STAGE_TURN, 0) + 1


@st.dialog("Not yet", icon=":material/rule:", on_dismiss="rerun")
def _at_the_gate(deal_id: int, version: int, name: str, stage_id: int, moved: str) -> None:
    """What the stage asks for; the deal stays where it is unless the person goes on."""
    st.text(name)
    answer = gate_question("move")
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if st.button("Leave it where it is", type="tertiary", key="gate_stay"):
            st.rerun()
        usual, other = ("primary", "secondary") if refuses("move") else ("secondary", "primary")
        fill_in = st.button("Fill it in", type=usual, key="gate_fill")  # type: ignore[arg-type]
        if may_go_on("move") and st.button("Move anyway", type=other, key="gate_go"):  # type: ignore[arg-type]
            done = perform(gates.answering(deals.move, answer), deal_id, stage_id, base_version=version, success=moved)
            _after(done is not None, "move")
    if fill_in:
        st.session_state[FILL_IN] = (deal_id, stage_id)
        carry_gate("move", FILL_IN)
        go("deal", id=deal_id)


def closed_meanwhile(name: str, stage: str) -> None:
    """Say that a deal that was to be moved has been won or lost by somebody else."""
    tell(f"{name} was closed meanwhile: it stands in {stage}. If that was too early, re-open it first.")


def _moved_twice(deal_id: int, version: int, name: str, places: tuple[int, int, int], stages: dict[int, str]) -> None:
    mine, theirs, before = (stages.get(one, "a stage of another pipeline") for one in places)

    def move(answer: gates.Answer) -> None:
        moved = fmt.md(f"{name} moved to {mine}.")
        done = perform(gates.answering(deals.move, answer), deal_id, places[0], base_version=version, success=moved)
        _after(done is not None, "move")

    moved_twice(name, (mine, theirs, before), move, lambda: gate_question("move"))


def _after(done: bool, gate: str = "") -> None:
    """After a try: on with the page when it worked or when the page has changed; otherwise say in the dialog why not."""
    if done or st.session_state.get("_conflict") is not None:
        st.rerun()
    if gate and kept_outside(gate):
        st.rerun(scope="fragment")
    show_refusal()
