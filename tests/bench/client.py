"""A tab without a browser: speaks the app's websocket and times each run from the request to the end of the script."""

import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from web.cookies import SESSION_COOKIE

ENDS = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
PATIENCE = 120.0


class Failed(RuntimeError):
    """The run showed an error or did not end."""


@dataclass
class Tab:
    """One session of the app. ``widgets``: label → (id, kind, fragment) of what was drawn last; ``pages``: address → hash."""

    url: str
    token: str | None = None
    pages: dict[str, str] = field(default_factory=dict)
    widgets: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    states: dict[str, WidgetState] = field(default_factory=dict)
    received: int = 0
    _socket: Any = None
    _page: str = ""
    _query: str = ""

    async def __aenter__(self) -> "Tab":
        headers = {"Origin": self.url} | ({"Cookie": f"{SESSION_COOKIE}={self.token}"} if self.token else {})
        address = self.url.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket = await websockets.connect(
            address,
            subprotocols=["streamlit"],
            additional_headers=headers,
            max_size=None,
            open_timeout=60,  # type: ignore[list-item]
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def open(self, page: str = "", **query: Any) -> float:
        """Open a screen of this session, as a click on a link does; seconds until it is drawn."""
        self._page, self._query = page, urlencode(query)
        self.states.clear()
        self.widgets.clear()
        return await self._run()

    async def again(self) -> float:
        """Run the same screen again."""
        return await self._run()

    async def set(self, label: str, value: Any) -> float:
        """Change a widget by its label; seconds until the consequence is drawn."""
        if label not in self.widgets:
            raise Failed(f"there is no “{label}” on {self._page or 'the page'}; there are: {', '.join(sorted(self.widgets))}")
        widget_id, kind, fragment = self.widgets[label]
        state = WidgetState(id=widget_id)
        if isinstance(value, str):
            state.string_value = value
        elif kind == "button":
            state.trigger_value = True
        elif isinstance(value, list):
            state.int_array_value.data.extend(value)
        elif isinstance(value, bool):
            state.bool_value = value
        else:
            state.int_value = value
        self.states[widget_id] = state
        seconds = await self._run(fragment)
        if kind == "button":
            self.states.pop(widget_id)
        return seconds

    async def _run(self, fragment: str = "") -> float:
        message = BackMsg()
        run = message.rerun_script
        run.query_string = self._query
        run.widget_states.widgets.extend(self.states.values())
        run.fragment_id = fragment
        if self._page in self.pages:
            run.page_script_hash = self.pages[self._page]
        else:
            run.page_name = self._page
        began = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        while True:
            if time.perf_counter() - began > PATIENCE:
                raise Failed(f"{self._page} did not end in {PATIENCE:.0f} s")
            raw = await self._socket.recv()
            self.received += len(raw)
            if self._read(ForwardMsg.FromString(raw)):
                return time.perf_counter() - began

    def _read(self, message: ForwardMsg) -> bool:
        kind = message.WhichOneof("type")
        if kind == "script_finished":
            return message.script_finished in ENDS
        if kind == "navigation":
            self.pages.update({page.url_pathname: page.page_script_hash for page in message.navigation.app_pages})
        elif kind == "page_not_found":
            raise Failed(f"there is no page “{self._page}”")
        elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
            raise Failed(str(message.session_event))
        elif kind == "auth_redirect":
            raise Failed("signed out")
        elif kind == "delta" and message.delta.HasField("new_element"):
            self._element(message.delta)
        return False

    def _element(self, delta: Any) -> None:
        kind = delta.new_element.WhichOneof("type")
        element = getattr(delta.new_element, kind, None) if kind else None
        if kind == "exception":
            raise Failed(f"{self._page}: {element.message}")  # type: ignore[union-attr]
        widget_id = getattr(element, "id", "")
        if isinstance(widget_id, str) and widget_id:
            label = getattr(element, "label", "") or kind or ""
            self.widgets[label] = (widget_id, kind or "", delta.fragment_id)
