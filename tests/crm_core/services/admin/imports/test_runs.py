"""The steps of an import: what a plan proposes, what a dry run promises, what a run does, what an undo takes back."""

import io
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from crm_core import records
from crm_core.access import load
from crm_core.db import read_session, versions, write_session
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit import clock
from crm_core.models import Deal, Stage, StageEvent
from crm_core.services.admin import custom_fields, pick_lists
from crm_core.services.admin.imports import outcome, runs, store
from crm_core.services.admin.imports.undo import CHANGED, USED, summary
from crm_core.services.customers import accounts
from crm_core.services.sales import deals, stage_times
from crm_core.vocabulary import ImportState, RowOutcome
from tests.crm_core.test_ordering import assert_kept

FIRMS = "Name,Industry,City,Employees\nAcme,Retail,Oslo,5\nBeta,Software,Rome,7\n"


def uploaded(actor, entity, content, name="file.csv"):
    with write_session() as session:
        return runs.upload(session, actor, entity, io.BytesIO(content.encode()), name)


def own_only(actor):
    """The actor with the rights as they are now."""
    with read_session() as session:
        return load(session, actor.user_id)


def tables():
    names = (
        "account",
        "contact",
        "event_log",
        "search_document",
        "match_key",
        "import_row",
        "import_link",
        "custom_field",
        "pick_option",
        "contact_point",
    )
    with read_session() as session:
        return {name: session.execute(text(f"select count(*) from {name}")).scalar() for name in names}


# --- the dry run ---------------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_the_run_will_do_and_keeps_nothing(any_cast, imports):
    root = any_cast["root"]
    imports.run(root, "account", FIRMS)
    content = "Name,Industry,City,Parent account,Tier\nAcme,Retail,Bergen,,Gold\nBeta,Software,Rome,Acme,Gold\nGamma,Fishing,Nuuk,Delta,Gold\nDelta,Fishing,,,Silver\nBroken,Fishing,,,\n,,x,,\n"
    run = uploaded(root, "account", content)
    with write_session() as session:
        plan = runs.plan_of(run).with_column("Tier", new=runs.matching.new_field_for(runs.profile_of(run).column("Tier")))
        runs.set_plan(session, root, run.id, plan)
    before = tables()
    with read_session() as session:
        cache_keys = versions(session, ("account", "event_log", "custom_field"))
    with write_session() as session:
        report = runs.check(session, root, run.id).report["check"]
    assert tables() == before
    with read_session() as session:
        assert versions(session, ("account", "event_log", "custom_field")) == cache_keys
        assert custom_fields.find(session, root, "account") == []
    with write_session() as session:
        runs.start(session, root, run.id)
    done = imports.go_on(run.id)
    assert report["outcomes"] == imports.counts(done) == {"created": 3, "updated": 2, "unchanged": 0, "rejected": 1}
    assert report["reasons"] == done.report["result"]["reasons"] == [["Name: Name is needed.", 1]]
    assert report["unknown"] == {"Industry": {"Fishing": 3}}
    rows = {row["name"]: row for row in imports.find(root, "account", ("name", "parent_id", "industry", "city"))}
    assert rows["Gamma"]["parent_id.title"] == "Delta"
    assert rows["Beta"]["parent_id.title"] == "Acme"


def test_unknown_values_are_listed_with_what_was_probably_meant(cast):
    root = cast["root"]
    run = uploaded(root, "account", "Name,Industry\nA,technolgy\nB,technolgy\nC,Fishing\nD,retail\n")
    assert dict(runs.plan_of(run).column_for("industry").values) == {"technolgy": "Technology"}  # filled in, for people to see
    with write_session() as session:
        runs.set_plan(session, root, run.id, runs.plan_of(run).with_column("Industry", values={}))
        found = runs.strangers(session, root, run.id)
    assert [(each.text, each.count, each.suggestion) for each in found] == [("technolgy", 2, "Technology"), ("Fishing", 1, "")]
    assert found[0].score > 90
    with write_session() as session:
        plan = runs.plan_of(runs.accept_suggestions(session, root, run.id))
    assert dict(plan.column_for("industry").values) == {"technolgy": "Technology"}


