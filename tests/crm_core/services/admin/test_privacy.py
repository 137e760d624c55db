"""A person gets everything that is kept about them, and is erased so that nothing in the database or the data folder names them, and no figure changes."""

import dataclasses
import gzip
import io
import json
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from email.message import EmailMessage

import pandas as pd
import pytest
from sqlalchemy import JSON, Date, Enum, Numeric, delete, inspect, select, text, update
from sqlalchemy.types import TypeDecorator
from sqlmodel import col

from crm_core import erased, jobs, records
from crm_core.access import load
from crm_core.channels import email as outgoing
from crm_core.db import read_engine, read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.frames import arrow
from crm_core.kit.clock import frozen, today, utcnow
from crm_core.models import (
    AnalysisRun,
    AnalysisTable,
    ErasedMark,
    Event,
    ImportRun,
    Notification,
    PrivacyRequest,
    RolePermission,
    Suppression,
    User,
)
from crm_core.models.base import Base
from crm_core.personal_data import TABLES, is_text
from crm_core.services import crud
from crm_core.services.admin import audit
from crm_core.services.admin.imports import store
from crm_core.services.admin.imports.driver import Options, import_file
from crm_core.services.admin.privacy import copying, requests, rows, scrubbing
from crm_core.services.admin.privacy.words_rules import GONE, Words
from crm_core.services.analytics import metrics
from crm_core.services.analytics.metric_rules import AREAS
from crm_core.services.collaboration import activities, files, suppressions
from crm_core.services.inbox import raws
from crm_core.services.sales import leads
from crm_core.settings import settings
from crm_core.vocabulary import (
    Action,
    ActivityKind,
    Against,
    ContactWay,
    ImportState,
    PeriodPreset,
    PrivacyKind,
    PrivacyState,
    RunState,
    SuppressionReason,
)
from tests.verbs import do, look

NAME, EMAIL, PHONE = "Wilhelmina Ömerdahl", "wilhelmina.oe@omer-post.example", "+49 30 23125987"
BEFORE = "Minna Vorherig"
SPOKEN = f"{NAME} <{EMAIL}>, Tel. 030/23125987, {BEFORE}"
NEEDLES = ("merdahl", "omer-post", "23125987", "Vorherig")
"""What stands in every spelling of them, whatever a database does to umlauts."""


# --- somebody who has some of everything -------------------------------------------------------------------------------------------


def administrator():
    with read_session() as session:
        for user_id in session.execute(select(User.id).order_by(User.id)).scalars():
            actor = load(session, user_id)
            if actor.can("privacy", Action.MANAGE):
                return actor
    raise AssertionError("nobody manages this workspace")


def somebody(actor):
    """A contact who was a lead under another name; gives both numbers."""
    lead = do(crud.create, actor, "lead", {"name": BEFORE, "email": EMAIL, "phone": PHONE, "company": "Ömerdahl & Co"}).id
    made = do(leads.convert, actor, lead, account_name=f"House {lead}")
    do(
        crud.update,
        actor,
        "contact",
        made.contact_id,
        {"name": NAME, "description": SPOKEN, "birthday": "1980-02-03", "city": "Graz"},
    )
    return made.contact_id, lead


def made_up(session, name, contact, lead):
    """A row of a table that is about the person, with their words in every text that can hold some."""
    table, held = Base.metadata.tables[name], TABLES[name]
    blank = next(mapper.class_ for mapper in Base._sa_registry.mappers if mapper.local_table is table)()
    both = {"contact_id", "lead_id"} <= {column.name for column in table.c}
    places = {"contact_id": contact, "lead_id": None if both else lead, "entity": "contact", "record_id": contact}
    places |= dict.fromkeys(("survivor_id", "loser_id", "first_id"), contact)
    given = {
        "address_key": EMAIL,
        "sender_key": EMAIL,
        "email_key": EMAIL,
        "caller_key": "+493023125987",
        "type": "contact.updated",
    }
    values = {}
    for column in table.c:
        value = getattr(blank, column.key, None)
        if column.name in ("id", "attachments", "deleted_at"):
            continue
        if column.name in ("file", "raw", "file_path") and name in scrubbing.SEARCHED:
            values[column.name] = ""
            continue
        if column.name in places:
            value = places[column.name]
        elif column.name in given:
            value = given[column.name]
        elif column.foreign_keys:
            value = (
                newest(session, column, contact, lead)
                if not column.nullable or column.name in ("activity_id", "ticket_id", "order_id")
                else None
            )
        elif is_text(column) and column.name in {*held.words, *held.wiped}:
            value = said(column, value)
        elif value is None and not column.nullable:
            value = something(column)
        values[column.name] = value
    session.execute(table.insert().values(**values))
    session.flush()


