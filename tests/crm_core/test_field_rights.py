"""What a role may read only, sees masked, or does not see: on every path by which a value leaves the house or comes into it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core import lists, veil
from crm_core.access.levels import merged
from crm_core.db import read_session, write_session
from crm_core.entities import RECORDS, entity
from crm_core.errors import Conflict, Invalid
from crm_core.fields import builtin, registry
from crm_core.frames.orders import product_names
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import Account, Contact, Event, Lead, OutreachRules, Role, RoleFieldMask, Ticket
from crm_core.services import bulk, crud, exports, finder, setting_back
from crm_core.services.admin import audit
from crm_core.services.admin.imports import targets
from crm_core.services.admin.imports.kinds import kind_of
from crm_core.services.analytics import offer_worth
from crm_core.services.analytics.methods import basket
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.automation.steps import work
from crm_core.services.collaboration import activities, agenda, interactions, outward, timeline, today
from crm_core.services.customers import contacts, duplicates
from crm_core.services.helpdesk import macros, tickets
from crm_core.services.inbox import arrivals, by_hand
from crm_core.services.marketing import campaigns, handouts, launching, letters, plans, segments
from crm_core.services.sales import board, categories, deals, leads, orders, products
from crm_core.services.sales import lines as line_rules
from crm_core.vocabulary import Action, ActivityKind, FieldKind, FieldLevel, InboundChannel, Outlet, Scope
from tests.verbs import do, look
from ui.components import overview_figures

EDIT, READ, MASKED, HIDDEN = FieldLevel.EDIT, FieldLevel.READ, FieldLevel.MASKED, FieldLevel.HIDDEN
WRITES = frozenset({("contact", Action.READ), ("contact", Action.EDIT)})
LOOKS = frozenset({("contact", Action.READ)})
ELSEWHERE = frozenset({("product", Action.EDIT)})


@pytest.mark.parametrize(
    ("rows", "verbs", "level"),
    [
        ([(1, HIDDEN, False)], {1: WRITES}, HIDDEN),
        ([(1, HIDDEN, False)], {1: WRITES, 2: WRITES}, EDIT),
        ([(1, HIDDEN, False)], {1: WRITES, 2: LOOKS}, READ),
        ([(1, HIDDEN, False)], {1: WRITES, 2: ELSEWHERE}, HIDDEN),
        ([(1, HIDDEN, True)], {1: WRITES, 2: WRITES}, HIDDEN),
        ([(1, MASKED, True), (2, HIDDEN, False)], {1: WRITES, 2: WRITES}, MASKED),
        ([(1, HIDDEN, False), (2, MASKED, False)], {1: WRITES, 2: WRITES}, MASKED),
        ([(1, READ, False)], {1: WRITES, 2: LOOKS}, READ),
        ([(1, READ, True)], {1: WRITES, 2: WRITES}, READ),
    ],
)
def test_of_several_roles_the_most_permissive_wins_unless_one_holds_against_all(rows, verbs, level):
    found = merged([(role, "contact", "phone", *rest) for role, *rest in rows], verbs)
    assert found.get(("contact", "phone"), EDIT) is level


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (FieldKind.EMAIL, "mia@example.org", "m…@example.org"),
        (FieldKind.EMAIL, "no address", "•••"),
        (FieldKind.PHONE, "+49 30 5550112", "+49 … 12"),
        (FieldKind.PHONE, "+4930555 0112", "+493 … 12"),
        (FieldKind.PHONE, "030 5550112", "… 12"),
        (FieldKind.PHONE, "110", "•••"),
        (FieldKind.TEXT, "Jane van der Doe", "J… v… d…"),
        (FieldKind.TEXT, "Jo", "•••"),
        (FieldKind.LONG_TEXT, "A long story", "•••"),
        (FieldKind.MONEY, 1200, "•••"),
    ],
)
def test_a_trace_tells_two_people_apart_and_no_more(kind, value, shown):
    assert veil.trace(kind, value) == shown and isinstance(veil.trace(kind, value), veil.Veil)


TOTAL = frozenset({("order", "total_minor")})


def everything_locked(actor):
    with read_session() as session:
        keys = [(entity, spec.key) for entity in ("contact", "deal", "ticket") for spec in registry(session, entity).values()]
    return replace(actor, locks=frozenset(keys))


def test_a_field_that_is_read_only_is_written_on_no_path(cast):
    root = cast["root"]
    account = do(crud.create, root, "account", {"name": "Firm"}).id
    contact = do(crud.create, root, "contact", {"name": "Jane Doe", "email": "jane@x.example", "account_id": account})
    do(crud.update, root, "contact", contact.id, {"job_title": "Boss"})
    deal = do(crud.create, root, "deal", {"name": "Chance", "amount_minor": 5, "account_id": account})
    ticket = do(tickets.create, root, {"subject": "Broken"})
    bound = everything_locked(root)
    with read_session() as session:
        change = session.exec(select(Event.id).where(Event.type == "contact.updated")).one()
    refused = {
        "form": lambda: do(crud.update, bound, "contact", contact.id, {"name": "Jane Poe"}),
        "new": lambda: do(crud.create, bound, "contact", {"name": "Somebody"}),
        "bulk": lambda: look(bulk.preview, bound, "contact", [contact.id], "city", "Rome"),
        "points": lambda: do(contacts.set_points, bound, contact.id, []),
        "board": lambda: do(
            deals.move, bound, deal.id, next(one.id for one in look(deals.stages, root) if one.id != deal.stage_id)
        ),
        "win": lambda: do(deals.win, bound, deal.id),
        "products": lambda: do(deals.set_lines, bound, deal.id, []),
        "assign": lambda: do(tickets.assign, bound, ticket.id, cast["sam"].user_id),
        "solve": lambda: do(tickets.solve, bound, ticket.id),
    }
    for path, attempt in refused.items():
        with pytest.raises(Invalid) as error:
            attempt()
        assert "read-only for your role" in " ".join([error.value.message, *error.value.fields.values()]), path
    with read_session() as session:
        assert setting_back.of_change(session, bound, change) == [] and setting_back.of_change(session, root, change)
        assert not targets.targets(session, bound, kind_of("contact")).keys() & {"name", "email", "first_name", "email_2"}
        assert "email" in targets.locked(session, bound, kind_of("contact"))
        for one in (replace(root, locks=TOTAL), replace(root, masks=TOTAL)):
            found = targets.targets(session, one, kind_of("order"))
            assert not [key for key in found if key.startswith("line_")] and "number" in found, "lines make the total"
        assert macros.settable(session, bound) == {} != macros.settable(session, root)
        flow, step = {"entity": "contact"}, {"field": "city", "value": "Rome"}
        assert "read-only" in work._field_problem(session, bound, flow, step) and not work._field_problem(session, root, flow, step)
    saved = do(crud.update, bound, "contact", contact.id, {"name": "Jane Doe", "email": "jane@x.example"})
    assert saved.changed == (), "what stays as it is passes"


def test_a_new_record_takes_what_the_system_says_of_read_only_fields_and_a_conversion_carries_over_what_is_known(cast):
    root = cast["root"]
    bound = replace(root, locks=frozenset({("ticket", "status"), ("ticket", "owner_id"), ("contact", "email"), ("deal", "name")}))
    ticket = do(tickets.create, bound, {"subject": "Broken", "status": "new"})
    with write_session() as session:
        assert session.get(Ticket, ticket.id).status.value == "new"
    with pytest.raises(Invalid, match="read-only"):
        do(tickets.create, bound, {"subject": "Broken", "owner_id": cast["sam"].user_id})
    lead = do(leads.create, root, {"name": "Mia", "email": "mia@x.example", "company": "Firm"}).id
    with pytest.raises(Invalid, match="read-only"):
        do(leads.convert, bound, lead, deal_name="My own name")
    made = do(leads.convert, bound, lead, deal_name="Firm")
    with read_session() as session:
        assert session.get(Lead, lead).converted_contact_id == made.contact_id
        assert look(contacts.points, root, made.contact_id)[0].value == "mia@x.example"


SECRETS = ("jane.doe@secret-corp", "5550112", "Jane Doe", "jane", "doe")
"""Of a masked contact no path tells one of these; the domain of an address and the last two digits of a number are its trace."""


def paths(actor, contact, event):
    """Everything by which a contact's fields leave the house, as text."""
    with read_session() as session:
        rows = lists.find(session, actor, "contact", ListQuery(columns=("name", "email", "phone"))).rows
        specs = registry(session, "contact")
        return {
            "list": rows,
            "one": lists.rows_of(session, actor, "contact", [contact], specs.values()),
            "titles": lists.titles(session, actor, "contact", [contact]),
            "choices": lists.choices(session, actor, "contact"),
            "export": exports.build(session, actor, "contact", ListQuery(columns=("name", "email", "phone"))).data.decode(),
            "api": outward.records_of(session, actor, "contact", [contact], fields=("name", "email", "phone")),
            "changes of the api": outward.changes_since(session, actor, "contact", contact, 1),
            "timeline": timeline.find(session, actor, "contact", contact)[0],
            "audit": audit.get(session, actor, event),
            "letter": letters.values_of(session, actor, "contact", [contact]),
            "segment": segments.preview(session, actor, "contact", None),
            "points": contacts.points(session, actor, contact),
            "traces": contacts.traces(session, actor, contact),
            "earlier values": setting_back.find(session, actor, "contact", contact),
        }