def test_columns_that_would_be_dropped_are_named_before_anything_runs(cast):
    root = cast["root"]
    run = uploaded(root, "account", "Name,Favourite colour,Shoe size\nA,red,42\n")
    with read_session() as session:
        assert runs.plan_of(run).dropped == ("Favourite colour", "Shoe size")
        assert runs.remarks(session, root, run.id)[0] == "Not imported: “Favourite colour”, “Shoe size”."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.with_column("Name", to=""), "“Name” is needed"),
        (lambda p: p.with_column("City", to="nonsense"), "does not exist"),
        (lambda p: runs.replace(p, match=("domain",)), "can't be recognised"),
        (lambda p: runs.replace(p, match=("phone",)), "no column is matched"),
        (lambda p: runs.replace(p, match=()), "Choose by which field"),
        (lambda p: runs.replace(p, constants={"phone": "{Nothing}"}), "names a column “Nothing”"),
        (lambda p: p.with_column("City", to="", new=runs.matching.NewField("Industry", runs.FieldKind.CHOICE)), None),
    ],
)
def test_a_plan_that_can_not_work_says_why(cast, change, sentence):
    root = cast["root"]
    run = uploaded(root, "account", FIRMS)
    with write_session() as session:
        runs.set_plan(session, root, run.id, change(runs.plan_of(run)))
    if sentence is None:  # the name of a built-in field is refused when the field is made
        with pytest.raises(Invalid, match="already have a field"), write_session() as session:
            runs.check(session, root, run.id)
        return
    with read_session() as session:
        assert any(sentence in problem for problem in runs.problems(session, root, run.id))
    for step in (runs.check, runs.start):
        with pytest.raises(Invalid), write_session() as session:
            step(session, root, run.id)


def test_two_columns_for_one_field_can_not_be_matched_by_accident(cast):
    root = cast["root"]
    run = uploaded(root, "account", FIRMS)
    plan = runs.plan_of(run).with_column("Industry", to="city")
    assert (plan.target_of("City"), plan.target_of("Industry")) == ("", "city")


# --- create, update, recognise -----------------------------------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing_and_a_changed_cell_updates_one_record(any_cast, imports):
    root = any_cast["root"]
    imports.run(root, "account", FIRMS)
    assert imports.counts(imports.run(root, "account", FIRMS))["unchanged"] == 2
    run = imports.run(root, "account", FIRMS.replace("Rome", "Milan").replace("Oslo", ""))
    assert imports.counts(run) == {"created": 0, "updated": 1, "unchanged": 1, "rejected": 0}
    rows = {row["name"]: row for row in imports.find(root, "account")}
    assert (rows["Acme"]["city"], rows["Beta"]["city"], rows["Beta"]["version"]) == ("Oslo", "Milan", 2)
    with read_session() as session:
        changes = session.execute(text("select changes from event_log where type = 'account.updated'")).scalar()
        assert_kept(session)
    assert "Milan" in str(changes)


def test_an_empty_cell_clears_a_field_only_when_the_plan_says_so(cast, imports):
    root = cast["root"]
    imports.run(root, "account", FIRMS)
    imports.run(root, "account", "Name,City\nAcme,\n", empty_clears=True)
    assert imports.find(root, "account")[0]["city"] is None


@pytest.mark.parametrize(
    ("mode", "expected", "why"),
    [
        (
            "create",
            {"created": 1, "updated": 0, "unchanged": 0, "rejected": 1},
            {1: "There is already an account with Name “ACME”."},
        ),
        ("update", {"created": 0, "updated": 1, "unchanged": 0, "rejected": 1}, {2: "There is no account with Name “New”."}),
        ("both", {"created": 1, "updated": 1, "unchanged": 0, "rejected": 0}, {}),
    ],
)
def test_the_mode_decides_about_known_and_unknown_records(cast, imports, mode, expected, why):
    root = cast["root"]
    imports.run(root, "account", FIRMS)
    run = imports.run(root, "account", "Name,City\nACME,Paris\nNew,Lima\n", mode=mode)
    assert imports.counts(run) == expected
    assert imports.why(root, run) == why


