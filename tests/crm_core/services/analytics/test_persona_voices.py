"""What customers said, on a persona: only for whom may read it, without what tells who they are, always the same choice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from crm_core.db import write_session
from crm_core.frames.arrow import pack
from crm_core.kit import clock
from crm_core.models import AnalysisRun, AnalysisTable, Contact, Notification, Segment, SegmentMember
from crm_core.services.analytics import persona_voices, run_keys, voice_rules
from crm_core.services.analytics.methods import method
from crm_core.services.analytics.voice_rules import Said
from crm_core.services.customers import contacts
from crm_core.services.helpdesk import tickets
from crm_core.services.marketing import segment_drift
from crm_core.vocabulary import RunState, SegmentKind, SegmentOf
from tests.verbs import do, look

AT = datetime(2026, 6, 1, tzinfo=UTC)
LONG = "The delivery came four days late and nobody told us where it was."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Hello Ida,\n\n{LONG}\n\nKind regards\nMaria Anders", LONG),
        (f"> earlier words\n{LONG} Call +49 30 1234567 or write maria@example.com.", f"{LONG} Call […] or write […]"),
        (
            "Maria’s order T-000123 of Alfreds Futterkiste is lost, see https://x.example/1 please.",
            "[…] order […] of […] is lost, see […] please.",
        ),
        ("Too short", None),
    ],
)
def test_words_lose_what_tells_who_said_them(text, shown):
    said = Said(1, text, "ticket", AT, 1, ("Maria Anders", "Alfreds Futterkiste"))
    found = [quote.text for quote in voice_rules.chosen([said])]
    assert found == ([shown] if shown and shown.count(voice_rules.HIDDEN) <= 2 else [])


KNOWN = voice_rules.known(["Jonas Weber", "Mark Lane", "Anne-Marie Koch"], ["Nordic Pump and Valve Ltd", "Fjord", "Order House"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Last week Jonas promised a new pump.", "Last week […] promised a new pump."),
        ("jonas weber promised it.", "[…] promised it."),
        ("Weber's van never came.", "[…] van never came."),
        ("Marie Koch and Mrs Unknown Person called.", "[…] and Mrs […] called."),
        ("I spoke to Zoltan about it.", "I spoke to […] about it."),
        ("We left nordic pump and valve for you.", "We left […] for you."),
        ("We left Fjord for you. Our Nordic order came.", "We left […] for you. Our […] order came."),
        ("Mark the parcel as fragile, and mark it well.", "Mark the parcel as fragile, and mark it well."),
        ("The man at the door was Mark again.", "The man at the door was […] again."),
        ("Order of last week: the order is late.", "Order of last week: the order is late."),
    ],
)
def test_words_lose_the_names_of_others_too(text, shown):
    ordinary = {word for word in text.replace(".", "").split() if word[0].islower()}
    assert voice_rules.masked(text, (), KNOWN, ordinary) == shown


def test_the_choice_is_always_the_same_and_nobody_speaks_twice():
    said = [Said(n % 3, f"{LONG} Number {'x' * n}", "survey" if n == 5 else "ticket", AT + timedelta(days=n), n) for n in range(12)]
    chosen = voice_rules.chosen(said)
    assert chosen == voice_rules.chosen(said[::-1]) and len(chosen) == 3 and chosen[0].source == "survey"


def a_run(actor, kind, tables, **params):
    """A run that is ready, as the worker leaves it."""
    with write_session() as session:
        wanted = method(kind)
        chosen = wanted.normalise(params, session, actor)
        reach = run_keys.scope(session, actor, wanted, chosen)
        run = AnalysisRun(
            kind=kind, params=chosen, key=f"{kind}-{clock.utcnow()}", scope=reach, as_of=clock.utcnow().date() - timedelta(days=60), code_version="1",
            requested_by=actor.user_id, state=RunState.DONE, result={"summary": {"worst_jaccard": 0.8}}, finished_at=clock.utcnow(),
        )  # fmt: skip
        session.add(run)
        session.flush()
        for name, frame in tables.items():
            session.add(AnalysisTable(run_id=run.id, name=name, rows=len(frame), data=pack(frame)))
        return run.id


def test_a_persona_speaks_only_to_those_who_may_read_what_was_said(cast):
    root = cast["root"]
    people = [
        do(contacts.create, root, {"name": name}) for name in ["Anna", "Berta", "Clara", "Dora", "Emma", "Frida", "Greta", "Hanna"]
    ]
    with write_session() as session:
        for person in people[:6]:
            tickets.create(
                session,
                root,
                {"subject": "Late", "category": "Complaint", "contact_id": person.id},
                message=f"{LONG} {person.name}",
            )
    frame = pd.DataFrame({"customer_id": [one.id for one in people], "persona": [1] * 6 + [2] * 2, "name": ["A"] * 6 + ["B"] * 2})
    run_id = a_run(root, "personas", {"customers": frame}, customer="contact")
    voices = look(persona_voices.of_run, root, run_id)
    found = voices[1]
    assert [quote.text for quote in found.quotes] == [f"{LONG} {voice_rules.HIDDEN}"]  # said by several, told once
    (complaint,) = found.complaints
    assert (complaint.name, complaint.count, complaint.share, complaint.of_all) == ("Complaint", 6, 1.0, 0.75)
    assert voices[2] == persona_voices.Voice()
    without = replace(root, grants={key: scope for key, scope in root.grants.items() if key[0] not in ("ticket", "survey")})
    assert persona_voices._said(None, without, "contact", [], AT) == []


def test_a_large_persona_is_judged_by_some_of_its_customers_and_all_by_the_personas_sizes(cast, monkeypatch):
    """Ten of a persona of ninety are drawn, the same ones each time; what all of them have, all have."""
    root = cast["root"]
    monkeypatch.setattr(persona_voices, "DRAWN", 10)
    with write_session() as session:
        everybody = [Contact(name=f"C{n}", name_sort=f"c{n}") for n in range(100)]
        session.add_all(everybody)
        session.flush()
        ids = [one.id for one in everybody]
        for one in ids[:90]:
            tickets.create(session, root, {"subject": "Late", "category": "Complaint", "contact_id": one})
    frame = pd.DataFrame({"customer_id": ids, "persona": [1] * 90 + [2] * 10, "name": ["A"] * 90 + ["B"] * 10})
    run_id = a_run(root, "personas", {"customers": frame}, customer="contact")
    first, again = (look(persona_voices.of_run, root, run_id) for _ in range(2))
    (complaint,) = first[1].complaints
    assert (complaint.count, complaint.share, complaint.of_all) == (10, 1.0, 0.9) and first == again


def test_a_segment_of_an_analysis_says_when_it_has_drifted_and_tells_its_owner_once(cast):
    root, now = cast["root"], clock.utcnow()
    with write_session() as session:
        everybody = [Contact(name=f"C{n}", name_sort=f"c{n}") for n in range(300)]
        session.add_all(everybody)
        session.flush()
        ids = [one.id for one in everybody]
    frame = pd.DataFrame({"customer_id": ids, "cluster": [1] * 60 + [2] * 240, "cluster_name": ["Loyal"] * 60 + ["Others"] * 240})
    run_id = a_run(root, "segmentation", {"customers": frame}, customer="contact", behaviour=[])
    with write_session() as session:
        segment = Segment(
            name="Loyal ones", entity=SegmentOf.CONTACT, kind=SegmentKind.LIVE, owner_id=root.user_id, rule={"field": "name", "cmp": "not_empty"},
            source={"kind": "cluster", "run_id": run_id, "label": "Loyal"},
        )  # fmt: skip
        session.add(segment)
        session.flush()
        session.add_all(SegmentMember(segment_id=segment.id, record_id=one, entered_at=now) for one in ids[:60])
    steady = do(lambda session: segment_drift.compare(session, session.get_one(Segment, segment.id), {}))
    assert (steady["drifted"], steady["then"], steady["now"], steady["stayed"], steady["stability"]) == (
        False,
        [60, 300],
        [60, 300],
        1.0,
        0.8,
    )
    with write_session() as session:
        session.add_all(SegmentMember(segment_id=segment.id, record_id=one, entered_at=now) for one in ids[60:140])
    for _ in range(2):
        moved = do(lambda session: segment_drift.compare(session, session.get_one(Segment, segment.id), {}))
    assert moved["share_moved"] and moved["drifted"]
    with write_session() as session:
        assert [row.kind for row in session.query(Notification)] == ["segment.drift"]
        assert session.get_one(Segment, segment.id).drift["drifted"] is True
