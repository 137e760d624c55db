"""An automation while somebody writes it: what was typed, what it is compared with, and how to take a change back.

The draft lives in the session; a copy of what is unsaved is kept per person beside it, so that a reload of the browser loses nothing.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NoReturn

import streamlit as st
from streamlit.errors import StreamlitAPIException

from crm_core.services.automation import edit_rules, flow_rules
from crm_core.services.automation.replay import Replay
from crm_core.services.automation.trial import Trial
from crm_core.settings import settings
from crm_core.vocabulary import Reentry
from ui.components import filter_bar
from ui.components.filter_inputs import bare
from ui.session import current_actor

Flow = dict[str, Any]
PLACES = ("if", "before", "goal")
UNDO = 40
CAP = 200
_KEPT: OrderedDict[tuple[str, int, str], tuple[Any, ...]] = OrderedDict()
_LOCK = threading.Lock()
_MOST_KEPT = 300


@dataclass
class Draft:
    """``number``, ``version``: what was opened, to tell when somebody else saves; ``kept``: name, flow and limit as they are saved;
    ``turn`` renews every input after a change that did not come from one."""

    mark: str
    automation_id: int | None
    name: str
    flow: Flow
    cap: int = CAP
    recipe: str = ""
    number: int = 0
    version: int | None = None
    kept: tuple[str, Flow, int] = ("", {}, CAP)
    open_step: str = ""
    adding: edit_rules.Place | None = None
    turn: int = 0
    past: list[Flow] = field(default_factory=list)
    filters: dict[str, dict[str, Any]] = field(default_factory=dict)
    triggers: dict[str, Flow] = field(default_factory=dict)
    inputs: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    tried: dict[str, tuple[str, Replay]] = field(default_factory=dict)
    trial: Trial | None = None
    refused: dict[str, str] = field(default_factory=dict)
    redrawn: bool = False

    def __post_init__(self) -> None:
        self.flow = flow_rules.tidy(deepcopy(self.flow))
        self.kept = deepcopy(self.kept)

    @property
    def tag(self) -> str:
        """Begins the key of each input."""
        return f"au{self.turn}"

    @property
    def entity(self) -> str:
        return str(self.flow.get("entity") or "")

    @property
    def steps(self) -> list[dict[str, Any]]:
        return self.flow.setdefault("steps", [])

    @property
    def signature(self) -> str:
        """Tells one state of the flow from another."""
        return json.dumps([flow_rules.tidy(self.flow), self.cap], sort_keys=True, default=str)

    @property
    def dirty(self) -> bool:
        """Whether something is not saved."""
        return (self.name, flow_rules.tidy(self.flow), self.cap) != (self.kept[0], flow_rules.tidy(self.kept[1]), self.kept[2])

    def remember(self) -> None:
        """Keep the flow as it is, to come back to."""
        self.past = [*self.past[1 - UNDO :], deepcopy(self.flow)]

    def change(self, flow: Flow) -> None:
        """Take another flow; the last one can be brought back."""
        self.remember()
        self._take(flow)

    def undo(self) -> None:
        if self.past:
            self._take(self.past.pop())

    def _take(self, flow: Flow) -> None:
        self.flow = deepcopy(flow)
        self.filters, self.triggers, self.inputs, self.adding = {}, {}, {}, None
        self.turn = _turn()

    def restep(self, steps: list[dict[str, Any]]) -> None:
        """Take other steps; the last ones can be brought back."""
        self.remember()
        self.flow["steps"] = steps
        self.adding = None

    def catch_up(self) -> None:
        """Take over what stands in inputs, before an action removes them: text and click may arrive in one message."""
        for key, take in list(self.inputs.items()):
            if key in st.session_state:
                take(st.session_state[key])
        homes = {step["id"]: (step, "if") for step, _ in flow_rules.walk(self.steps)} | {key: (self.flow, key) for key in PLACES}
        for place, draft in self.filters.items():
            if place in homes:
                filter_bar.catch_up(self.entity, draft)
                holder, key = homes[place]
                self._settle(holder, key, filter_bar.plain(draft))

    def condition(self, place: str, holder: dict[str, Any], key: str = "if") -> str:
        """Draw the builder of a filter and take over what it says; gives what is wrong with it."""
        draft = self.filters.setdefault(place, {}) or filter_bar.draft_of(holder.get(key))
        self.filters[place] = draft
        made, wrong = filter_bar.edited(self.entity, draft)
        self._settle(holder, key, made)
        return wrong

    @staticmethod
    def _settle(holder: Any, key: str, made: Mapping[str, Any] | None) -> None:
        if bare(made) != bare(holder.get(key)):
            holder[key] = made

    def unfinished(self) -> int:
        """How many conditions were begun and lack something."""
        known = {*PLACES, *(step["id"] for step, _ in flow_rules.walk(self.steps))}
        return sum(filter_bar.unfinished(draft) for place, draft in self.filters.items() if place in known)


def blank(entity: str = "lead") -> Flow:
    """The flow that a new automation begins with."""
    return flow_rules.tidy({"entity": entity, "trigger": {"kind": "event", "events": []}, "reentry": Reentry.IDLE.value})


# --- kept across reruns and reloads ---------------------------------------------------------------------------------------------


def drafts() -> dict[str, Draft]:
    return st.session_state.setdefault("_automation_drafts", {})


def opened(mark: str, make: Callable[[], Draft]) -> Draft:
    """The draft of that mark: as it was left, in this session or before a reload, or begun anew."""
    kept = drafts().get(mark)
    if kept is not None:
        return kept
    draft = drafts()[mark] = make()
    draft.turn = _turn()
    left = _KEPT.get(_place(mark))
    if left is not None:
        draft.name, draft.flow, draft.cap, draft.number, draft.version, draft.kept = deepcopy(left)
    return draft


def _turn() -> int:
    """A number that no input of this session bears yet: one of the same key would bring what was typed into it before."""
    st.session_state["_automation_turn"] = st.session_state.get("_automation_turn", -1) + 1
    return int(st.session_state["_automation_turn"])


def keep(draft: Draft) -> None:
    """Put what is unsaved where a reload finds it."""
    with _LOCK:
        _KEPT.pop(_place(draft.mark), None)
        if draft.dirty:
            _KEPT[_place(draft.mark)] = deepcopy((draft.name, draft.flow, draft.cap, draft.number, draft.version, draft.kept))
            while len(_KEPT) > _MOST_KEPT:
                _KEPT.popitem(last=False)


def forget(mark: str) -> None:
    """Drop a draft: it was saved, or is not wanted."""
    drafts().pop(mark, None)
    with _LOCK:
        _KEPT.pop(_place(mark), None)


def _place(mark: str) -> tuple[str, int, str]:
    return (settings().database_url, current_actor().user_id or 0, mark)


def redraw() -> NoReturn:
    """Draw the fragment again, or the page when all of it is being drawn."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()