def test_two_rows_about_one_record_are_taken_one_after_the_other(any_cast, imports):
    root = any_cast["root"]
    run = imports.run(root, "account", "Name,City\nAcme,Oslo\nBeta,Rome\nAcme,Bergen\nacme,Bergen\n")
    assert imports.counts(run) == {
        "created": 2,
        "updated": 2,
        "unchanged": 0,
        "rejected": 0,
    }  # the last row writes the name in another way
    rows = {row["name"].casefold(): row for row in imports.find(root, "account")}
    assert rows["acme"]["city"] == "Bergen"
    assert sum(imports.counts(run).values()) == 4
    assert imports.count(root, "account") == 2


def test_a_name_that_two_records_share_is_no_key(cast, imports):
    root = cast["root"]
    imports.run(root, "account", "Name\nAcme\nAcme\n", match=())
    run = imports.run(root, "account", "Name,City\nAcme,Oslo\n")
    assert imports.why(root, run) == {1: "2 accounts have Name “Acme”; the row can't tell which it means."}
    deal = imports.run(root, "deal", "Deal,Account\nBig,Acme\n")
    assert imports.why(root, deal) == {1: "Account: There are 2 accounts called “Acme”."}


def test_a_column_of_ids_becomes_the_key_by_which_a_second_import_recognises_its_records(any_cast, imports):
    root = any_cast["root"]
    imports.run(root, "contact", "Customer ID,Full name,City\n007,Ann,Oslo\n008,Ben,Rome\n")
    run = imports.run(root, "contact", "Customer ID,Full name,City\n007,Anna,Oslo\n009,Cid,Lima\n")
    assert imports.counts(run) == {"created": 1, "updated": 1, "unchanged": 0, "rejected": 0}
    assert [row["name"] for row in imports.find(root, "contact")] == ["Anna", "Ben", "Cid"]
    with read_session() as session:
        assert len(custom_fields.find(session, root, "contact")) == 1


def test_the_matching_of_a_header_line_is_remembered(cast, imports):
    root = cast["root"]
    imports.run(root, "account", "Firma,Ort\nAcme,Oslo\n", mapping={"Firma": "name", "Ort": "city"}, match=("name",), mode="both")
    run = uploaded(root, "account", "Ort,Firma\nRome,Beta\n")
    plan = runs.plan_of(run)
    assert (plan.target_of("Firma"), plan.target_of("Ort"), plan.match) == ("name", "city", ("name",))


def test_a_record_that_may_be_seen_but_not_changed_is_left_alone(cast, imports):
    imports.run(cast["root"], "account", FIRMS)
    with write_session() as session:
        session.execute(text("update role_permission set scope = 'own' where entity = 'account' and action = 'edit'"))
    run = imports.run(own_only(cast["bob"]), "account", "Name,City\nAcme,Paris\nGamma,Lima\n")
    assert imports.counts(run) == {"created": 1, "updated": 0, "unchanged": 0, "rejected": 1}
    assert "may see the account" in imports.why(cast["bob"], run)[1]
    assert imports.find(cast["root"], "account")[0]["city"] == "Oslo"


# --- links ---------------------------------------------------------------------------------------------------------------------------


def test_a_linked_record_is_found_or_created_or_left_empty_by_choice(any_cast, imports):
    root = any_cast["root"]
    imports.run(root, "account", FIRMS)
    content = "Full name,E-mail,Company\nAnn,ann@example.com,ACME\nBen,ben@example.com,Newco\nCid,cid@example.com,Newco\n"
    run = imports.run(root, "contact", content)
    assert imports.why(root, run) == dict.fromkeys((2, 3), "Company: There is no account called “Newco” that you may see.")
    empty = imports.run(root, "contact", content, unknown={"Company": "empty"})
    assert imports.counts(empty) == {"created": 2, "updated": 0, "unchanged": 1, "rejected": 0}
    added = imports.run(root, "contact", content, unknown={"Company": "add"})
    assert imports.counts(added) == {"created": 0, "updated": 2, "unchanged": 1, "rejected": 0}
    assert added.report["result"]["linked"] == {"account": 1}
    assert [row["account_id.title"] for row in imports.find(root, "contact", ("account_id",))] == ["Acme", "Newco", "Newco"]


def test_a_rejected_row_leaves_no_linked_record_behind(cast, imports):
    root = cast["root"]
    run = imports.run(root, "contact", "Full name,E-mail,Company\nAnn,not an address,Newco\n", unknown={"Company": "add"})
    assert run.rejected == 1
    assert imports.count(root, "account") == 0


