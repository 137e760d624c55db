"""An empty page of a bare Streamlit, with the same settings and the same care for the garbage collector: the limit of every page."""

import gc
from contextlib import asynccontextmanager

import streamlit as st


@asynccontextmanager
async def lifespan(_app):
    import pandas  # noqa: F401
    import plotly.graph_objects  # noqa: F401

    gc.collect()
    gc.freeze()
    yield


app = st.App("empty_page.py", lifespan=lifespan)
