"""One segment: for the marketer who puts it together: who is in it, by which rule, and since when."""

import streamlit as st

from crm_core.services.marketing import segments
from crm_core.vocabulary import Action, SegmentKind, SegmentOf
from ui.actions import load, perform, renew, submit_key
from ui.components.filter_bar import filter_button, filter_from_url, filter_words
from ui.components.header import header
from ui.components.record_page import id_from_url
from ui.navigation import go, page_of
from ui.session import current_actor

actor = current_actor()
if "id" in st.query_params:
    segment = load(segments.get, id_from_url())
    header(segment.name, segment.kind.label, back=("Segments", page_of(actor, "segments")))
    rule = {"segment": segment.id, "cmp": "in"}
    key = segment.entity.value
    if segment.kind is SegmentKind.LIVE:
        filter_words(key, segment.rule)
else:
    header("New segment", back=("Segments", page_of(actor, "segments")))
    key = st.query_params.get("entity", "contact")
    key = key if key in SegmentOf.options() else "contact"
    if "rule" in st.query_params and "f" not in st.query_params:
        st.query_params["f"] = st.query_params["rule"]
    rule = filter_from_url(key)
    filter_button(key, rule)
    filter_words(key, rule)
    with st.form("new_segment"):
        name = st.text_input("Name")
        if st.form_submit_button("Save segment", type="primary") and actor.can("segment", Action.CREATE):
            made = perform(segments.create, name=name, entity=key, rule=rule, submit_key=submit_key("segment"))
            if made is not None:
                renew("segment")
                go("segment", id=made)
            st.rerun()

found = load(segments.preview, key, rule)
st.metric("Members", f"{found.count:,}")
for row in found.rows:
    st.text(row["name"])
