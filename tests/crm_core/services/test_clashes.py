"""What is saved as a whole and edited by two: the second is refused with what stands there now, and saves over it once they have seen it."""

from dataclasses import replace
from datetime import date

import pytest

from crm_core.db import write_session
from crm_core.errors import Conflict
from crm_core.kit import clock
from crm_core.models import User
from crm_core.services.admin import lead_statuses, pipelines, roles
from crm_core.services.analytics import quotas
from crm_core.services.analytics.quotas import Change
from crm_core.services.booking import pages
from crm_core.services.helpdesk import calendars, service_levels
from crm_core.services.marketing import lead_forms
from crm_core.services.routing import nudges
from crm_core.services.routing.nudges import SpeedView
from crm_core.vocabulary import Action
from tests.verbs import do, look

MONTH = date(2026, 3, 1)


def stages(root, name, base=None):
    row = base or look(pipelines.find, root)[0]
    rows = [replace(row.stages[0], name=name), *row.stages[1:]]
    return row, lambda of: do(
        pipelines.save, root, of.id, rows, name=of.name, is_default=True, is_active=True, base_version=of.version
    )


def rights(root, name, base=None):
    role = next(row for row in look(roles.find, root) if row.key == "sales_rep")
    row = look(roles.rights, root, role.id)
    gone = ("lead", Action.DELETE if name == "Mine" else Action.EXPORT)
    grants = {cell: scope for cell, scope in row.grants.items() if cell != gone}
    return row, lambda of: do(roles.set_rights, root, role.id, grants=grants, fields=of.fields, base_version=of.role.version)


def level(root, name, base=None):
    known = look(service_levels.find, root)
    if not known:
        do(service_levels.save, root, None, name="Start", targets={"high": {"first": 60}})
    row = look(service_levels.find, root)[0]
    return row, lambda of: do(service_levels.save, root, of.id, name=name, targets=of.targets, base_version=of.version)


def hours(root, name, base=None):
    if not look(calendars.find, root):
        do(calendars.save, root, None, name="Start", timezone="UTC", week=[[(540, 1020)]] * 7)
    row = look(calendars.find, root)[0]
    return row, lambda of: do(calendars.save, root, of.id, name=name, timezone="UTC", week=of.hours.week, base_version=of.version)


def form(root, name, base=None):
    if not look(lead_forms.find, root):
        do(lead_forms.save, root, None, {"name": "Start", "fields": [{"key": "name", "required": True}]})
    row = look(lead_forms.find, root)[0].form
    return row, lambda of: do(lead_forms.save, root, of.id, {"title": name}, base_version=of.version)


def page(root, name, base=None):
    if not look(pages.find, root):
        do(pages.save, root, None, {"name": "Start", "base_url": "http://crm.example.com"})
    row = look(pages.find, root)[0].page
    return row, lambda of: do(
        pages.save, root, of.id, {"intro": name, "base_url": "http://crm.example.com"}, base_version=of.version
    )


CASES = {
    "stages": stages,
    "rights": rights,
    "service level": level,
    "working hours": hours,
    "lead form": form,
    "booking page": page,
}


def test_the_second_of_two_is_told_what_stands_there_and_may_save_over_it(cast):
    root = cast["root"]
    with write_session() as session:
        session.get(User, root.user_id).last_seen_at = clock.utcnow()  # rights are changed only while an administrator can come in
    for what, case in CASES.items():
        seen, mine = case(root, "Mine")
        _, theirs = case(root, "Theirs")
        theirs(seen)
        with pytest.raises(Conflict, match="meanwhile") as caught:
            mine(seen)
        (now,) = caught.value.details["rows"]
        assert now != seen, what
        mine(now)
        with pytest.raises(Conflict):
            mine(now)


def test_rows_that_are_compared_themselves_clash_the_same_way(cast):
    root = cast["root"]
    cells = lambda before, after: [Change(cast["alice"].user_id, MONTH, before, after)]  # noqa: E731
    do(quotas.save, root, cells(None, 500))
    with pytest.raises(Conflict) as caught:
        do(quotas.save, root, cells(None, 900))
    assert [(one.before, one.after) for one in caught.value.details["rows"]] == [(500, 900)]
    assert do(quotas.save, root, caught.value.details["rows"]) == 1
    do(nudges.set_targets, root, [SpeedView(None, 30, None, None)], base=[])
    with pytest.raises(Conflict) as caught:
        do(nudges.set_targets, root, [SpeedView(None, 60, None, None)], base=[])
    assert [one.minutes for one in caught.value.details["rows"]] == [30]
    do(nudges.set_targets, root, [SpeedView(None, 60, None, None)], base=caught.value.details["rows"])
    rows = look(lead_statuses.find, root).rows
    do(lead_statuses.save, root, [replace(rows[0], label="Theirs"), *rows[1:]], base=rows)
    with pytest.raises(Conflict) as caught:
        do(lead_statuses.save, root, [replace(rows[0], label="Mine"), *rows[1:]], base=rows)
    do(lead_statuses.save, root, [replace(rows[0], label="Mine"), *rows[1:]], base=caught.value.details["rows"])


def test_a_stage_that_somebody_took_out_comes_back_with_the_answer_mine(cast):
    root = cast["root"]
    before = look(pipelines.find, root)[0]
    given = {"name": before.name, "is_default": True, "is_active": True}
    do(pipelines.save, root, before.id, [before.stages[0], *before.stages[2:]], **given, base_version=before.version)
    with pytest.raises(Conflict) as caught:
        do(pipelines.save, root, before.id, before.stages, **given, base_version=before.version)
    do(pipelines.save, root, before.id, before.stages, **given, base_version=caught.value.details["rows"][0].version)
    assert [stage.name for stage in look(pipelines.find, root)[0].stages] == [stage.name for stage in before.stages]