def newest(session, column, contact, lead):
    """The last row of the table that a column refers to, made up if there is none."""
    parent = next(iter(column.foreign_keys)).column
    last = select(parent).order_by(parent.desc()).limit(1)
    if session.execute(last).scalar() is None:
        made_up(session, parent.table.name, contact, lead)
    return session.execute(last).scalar()


def said(column, value):
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    if isinstance(kind, JSON):
        return [{"said": SPOKEN}] if isinstance(value, list) else {"name": [SPOKEN, PHONE]}
    return SPOKEN[: kind.length] if getattr(kind, "length", None) else SPOKEN


def something(column):
    if isinstance(column.type, Enum):
        return next(iter(column.type.enum_class))
    if isinstance(column.type, Date):
        return date(2026, 1, 2)
    if "DateTime" in type(column.type).__name__:
        return utcnow()
    if is_text(column):
        return "x"
    return Decimal(1) if isinstance(column.type, Numeric) else column.type.python_type(1)


def some_of_everything(actor, contact, lead):
    """Rows in every table that leads to persons, a mention in every other one with texts, and files of every kind."""
    attached = do(files.attach, actor, "contact", contact, name=f"{NAME}.txt", content=SPOKEN.encode())
    known = {"contact", "lead", "attachment", "analysis_table", "search_document", "match_key", "privacy_request", "contact_point"}
    first = ["activity", "task", "ticket", "sales_order", "deal", "survey_invitation", "dial_entry", "automation_run"]
    with write_session() as session:
        for name in [*first, *(name for name in Base.metadata.tables if TABLES[name].by and name not in {*known, *first})]:
            made_up(session, name, contact, lead)
    with write_session() as session:
        for name in scrubbing.swept_tables():
            mention(session, name)
        run = AnalysisRun(
            kind="value", params={"customer": "contact"}, key="k", scope="s", as_of=today(), code_version="1", state=RunState.DONE
        )
        session.add(run)
        session.flush()
        frame = pd.DataFrame({"customer_id": [contact, contact + 1], "number": [1.0, 2.0]})
        session.add(AnalysisTable(run_id=run.id, name="customers", rows=2, data=arrow.pack(frame)))
    letters(contact)
    return attached.sha256


def mention(session, name):
    """Let a text of a row that is about somebody else, or nobody, name the person."""
    table = Base.metadata.tables[name]
    texts = [
        one
        for one in scrubbing.texts_of(name)
        if one.name not in scrubbing.unique_columns(table) and not one.primary_key and not isinstance(one.type, JSON)
    ]
    room = [
        one
        for one in texts
        if (getattr(one.type.impl_instance if isinstance(one.type, TypeDecorator) else one.type, "length", None) or 999) > 99
    ]
    key = next(iter(table.primary_key.columns))
    other = session.execute(select(key).order_by(key).limit(1)).scalar()
    if room and other is not None and not name.startswith("event"):
        session.execute(update(table).where(key == other).values({room[-1].name: SPOKEN}))


def letters(contact):
    """The source of a message, a letter in the outbox folder, an imported file."""
    letter = EmailMessage()
    letter["Subject"], letter["From"] = f"Grüße von {NAME}", EMAIL
    letter.set_content(f"Ich bin {NAME}\n", cte="base64")
    name = raws.keep(letter.as_bytes())
    outgoing.outbox_folder().mkdir(exist_ok=True)
    (outgoing.outbox_folder() / "one.eml").write_bytes(letter.as_bytes())
    path, _ = store.keep(io.BytesIO(f"Name,E-mail\n{NAME},{EMAIL}\n".encode()), "people.csv")
    with write_session() as session:
        mails = Base.metadata.tables["inbound_mail"]
        first = session.execute(select(mails.c.id).order_by(mails.c.id).limit(1)).scalar()
        session.execute(update(mails).where(mails.c.id == first).values(raw=name))
        out = Base.metadata.tables["mail_delivery"]
        other = session.execute(select(out.c.id).where(out.c.contact_id.is_distinct_from(contact)).limit(1)).scalar()
        session.execute(update(out).where(out.c.id == other).values(file="one.eml"))
        session.add(ImportRun(entity="contact", state=ImportState.DONE, file_name="people.csv", file_path=path))


