"""The board of deals: its pipeline, its columns, and what a card that is moved leads to. On its own page and as a layout of the list."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.services.sales import board as boards
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, StageKind
from ui import format as fmt
from ui.actions import load, tell
from ui.components.board import BoardColumn, Card, board
from ui.components.deal_dialogs import STAGE_TURN, lose_dialog, move_to, new_deal, reopen_dialog, stays_perhaps, win_dialog
from ui.components.header import empty_state
from ui.navigation import go, page_of
from ui.session import current_actor
from ui.tones import stage_tones


def choose_pipeline(pipelines: Mapping[int, str]) -> int:
    """The pipeline whose board is shown: the only one, or the one in the address."""
    if len(pipelines) < 2:
        return next(iter(pipelines))
    return st.selectbox(
        "Pipeline",
        list(pipelines),
        format_func=lambda one: pipelines[one],
        key="pipeline",
        bind="query-params",
        label_visibility="collapsed",
        width=220,
    )


def no_pipeline() -> None:
    """What stands where there is no board to show."""
    empty_state("No pipeline yet", "An administrator can add a pipeline with its stages.", icon="conversion_path")


def deal_board(pipeline_id: int, *, ast: Mapping[str, Any] | None = None, q: str = "") -> None:
    """Draw the board of a pipeline, narrowed by a filter and a search, and do what was done with its cards."""
    actor = current_actor()
    may_edit = actor.can("deal", Action.EDIT) and not actor.locked("deal", "stage_id")
    limits: dict[int, int] = st.session_state.setdefault("_board_limits", {})
    columns = load(boards.columns, pipeline_id, filter=ast, q=q, limits=limits)
    if not any(column.count for column in columns):
        _nothing(actor, pipeline_id, narrowed=bool(ast or q))
        return
    tones = stage_tones(column.stage for column in columns)
    drawn = [_column(actor, column, tones, may_edit) for column in columns]
    happened = board(drawn, key="board", turn=st.session_state.get(STAGE_TURN, 0))
    st.caption(f"Won and lost show the last {boards.CLOSED_DAYS} days.")
    if happened.opened:
        go("deal", id=happened.opened["id"])
    if happened.more:
        limits[happened.more["stage"]] = limits.get(happened.more["stage"], boards.PER_COLUMN) + boards.PER_COLUMN
        st.rerun()
    if happened.moved:
        _moved(happened.moved, columns)


def _nothing(actor: Actor, pipeline_id: int, *, narrowed: bool) -> None:
    if narrowed:
        empty_state("No deals match", "Try fewer words, or remove a condition of the filter.", icon="search_off")
        return
    may_create = actor.can("deal", Action.CREATE)
    may_import = may_create and actor.can("deal", Action.IMPORT) and page_of(actor, "import") is not None
    first = f"Enter the first one{', or bring a whole pipeline in from a file' if may_import else ''}. " if may_create else ""
    closed = f"Won and lost deals stand here for {boards.CLOSED_DAYS} days."
    box = empty_state("No deals in this pipeline", f"{first}{closed}", icon="view_kanban")
    if may_create and box.button("New deal", icon=":material/add:", key="first_deal"):
        new_deal(pipeline_id)
    if may_import and box.button("Import a file", icon=":material/upload:", key="board_import"):
        go("import", kind="deal")


def _column(actor: Actor, column: boards.StageColumn, tones: Mapping[int, str], may_edit: bool) -> BoardColumn:
    sums = [] if column.amount_minor is None else [fmt.money(actor, column.amount_minor, compact=True)]
    if column.weighted_minor is not None and column.stage.kind is StageKind.OPEN:
        sums.append(f"{fmt.money(actor, column.weighted_minor, compact=True)} weighted")
    left = column.count - len(column.cards)
    return BoardColumn(
        column.stage.id,
        column.stage.name,
        tones[column.stage.id],
        fmt.number(actor, column.count, compact=column.count >= 1_000),
        " · ".join(sums),
        tuple(_card(actor, card, column.stage.kind, may_edit) for card in column.cards),
        f"Show {min(left, boards.PER_COLUMN)} more of {fmt.written(left)}" if left else "",
        column.stage.asks,
    )


def _card(actor: Actor, card: boards.DealCard, kind: StageKind, may_edit: bool) -> Card:
    flag = "Idle" if card.idle else "No next step" if card.no_next_step else ""
    due = fmt.ago(actor, card.expected_close_on) if card.expected_close_on and kind is StageKind.OPEN else ""
    amount = "" if actor.masked("deal", "amount_minor") else fmt.money(actor, card.amount_minor, compact=True)
    late = bool(due) and card.expected_close_on is not None and card.expected_close_on < fmt.clock.today(actor.timezone)
    return Card(card.id, card.version, card.name, card.account, amount, due, card.owner, flag, may_edit, late)


def _moved(move: Mapping[str, Any], columns: list[boards.StageColumn]) -> None:
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
