"""Dialogs that bring a dashboard to people outside: a link, a report by e-mail."""

import streamlit as st

from crm_core.kit.week import WEEKDAYS
from crm_core.services.analytics import dashboards, reports, sharing
from crm_core.services.analytics.dashboards import DashboardRow
from crm_core.services.analytics.sharing import DAYS, LinkRow
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import PeriodPreset, ReportEvery, ShareKind
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key
from ui.addresses import absolute
from ui.navigation import page_of
from ui.session import current_actor

WARNING = (
    "Whoever has the link sees these figures **with your rights**, without an account, with the period and filters that are set now. "
    "Groups of fewer than five records are hidden."
)


@st.dialog("Share outside", width="medium", icon=":material/share:")
def share_dialog(row: DashboardRow, look: Look) -> None:
    """Make a link to the dashboard as it is seen now, and show those that there are."""
    link_form(ShareKind.DASHBOARD, row.id, row.name, chosen(row, look))


@st.dialog("Share outside", width="medium", icon=":material/share:")
def share_run_dialog(run_id: int, title: str) -> None:
    """Make a link to a finished analysis: verdict, summary, and tables without single records."""
    link_form(ShareKind.RUN, run_id, title, {})


def chosen(row: DashboardRow, look: Look) -> dict[str, object]:
    """The period and filters that are set now, as they are kept."""
    period = str(st.session_state.get("period") or row.settings.get("period") or PeriodPreset.MONTHS_12.value)
    return sharing.filters_of(look, period)


def link_form(kind: ShareKind, target_id: int, name: str, filters: dict[str, object]) -> None:
    """The form of a link and the living links of the same thing; inside a dialog."""
    actor = current_actor()
    st.markdown(WARNING)
    label = st.text_input("Title on the page", name, max_chars=120, key="link_label")
    left, right = st.columns(2)
    days = left.selectbox("Works for", list(DAYS), index=2, format_func=lambda key: DAYS[key], key="link_days")
    password = right.text_input(
        "Password (optional)", type="password", max_chars=200, key="link_password", autocomplete="new-password"
    )
    embeddable = st.toggle(
        "May stand inside another website", key="link_embed", disabled=bool(password), help="Not together with a password"
    )
    name_of_key = f"link_{kind.value}_{target_id}"
    if st.button("Make the link", type="primary", icon=":material/link:", key="link_make"):
        made = perform(
            sharing.create, kind=kind, target_id=target_id, label=label, filters=filters, days=days, password=password or "",
            embeddable=embeddable and not password, submit_key=submit_key(name_of_key),
        )  # fmt: skip
        if made is not None:
            renew(name_of_key)
    show_problems()
    links = [link for link in load(sharing.find, kind=kind, target_id=target_id) if link.works and link.mine]
    for link in links[:5]:
        address(link)
        st.caption(fmt.md(words(link)))
    if links:
        st.page_link(page_of(actor, "links"), label="Who opened them, and withdrawing", icon=":material/arrow_forward:")  # type: ignore[arg-type]


def address(link: LinkRow) -> None:
    """The address of a link, with a button that copies it."""
    st.code(absolute(f"/s/{link.token}"), language=None, wrap_lines=True)


def words(link: LinkRow) -> str:
    """What there is to say about a link."""
    actor = current_actor()
    parts = [f"until {fmt.day(actor, fmt.local(actor, link.expires_at).date())}", fmt.plural(link.views, "opening", "openings")]
    if link.protected:
        parts.insert(0, "password")
    if link.embeddable:
        parts.insert(0, "may be embedded")
    return " · ".join(parts)


@st.dialog("Send by e-mail", width="medium", icon=":material/schedule_send:")
def report_dialog(row: DashboardRow, look: Look) -> None:
    """Mail the dashboard as it is seen now, every day, week or month."""
    actor = current_actor()
    many = dashboards.may_publish(actor)
    st.markdown(
        "Sent with **your rights**, with the period and filters that are set now. Colleagues get all numbers; for other people, groups of fewer "
        "than five records are hidden."
    )
    options = ReportEvery.options()
    left, middle, right = st.columns(3)
    every = ReportEvery(
        left.selectbox("How often", list(options), index=1, format_func=lambda key: options[key], key="report_every")
    )
    day = 1
    if every is ReportEvery.WEEK:
        day = middle.selectbox("On", range(1, 8), format_func=lambda n: WEEKDAYS[n - 1], key="report_weekday")
    elif every is ReportEvery.MONTH:
        day = middle.selectbox("On day", range(1, 29), key="report_monthday")
    hour = right.selectbox(
        "At", range(24), index=7, format_func=lambda n: f"{n:02d}:00", key="report_hour", help=f"In {actor.timezone}"
    )
    if many:
        raw = st.text_area("To", actor.email, key="report_to", help="One address per line")
    else:
        raw = actor.email
        st.caption(fmt.md(f"To {actor.email}. Your role allows to send reports to yourself only."))
    if st.button("Send it by the clock", type="primary", icon=":material/schedule_send:", key="report_make"):
        addresses = (raw or "").replace(",", "\n").replace(";", "\n").splitlines()
        made = perform(
            reports.create,
            row.id,
            every=every,
            recipients=addresses,
            day=day,
            hour=hour,
            filters=chosen(row, look),
            success="The report goes out by the clock.",
        )
        if made is not None:
            st.rerun()
    show_problems()