# --- what can be found ---------------------------------------------------------------------------------------------------------------


def found_in_database():
    """Table and column of every text, ours and the job engine's, in which something of the person stands."""
    engine, found = read_engine(), set()
    schemas = [None, "dbos"] if engine.dialect.name == "postgresql" else [None]
    with engine.connect() as connection:
        for schema in schemas:
            for name in inspect(connection).get_table_names(schema=schema):
                where = f'"{schema}"."{name}"' if schema else f'"{name}"'
                for column in inspect(connection).get_columns(name, schema=schema):
                    for needle in NEEDLES:
                        held = text(f'SELECT 1 FROM {where} WHERE lower(CAST("{column["name"]}" AS TEXT)) LIKE :needle LIMIT 1')
                        if connection.execute(held, {"needle": f"%{needle.lower()}%"}).first():
                            found.add(f"{name}.{column['name']}")
    return found


def found_in_files():
    words, found = Words((NAME, BEFORE), (EMAIL,), (PHONE,), "DE"), []
    for path in settings().data_dir.rglob("*"):
        if path.is_file() and "rapport.db" not in path.name:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            found += [path.name] if words.inside(content) else []
    return found


def figures(actor, at):
    with frozen(at), read_session() as session:
        chosen = metrics.select(session, actor, PeriodPreset.ALL, Against.PREVIOUS)
        return {one.key: one.value for area in AREAS for one in metrics.overview(session, actor, area, chosen)}


def erase(actor, contact, **more):
    seal = look(requests.get, actor, "contact", contact).seal
    return do(requests.erase, actor, "contact", contact, **{"reason": "They asked by mail", "typed": NAME, "seal": seal, **more})


def work(request_id):
    with read_session() as session:
        request = session.get_one(PrivacyRequest, request_id)
        name = "privacy.erase" if request.kind is PrivacyKind.ERASURE else "privacy.copy"
    jobs.execute(request.job_id, name, (request_id,))


# --- the whole of it -----------------------------------------------------------------------------------------------------------------


def test_nothing_is_left_of_a_person_and_no_figure_changes(built_demo):
    actor = administrator()
    jobs.prepare()
    contact, lead = somebody(actor)
    digest = some_of_everything(actor, contact, lead)
    until = audit.settled_until()
    with write_session() as session:
        while audit.seal(session, until):
            pass
    assert len(found_in_database()) > 60 and len(found_in_files()) >= 4, "there is something to find"
    now = utcnow()
    before = figures(actor, now)

    copy = do(requests.make_copy, actor, "contact", contact)
    work(copy)
    assert_complete(actor, copy, contact)

    preview = look(requests.preview, actor, "contact", contact)
    assert {"Orders", "Tickets", "Mail sent", "Files", "Consents"} <= {line.label for line in preview.lines if line.count}
    assert [run["kind"] for run in preview.refit][:1] == ["value"]
    request = erase(actor, contact)
    work(request)

    assert found_in_database() == set() and found_in_files() == []
    assert figures(actor, now) == before
    assert look(audit.verify).broken is None
    with read_session() as session:
        done = session.get_one(PrivacyRequest, request)
        assert done.state is PrivacyState.DONE and done.words == {} and done.outcome["counts"]["Record"] == 1
        assert records.get(session, actor, "contact", contact).name == f"Erased person {contact}"
        assert arrow.unpack(session.execute(select(AnalysisTable.data).order_by(col(AnalysisTable.id).desc())).scalars().first())[
            "customer_id"
        ].tolist() == [contact + 1]
        assert session.execute(
            select(Notification.kind).where(Notification.user_id == actor.user_id, Notification.kind == "privacy.done")
        ).all()
    assert not (settings().data_dir / "files" / digest[:2] / digest).exists()
    assert look(requests.find_people, actor, NAME) == []


