"""The frame of every analytics page: settings, choice of run, progress, verdict; the page draws its figures and ends in ``finish``."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.errors import CrmError
from crm_core.services.analytics import runs
from crm_core.services.analytics.methods import Method, method
from crm_core.services.analytics.runs import Run
from crm_core.vocabulary import Reliance, RunState
from ui import format as fmt
from ui.actions import load
from ui.addresses import number
from ui.components.analysis_extras import extras, run_menu, run_picker
from ui.components.analysis_form import settings
from ui.components.header import empty_state, header
from ui.drawn import finished
from ui.session import current_actor

_TONES = {
    Reliance.YES: ("green", "verified"),
    Reliance.PARTLY: ("orange", "rule"),
    Reliance.NO: ("red", "do_not_disturb_on"),
}


@dataclass(frozen=True)
class Analysis:
    """A finished run, opened on its page. ``other`` is the run it is compared with, if any."""

    actor: Actor
    method: Method
    run: Run
    other: Run | None = None

    @property
    def summary(self) -> Any:
        """The small facts of the run."""
        return self.run.summary

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run. Read it only where it is shown; large ones inside a tab that is open."""
        return table_of(self.run, name)

    def figure(self, build: Callable[..., Any], *tables: str, **options: Any) -> Any:
        """``build(*tables, **options)``, remembered per run: a chart of ``ml.charts`` over tables of the run. Options are small and hashable."""
        key = (
            self.run.id,
            str(self.run.finished_at),
            build.__module__,
            build.__qualname__,
            tables,
            tuple(sorted(options.items())),
            self.actor.locale,
        )
        return _built(key, build, self, tables, options)

    def finish(self) -> None:
        """Below the figures: how this is computed, files, another run beside it."""
        extras(self.actor, self.method, self.run, self.other, table_of)


def analysis_page(
    kind: str,
    *,
    title: str = "",
    caption: str = "",
    nothing: str = "",
    on_nothing: Callable[[Any], None] | None = None,
    instead: Callable[[], None] | None = None,
    head: Any = None,
) -> Analysis:
    """Draw header, settings, choice of run and verdict; gives the finished run, or ends the page (running, refused, none yet).

    ``nothing`` tells what this analysis needs while there is no run; ``on_nothing(actions)`` draws buttons there, also
    below a refusal. ``instead()`` draws what is useful without a run. ``head``: where the header goes, for a page that has drawn something
    already that stands below it.
    """
    actor, found = current_actor(), method(kind)
    with head or nullcontext():
        actions = header(title or found.title, caption)
    shown = _chosen(actor, kind)
    with actions:
        run_picker(actor, found, shown)
        if shown is not None:
            run_menu(actor, found, shown)
    settings(actor, found, shown)
    if shown is None:
        buttons = empty_state(
            f"No {(title or found.title).lower()} yet",
            nothing or "Press Run: it is computed in the background, and everybody who sees the same records shares the result.",
            icon="query_stats",
        )
        if on_nothing is not None:
            on_nothing(buttons)
        if instead is not None:
            instead()
        st.stop()
    if shown.active:
        _progress(kind, shown.id)
        st.stop()
    _verdict(actor, shown)
    if shown.state is not RunState.DONE:
        if shown.state is RunState.REFUSED:
            _way_on(on_nothing)
        if instead is not None:
            instead()
        st.stop()
    return Analysis(actor, found, shown, _other(actor, kind, shown))


def _chosen(actor: Actor, kind: str) -> Run | None:
    """The run in the address, else the newest that this person may see."""
    if st.query_params.get("run"):
        shown = load(_get, kind, number("run"))
        if shown is not None:
            return shown
        st.warning("The run in the address does not exist for you, so the newest is shown.", icon=":material/link_off:")
        st.query_params.pop("run", None)
    newest = load(runs.newest, kind)
    return load(runs.get, newest, kind) if newest is not None else None


def _get(session: Any, actor: Actor, kind: str, run_id: int | None) -> Run | None:
    try:
        return runs.get(session, actor, run_id, kind) if run_id is not None else None
    except CrmError:
        return None


