"""API and webhooks: for the administrator, to see which programs work here, which are told what happens, which shops send their orders."""

import streamlit as st

from ui.components.api_keys import keys_section
from ui.components.api_log import log_section
from ui.components.header import header
from ui.components.shops import shops_section
from ui.components.webhooks import webhooks_section


def keys() -> None:
    keys_section(mine=False)


header("API and webhooks", "Programs that work here, and programs that are told what happens here")
areas = {"Keys": keys, "Webhooks": webhooks_section, "Shops": shops_section, "Requests": log_section}
for draw, tab in zip(areas.values(), st.tabs(list(areas), key="area", on_change="rerun", bind="query-params"), strict=True):
    with tab:
        if tab.open:
            draw()