def assert_complete(actor, request_id, contact):
    """The ZIP tells of every kind that has rows, and of nobody else."""
    name, content = look(requests.file, actor, request_id)
    assert name == f"data-of-contact-{contact}.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        data = json.loads(packed.read("data.json"))
        page = packed.read("index.html").decode()
        who = look(rows.person, ("contact", contact))
        expected = {
            name for name, held in TABLES.items() if held.label and name != "analysis_table" and look(rows.count, name, who)
        }
        assert expected - data["data"].keys() == set()
        assert NAME in page and "Internal notes" not in page and "internal notes" in page
        assert any(one.startswith("files/") for one in packed.namelist()) and "csv/contact.csv" in packed.namelist()
        assert data["data"]["analyses"]["rows"][0]["Values"]["customer_id"] == contact
        assert actor.name not in page


def test_files_of_their_own_are_in_the_copy_and_others_are_named_to_be_looked_at(ida):
    root, contact, _ = ida
    firm = do(crud.create, root, "account", {"name": "Firm"}).id
    other = do(crud.create, root, "contact", {"name": "Ole Berg", "account_id": firm}).id
    do(crud.update, root, "contact", contact, {"account_id": firm})
    far = do(crud.create, root, "account", {"name": "Far away"}).id
    deal = do(crud.create, root, "deal", {"name": "D", "contact_id": contact, "account_id": firm}).id
    for key, one, name, content in (
        ("contact", contact, "passport.txt", b"P"), ("deal", deal, "offer.txt", b"O"), ("account", firm, "contract.pdf", b"%PDF"),
        ("account", far, "minutes.txt", b"There: Ida  Holmgren"), ("account", far, "else.txt", b"Nobody"), ("contact", other, "cv.txt", b"Ole"),
    ):  # fmt: skip
        do(files.attach, root, key, one, name=name, content=content)
    copy = do(requests.make_copy, root, "contact", contact)
    work(copy)
    with zipfile.ZipFile(io.BytesIO(look(requests.file, root, copy)[1])) as packed:
        assert sorted(one.partition("-")[2] for one in packed.namelist() if one.startswith("files/")) == [
            "offer.txt",
            "passport.txt",
        ]
        assert "minutes.txt" not in packed.read("index.html").decode(), "what others have is nothing for the person"
    named = lambda one: {(row["file"], row["entity"], row["id"]) for row in one.outcome["by_hand"]}  # noqa: E731
    asked = {one.id: one for one in look(requests.get, root, "contact", contact).requests}
    assert named(asked[copy]) == {("contract.pdf", "account", firm), ("minutes.txt", "account", far)}
    erasure = begin(root, contact)
    work(erasure)
    asked = {one.id: one for one in look(requests.get, root, "contact", contact).requests}
    assert named(asked[erasure]) == named(asked[copy]) | {("offer.txt", "deal", deal)}, "an erasure takes none off a deal"


def test_a_preview_counts_the_texts_about_others_and_stops_in_time(ida_anywhere, monkeypatch):
    root, contact, _ = ida_anywhere
    assert (look(requests.preview, root, "contact", contact).mentions, look(requests.preview, root, "contact", contact).more) == (
        0,
        False,
    )
    do(activities.log, root, "contact", contact, kind=ActivityKind.NOTE, text="Ida Holmgren came by")
    for words in ("Ask Ida Holmgren", "IDA HOLMGREN", "write to ida@holm.example", "Ida came", "Holmgren, Ida"):
        do(crud.create, root, "account", {"name": "Firm", "description": words})
    found = look(requests.preview, root, "contact", contact)
    before = found.mentions
    do(crud.create, root, "deal", {"name": "Machine", "description": "As Ida Holmgren asked"})
    found = look(requests.preview, root, "contact", contact)
    assert found.mentions >= before + 1, "a deal of nobody, too"
    assert before >= 4 and not found.more, "each account, and its event; not what is her own"
    monkeypatch.setattr(scrubbing, "MOST_MENTIONS", 2)
    found = look(requests.preview, root, "contact", contact)
    assert (found.mentions, found.more) == (2, True)
    monkeypatch.setattr(scrubbing, "COUNTING_SECONDS", -1)
    found = look(requests.preview, root, "contact", contact)
    assert (found.mentions, found.more) == (0, True)


