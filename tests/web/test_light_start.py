"""What the app loads before its first answer: what a page may need later is not waited for."""

import ast
import importlib
import os
import subprocess
import sys

from tests.conftest import ROOT
from web.routes import ROUTES

HEAVY = ("scipy", "sklearn", "statsmodels", "prophet", "mlxtend", "dbos", "fastapi", "alembic", "aiosmtplib", "bs4")


def test_the_routes_load_without_mathematics_jobs_and_the_api():
    code = f"import sys, web.routes; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


FOR_SOME_PAGES = ("plotly", "numpy", "pandas", "PIL", "crm_core.services.automation.upkeep", "crm_core.services.routing.assign")
FIRST_PAGE = """
import runpy, sys
sys.argv = ["web", "--version"]
try:
    runpy.run_module("web", run_name="__main__")
except SystemExit:
    pass
import app
import ui.components.halt, ui.components.sidebar, ui.components.list_layouts
from streamlit.commands import logo, page_config
for taken in (page_config, logo):
    taken.image_to_url("ui/static/icon.svg")
print(*[name for name in {names} if name in sys.modules])
import ui.components.figure, plotly.io
print(plotly.io.templates.default)
"""


def test_the_app_and_a_list_load_without_charts_photographs_and_automations(tmp_path):
    code = FIRST_PAGE.format(names=FOR_SOME_PAGES)
    environment = os.environ | {"RAPPORT_DATABASE_URL": f"sqlite:///{tmp_path / 'rapport.db'}", "RAPPORT_DATA_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    version, loaded, look = done.stdout.splitlines()
    assert version.startswith("Streamlit") and loaded.split() == []
    assert look == "streamlit"  # what was left out is caught up with before a chart


def test_what_answers_at_each_address_can_be_loaded():
    late = [route.endpoint for route in ROUTES if hasattr(getattr(route, "endpoint", None), "load")]
    assert len(late) > 25
    for endpoint in late:
        assert callable(endpoint.load())


def test_what_is_loaded_beside_the_first_page_is_there_and_draws_a_chart_of_each_kind():
    """A misspelt name would only be written into the log."""
    assigned = next(node for node in ast.parse((ROOT / "app.py").read_text(encoding="utf-8")).body if _names(node) == ["WARM"])
    for name in ast.literal_eval(assigned.value):
        module, _, function = name.partition(":")
        loaded = importlib.import_module(module)
        if function:
            getattr(loaded, function)()


def _names(node):
    return [target.id for target in getattr(node, "targets", ())]
