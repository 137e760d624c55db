"""Teams: made, renamed, removed once they are empty."""

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.models import Event, Team
from crm_core.services.admin import teams, users


def run(verb, *args, **kwargs):
    with write_session() as session:
        return verb(session, *args, **kwargs)


def test_a_team_is_made_renamed_and_counted(any_cast):
    root = any_cast["root"]
    team = run(teams.create, root, name=" East ", office="Oslo")
    run(teams.update, root, team.id, name="Far East", office="", base_version=1)
    with read_session() as session:
        found = {row.name: (row.office, row.people) for row in teams.find(session, root)}
        assert found["Far East"] == (None, 0) and found["North"] == (None, 3)
        assert list(session.exec(select(Event.type).order_by(Event.id))) == ["team.created", "team.updated"]
    with pytest.raises(Conflict, match="meanwhile"):
        run(teams.update, root, team.id, name="Near East", base_version=1)


def test_two_teams_of_one_name_are_refused_whatever_the_case(cast):
    with pytest.raises(Conflict, match="called North"):
        run(teams.create, cast["root"], name="NORTH")
    with pytest.raises(Invalid, match="name"):
        run(teams.create, cast["root"], name="  ")


def test_a_team_with_people_stays_and_an_empty_one_goes_once(any_cast):
    root = any_cast["root"]
    with read_session() as session:
        south = session.exec(select(Team.id).where(Team.name == "South")).one()
    with pytest.raises(Conflict, match="2 people belong to South"):
        run(teams.remove, root, south)
    for key in ("charlie", "sam"):
        run(users.set_team, root, any_cast[key].user_id, None)
    run(teams.remove, root, south)
    with pytest.raises(NotFound):
        run(teams.remove, root, south)


@pytest.mark.parametrize("who", ["bob", "alice", "dana", "sam", "ana"])
def test_nobody_but_an_administrator_may(cast, who):
    for verb, args in (
        (teams.find, {}),
        (teams.create, {"name": "X"}),
        (teams.update, {"team_id": 1, "name": "X"}),
        (teams.remove, {"team_id": 1}),
    ):
        with pytest.raises(NotPermitted):
            run(verb, cast[who], **args)