def test_a_copy_is_not_made_for_whoever_lost_the_right_meanwhile(ida):
    root, contact, _ = ida
    copy = do(requests.make_copy, root, "contact", contact)
    with write_session() as session:
        session.execute(delete(RolePermission).where(RolePermission.entity == "privacy"))
    with pytest.raises(NotPermitted):
        work(copy)
    assert not (settings().data_dir / copying.FOLDER).exists()


# --- what may go wrong ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ida(cast):
    """A contact with a name of her own, and who answers for her data."""
    return with_ida(cast)


@pytest.fixture
def ida_anywhere(any_cast):
    """The same on each database."""
    return with_ida(any_cast)


def with_ida(people):
    jobs.prepare()
    values = {"name": "Ida Holmgren", "email": "ida@holm.example", "phone": "+49 30 7654321"}
    return people["root"], do(crud.create, people["root"], "contact", values).id, people


def begin(actor, contact, **more):
    seal = look(requests.get, actor, "contact", contact).seal
    return do(requests.erase, actor, "contact", contact, **{"reason": "Asked", "typed": "Ida Holmgren", "seal": seal, **more})


def test_a_job_that_is_killed_goes_on_where_it_stopped(ida, monkeypatch):
    root, contact, _ = ida
    request = begin(root, contact)
    do(crud.create, root, "account", {"name": "Firm", "description": "Ask Ida Holmgren"})
    wiped, real = [], scrubbing.wipe

    def dies(session, name, who, after=None):
        wiped.append(name)
        if len(wiped) == 3:
            raise KeyboardInterrupt
        return real(session, name, who, after)

    monkeypatch.setattr(scrubbing, "wipe", dies)
    with pytest.raises(KeyboardInterrupt):
        work(request)
    assert look(requests.get, root, "contact", contact).requests[0].state is PrivacyState.RUNNING
    work(request)
    assert wiped.count("contact") == 1 and wiped.count(wiped[2]) == 2, "what was done is not done again, what was not is"
    assert look(requests.get, root, "contact", contact).requests[0].state is PrivacyState.DONE


def test_a_second_click_and_a_second_administrator_are_told_that_it_is_under_way(ida_anywhere):
    root, contact, _ = ida_anywhere
    request = begin(root, contact)
    with pytest.raises(Conflict, match="asked for already and is not done yet"):
        begin(root, contact)
    with pytest.raises(Conflict, match="asked for already"):
        do(requests.note, root, "contact", contact, PrivacyKind.ERASURE)
    work(request)
    with pytest.raises(Conflict, match="not under way any more"):
        do(requests.go_on, root, request)


def test_a_copy_and_an_erasure_do_not_run_at_once(ida):
    root, contact, _ = ida
    copy = do(requests.make_copy, root, "contact", contact)
    with pytest.raises(Conflict, match="being copied right now"):
        begin(root, contact)
    work(copy)
    request = begin(root, contact)
    with pytest.raises(Conflict, match="being erased right now"):
        do(requests.make_copy, root, "contact", contact)
    work(request)
    with pytest.raises(NotFound):
        look(requests.file, root, copy)


def test_whoever_was_changed_since_the_preview_is_not_erased_unseen(ida):
    root, contact, _ = ida
    seal = look(requests.preview, root, "contact", contact).subject.seal
    do(crud.update, root, "contact", contact, {"city": "Oslo"})
    with pytest.raises(Conflict, match="changed since the preview"):
        begin(root, contact, seal=seal)


def test_reason_and_name_are_asked_for(ida):
    root, contact, _ = ida
    with pytest.raises(Invalid) as refused:
        begin(root, contact, reason=" ", typed="Ida")
    assert refused.value.fields.keys() == {"reason", "typed"}
    with read_session() as session:
        assert session.execute(select(PrivacyRequest.id)).first() is None


