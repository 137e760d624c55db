"""What the pipeline of the demo company asks for: a large deal says what comes next before it is negotiated."""

from sqlmodel import Session, select

from crm_core.models import Stage
from crm_core.vocabulary import GateStrictness

STAGE = "Negotiation"
LARGE_MINOR = 10_000_00
SENTENCE = "Deals of 10,000 and more need a next step with a day before they are negotiated."
GATE = {
    "op": "or",
    "items": [
        {"field": "amount_minor", "cmp": "lt", "value": LARGE_MINOR},
        {"op": "and", "items": [{"field": "next_step", "cmp": "not_empty"}, {"field": "next_step_on", "cmp": "not_empty"}]},
    ],
}


def add(session: Session) -> None:
    """Set the gate. Deals that stand there already stay."""
    for stage in session.exec(select(Stage).where(Stage.name == STAGE)):
        stage.gate, stage.gate_message, stage.gate_strictness = GATE, SENTENCE, GateStrictness.REFUSE
        session.add(stage)
    session.flush()
