"""``python -m web run app.py``: Streamlit's own command line, with the garbage collector at rest while all is loaded (web/startup.py wakes it)."""

import gc

gc.disable()

from streamlit.web.cli import main  # noqa: E402  (a second of imports that the collector would look through again and again)

main()