def test_an_unfinished_import_that_holds_the_person_stands_in_the_way(ida):
    root, contact, _ = ida
    path, _ = store.keep(io.BytesIO(b"name,email\nIda Holmgren,ida@holm.example\n"), "new.csv")
    with write_session() as session:
        session.add(ImportRun(entity="contact", state=ImportState.MAPPED, file_name="new.csv", file_path=path))
    assert look(requests.preview, root, "contact", contact).busy == ("new.csv",)
    with pytest.raises(Conflict, match=r"new\.csv holds this person"):
        begin(root, contact)


def test_only_whoever_answers_for_privacy_sees_and_does_it(ida):
    root, contact, cast = ida
    copy = do(requests.make_copy, root, "contact", contact)
    work(copy)
    for name in ("bob", "dana", "ana"):
        for verb, args in (
            (requests.find, ()), (requests.find_people, ("Ida",)), (requests.get, ("contact", contact)), (requests.preview, ("contact", contact)),
            (requests.make_copy, ("contact", contact)), (requests.note, ("contact", contact, PrivacyKind.REPORT)), (requests.file, (copy,)),
            (requests.go_on, (copy,)),
        ):  # fmt: skip
            with pytest.raises(NotPermitted):
                do(verb, cast[name], *args)
        with pytest.raises(NotPermitted):
            do(requests.decline, cast[name], copy, reason="No")
        with pytest.raises(NotPermitted):
            do(requests.erase, cast[name], "contact", contact, reason="x", typed="Ida Holmgren", seal="")


def test_whoever_is_kept_from_a_field_makes_no_copy(ida):
    root, contact, _ = ida
    masked = dataclasses.replace(root, masks=frozenset({("deal", "amount_minor")}))
    with pytest.raises(NotPermitted, match="must see all of it"):
        do(requests.make_copy, masked, "contact", contact)
    with pytest.raises(NotPermitted):
        look(requests.find_people, masked, "Ida")


def test_the_file_is_for_whoever_made_it_and_goes_after_a_week(ida):
    root, contact, cast = ida
    copy = do(requests.make_copy, root, "contact", contact)
    work(copy)
    other = dataclasses.replace(cast["bob"], grants=root.grants)
    with pytest.raises(NotFound, match="only for whoever made it"):
        look(requests.file, other, copy)
    assert look(requests.file, root, copy)[0].endswith(".zip")
    assert look(requests.get, root, "contact", contact).requests[0].mine
    with frozen(utcnow() + timedelta(days=copying.DAYS, minutes=1)):
        with pytest.raises(NotFound, match="time of this file is over"):
            look(requests.file, root, copy)
        assert do(copying.expire) == 1
    assert list((settings().data_dir / copying.FOLDER).iterdir()) == []


def test_an_erased_address_comes_back_without_letters_and_the_import_says_so(ida_anywhere):
    root, contact, _ = ida_anywhere
    work(begin(root, contact))
    with read_session() as session:
        assert session.execute(select(Suppression.id)).first() is None, "only a hash is kept"
        assert len(session.execute(select(ErasedMark.sha256)).all()) == 2
    back = do(crud.create, root, "contact", {"name": "Ida again", "email": "Ida@Holm.example"}).id
    with read_session() as session:
        blocked = session.execute(select(Suppression).where(col(Suppression.lifted_at).is_(None))).scalar_one()
        assert (blocked.address_key, blocked.way, blocked.reason) == (
            "ida@holm.example",
            ContactWay.EMAIL,
            SuppressionReason.ERASED,
        )
    do(suppressions.lift, root, blocked.id)
    do(crud.update, root, "contact", back, {"name": "Ida once more"})
    with read_session() as session:
        assert session.execute(select(Suppression.id).where(col(Suppression.lifted_at).is_(None))).first() is None, (
            "lifted is lifted"
        )


def test_an_import_notes_each_row_of_somebody_who_was_erased(ida, tmp_path):
    root, contact, _ = ida
    work(begin(root, contact))
    path = tmp_path / "back.csv"
    path.write_text("Name,E-mail\nIda Holmgren,ida@holm.example\nOle Berg,ole@berg.example\n")
    run = import_file(path, "contact", actor=root, options=Options())
    assert (run.created, run.rejected) == (2, 0)
    assert run.report["result"]["notes"] == [[f"E-mail: {erased.BLOCKED}", 1]]
    with read_session() as session:
        assert session.execute(select(Suppression.address_key)).scalars().all() == ["ida@holm.example"]


