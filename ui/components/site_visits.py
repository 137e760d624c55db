"""The snippet for the own web site: copied here, with what it brought in lately."""

import streamlit as st

from crm_core.services.marketing import visits
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.addresses import absolute


@st.dialog("Visits of your site", width="large", icon=":material/travel_explore:")
def visits_dialog() -> None:
    """What it does, the lines to copy, and whether they work."""
    key = perform(visits.open_key)
    if not key:
        show_problems()
        return
    st.markdown(
        "Put these lines before `</body>` on every page of your web site. From then on a visit counts as a touch in *Attribution*, with the channel and "
        "campaign that its link names (`utm_medium`, `utm_campaign`). It stays anonymous until the visitor fills in one of your forms or "
        "clicks a link in one of your letters; then the earlier visits become theirs."
    )
    st.code(f'<script src="{absolute(f"/v/{key}.js")}" async></script>', language="html")
    st.markdown("Nothing is sent or kept before the visitor agrees. Let your consent banner say so:")
    st.code(
        "rapport('consent')   // when the visitor agrees\nrapport('forget')    // when the visitor takes it back",
        language="javascript",
    )
    found = load(visits.lately)
    if found.visits:
        known = f", {fmt.written(found.known)} of them by people whom you know" if found.known else ""
        st.caption(f":material/check_circle: {fmt.plural(found.visits, 'visit')} in the last 30 days{known}.")
    else:
        st.caption(":material/hourglass_empty: No visit has come in yet. Open your site, agree, and look here again.")
