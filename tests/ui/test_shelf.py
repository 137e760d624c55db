"""The shelf of remembered figures: bounded, nobody changes what others get, one asker computes while the others wait."""

import json
import threading
import time

import numpy as np
import plotly
import plotly.graph_objects as go
import pytest
from plotly.tools import return_figure_from_figure_or_data

from crm_core.db import write_session
from crm_core.kit.numerals import written
from crm_core.models import User
from tests.pages.app import draw_alone
from ui.cache import Shelf
from ui.drawn import Drawn


def test_what_an_asker_does_with_a_figure_stays_with_that_asker():
    shelf = Shelf()
    first = shelf.get(b"a", lambda: {"rows": [1]})
    first["rows"].append(2)
    again = shelf.get(b"a", lambda: pytest.fail("it was kept"))
    again["rows"].append(3)
    assert shelf.get(b"a", lambda: pytest.fail("it was kept")) == {"rows": [1]}


def test_the_least_used_figure_goes_when_the_room_is_full():
    shelf = Shelf(room=3_500, largest=2_000)
    for key in (b"a", b"b", b"c"):
        shelf.get(key, lambda: "x" * 1_000)
    shelf.get(b"a", lambda: pytest.fail("it was kept"))
    shelf.get(b"d", lambda: "x" * 1_000)
    assert shelf.filled <= 3_500
    assert shelf.get(b"a", lambda: "anew")[0] == "x"
    assert shelf.get(b"b", lambda: "anew") == "anew"
    assert shelf.get(b"huge", lambda: "x" * 5_000) and shelf.filled <= 3_500


def test_ten_askers_at_once_compute_a_figure_once():
    shelf, computed, got = Shelf(), [], []

    def make():
        computed.append(1)
        time.sleep(0.05)
        return "figure"

    askers = [threading.Thread(target=lambda: got.append(shelf.get(b"a", make))) for _ in range(10)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(computed) == 1 and got == ["figure"] * 10


def test_a_figure_comes_back_with_the_same_words_for_the_browser():
    figure = go.Figure(
        go.Bar(x=np.array(["a", "b"]), y=np.array([1.5, 2.5])), layout={"title": {"text": "T"}, "template": "plotly_white"}
    )
    shelf = Shelf()
    first = shelf.get(b"a", lambda: (figure, "subtitle"))[0]
    again, subtitle = shelf.get(b"a", lambda: pytest.fail("it was kept"))
    assert isinstance(again, Drawn) and subtitle == "subtitle"
    assert json.loads(plotly.io.to_json(again.to_dict(), validate=False)) == json.loads(plotly.io.to_json(first, validate=False))
    assert return_figure_from_figure_or_data(again, validate_figure=True) is again.to_dict()  # what st.plotly_chart asks


def test_a_failed_figure_is_not_kept():
    shelf = Shelf()
    with pytest.raises(ZeroDivisionError):
        shelf.get(b"a", lambda: 1 // 0)
    assert shelf.get(b"a", lambda: "figure") == "figure"


def _told(_session, _actor):
    return f"{written(1240)} deals wait"


def _draw():
    import streamlit as st

    from tests.ui.test_shelf import _told
    from ui.cache import cached

    st.text(cached(_told, entities=("deal",), tables=("deal",)))


def test_a_sentence_is_kept_apart_for_those_who_write_numbers_otherwise(cast):
    with write_session() as session:
        session.get(User, cast["ana"].user_id).locale = "de_DE"
    assert [draw_alone(cast[who], _draw).text[0].value for who in ("root", "ana")] == ["1,240 deals wait", "1.240 deals wait"]