def test_owners_are_found_by_name_or_address_and_links_only_reach_visible_records(cast, imports):
    root, bob = cast["root"], cast["bob"]
    run = imports.run(
        root,
        "deal",
        "Deal,Owner,Opened on\nA,Alice Rep,2020-01-31\nB,bob@example.com,2020-01-31\nC,Nobody,2020-01-31\nD,,2020-01-31\n",
    )
    assert imports.why(root, run) == {3: "Owner: There is no person called “Nobody” that you may see."}
    rows = imports.find(root, "deal", ("name", "owner_id"))
    assert [row["owner_id.title"] for row in rows] == ["Alice Rep", "Bob Manager", None]
    with write_session() as session:
        records.create(
            session,
            cast["charlie"],
            "deal",
            {"name": "Secret", "pipeline_id": 1, "stage_id": 1, "created_on": "2020-01-01"},
            fixed={"stage_since": runs.utcnow()},
        )
    order = imports.run(root, "order", "Number,Order date,Deal\nO1,2020-01-31,Secret\n")
    assert order.created == 1
    with pytest.raises(Exception, match="does not allow"):
        imports.run(bob, "order", "Number,Order date,Deal\nO2,2020-01-31,Secret\n")


# --- kinds ---------------------------------------------------------------------------------------------------------------------------


def test_contacts_get_contact_points_and_names_from_two_columns(any_cast, imports):
    root = any_cast["root"]
    run = imports.run(
        root,
        "contact",
        "First name,Last name,E-mail,Other email,Phone\nAnn,Lee,Ann@Example.com,ann@work.example,+49 30 1\nBo,,bo@example.com,bo@example.com,\n",
    )
    assert run.created == 2
    with read_session() as session:
        points = session.execute(
            text(
                "select c.name, p.kind, p.value, p.is_primary from contact_point p join contact c on c.id = p.contact_id order by p.id"
            )
        ).all()
    assert [tuple(map(str, point)) for point in points] == [
        ("Ann Lee", "email", "Ann@example.com", str(points[0][3])),
        ("Ann Lee", "email", "ann@work.example", str(points[1][3])),
        ("Ann Lee", "phone", "+49 30 1", str(points[2][3])),
        ("Bo", "email", "bo@example.com", str(points[3][3])),
    ]
    assert [bool(point[3]) for point in points] == [True, False, True, True]
    moved = imports.run(root, "contact", "Full name,E-mail,Phone\nAnn Lee,ann@example.com,+49 30 222\n")
    assert moved.updated == 1
    with read_session() as session:
        main = (
            session.execute(text("select value from contact_point where kind = 'phone' and is_primary order by id")).scalars().all()
        )
    assert main == ["+49 30 222"]


def test_deals_keep_their_days_and_stand_in_their_stage_since_then(any_cast, imports):
    root = any_cast["root"]
    run = imports.run(
        root,
        "deal",
        "Deal,Stage,Opened on,Closed on,Amount,Lost reason\nA,Closed Won,2020-01-10,2020-03-01,100.50,\nB,Lost,2020-01-10,2020-02-01,5,Price\n"
        "C,Proposal,2020-01-10,2020-12-31,7,Price\nD,Won,2020-05-01,2020-03-01,1,\nE,Won,2020-01-10,,1,\nF,Won,2020-01-10,2999-01-01,1,\nG,,,,,\n",
    )
    assert imports.why(root, run) == {
        4: "Closed on: The deal can't be closed on 2020-03-01, before it was opened on 2020-05-01.",
        5: "Closed on: A won deal needs the day on which it was closed.",
        6: "Closed on: The closing day 2999-01-01 lies in the future.",
        7: "Opened on: No opening day given; the day of the import is used.",
    }
    columns = (
        "name",
        "outcome",
        "closed_on",
        "expected_close_on",
        "probability_pct",
        "lost_reason",
        "stage_since",
        "stage_id",
        "amount_minor",
    )
    rows = {row["name"]: row for row in imports.find(root, "deal", columns)}
    assert (rows["A"]["outcome"], str(rows["A"]["closed_on"]), rows["A"]["probability_pct"], rows["A"]["amount_minor"]) == (
        "won",
        "2020-03-01",
        100,
        10050,
    )
    assert f"{rows['A']['stage_since']:%Y-%m-%d %H:%M}" == "2020-03-01 12:00"
    assert (rows["B"]["lost_reason"], rows["C"]["lost_reason"]) == ("Price", None)
    assert (rows["C"]["closed_on"], str(rows["C"]["expected_close_on"]), rows["C"]["probability_pct"]) == (None, "2020-12-31", 50)
    assert rows["G"]["stage_id.title"] == "Prospecting"


