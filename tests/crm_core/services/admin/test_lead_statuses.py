"""Lead statuses: named, ordered, added and retired; code goes by what they mean."""

from dataclasses import replace

import pytest

from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.services import crud
from crm_core.services.admin import lead_statuses
from crm_core.services.admin.lead_statuses import StatusRow
from crm_core.services.marketing import segments
from crm_core.services.sales import leads
from crm_core.vocabulary import LeadKind
from tests.verbs import do, look


def rows(actor):
    return list(look(lead_statuses.find, actor).rows)


def called(actor, label):
    return next(row.id for row in rows(actor) if row.label == label)


def saved(actor, wanted):
    do(lead_statuses.save, actor, wanted)
    return rows(actor)


def test_names_swap_statuses_are_added_and_ordered_and_buttons_follow_the_order(any_cast):
    root = any_cast["root"]
    new, contacted, *rest = rows(root)
    after = saved(
        root,
        [
            StatusRow(None, " Called ", LeadKind.WORKING),
            replace(new, label=contacted.label),
            replace(contacted, label=new.label),
            *rest,
        ],
    )
    assert [row.label for row in after][:3] == ["Called", "Contacted", "New"]
    lead = do(leads.create, root, {"name": "Leo"})
    assert lead.status_id == new.id, "renamed, it still means new"
    do(leads.disqualify, root, lead.id, reason="No budget")
    assert do(leads.reopen, root, lead.id).status_id == after[0].id, "the first one that means working"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s[1:], "Retire it instead"),
        (lambda s: [replace(s[0], label=s[1].label.upper()), *s[1:]], "same name"),
        (lambda s: [replace(s[0], label=" "), *s[1:]], "needs a name"),
        (lambda s: [replace(s[0], label="x" * 81), *s[1:]], "at most 80"),
        (lambda s: [replace(s[0], kind=LeadKind.WORKING), *s[1:]], "must mean “New”"),
        (lambda s: [*s, *(StatusRow(None, f"n{n}", LeadKind.OPEN) for n in range(30))], "at most 30"),
    ],
)
def test_contradictions_are_said_and_change_nothing(cast, change, words):
    before = rows(cast["root"])
    with pytest.raises(Invalid, match=words):
        do(lead_statuses.save, cast["root"], change(before))
    assert rows(cast["root"]) == before


def test_of_two_editors_the_second_is_told(cast):
    root = cast["root"]
    seen = rows(root)
    do(lead_statuses.save, root, [replace(seen[0], label="Fresh"), *seen[1:]], base=seen)
    with pytest.raises(Conflict) as told:
        do(lead_statuses.save, root, [replace(seen[0], label="Newest"), *seen[1:]], base=seen)
    assert told.value.details["rows"][0].label == "Fresh"


def test_my_rows_stand_beside_what_somebody_else_added_and_without_what_they_retired(cast):
    root = cast["root"]
    first = saved(root, [*rows(root), StatusRow(None, "Passing", LeadKind.WORKING)])
    mine = [replace(row, label="Mine") if row.label == "New" else row for row in first]
    saved(root, [*first, StatusRow(None, "Theirs", LeadKind.WORKING)])
    do(lead_statuses.retire, root, called(root, "Passing"), called(root, "Theirs"))
    with pytest.raises(Conflict) as told:
        do(lead_statuses.save, root, mine, base=first)
    do(lead_statuses.save, root, mine, base=told.value.details["rows"])
    labels = [row.label for row in rows(root)]
    assert labels[0] == "Mine" and labels[-1] == "Theirs" and "Passing" not in labels


def test_a_status_with_leads_keeps_its_meaning_and_hands_them_on_when_it_is_retired(any_cast):
    root = any_cast["root"]
    after = saved(root, [*rows(root), StatusRow(None, "Parked", LeadKind.RECYCLED), StatusRow(None, "Done", LeadKind.CONVERTED)])
    parked, done = after[-2].id, after[-1].id
    kept, binned = (
        do(leads.create, root, {"name": name, "status_id": parked, "disqualified_reason": "No budget"}) for name in ("a", "b")
    )
    do(crud.archive, root, "lead", binned.id)
    with pytest.raises(Conflict, match="can't change"):
        do(lead_statuses.save, root, [replace(row, kind=LeadKind.WORKING) if row.id == parked else row for row in rows(root)])
    assert look(lead_statuses.find, root).leads[parked] == 2
    assert look(lead_statuses.heirs, root, parked)[0].label == "Nurture later"
    assert [row.label for row in look(lead_statuses.heirs, root, done)] == ["Converted"]
    with pytest.raises(Invalid, match="where its leads go"):
        do(lead_statuses.retire, root, parked, None)
    with pytest.raises(Invalid, match="only converting"):
        do(lead_statuses.retire, root, parked, done)
    assert do(lead_statuses.retire, root, parked, called(root, "New")) == 2
    now = look(leads.get, root, kept.id)
    assert now.status_id == called(root, "New") and now.disqualified_reason is None and now.version > kept.version
    do(crud.restore, root, "lead", binned.id)
    assert do(lead_statuses.retire, root, done, called(root, "Converted")) == 0
    assert "Parked" not in {row.label for row in rows(root)}


def test_what_is_needed_or_asked_for_stays(cast):
    root = cast["root"]
    for row in rows(root):
        assert "only status that means" in look(lead_statuses.obstacle, root, row.id)
        with pytest.raises(Conflict, match="only status that"):
            do(lead_statuses.retire, root, row.id, row.id)
    hot = saved(root, [*rows(root), StatusRow(None, "Hot", LeadKind.WORKING)])[-1].id
    rule = {"field": "status_id", "cmp": "in", "value": [hot]}
    segment = do(segments.create, root, name="Hot ones", entity="lead", rule=rule)
    with pytest.raises(Conflict, match="the segment “Hot ones”"):
        do(lead_statuses.retire, root, hot, called(root, "Contacted"))
    do(crud.archive, root, "segment", segment)
    assert do(lead_statuses.retire, root, hot, called(root, "Contacted")) == 0


def test_a_conversion_from_a_status_that_is_gone_is_taken_back_to_qualified(cast):
    root = cast["root"]
    hot = saved(root, [*rows(root), StatusRow(None, "Hot", LeadKind.WORKING)])[-1].id
    lead = do(leads.create, root, {"name": "Leo", "status_id": hot})
    do(leads.convert, root, lead.id)
    do(lead_statuses.retire, root, hot, called(root, "Contacted"))
    assert do(leads.undo_conversion, root, lead.id).status_id == called(root, "Qualified")


def test_only_who_manages_pipelines_changes_statuses(cast):
    for who in ("bob", "alice", "ana"):
        with pytest.raises(NotPermitted):
            do(lead_statuses.save, cast[who], [])
        with pytest.raises(NotPermitted):
            do(lead_statuses.retire, cast[who], 1, 2)
