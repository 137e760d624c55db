"""What a stage says when a deal comes too early, in the form or dialog where the move was tried, and how to go on all the same.

A form draws ``gate_question`` before its button, gives the answer along with ``gates.answering``, and asks ``kept_outside`` after a refusal.
"""

import streamlit as st

from crm_core.services.sales.gates import MAX_REASON, Answer, Unmet
from crm_core.vocabulary import GateStrictness
from ui import format as fmt
from ui.actions import hush


def gate_question(name: str) -> Answer:
    """The sentence of the gate that refused the last try of this form, and what the person says to it; nothing when none did."""
    missing: Unmet | None = st.session_state.get(f"_gate_{name}")
    if missing is None:
        return Answer()
    if missing.strictness is GateStrictness.WARN:
        st.warning(f"**{fmt.md(missing.stage)}** asks for more.  \n{fmt.md(missing.sentence)}", icon=":material/warning:")
        return Answer(anyway=True, read=(missing.stage_id, missing.sentence))
    st.error(f"**{fmt.md(missing.stage)}** asks for more.  \n{fmt.md(missing.sentence)}", icon=":material/block:")
    if not missing.may_override:
        return Answer()
    reason = st.text_input(
        "Why does it go on all the same? *",
        key=f"gate_reason_{name}",
        max_chars=MAX_REASON,
        placeholder="Stands in the timeline of the deal",
    )
    if st.session_state.get(f"_gate_again_{name}") and not (reason or "").strip():
        st.markdown(":red[:small[Say why, or fill in what is missing.]]")
    return Answer(reason=reason or "", read=(missing.stage_id, missing.sentence))


def may_go_on(name: str) -> bool:
    """Whether the person can go on all the same: a warning asks everybody, a refusal who may let deals in with a reason."""
    missing: Unmet | None = st.session_state.get(f"_gate_{name}")
    return missing is not None and (missing.strictness is GateStrictness.WARN or missing.may_override)


def refuses(name: str) -> bool:
    """Whether what stands above the buttons is a refusal: then filling in what is missing is the way to go."""
    missing: Unmet | None = st.session_state.get(f"_gate_{name}")
    return missing is not None and missing.strictness is GateStrictness.REFUSE


def gate_words(name: str, usual: str, anyway: str) -> str:
    """The words of the button: ``anyway`` once a warning stands above it."""
    missing: Unmet | None = st.session_state.get(f"_gate_{name}")
    return anyway if missing is not None and missing.strictness is GateStrictness.WARN else usual


def kept_outside(name: str) -> bool:
    """After a try that failed: whether a gate was the reason. Its sentence is then kept for the question, and said nowhere else."""
    missing = st.session_state.pop("_gate", None)
    before = st.session_state.pop(f"_gate_{name}", None)
    if missing is None:
        return False
    st.session_state[f"_gate_again_{name}"] = before is not None
    st.session_state[f"_gate_{name}"] = missing
    st.session_state.pop("_invalid", None)
    hush()
    return True


def carry_gate(name: str, to: str) -> None:
    """Another form goes on where this one was refused: it says so, and keeps the reason that was typed."""
    for key in ("_gate_{}", "gate_reason_{}"):
        if key.format(name) in st.session_state:
            st.session_state[key.format(to)] = st.session_state[key.format(name)]
    forget_gate(name)


def forget_gate(name: str) -> None:
    """The form is opened anew, or is done."""
    for key in (f"_gate_{name}", f"_gate_again_{name}", f"gate_reason_{name}"):
        st.session_state.pop(key, None)
