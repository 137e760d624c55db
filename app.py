"""The launcher: ``streamlit run app.py``. HTTP routes, the door and the Streamlit app in one process; the screens begin in ui/main.py.

The entry script lies in ui/, not here, because a pages/ folder beside it would be served before any check, and because the models must not
be under Streamlit's module watcher.
"""

import os

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before anything loads BLAS: its threads would take the cores from other people's pages

import streamlit as st
from starlette.middleware import Middleware

from ui import downloads, lean
from ui.failure import on_script_error
from web import gate, startup
from web.middleware import Door
from web.routes import ROUTES

WARM = (
    "pandas", "pyarrow", "plotly.graph_objects", "babel.dates", "ui.actions", "ui.cache", "ui.format", "ui.components.record_page", "ui.components.activity_feed",
    "ui.components.kpi_cards", "ui.components.figure", "ui.components.analysis", "ui.components.segmentation_views", "ui.components.score_views",
    "ui.components.value_views", "ui.components.overview_sections", "ui.components.overview_figures:draw_once", "crm_core.frames.arrow", "adbc_driver_manager.dbapi", "web.signin", "web.capture", "web.preferences", "web.tracking", "web.surveys", "web.mail",
)  # fmt: skip

startup.configure()
lean.install()
downloads.install()
gate.install()
app = st.App(
    "ui/main.py",
    routes=ROUTES,
    middleware=[Middleware(Door)],
    lifespan=startup.lifespan(WARM),
    on_script_error=on_script_error,
)
