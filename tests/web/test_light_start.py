"""What the app loads before its first answer: what a page may need later is not waited for."""

import subprocess
import sys

from tests.conftest import ROOT
from web.routes import ROUTES

HEAVY = ("scipy", "sklearn", "statsmodels", "prophet", "mlxtend", "dbos", "fastapi", "alembic", "aiosmtplib", "bs4")


def test_the_routes_load_without_mathematics_jobs_and_the_api():
    code = f"import sys, web.routes; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_what_answers_at_each_address_can_be_loaded():
    late = [route.endpoint for route in ROUTES if hasattr(getattr(route, "endpoint", None), "load")]
    assert len(late) > 25
    for endpoint in late:
        assert callable(endpoint.load())
