"""The beginning of an import: what is in the file, the file itself, and the imports so far."""

import streamlit as st

from crm_core.entities import entity
from crm_core.services.admin.imports import runs
from crm_core.settings import settings
from crm_core.vocabulary import ImportState
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state
from ui.components.table import Cell, Column, table
from ui.session import current_actor
from ui.tones import TONES

COLUMNS = [
    Column("file", "File", sortable=False),
    Column("what", "Records", sortable=False),
    Column("state", "State", sortable=False),
    Column("rows", "Rows", right=True, sortable=False),
    Column("outcome", "Outcome", sortable=False),
    Column("when", "When", sortable=False, muted=True),
]
ORDER = ("product", "account", "contact", "lead", "user", "deal", "order", "article", "campaign", "promotion")
HINTS = {
    "user": "Colleagues with their teams and managers. Nobody can sign in before you have invited them.",
    "product": "Names and prices. Import products before deals and orders that name them.",
    "account": "Companies. Import accounts before their contacts and deals.",
    "contact": "People, with their e-mail addresses and phone numbers.",
    "lead": "People who showed interest and are not yet worth a deal.",
    "deal": "Chances to sell, open and closed. Import accounts, products and people first, so that deals find them.",
    "order": "One row per order, or one row per line with the order number repeated.",
    "article": "Help articles: title, short answer, text in Markdown. Rows with a title that exists already change that article.",
    "campaign": "Campaigns with their days and budget.",
    "promotion": "Discount codes with what they take off. They come in as drafts: look at each, then start it.",
}


def start() -> None:
    """Choose a kind of record and upload a file."""
    kinds = sorted(runs.importable(current_actor()), key=ORDER.index)
    with st.container(border=True, key="import_start"):
        asked = st.query_params.get("kind", "")
        chosen = st.pills(
            "What is in the file?",
            kinds,
            format_func=lambda key: entity(key).plural,
            default=asked if asked in kinds else kinds[0],
            required=True,
            key="import_kind",
        )
        kind = chosen or kinds[0]
        st.caption(fmt.md(HINTS[kind]))
        st.file_uploader(
            "File",
            type=["csv", "txt", "tsv", "xlsx", "xlsm"],
            max_upload_size=settings().max_upload_mb,
            key=f"import_file_{kind}",
            on_change=_take,
            args=(kind,),
            help="CSV with any encoding and delimiter, or an Excel workbook. Nothing is imported before you have seen what would happen.",
        )


def _take(kind: str) -> None:
    uploaded = st.session_state.get(f"import_file_{kind}")
    if uploaded is None:
        return
    run = perform(runs.upload, kind, uploaded, uploaded.name)
    if run is not None:
        st.query_params["run"] = str(run.id)


def history() -> None:
    """The imports so far, the latest first."""
    actor = current_actor()
    page = load(runs.find, page=int(st.session_state.get("page") or 1))
    st.subheader("Imports so far", anchor=False)
    if not page.rows:
        empty_state(
            "No imports yet",
            "Every import will stand here with the outcome of each of its rows, and can be undone.",
            icon="upload_file",
        )
        return
    found = {row["run"].id: row["run"] for row in page.rows}
    rows = [
        (
            run_id,
            [
                Cell(run.file_name),
                Cell(entity(run.entity).plural),
                Cell(run.state.label, tone=TONES.get(run.state, "blue")),
                Cell(fmt.plural(run.total_rows, "row")),
                Cell(_outcome(runs.counts(run)) or fmt.NOTHING),
                Cell(fmt.ago(actor, run.created_at)),
            ],
        )
        for run_id, run in found.items()
    ]
    happened = table(COLUMNS, rows, key="table_imports", label="Imports", href="/import?run={id}")
    if page.pages > 1:
        st.pagination(page.pages, key="page", bind="query-params")
    if happened.opened is not None:
        st.query_params["run"] = str(happened.opened)
        st.rerun()


def _outcome(counts: dict[str, int]) -> str:
    return ", ".join(f"{fmt.written(count)} {name}" for name, count in counts.items() if count)


STEPS = ("Upload", "Match columns", "Check", "Import", "Result")
_AT = {
    ImportState.UPLOADED: 1, ImportState.MAPPED: 1, ImportState.CHECKING: 2, ImportState.CHECKED: 2, ImportState.RUNNING: 3,
    ImportState.FAILED: 3, ImportState.DONE: 4, ImportState.DONE_WITH_ERRORS: 4, ImportState.REVERTING: 4, ImportState.REVERTED: 4,
}  # fmt: skip


def step_of(state: ImportState, *, matching: bool) -> int:
    """Number of the step at which an import stands; ``matching``: the person went back to the columns."""
    return 1 if matching and state in (ImportState.CHECKED, ImportState.MAPPED, ImportState.UPLOADED) else _AT[state]


def stepper(at: int) -> None:
    """Where one is, in one line."""
    with st.container(horizontal=True, gap="small", key="import_steps"):
        for n, words in enumerate(STEPS):
            icon = ":material/check:" if n < at else None
            st.badge(
                f"{n + 1} {words}" if n >= at else words, icon=icon, color="green" if n < at else "primary" if n == at else "gray"
            )