def test_a_deal_that_moves_by_an_import_leaves_a_stage_event_and_says_so(cast, imports):
    root = cast["root"]
    content = "Deal ID,Deal,Stage,Opened on,Closed on\nX1,A,{},2020-01-10,{}\n"
    imports.run(root, "deal", content.format("Proposal", ""))
    imports.run(root, "deal", content.format("Won", "2020-02-09"))
    with read_session() as session:
        moves = session.execute(text("select from_stage_id is null, seconds_in_from from stage_event order by id")).all()
        types = session.execute(text("select type from event_log where entity = 'deal' order by id")).scalars().all()
    assert [tuple(move) for move in moves] == [(1, None), (0, None)]  # since when it stood there before, no file says
    assert types == ["deal.created", "deal.won"]


def test_how_long_a_deal_stood_where_an_import_put_it_is_not_known(any_cast, imports):
    root = any_cast["root"]
    content = "Deal ID,Deal,Stage,Opened on\nX1,A,{},2020-01-10\n"
    imports.run(root, "deal", content.format("Prospecting"))
    with read_session() as session:
        (deal,) = session.exec(select(Deal)).all()
        stages = {stage.name: stage.id for stage in session.exec(select(Stage))}
    imports.run(root, "deal", content.format("Qualified"))
    with clock.frozen(clock.utcnow() + timedelta(days=3)):
        with write_session() as session:
            deals.move(session, root, deal.id, stages["Proposal"])
        with read_session() as session:
            moves = session.exec(select(StageEvent).order_by(StageEvent.id)).all()
            way = stage_times.path(session, root, deal.id)
    assert moves[1].at > clock.utcnow() - timedelta(hours=1)  # by file it moved with the import
    assert [move.seconds_in_from and move.seconds_in_from // 86_400 for move in moves] == [None, None, 3]
    assert [stay.seconds and stay.seconds // 86_400 for stay in way] == [None, 3, 0]


def test_orders_are_built_from_lines_and_lines_are_never_doubled(any_cast, imports):
    root = any_cast["root"]
    imports.run(root, "product", "Product,Price\nPen,2.50\nInk,10\n")
    content = "Order number,Order date,Product,Quantity,Unit price,Discount\nA1,2020-01-31,Pen,4,,\nA1,2020-01-31,Ink,1,9,10\nA2,2020-02-01,Pen,1,,\nA1,2020-01-31,Pen,4,,\n"
    run = imports.run(root, "order", content)
    assert imports.counts(run) == {"created": 2, "updated": 2, "unchanged": 0, "rejected": 0}
    totals = {row["number"]: row["total_minor"] for row in imports.find(root, "order")}
    assert totals == {"A1": 1000 + 810 + 1000, "A2": 250}
    again = imports.run(root, "order", content)
    assert again.rejected == 4
    assert "was there before this import" in imports.why(root, again)[1]
    imports.undo(root, run)
    with read_session() as session:
        assert session.execute(text("select count(*) from order_line")).scalar() == 0
    assert imports.count(root, "order") == 0


def test_leads_start_as_new_and_can_not_be_imported_as_converted(cast, imports):
    root = cast["root"]
    run = imports.run(
        root, "lead", "Full name,E-mail,Lead status\nAnn,a@example.com,\nBo,b@example.com,Contacted\nCy,c@example.com,Converted\n"
    )
    assert imports.why(root, run) == {3: "Lead status: A lead becomes converted by converting it; choose another status."}
    assert [row["status_id.title"] for row in imports.find(root, "lead", ("status_id",))] == ["New", "Contacted"]


def test_people_get_made_up_addresses_roles_and_a_hierarchy_and_nobody_can_sign_in(cast, imports):
    root = cast["root"]
    run = imports.run(
        root,
        "user",
        "Full name,E-mail,Manager,Team,Role\nZoë Ång,,Max Boss,North,\nZoë Ång,zoe@example.com,Zoë Ång,East,analyst\nX,root@example.com,,,\nY,,,,king\n",
        match=("email",),
    )
    why = imports.why(root, run)
    assert "There is no role “king”" in why[4]
    assert set(why) >= {4}
    with read_session() as session:
        people = session.execute(text("select name, email, password_hash from app_user where id > 7 order by id")).all()
        assert (
            session.execute(
                text(
                    "select count(*) from app_user u where not exists (select 1 from user_closure c where c.ancestor_id = u.id and c.descendant_id = u.id)"
                )
            ).scalar()
            == 0
        )
    assert ("Zoë Ång", "zoe.ang@imported.example", None) in [tuple(person) for person in people]
    assert ("Max Boss", "max.boss@imported.example", None) in [tuple(person) for person in people]


# --- undo -------------------------------------------------------------------------------------------------------------------------------


def test_an_undo_leaves_the_tables_as_they_were(any_cast, imports):
    root = any_cast["root"]
    imports.run(root, "account", FIRMS)
    before, rows = tables(), imports.find(root, "account")
    run = imports.run(
        root,
        "contact",
        "Full name,E-mail,Phone,Company\nAnn,ann@example.com,+49301234,Newco\nBen,ben@example.com,,Acme\nAnn,ann@example.com,+49305678,Newco\n",
        unknown={"Company": "add"},
    )
    other = imports.run(root, "account", FIRMS.replace("Rome", "Milan"))
    undone = imports.undo(root, run)
    assert undone.state is ImportState.REVERTED
    assert summary(undone) == "2 created records were deleted; 1 updated ones got their old values back."
    imports.undo(root, other)
    after = tables()
    for name in ("account", "contact", "search_document", "match_key", "contact_point"):
        assert after[name] == before[name], name
    now = imports.find(root, "account")
    assert [{**row, "version": 0} for row in now] == [{**row, "version": 0} for row in rows]
    with read_session() as session:
        assert_kept(session)
    assert not [path for path in store.folder().iterdir() if path.name.startswith(run.file_path.split("/")[1][:32])]


def test_what_somebody_has_worked_with_is_kept_and_listed(any_cast, imports):
    root = any_cast["root"]
    run = imports.run(root, "account", "Name,City\nAcme,Oslo\nBeta,Rome\nGamma,Lima\n")
    ids = {row["name"]: row["id"] for row in imports.find(root, "account")}
    with write_session() as session:
        accounts.update(session, root, ids["Acme"], {"city": "Bergen"})
        records.create(session, root, "contact", {"name": "Ann", "account_id": ids["Beta"]})
    undone = imports.undo(root, run)
    assert [row["name"] for row in imports.find(root, "account")] == ["Acme", "Beta"]
    assert undone.report["undo"]["deleted"] == 1 and undone.report["undo"]["kept"] == 2
    assert imports.why(root, undone) == {1: f"undo: {CHANGED}", 2: f"undo: {USED}"}


def test_an_import_is_undone_once_and_only_when_it_has_ended(cast, imports):
    root = cast["root"]
    run = imports.run(root, "account", FIRMS)
    imports.undo(root, run)
    with pytest.raises(Conflict, match="already undone"):
        imports.undo(root, run)
    fresh = uploaded(root, "account", FIRMS)
    with pytest.raises(Conflict, match="has ended"):
        imports.undo(root, fresh)


def test_custom_fields_and_list_values_stay_after_an_undo(cast, imports):
    root = cast["root"]
    run = imports.run(root, "account", "Name,Industry,Tier\nAcme,Fishing,Gold\n", mapping={"Tier": "new:text"})
    imports.undo(root, run)
    with read_session() as session:
        assert [field.label for field in custom_fields.find(session, root, "account")] == ["Tier"]
        assert "Fishing" in {value.value for value in pick_lists.values(session, root, "account", "industry")}


# --- runs as records ----------------------------------------------------------------------------------------------------------------------


def test_an_import_of_somebody_else_does_not_exist_except_for_administrators(cast, imports):
    run = imports.run(cast["bob"], "account", FIRMS)
    for who in ("dana", "alice"):
        with pytest.raises(NotFound), read_session() as session:
            runs.get(session, cast[who], run.id)
    with read_session() as session:
        assert runs.get(session, cast["root"], run.id).file_name == "file.csv"
        assert runs.find(session, cast["root"]).total == 1
        assert runs.find(session, cast["dana"]).total == 0
        with pytest.raises(NotFound):
            list(outcome.lines(session, cast["dana"], run.id))
    with pytest.raises(NotFound), write_session() as session:
        runs.stop(session, cast["dana"], 999)


def test_a_started_import_can_not_be_changed_and_a_stopped_one_goes_on(cast, imports):
    root = cast["root"]
    run = uploaded(root, "account", "Name\n" + "".join(f"Firm {n}\n" for n in range(1200)))
    with write_session() as session:
        runs.start(session, root, run.id)
    for step in (
        lambda s: runs.set_plan(s, root, run.id, runs.plan_of(run)),
        lambda s: runs.discard(s, root, run.id),
        lambda s: runs.start(s, root, run.id),
    ):
        with pytest.raises(Conflict), write_session() as session:
            step(session)
    with write_session() as session:
        runs.run_batch(session, run.id, {})
        runs.stop(session, root, run.id)
    stopped = imports.go_on(run.id)
    assert (stopped.state, stopped.done_rows, stopped.message) == (ImportState.FAILED, 500, "Stopped by Root.")
    with write_session() as session:
        runs.resume(session, root, run.id)
    assert imports.go_on(run.id).created == 1200


def test_a_run_stops_when_its_person_may_no_longer_import(cast, imports):
    run = uploaded(cast["bob"], "account", FIRMS)
    with write_session() as session:
        runs.start(session, cast["bob"], run.id)
        session.execute(text("update app_user set is_active = false where name = 'Bob Manager'"))
    with pytest.raises(Exception, match="deactivated"):
        imports.go_on(run.id)
    with read_session() as session:
        stopped = runs.get(session, cast["root"], run.id)
    assert (stopped.state, stopped.done_rows) == (ImportState.FAILED, 0)
    assert "deactivated" in stopped.message


def test_an_import_that_was_never_started_can_be_thrown_away_with_its_file(cast):
    run = uploaded(cast["root"], "account", FIRMS)
    assert len(list(store.folder().iterdir())) == 1
    with write_session() as session:
        runs.discard(session, cast["root"], run.id)
    assert list(store.folder().iterdir()) == []


def test_the_outcome_file_can_hold_only_the_rejected_rows_and_survives_the_loss_of_the_upload(cast, imports):
    root = cast["root"]
    run = imports.run(root, "account", "Name,City\nAcme,Oslo\n,Rome\n")
    for _ in range(2):
        with read_session() as session:
            lines = "".join(outcome.lines(session, root, run.id, only=RowOutcome.REJECTED)).splitlines()
        assert lines == ["row,outcome,reason,record,Name,City", "2,Rejected,Name: Name is needed.,,,Rome"]
        store.forget(run.file_path)


def test_uploads_are_forgotten_after_three_months_and_their_outcomes_are_not(any_cast, imports):
    root = any_cast["root"]
    run = imports.run(root, "account", "Name,City\nAcme,Oslo\n,Rome\n")
    fresh = uploaded(root, "account", FIRMS)
    with write_session() as session:
        assert runs.forget_files(session) == 0
        session.execute(
            text("update import_run set updated_at = :then where id = :id"),
            {
                "then": "2020-01-31 12:00:00.000000+00:00"
                if session.get_bind().dialect.name != "sqlite"
                else "2020-01-31 12:00:00.000000",
                "id": run.id,
            },
        )
    with write_session() as session:
        assert runs.forget_files(session) == 1
    with read_session() as session:
        lines = "".join(outcome.lines(session, root, run.id)).splitlines()
        assert lines[1:] == ["1,Created,,1", "2,Rejected,Name: Name is needed.,"]
    assert [path.name for path in store.folder().iterdir()] == [fresh.file_path.split("/")[1]]
    assert imports.undo(root, run).state is ImportState.REVERTED