def test_a_masked_field_shows_its_trace_and_is_told_on_no_path(cast):
    root = cast["root"]
    typed = {"name": "Jane Doe", "email": "jane.doe@secret-corp.example", "phone": "+49 30 5550112"}
    contact = do(crud.create, root, "contact", typed).id
    others = [do(crud.create, root, "contact", {"name": name, "email": f"{name}@x.example"}).id for name in ("Zoe", "Abe")]
    do(crud.update, root, "contact", contact, {"name": "Jane Roe"})
    do(crud.update, root, "contact", contact, typed)
    keys = frozenset(("contact", key) for key in typed)
    blind = replace(root, masks=keys, veils=keys)
    with read_session() as session:
        event = session.exec(select(Event.id).where(Event.type == "contact.updated")).all()[-1]
    for path, told in paths(blind, contact, event).items():
        assert not [secret for secret in SECRETS if secret in str(told)], path
    open_eyes = paths(root, contact, event)
    assert all("Jane Doe" in str(open_eyes[path]) for path in ("list", "export", "timeline", "audit", "letter")), (
        "the paths are walked"
    )
    shown = paths(blind, contact, event)
    assert {"J… D…", "j…@secret-corp.example", "+49 … 12"} <= set(shown["one"][0].values())
    assert shown["traces"] == ["j…@secret-corp.example", "+49 … 12"] and "j…@secret-corp.example" in shown["export"]
    assert shown["api"][0]["email"] is None and set(shown["api"][0]["masked"]) == {"name", "email", "phone"}
    with read_session() as session:
        for key in typed:
            with pytest.raises(Invalid):
                lists.find(session, blind, "contact", ListQuery(filter={"field": key, "cmp": "eq", "value": typed[key]}))
            order = [row["id"] for row in lists.find(session, blind, "contact", ListQuery(sort=(key, False))).rows]
            assert order == [contact, *others], "the order tells nothing"
        for word in ("jane", "secret", "5550112", "J… D…"):
            assert finder.find(session, blind, word) == [] and not lists.choices(session, blind, "contact", word)
            assert lists.count(session, blind, "contact", ListQuery(q=word)) == 0
        assert duplicates.check(session, blind, "contact", typed) == duplicates.Found()
    with pytest.raises(Invalid, match="masked for your role"):
        do(crud.update, blind, "contact", contact, {"email": "j…@secret-corp.example"})