def _other(actor: Actor, kind: str, shown: Run) -> Run | None:
    wanted = number("with")
    other = load(_get, kind, wanted) if wanted is not None else None
    return other if other is not None and other.state is RunState.DONE and other.id != shown.id else None


@st.fragment(run_every=1.0)
def _progress(kind: str, run_id: int) -> None:
    """Looks every second; the page stays usable, and leaving it loses nothing."""
    run = load(runs.get, run_id, kind)
    if not run.active:
        st.rerun()
    with st.container(border=True, key="analysis_progress"):
        st.progress(run.share or 0.0, text=fmt.md(run.step or run.waits or "Starting"))
        st.caption(f"Asked for {fmt.ago(current_actor(), run.asked_at)}. You can leave this page: the result waits here.")


def _way_on(on_nothing: Callable[[Any], None] | None) -> None:
    """A refusal is no dead end: it said what is needed, here is the way to get it."""
    if on_nothing is not None:
        on_nothing(st.container(horizontal=True, gap="small", key="refused_actions"))


def _verdict(actor: Actor, run: Run) -> None:
    """What one may rely on, in one box, with what to keep in mind."""
    if run.state is RunState.REFUSED:
        st.warning(f"**No result.** {fmt.md(fmt.as_read(run.verdict))}", icon=":material/block:")
        return
    if run.state is RunState.FAILED:
        st.error(f"{fmt.md(fmt.as_read(run.verdict))} Press Run to try again.", icon=":material/error:")
        return
    colour, icon = _TONES[run.reliable or Reliance.PARTLY]
    with st.container(border=True, key="analysis_verdict", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge((run.reliable or Reliance.PARTLY).label, icon=f":material/{icon}:", color=colour)  # type: ignore[arg-type]
            st.caption(_origin(actor, run), width="content")
        st.markdown(f"**{fmt.md(fmt.as_read(run.verdict))}**")
        _notes(run)


def _origin(actor: Actor, run: Run) -> str:
    parts = [
        f"Data up to {fmt.day(actor, run.as_of)}",
        f"asked for by {fmt.md(run.asked_by)} {fmt.md(fmt.ago(actor, run.asked_at))}",
    ]
    if run.named:
        parts.insert(0, f"**{fmt.md(run.title)}**")
    if run.published_at is not None:
        parts.append(f"published {fmt.md(fmt.ago(actor, run.published_at))}")
    if not run.current:
        parts.append(":orange[records have changed since, so a new run may differ]")
    return " · ".join(parts)


def _notes(run: Run) -> None:
    notes = [*run.warnings, *run.missing]
    for note in notes[:2]:
        st.caption(f":material/info: {fmt.md(fmt.as_read(note))}")
    if len(notes) > 2:
        with st.expander(f"{len(notes) - 2} more to keep in mind", key="analysis_notes"):
            for note in notes[2:]:
                st.caption(f":material/info: {fmt.md(fmt.as_read(note))}")


# --- tables and figures, remembered -------------------------------------------------------------------------------------------


def table_of(run: Run, name: str) -> pd.DataFrame:
    """A table of a run that this person was just shown."""
    return load(_through, (run.id, str(run.finished_at), name))


def _through(_session: Any, actor: Actor, key: tuple[int, str, str]) -> pd.DataFrame:
    return _table(key, actor)


@st.cache_data(max_entries=64, ttl="30m", show_spinner=False)
def _table(key: tuple[int, str, str], _actor: Actor) -> pd.DataFrame:
    with read_session() as session:
        return runs.table(session, _actor, key[0], key[2])


@st.cache_data(max_entries=128, ttl="30m", show_spinner=False)
def _built(
    key: tuple[Any, ...], _build: Callable[..., Any], _shown: Analysis, _tables: tuple[str, ...], _options: dict[str, Any]
) -> Any:
    return finished(_build(*(_shown.table(name) for name in _tables), **_options))
