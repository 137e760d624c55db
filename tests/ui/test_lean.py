"""What is replaced in Streamlit gives what it gave before, in the same order."""

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from types import SimpleNamespace

import pandas as pd
import pytest
import streamlit
from streamlit.commands import logo, page_config
from streamlit.components.v2.bidi_component import serialization
from streamlit.cursor import RunningCursor
from streamlit.elements.lib.layout_utils import LayoutConfig
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.runtime import Runtime
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState

from tests.conftest import ROOT
from ui import lean


@pytest.mark.parametrize(
    "section", ["theme", "theme.light", "theme.dark", "theme.sidebar", "theme.light.sidebar", "theme.dark.sidebar"]
)
def test_the_theme_is_the_one_that_streamlit_reads(section):
    fresh, twice = CustomThemeConfig(), CustomThemeConfig()
    lean._populate_theme(fresh, section)
    for _ in range(2):
        twice = CustomThemeConfig()
        lean.theme_once(twice, section)
    assert twice == fresh and fresh.ByteSize()


def test_it_is_installed_only_over_the_version_that_it_was_written_for(monkeypatch):
    assert streamlit.__version__.startswith(lean.WRITTEN_FOR), "compare ui/lean.py with the new Streamlit, then raise WRITTEN_FOR"
    for name, where in (
        ("_populate_theme_msg", app_session),
        ("_call_soon_on_event_loop", AppSession),
        ("_enqueued_some_message", Runtime),
        ("_extract_dataframes_from_dict", serialization),
        ("image_to_url", page_config),
        ("image_to_url", logo),
        ("filtered_state", SafeSessionState),
    ):
        monkeypatch.setattr(where, name, getattr(where, name))
    monkeypatch.setattr(streamlit, "__version__", "1.99.0")
    before = AppSession._call_soon_on_event_loop
    assert not lean.install() and AppSession._call_soon_on_event_loop is before
    monkeypatch.undo()


@pytest.mark.parametrize("name", ["icon.svg", "logo.svg"])
def test_a_drawing_has_the_address_that_streamlit_gives_it(name):
    path = str(ROOT / "ui" / "static" / name)
    theirs = lean._picture(path, LayoutConfig(width="stretch"), clamp=False, channels="RGB", output_format="auto", image_id="x")
    assert lean.drawing_once(path) == lean.drawing_once(path) == theirs


def test_any_other_picture_goes_the_usual_way(tmp_path):
    rest = {
        "layout_config": LayoutConfig(width="stretch"),
        "clamp": False,
        "channels": "RGB",
        "output_format": "auto",
        "image_id": "x",
    }
    bare = tmp_path / "bare.svg"
    bare.write_text("<svg viewBox='0 0 1 1'></svg>")
    for picture in ("https://example.com/icon.png", "https://example.com/icon.svg", str(bare)):
        assert lean.drawing_once(picture, **rest) == lean._picture(picture, **rest)


def test_plain_values_for_a_component_stay_what_they_are_and_frames_still_go_their_own_way():
    plain = {
        "rows": [{"id": 1, "cells": ["a", None, 2.5]}],
        "sort": {"key": "name", "desc": True},
        "label": "Deals",
        "n": 3,
        "on": False,
        "none": None,
    }
    assert lean.frames_only(plain) == lean._extract_frames(plain) == plain
    blobs, fresh = {}, {}
    frame = {"frame": pd.DataFrame({"n": [1, 2]}), "label": "Deals"}
    ours, theirs = lean.frames_only(frame, blobs), lean._extract_frames(frame, fresh)
    assert ours == theirs and set(ours["frame"].values()) == set(blobs)
    assert blobs == fresh and len(blobs) == 1


def in_a_loop(work):
    """Run a coroutine in a thread of its own: a browser of another test may hold the loop of this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(work, 10)).result()


def test_messages_keep_their_order_and_none_is_lost_when_one_fails():
    done, failed = [], []

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: failed.append(context["exception"]))
        session = SimpleNamespace(_event_loop=loop)

        def script():
            for n in range(500):
                lean.hand_over(session, (lambda: 1 / 0) if n == 100 else lambda n=n: done.append(n))

        thread = Thread(target=script)
        thread.start()
        while thread.is_alive() or len(done) < 499:
            await asyncio.sleep(0.001)

    in_a_loop(run())
    assert done == [n for n in range(500) if n != 100]
    assert [type(error) for error in failed] == [ZeroDivisionError]


def test_a_session_whose_loop_is_closed_drops_what_comes():
    loop = asyncio.new_event_loop()
    loop.close()
    session = SimpleNamespace(_event_loop=loop)
    lean.hand_over(session, lambda: None)
    assert not session._rapport_waiting


def test_the_bell_rings_once_from_any_thread():
    async def run():
        objects = SimpleNamespace(need_send_data=asyncio.Event(), eventloop=asyncio.get_running_loop())
        runtime = SimpleNamespace(_get_async_objs=lambda: objects)
        lean.ring_once(runtime)
        assert objects.need_send_data.is_set()
        objects.need_send_data.clear()
        await asyncio.to_thread(lean.ring_once, runtime)
        await asyncio.wait_for(objects.need_send_data.wait(), 5)

    in_a_loop(run())


def test_a_field_finds_the_value_that_streamlit_would_find():
    state = SafeSessionState(SessionState(), lambda: None)
    for name, value in {"plain": 1, "none": None, "$$STREAMLIT_INTERNAL_KEY_X": 2, "$$ID-abc-None": 3}.items():
        state._state._old_state[name] = value
    state._state._new_session_state["fresh"] = "x"
    whole, ours = state._state.filtered_state, lean.OneByOne(state)
    assert dict(ours) == whole and len(ours) == len(whole) == 3
    for name in (*whole, "$$STREAMLIT_INTERNAL_KEY_X", "$$ID-abc-None", "missing"):
        assert (name in ours) == (name in whole) and ours.get(name) == whole.get(name)


@pytest.mark.parametrize("shown_in_passing", [False, True])
def test_a_copied_place_goes_on_by_itself(shown_in_passing):
    place = RunningCursor(root_container=0, parent_path=(1, 2))
    place.lock_element()
    if shown_in_passing:
        place.get_transient_cursor()
        place.transient_elements[0] = Element()
    theirs, ours = copy.deepcopy(place), lean.copied(place, {})
    for twin in (theirs, ours):
        assert twin.delta_path == place.delta_path and list(twin.transient_elements) == list(place.transient_elements)
        assert type(twin) is RunningCursor and twin.transient_elements is not place.transient_elements
    ours.open_block()
    assert ours.index == place.index + 1 and theirs.index == place.index