def test_what_others_have_too_is_not_taken_from_them(ida):
    root, contact, _ = ida
    twin = do(crud.create, root, "contact", {"name": "Ida Holmgren", "email": "other@holm.example", "phone": "+49 30 7654321"}).id
    note = do(crud.create, root, "account", {"name": "Firm", "description": "Ida Holmgren, +49 30 7654321, ida@holm.example"}).id
    preview = look(requests.preview, root, "contact", contact)
    assert set(preview.shared) == {"Ida Holmgren", "+49 30 7654321"}
    work(begin(root, contact))
    with read_session() as session:
        assert records.get(session, root, "contact", twin).phone == "+49 30 7654321"
        assert records.get(session, root, "account", note).description == f"Ida Holmgren, +49 30 7654321, {GONE}"


def test_a_request_waits_until_its_day_and_is_declined_with_a_reason(ida):
    root, contact, _ = ida
    asked = do(requests.note, root, "contact", contact, PrivacyKind.REPORT, asked_on=date(2026, 1, 31))
    found = look(requests.find, root)
    assert [(row.id, row.due_on, row.overdue, row.name) for row in found] == [(asked, date(2026, 2, 28), True, "Ida Holmgren")]
    with pytest.raises(Invalid):
        do(requests.decline, root, asked, reason="")
    do(requests.decline, root, asked, reason="Could not prove who they are")
    assert look(requests.find, root) == [] and look(requests.find, root, done=True)[0].state is PrivacyState.DECLINED
    with pytest.raises(Invalid):
        do(requests.note, root, "contact", contact, PrivacyKind.REPORT, asked_on=today() + timedelta(days=2))


def test_broken_seals_stay_broken_and_whole_ones_whole(ida_anywhere):
    root, contact, _ = ida_anywhere
    do(crud.update, root, "contact", contact, {"name": "Ida Holm-Berg", "city": "Oslo"})
    do(crud.update, root, "contact", contact, {"name": "Ida Holmgren"})
    until = audit.settled_until()
    with write_session() as session:
        audit.seal(session, until)
    work(begin(root, contact))
    assert look(audit.verify).broken is None
    with read_session() as session:
        said = [
            row.changes
            for row in session.execute(select(Event).where(Event.entity == "contact", Event.type == "contact.updated")).scalars()
        ]
    assert [one["name"] for one in said] == [["•••", "•••"], ["•••", "•••"]]
    with write_session() as session:
        first = session.execute(select(Event).order_by(col(Event.id))).scalars().first()
        session.execute(update(Event).where(Event.id == first.id).values(data={"by": "hand"}))
    assert look(audit.verify).broken is not None
    begun = do(
        requests.erase,
        root,
        "contact",
        contact,
        reason="Again",
        typed=f"Erased person {contact}",
        seal=look(requests.get, root, "contact", contact).seal,
    )
    work(begun)
    assert look(audit.verify).broken is not None, "an erasure does not make a trail whole that was not"


@pytest.mark.parametrize(
    ("text_", "left"),
    [
        ("Ask Ida  Holmgren", f"Ask {GONE}"),
        ("Holmgren, Ida called", f"{GONE} called"),
        ("IDA HOLMGREN", GONE),
        ("Ida Holmgrens Hund", "Ida Holmgrens Hund"),
        ("mail to IDA@holm.example.", f"mail to {GONE}."),
        ("?to=ida%40holm.example&x", f"?to={GONE}&x"),
        ("not-ida@holm.example", "not-ida@holm.example"),
        ("Tel. 030/765 43 21", f"Tel. {GONE}"),
        ("(0049) 30 7654321", f"({GONE}"),
        ("130765432100", "130765432100"),
    ],
)
def test_words_are_found_in_every_spelling(text_, left):
    words = Words(("Ida Holmgren",), ("ida@holm.example",), ("+49 30 7654321",), "DE")
    assert words.out_of({"x": [text_]}) == {"x": [left]}
