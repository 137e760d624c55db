"""A board of stages or statuses: cards move by drag and drop, or with Shift and the arrow keys; Enter opens."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
_BOARD = st.components.v2.component(
    "rapport_board", html='<div class="board"></div>\n', css=(_HERE / "board.css").read_text(), js=(_HERE / "board.js").read_text()
)


@dataclass(frozen=True)
class Card:
    """A card. ``version`` is the one it was drawn with; a move of an older one is refused by the service. ``late``: its ``meta`` is a day that has passed."""

    id: int
    version: int
    title: str
    account: str
    amount: str
    meta: str
    owner: str = ""
    flag: str = ""
    movable: bool = True
    late: bool = False


@dataclass(frozen=True)
class BoardColumn:
    """A stage or status with its first cards, its count and sum as text, the words of its "show more" button, and what it asks of what comes in."""

    id: int | str
    label: str
    tone: str
    count: str
    total: str
    cards: Sequence[Card] = field(default_factory=tuple)
    more: str = ""
    asks: str = ""


def board(columns: Sequence[BoardColumn], *, key: str, turn: int = 0, none: str = "No deals here") -> Any:
    """Draw the board; ``none`` stands in an empty column. A new ``turn`` draws it anew although nothing has changed: a card that was dropped somewhere may have stayed. The result has ``moved`` ({id, version, from, to}), ``opened`` ({id}) and ``more`` ({stage}) or None each."""
    return _BOARD(
        key=key,
        data={"columns": [asdict(column) for column in columns], "turn": turn, "none": none},
        on_moved_change=_nothing,
        on_opened_change=_nothing,
        on_more_change=_nothing,
    )


def _nothing() -> None:
    """CCv2 gives a result only for keys that have a callback."""
