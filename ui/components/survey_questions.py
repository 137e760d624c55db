"""The further questions of a survey: written, ordered and taken away in its dialog."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from crm_core.services.feedback.question_rules import CHOICES, MOST, SCALES
from crm_core.vocabulary import QuestionKind
from ui import format as fmt


def questions_editor(given: Sequence[Any], tag: str) -> list[dict[str, Any]]:
    """The questions as they stand in the dialog. The draft lives in the session until the dialog is saved or another survey is opened."""
    name = f"_sv_questions_{tag}"
    draft: list[dict[str, Any]] = st.session_state.setdefault(name, [{**one, "n": n} for n, one in enumerate(given)])
    st.markdown("**Further questions**")
    if not draft:
        st.caption("The score and its reason are asked always. Up to four more can follow; every one of them costs answers.")
    for place, one in enumerate(draft):
        _one(draft, place, one, tag)
    if len(draft) < MOST:
        st.button("Add a question", icon=":material/add:", key=f"sv_add_{tag}", on_click=_add, args=(draft,))
    return [{key: value for key, value in one.items() if key != "n"} for one in draft]


def forget_questions() -> None:
    """The dialog was closed or saved: what was typed is dropped."""
    for name in [key for key in st.session_state if str(key).startswith("_sv_questions_")]:
        st.session_state.pop(name)


def _one(draft: list[dict[str, Any]], place: int, one: dict[str, Any], tag: str) -> None:
    key = f"{tag}_{one['n']}"
    with st.container(border=True, gap="small", key=f"sv_question_{key}"):
        left, right = st.columns([3, 2])
        one["label"] = left.text_input(
            f"Question {place + 2} *",
            value=one.get("label", ""),
            max_chars=300,
            key=f"sv_ql_{key}",
            placeholder="Was the answer quick enough?",
        )
        kinds = list(QuestionKind)
        before = QuestionKind(one["kind"]) if one.get("kind") in QuestionKind.options() else QuestionKind.SCALE_5
        kind = right.selectbox("Answered by", kinds, index=kinds.index(before), format_func=lambda k: k.label, key=f"sv_qk_{key}")
        one["kind"] = (kind or before).value
        if kind in CHOICES:
            typed = st.text_area(
                "Answers, one per line *",
                value="\n".join(one.get("options") or ()),
                key=f"sv_qo_{key}",
                height=100,
                max_chars=1_500,
            )
            one["options"] = [line for line in (typed or "").split("\n") if line.strip()]
        if kind in SCALES:
            low, high = st.columns(2)
            lowest, highest = SCALES[kind][0], SCALES[kind][-1]
            one["low"] = low.text_input(
                f"{lowest} means", value=one.get("low", ""), max_chars=60, key=f"sv_qa_{key}", placeholder="Not at all"
            )
            one["high"] = high.text_input(
                f"{highest} means", value=one.get("high", ""), max_chars=60, key=f"sv_qz_{key}", placeholder="Very much"
            )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            one["required"] = st.toggle("Must be answered", value=bool(one.get("required")), key=f"sv_qr_{key}")
            st.button(
                icon=":material/arrow_upward:",
                key=f"sv_up_{key}",
                type="tertiary",
                disabled=not place,
                **fmt.icon_only("Ask it earlier"),
                on_click=_move,
                args=(draft, place, -1),
            )
            st.button(
                icon=":material/arrow_downward:",
                key=f"sv_down_{key}",
                type="tertiary",
                disabled=place == len(draft) - 1,
                **fmt.icon_only("Ask it later"),
                on_click=_move,
                args=(draft, place, 1),
            )
            st.button(
                icon=":material/delete:",
                key=f"sv_drop_{key}",
                type="tertiary",
                **fmt.icon_only("Take it away; answers so far stay"),
                on_click=_drop,
                args=(draft, place),
            )


def _add(draft: list[dict[str, Any]]) -> None:
    draft.append({"n": max((one["n"] for one in draft), default=-1) + 1})


def _move(draft: list[dict[str, Any]], place: int, by: int) -> None:
    draft.insert(place + by, draft.pop(place))


def _drop(draft: list[dict[str, Any]], place: int) -> None:
    draft.pop(place)
