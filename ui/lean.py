"""What Streamlit does anew in every run although nothing changed, done once; and what it does message by message, done in bunches.

Seven functions of Streamlit are replaced in the process that serves the app, with the same results (tests compare them). They are private, so
only the version they were written for is touched: any other one runs as it is, a little slower. Why: docs/decisions/0026-serving.md.
"""

import asyncio
import base64
import copy
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import streamlit
from streamlit import delta_generator
from streamlit.commands import logo, page_config
from streamlit.components.v2.bidi_component import serialization
from streamlit.cursor import Cursor
from streamlit.elements.lib import image_utils, streamlit_plotly_theme
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.runtime import Runtime
from streamlit.runtime.state.common import is_element_id
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import STREAMLIT_INTERNAL_KEY_PREFIX

WRITTEN_FOR = "1.67."
log = logging.getLogger("rapport.ui")

_populate_theme = app_session._populate_theme_msg
_extract_frames = serialization._extract_dataframes_from_dict
_picture = image_utils.image_to_url
_themes: dict[str, CustomThemeConfig] = {}
_pictures: dict[str, str] = {}
_PLAIN = (str, int, float, bool, type(None), list, dict, tuple)
_lock = Lock()


def install() -> bool:
    """Replace them; False when this Streamlit is another one than they were written for."""
    if not streamlit.__version__.startswith(WRITTEN_FOR):
        log.warning("Streamlit %s is unknown here, so its pages cost a little more time", streamlit.__version__)
        return False
    app_session._populate_theme_msg = theme_once
    AppSession._call_soon_on_event_loop = hand_over  # type: ignore[method-assign]
    Runtime._enqueued_some_message = ring_once  # type: ignore[method-assign]
    Cursor.__deepcopy__ = copied  # type: ignore[attr-defined]
    SafeSessionState.filtered_state = property(OneByOne)  # type: ignore[assignment]
    serialization._extract_dataframes_from_dict = frames_only
    page_config.image_to_url = logo.image_to_url = drawing_once  # type: ignore[assignment]
    delta_generator._use_warning_has_been_displayed = True  # it looks through all modules for a console that is not there
    return True


def theme_once(msg: CustomThemeConfig, section: str = "theme") -> None:
    """The colours and fonts of the configuration, read once: they don't change while the app runs, and reading them takes a fifth of a short run."""
    known = _themes.get(section)
    if known is None:
        known = CustomThemeConfig()
        _populate_theme(known, section)
        _themes[section] = known
    if known.ByteSize():
        msg.MergeFrom(known)


def drawing_once(image: Any, *more: Any, **rest: Any) -> str:
    """The icon and the logo, which are drawings in files, as the address that holds them: written once, and without the libraries for photographs,
    for which the first page would wait."""
    if not isinstance(image, str) or not image.endswith(".svg") or not Path(image).is_file():
        return _picture(image, *more, **rest)
    known = _pictures.get(image)
    if known is None:
        drawing = Path(image).read_text(encoding="utf-8")
        if not drawing.startswith("<svg ") or "xmlns" not in drawing:
            return _picture(image, *more, **rest)
        known = _pictures[image] = f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"
    return known


@cache
def look_of_charts() -> None:
    """Streamlit's look of charts, which web/__main__.py kept it from registering: it would load Plotly before the first page. To be called before a
    figure is made."""
    streamlit_plotly_theme.configure_streamlit_plotly_theme()


def frames_only(data: dict[str, Any], arrow_blobs: dict[str, bytes] | None = None) -> dict[str, Any]:
    """Frames among the data of a component go their own way. Our components are given plain values: to ask pandas whether these are frames would
    make the first page wait until pandas is loaded."""
    if all(type(value) in _PLAIN for value in data.values()):
        return data
    return _extract_frames(data, arrow_blobs)


def copied(self: Cursor, memo: dict[int, Any]) -> Cursor:
    """A copy of a place on the page, as each fragment keeps of all the places around it: numbers and paths that never change, and what is shown in
    passing."""
    twin = object.__new__(type(self))
    twin.__dict__.update(self.__dict__)
    twin._transient_elements = copy.deepcopy(self._transient_elements, memo)
    return twin


class OneByOne(Mapping[str, Any]):
    """What a session remembers, as fields look into it for a value of their own: looked up by name, where Streamlit writes all of it out for
    each field."""

    def __init__(self, state: SafeSessionState) -> None:
        self._safe = state

    def __getitem__(self, key: str) -> Any:
        if is_element_id(key) or key.startswith(STREAMLIT_INTERNAL_KEY_PREFIX):
            raise KeyError(key)
        with self._safe._lock:
            return self._safe._state[key]

    def _whole(self) -> dict[str, Any]:
        with self._safe._lock:
            return self._safe._state.filtered_state

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())


def hand_over(self: AppSession, callback: Callable[[], None]) -> None:
    """Give the event loop something to do for this session. What comes while the loop is busy goes along: one wake-up for many messages.

    Each wake-up would make the script's thread give way, hundreds of times a page.
    """
    with _lock:
        waiting: deque[Callable[[], None]] = self.__dict__.setdefault("_rapport_waiting", deque())
        waiting.append(callback)
        if len(waiting) > 1:
            return  # the wake-up for the first one is on its way
    try:
        self._event_loop.call_soon_threadsafe(_take_over, self, waiting)
    except RuntimeError:
        if not self._event_loop.is_closed():
            raise
        waiting.clear()  # the process is ending


def _take_over(session: AppSession, waiting: deque[Callable[[], None]]) -> None:
    with _lock:
        callbacks = list(waiting)
        waiting.clear()
    for callback in callbacks:
        try:
            callback()
        except Exception as error:  # as the loop would do for each of them
            session._event_loop.call_exception_handler({"message": "a message to the browser failed", "exception": error})


def ring_once(self: Runtime) -> None:
    """Tell the sending loop that something waits, unless it was told already."""
    objects: Any = self._get_async_objs()
    if objects.need_send_data.is_set():
        return
    if asyncio._get_running_loop() is objects.eventloop:
        objects.need_send_data.set()
    else:
        objects.eventloop.call_soon_threadsafe(objects.need_send_data.set)
