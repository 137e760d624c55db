"""``python -m web run app.py``: Streamlit's own command line, with the garbage collector at rest while all is loaded (web/startup.py wakes it)."""

import gc
import sys

gc.disable()
sys.modules["plotly"] = None  # type: ignore[assignment]  # no page waits for the charts of another one: ui.lean.look_of_charts catches up

from streamlit.web.cli import main  # noqa: E402  (a second of imports that the collector would look through again and again)

del sys.modules["plotly"]
main()
