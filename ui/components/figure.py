"""A chart in its box: title, a grey line under it, and, folded away, the same numbers as links to their lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from crm_core.access import Actor
from ui import lean
from ui.components import chart_words
from ui.components.list_link import list_link
from ui.format import icon_only, md

lean.look_of_charts()


@dataclass(frozen=True)
class Behind:
    """One number of a chart and the list behind it. Plain text."""

    label: str
    text: str
    entity: str
    filter: dict[str, Any]


def box(title: str, subtitle: str = "", *, key: str) -> Any:
    """A bordered box with its title; gives the container for what stands at the right of the title. Plain text."""
    outer = st.container(border=True, height="stretch", key=key, gap="small")
    head = outer.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top", gap="small")
    words = head.container(gap=None, width="content")
    words.markdown(f"**{md(title)}**")
    if subtitle:
        words.caption(md(subtitle))
    return outer, head


def chart(
    actor: Actor,
    fig: go.Figure,
    title: str,
    subtitle: str = "",
    *,
    key: str,
    behind: Sequence[Behind] = (),
    alt: str = "",
    png: str = "",
) -> None:
    """Draw a figure in a box. ``behind`` is listed when the reader unfolds it; ``alt`` describes the figure to a screen reader; ``png`` is
    the name of the file under which the reader may save it."""
    outer, head = box(title, subtitle, key=f"box_{key}")
    if behind:
        with head.popover(
            icon=":material/list:",
            type="tertiary",
            **icon_only("The numbers, with their lists"),
            key=f"behind_{key}",
            on_change="rerun",
        ) as fold:
            if fold.open:
                for item in behind:
                    list_link(actor, item.entity, f"{md(item.label)}: **{md(item.text)}**", item.filter)
    outer.plotly_chart(
        fig, key=f"chart_{key}", config=chart_words.config(actor, **(_picture(png) if png else {})), alt=alt or title
    )


def _picture(name: str) -> dict[str, Any]:
    """A camera at the corner, and nothing else of the tool bar."""
    options = {"format": "png", "filename": name, "scale": 2}
    return {"displayModeBar": None, "displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": options}