@pytest.mark.parametrize(("key", "verbs", "amount"), [("deal", deals, "amount_minor"), ("order", orders, "total_minor")])
def test_lines_tell_neither_name_nor_price_nor_rate_of_a_product_that_a_role_hides(cast, key, verbs, amount):
    root = cast["root"]
    product = do(crud.create, root, "product", {"name": "Secret Mill", "price_minor": 9_900, "tax_rate_pct": 7.5}).id
    record = do(verbs.create, root, {"name": "Chance"} if key == "deal" else {}).id
    do(
        verbs.set_lines,
        root,
        record,
        [{"product_id": product, "name": "Secret Mill, red", "unit_price_minor": 5, "tax_rate_pct": 1}],
    )
    blind = replace(root, masks=frozenset(("product", field) for field in ("name", "price_minor", "tax_rate_pct", "cost_minor")))
    (line,) = look(verbs.lines, blind, record)
    told = look(products.price_of, blind, product)
    assert (line.name, told.name, told.price_minor, told.tax_rate_pct) == (f"Product {product}", f"Product {product}", None, None)
    do(verbs.set_lines, blind, record, [line_rules.given(replace(line, quantity=3))])
    assert look(verbs.lines, root, record)[0].name == "Secret Mill, red", "what was not seen is not written over"
    for row, hidden in (
        ({"tax_rate_pct": 1}, "list prices are hidden"),
        ({"unit_price_minor": 1}, "tax rates of products are hidden"),
    ):
        with pytest.raises(Invalid, match=hidden):
            do(verbs.set_lines, blind, record, [{"product_id": product, **row}])
    do(verbs.set_lines, blind, record, [{"product_id": product, "name": "Mine", "unit_price_minor": 7, "tax_rate_pct": 2}])
    assert look(lists.rows_of, root, key, [record], [look(registry, key)[amount]])[0][amount] == 7


