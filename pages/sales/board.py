"""The pipeline as a board: for the team's daily look at what moves and what stands still."""

from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.services.sales import board as boards
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, StageKind
from ui import format as fmt
from ui.actions import load, tell
from ui.components.board import BoardColumn, Card, board
from ui.components.deal_dialogs import STAGE_TURN, lose_dialog, move_to, new_deal, reopen_dialog, stays_perhaps, win_dialog
from ui.components.filter_bar import filter_button, filter_from_url, filter_words
from ui.components.header import empty_state, header
from ui.navigation import go, page_of
from ui.session import current_actor
from ui.tones import stage_tones


def as_column(column: boards.StageColumn, tones: dict[int, str]) -> BoardColumn:
    """A stage as the board draws it."""
    weighted = f" · {fmt.money(actor, column.weighted_minor, compact=True)} weighted" if column.stage.kind is StageKind.OPEN else ""
    left = column.count - len(column.cards)
    return BoardColumn(
        column.stage.id,
        column.stage.name,
        tones[column.stage.id],
        f"{column.count:,}",
        fmt.money(actor, column.amount_minor, compact=True) + weighted,
        tuple(as_card(card, column.stage.kind) for card in column.cards),
        f"Show {min(left, boards.PER_COLUMN)} more of {left:,}" if left else "",
        column.stage.asks,
    )


def as_card(card: boards.DealCard, kind: StageKind) -> Card:
    """A deal as the board draws it."""
    flag = "Idle" if card.idle else "No next step" if card.no_next_step else ""
    due = fmt.ago(actor, card.expected_close_on) if card.expected_close_on and kind is StageKind.OPEN else ""
    return Card(
        card.id,
        card.version,
        card.name,
        card.account,
        fmt.money(actor, card.amount_minor, compact=True),
        due,
        card.owner,
        flag,
        may_edit,
    )


def moved(move: dict[str, Any], columns: list[boards.StageColumn]) -> None:
    """A card was dropped on another stage: move it, or ask what winning or losing needs."""
    target = next((column.stage for column in columns if column.stage.id == move["to"]), None)
    origin = next((column.stage for column in columns if column.stage.id == move["from"]), None)
    if target is None or origin is None:
        return
    name = load(lists.titles, "deal", [move["id"]]).get(move["id"])
    if name is None:
        tell("This deal is gone, or no longer shared with you.")
        st.rerun()
    if target.kind is not StageKind.OPEN or origin.kind is not StageKind.OPEN:
        stays_perhaps()
    if target.kind is StageKind.WON:
        win_dialog(move["id"], move["version"], name, bool(load(deals.lines, move["id"])))
    elif target.kind is StageKind.LOST:
        lose_dialog(move["id"], move["version"], name)
    elif origin.kind is not StageKind.OPEN:
        reopen_dialog(move["id"], move["version"], name, target.pipeline_id)
    else:
        move_to(move["id"], move["version"], name, target.id, target.pipeline_id)


actor = current_actor()
may_edit = actor.can("deal", Action.EDIT) and not actor.locked("deal", "stage_id")
pipelines = load(deals.pipelines)

actions = header(
    "Pipeline",
    "Drag a card to change its stage; with the keyboard, Shift and the arrow keys" if may_edit else "Open deals by stage",
)
if actions.button("List", icon=":material/view_list:", key="to_list"):
    go("deals")
if actor.can("deal", Action.CREATE) and actions.button(
    "New deal", type="primary", icon=":material/add:", shortcut="n", key="new_deal"
):
    new_deal(st.session_state.get("pipeline"))
if not pipelines:
    empty_state("No pipeline yet", "An administrator can add a pipeline with its stages.", icon="conversion_path")
    st.stop()

with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
    pipeline_id = next(iter(pipelines))
    if len(pipelines) > 1:
        pipeline_id = st.selectbox(
            "Pipeline",
            list(pipelines),
            format_func=lambda one: pipelines[one],
            key="pipeline",
            bind="query-params",
            label_visibility="collapsed",
            width=220,
        )
    narrowed = filter_from_url("deal")
    mine = st.toggle("Only mine", key="mine", bind="query-params")
    filter_button("deal", narrowed)
filter_words("deal", narrowed)
parts = [part for part in (narrowed, {"field": "owner_id", "cmp": "eq", "value": "@me"} if mine else None) if part]

limits: dict[int, int] = st.session_state.setdefault("_board_limits", {})
columns = load(boards.columns, pipeline_id, filter={"op": "and", "items": parts} if parts else None, limits=limits)
if not any(column.count for column in columns):
    box = empty_state("No deals here", "Nothing is open in this pipeline, or your filter leaves nothing.", icon="view_kanban")
    if (
        actor.can("deal", Action.IMPORT)
        and page_of(actor, "import") is not None
        and box.button("Import a file", icon=":material/upload:", key="board_import")
    ):
        go("import", kind="deal")
tones = stage_tones(column.stage for column in columns)
happened = board([as_column(column, tones) for column in columns], key="board", turn=st.session_state.get(STAGE_TURN, 0))
st.caption(f"Won and lost show the last {boards.CLOSED_DAYS} days.")
if happened.opened:
    go("deal", id=happened.opened["id"])
if happened.more:
    limits[happened.more["stage"]] = limits.get(happened.more["stage"], boards.PER_COLUMN) + boards.PER_COLUMN
    st.rerun()
if happened.moved:
    moved(happened.moved, columns)