def test_offers_tell_neither_price_nor_name_of_a_product_that_a_role_hides(cast):
    root = cast["root"]
    ids = [do(crud.create, root, "product", {"name": name, "price_minor": 500, "cost_minor": 100}).id for name in ("Zinc", "Alum")]
    blind = replace(root, masks=frozenset({("product", "name"), ("product", "price_minor"), ("product_category", "name")}))
    assert look(product_names, blind) == {one: f"Product {one}" for one in ids}
    assert list(look(basket.products, blind).items()) == [(str(one), f"Product {one}") for one in ids], "nor does their order"
    assert list(look(basket.products, root).values()) == ["Alum", "Zinc"]
    assert look(offer_worth.worths, blind)[ids[0]] == offer_worth.Worth(None, 100, None)
    assert offer_worth.together(look(offer_worth.worths, blind), ids) == offer_worth.Worth(None, 200, None)
    for name in ("Zoo", "Ark"):
        do(categories.create, root, name)
    assert list(look(basket.categories, root).values()) == ["Ark", "Zoo"]
    assert [one.partition(" ")[0] for one in look(basket.categories, blind).values()] == ["Product", "Product"]


def test_whom_a_role_hides_what_a_figure_says_shares_it_with_nobody_who_sees_it(cast):
    """A page keeps figures under the fingerprint of their reader: over what they are made of, and over the names that stand beside them."""
    root = cast["root"]
    for area, found in overview_figures.ENTITIES.items():
        made_of = {key for metric in METRICS.values() if metric.area == area for key in (metric.entity, *metric.reads)}
        specs = [builtin(metric.entity)[by] for metric in METRICS.values() if metric.area == area for by in metric.breakdowns]
        named = {str(spec.to) for spec in specs if spec.to}
        for key in made_of | named:
            blind = replace(root, masks=frozenset({(key, entity(key).title)}))
            assert blind.fingerprint(*found) != root.fingerprint(*found), f"{area}: {key}"
        for key in made_of:
            narrow = replace(root, grants={**root.grants, (key, Action.READ): frozenset({Scope.OWN})})
            assert narrow.fingerprint(*found) != root.fingerprint(*found), f"{area}: {key}"


def test_a_role_that_was_given_levels_gives_them_to_its_people(cast):
    with write_session() as session:
        role = session.exec(select(Role).where(Role.key == "sales_rep")).one()
        for key, level in (("phone", MASKED), ("city", READ), ("birthday", HIDDEN)):
            session.add(RoleFieldMask(role_id=role.id, entity="contact", field_key=key, level=level))
    from crm_core.access import load

    with read_session() as session:
        alice = load(session, cast["alice"].user_id)
    assert (alice.veiled("contact", "phone"), alice.masked("contact", "phone"), alice.locked("contact", "phone")) == (True,) * 3
    assert alice.locked("contact", "city") and not alice.masked("contact", "city")
    assert alice.masked("contact", "birthday") and not alice.veiled("contact", "birthday")
    assert alice.fingerprint("contact") != replace(alice, veils=frozenset()).fingerprint("contact")


@pytest.mark.parametrize(
    ("outlet", "mask", "column"),
    [
        (Outlet.CALL_LIST, ("lead", "phone"), "phone"),
        (Outlet.CALL_LIST, ("contact", "job_title"), "job title"),
        (Outlet.MAIL_MERGE, ("account", "street"), "street"),
        (Outlet.MAIL_MERGE, ("account", "name"), "company"),
    ],
)
def test_a_list_of_a_campaign_leaves_only_with_what_its_taker_sees_of_all_who_are_on_it(cast, outlet, mask, column):
    dana = cast["dana"]
    with write_session() as session:
        session.add(OutreachRules(quiet_from="", quiet_until="", needs_consent=False))
        firm = Account(name="Analytical", city="Town")
        lead = Lead(name="Leo", email="leo@example.com", phone="+1 555 0177", city="Town", status_id=1)
        session.add_all((firm, lead))
        session.flush()
        ada = Contact(name="Ada", email="ada@example.com", phone="+1 555 0178", account_id=firm.id)
        session.add(ada)
        session.flush()
        ids = {"contact": ada.id, "lead": lead.id}
    made = do(campaigns.create, dana, {"name": "Spring"}).id
    chosen = [do(segments.create, dana, name=key, entity=key, kind="static", record_ids=[one]) for key, one in ids.items()]
    do(plans.save, dana, made, {"segment_ids": chosen, "holdout_pct": 0, "outlet": outlet})
    do(launching.launch, dana, made, base_url="http://localhost")
    assert len(do(handouts.export, dana, made).decode("utf-8-sig").strip().splitlines()) == 3
    with pytest.raises(Conflict, match=f"does not see {column}"):
        do(handouts.export, replace(dana, masks=dana.masks | {mask}), made)
    do(handouts.export, replace(dana, masks=dana.masks | {("lead", "description")}), made)
    told = look(letters.values_of, replace(dana, masks=dana.masks | {("account", "name")}), "contact", [ids["contact"]])
    assert told[ids["contact"]]["company"] == "•••"


def test_desks_and_timelines_say_nothing_of_what_a_role_hides_of_words_amounts_and_days(cast):
    root, word, day = cast["root"], "Xyzzy", clock.today()
    lead = do(leads.create, root, {"name": word, "company": f"{word} Ltd", "email": "x@xyzzy.example"}).id
    do(crud.create, root, "account", {"name": f"{word} Ltd"})
    contact = do(crud.create, root, "contact", {"name": "Ida"}).id
    chances = [
        do(crud.create, root, "deal", {"name": f"{word} {n}", "amount_minor": 777_123_777, "expected_close_on": day - timedelta(days=n), "contact_id": contact}).id
        for n in range(3)
    ]  # fmt: skip
    do(crud.create, root, "task", {"subject": word, "body": word, "contact_id": contact})
    done = do(crud.create, root, "task", {"subject": word, "body": word, "contact_id": contact, "status": "done"})
    note = {"kind": ActivityKind.MEETING, "subject": word, "text": f"{word} said", "minutes": 77}
    said = do(activities.log, root, "contact", contact, at=clock.utcnow(), **note).id
    do(by_hand.log, root, channel=InboundChannel.CHAT, text=word, into="timeline", contact_id=contact)
    do(tickets.create, root, {"subject": word})
    week = (day - timedelta(days=3), day + timedelta(days=3))
    pipeline = look(deals.stages, root)[0].pipeline_id
    walks = {
        "board": lambda actor: look(board.columns, actor, pipeline),
        "timeline": lambda actor: look(timeline.find, actor, "contact", contact),
        "calendar": lambda actor: look(agenda.find, actor, *week),
        "meeting": lambda actor: look(agenda.meeting, actor, said),
        "tasks": lambda actor: look(today.my_tasks, actor),
        "today": lambda actor: [block and block.page.rows for block in (look(today.deals, actor), look(today.tickets, actor))],
        "inbox": lambda actor: look(arrivals.find, actor).rows,
        "waiting": lambda actor: look(interactions.open_of, actor, "contact", contact),
        "conversion": lambda actor: look(leads.candidates, actor, lead).accounts,
    }
    with read_session() as session:
        keys = frozenset((key, spec.key) for key in RECORDS for spec in registry(session, key).values() if spec.maskable)
    blind = replace(root, masks=keys)
    for path, walk in walks.items():
        assert word in str(walk(root)), f"{path} is walked"
        assert not [secret for secret in (word, "777123777", "=77", ": 77") if secret in str(walk(blind))], path
    (open_column,) = [column for column in walks["board"](blind) if column.cards]
    assert [card.id for card in open_column.cards] == chances, "their order tells nothing of the days"
    assert {card.name for card in open_column.cards} == {f"Deal {one}" for one in chances}
    assert not any(card.no_next_step or card.expected_close_on for card in open_column.cards) and done.id
