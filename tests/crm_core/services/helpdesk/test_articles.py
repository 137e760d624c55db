"""Help articles: who may write and read them, what they become, and whom they helped."""

from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core import lists
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted, TooMany
from crm_core.kit import clock
from crm_core.models import ArticleUse, ArticleVote, Event, Notification
from crm_core.services import crud, exports, finder
from crm_core.services.admin.imports import runs
from crm_core.services.admin.imports.driver import Options, import_file
from crm_core.services.collaboration import reminders
from crm_core.services.helpdesk import article_finding, article_rules, article_uses, articles, help_centre, help_pages, tickets
from crm_core.services.helpdesk.article_uses import Figures
from crm_core.vocabulary import ArticleState, TicketKind
from tests.crm_core.services.helpdesk.writing import PUBLIC, SHORT, article
from tests.verbs import do, look

COLUMNS = ("title", "state", "published_at", "review_by")


def found(verb, *args, **kwargs):
    return [one.title for one in look(verb, *args, **kwargs)]


def test_agents_write_and_others_read(cast):
    made = article(cast["sam"], category="Problems")
    assert (made.slug, made.state, made.owner_id) == ("reset-the-router", ArticleState.PUBLISHED, cast["sam"].user_id)
    assert made.published_at and made.reviewed_on and made.review_by == article_rules.next_review(made.reviewed_on)
    assert do(articles.create, cast["sam"], {"title": "No language", "language": None}).language.value == "en"
    assert article(cast["sam"]).slug == "reset-the-router-2", "each has an address of its own"
    for who in ("alice", "dana", "ana"):
        assert look(articles.get, cast[who], made.id).title == "Reset the router"
        for refused in (
            lambda actor: do(articles.create, actor, {"title": "x"}),
            lambda actor: do(articles.update, actor, made.id, {"title": "x"}),
            lambda actor: do(articles.reviewed, actor, made.id, again_on=None),
            lambda actor: do(articles.set_products, actor, made.id, []),
            lambda actor: do(help_centre.save, actor, {"is_on": True}),
        ):
            with pytest.raises(NotPermitted):
                refused(cast[who])
    with pytest.raises(NotPermitted):
        do(help_centre.save, cast["sam"], {"is_on": True})
    with pytest.raises(NotFound):
        look(articles.get, cast["sam"], 987_654)
    assert [hit.title for hit in look(finder.find, cast["alice"], "router")] == ["Reset the router"] * 2
    do(crud.archive, cast["bob"], "article", made.id)
    with pytest.raises(NotFound):
        do(articles.update, cast["sam"], made.id, {"title": "x"})


def test_states_need_what_they_need_and_two_editors_find_out(cast):
    draft = do(articles.create, cast["sam"], {"title": "Paper jams"})
    assert draft.state is ArticleState.DRAFT and found(article_finding.search, cast["sam"], "paper") == []
    with pytest.raises(Invalid) as refused:
        do(articles.update, cast["sam"], draft.id, PUBLIC)
    assert "short answer" in refused.value.fields["summary"]
    for values in ({"summary": "x" * 900}, {"body": "x" * 70_000}, {"language": "klingon"}, {"title": ""}, {"review_by": "soon"}):
        with pytest.raises(Invalid):
            do(articles.update, cast["sam"], draft.id, values)
    do(articles.update, cast["sam"], draft.id, {"summary": "Open the lid.", "state": "published"})
    with pytest.raises(Conflict):
        do(articles.update, cast["bob"], draft.id, {"summary": "Close the lid."}, base_version=draft.version)
    merged = do(articles.update, cast["bob"], draft.id, {"category": "Problems"}, base_version=draft.version)
    assert merged.record.category == "Problems" and merged.record.summary == "Open the lid."
    assert found(article_finding.search, cast["alice"], "papers") == ["Paper jams"], "a longer word finds its beginning"
    do(articles.update, cast["sam"], draft.id, {"title": "Jams of paper"})
    assert look(articles.get, cast["sam"], draft.id).slug == "paper-jams", "links in sent mails go on working"
    do(articles.update, cast["sam"], draft.id, {"state": "archived"})
    assert found(article_finding.search, cast["sam"], "") == [] and look(article_finding.spoken, [draft.id]) == {}
    assert {"article.created", "article.published", "article.updated", "article.retired"} <= set(kinds_of(draft.id))


def kinds_of(article_id):
    rows = look(lambda session: session.exec(select(Event).where(Event.entity == "article").order_by(Event.id)).all())
    return [row.type for row in rows if row.record_id == article_id]


def test_what_happened_is_told_and_nothing_that_did_not(cast):
    sam = cast["sam"]
    made = do(articles.create, sam, {"title": "Jams", "summary": SHORT, **PUBLIC}, submit_key="once")
    assert do(articles.create, sam, {"title": "Jams", "summary": SHORT, **PUBLIC}, submit_key="once").id == made.id
    assert kinds_of(made.id) == ["article.created", "article.published"]
    do(articles.update, sam, made.id, {"state": "Draft"})
    do(articles.update, sam, made.id, {"state": "Published"})
    assert kinds_of(made.id)[2:] == ["article.withdrawn", "article.published"], "the state's label means the state"
    past = clock.today() - timedelta(days=3)
    do(articles.update, sam, made.id, {"review_by": past})
    before = look(articles.get, sam, made.id)
    for nothing in ({}, {"title": "Jams"}, {"state": "published"}):
        saved = do(articles.update, sam, made.id, nothing)
        assert saved.changed == () and saved.record.review_by == past and saved.record.version == before.version
    do(articles.update, sam, made.id, {"summary": "Open the lid. Take the paper out."})
    with pytest.raises(Conflict):
        do(articles.reviewed, sam, made.id, again_on=None, base_version=before.version)
    assert do(articles.reviewed, sam, made.id, again_on=None, base_version=before.version + 1).record.review_by is None


def test_solved_it_counts_tickets_that_stayed_solved(cast):
    sam = cast["sam"]
    made, unused = article(sam), article(sam, "Other", summary="Quite another answer.")
    number = lambda: look(article_uses.figures, sam, [made.id])[made.id]  # noqa: E731
    ticket = do(tickets.create, sam, {"subject": "Broken"})
    do(tickets.reply, sam, ticket.id, f"Hello,\n{SHORT}", articles=[made.id, unused.id, 987_654, -1])
    elsewhere = "See https://elsewhere.example/help/other."
    do(tickets.reply, sam, ticket.id, elsewhere, articles=[])
    do(tickets.reply, sam, ticket.id, "See https://crm.example.com:8443/help/reset-the-router.", articles=[made.id])
    do(tickets.reply, sam, ticket.id, "Nothing of it", articles=[made.id])
    do(tickets.reply, sam, ticket.id, "/help/reset-the-router only for us", internal=True)
    assert number() == Figures(used=1) and look(article_uses.figures, sam, [unused.id])[unused.id] == Figures()
    do(tickets.solve, sam, ticket.id)
    assert number() == Figures(used=1, solved=1)
    do(tickets.reopen, sam, ticket.id)
    assert number() == Figures(used=1)
    do(tickets.solve, sam, ticket.id)
    assert number() == Figures(used=1), "it was opened again after the answer"
    do(tickets.reopen, sam, ticket.id)
    do(tickets.reply, sam, ticket.id, SHORT, articles=[made.id], then=TicketKind.SOLVED)
    assert number() == Figures(used=1, solved=1), "once more answered with it, and then it stayed solved"
    late = do(tickets.create, sam, {"subject": "Also"})
    do(tickets.reply, sam, late.id, "Changed words, but hold the BUTTON on the back for ten seconds!", articles=[made.id])
    assert number() == Figures(used=2, solved=1)
    do(crud.archive, cast["root"], "ticket", late.id)
    assert number() == Figures(used=1, solved=1)
    assert len(look(lambda session: session.exec(select(ArticleUse)).all())) == 4


def test_owners_are_reminded_once_per_day_that_was_set(cast):
    sam, today = cast["sam"], clock.today()
    made = article(sam)
    assert do(reminders.articles_to_review, today) == 0
    do(articles.update, sam, made.id, {"review_by": today.isoformat()})
    assert do(reminders.articles_to_review, today) == 1 and do(reminders.articles_to_review, today + timedelta(days=9)) == 0
    note = look(lambda session: session.exec(select(Notification)).one())
    assert (note.kind, note.user_id, note.record_id) == ("reminder.article", sam.user_id, made.id) and note.read_at is None
    with pytest.raises(Invalid):
        do(articles.reviewed, sam, made.id, again_on=today)
    again = today + timedelta(days=90)
    saved = do(articles.reviewed, sam, made.id, again_on=again).record
    assert (saved.reviewed_on, saved.review_by) == (today, again)
    assert look(lambda session: session.exec(select(Notification)).one()).read_at is not None
    assert do(reminders.articles_to_review, again) == 1
    do(articles.update, sam, made.id, {"state": "archived", "review_by": None})
    assert do(reminders.articles_to_review, again + timedelta(days=1)) == 0


def test_strangers_find_what_is_published_while_the_centre_is_on(cast):
    sam = cast["sam"]
    public = article(sam, category="Problems")
    hidden = [
        article(sam, "Secret draft", state="draft"),
        article(sam, "Secret old", state="archived"),
        article(sam, "Secret binned"),
    ]
    do(crud.archive, cast["root"], "article", hidden[2].id)
    for ask in (lambda: look(help_pages.centre), lambda: look(help_pages.article, public.slug)):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(NotFound):
        do(help_pages.vote, public.slug, helped=True, address="192.0.2.1", browser="x")
    with pytest.raises(Invalid):
        do(help_centre.save, cast["bob"], {"is_on": True, "form_id": 987_654})
    row = do(help_centre.save, cast["bob"], {"is_on": True, "title": "", "indexed": True}, base_version=0)
    with pytest.raises(Conflict):
        do(help_centre.save, cast["root"], {"is_on": False}, base_version=row.version + 1)
    assert look(help_pages.centre).title == help_centre.TITLE
    assert [item.title for items in look(help_pages.find).values() for item in items] == [public.title]
    assert look(help_pages.find, "secret") == {} and look(help_pages.find, "", "Nothing") == {}
    for slug in (*(one.slug for one in hidden), "", "../etc", "reset-the-router\x00", "RESET-THE-ROUTER", "%", "x" * 5_000):
        with pytest.raises(NotFound):
            look(help_pages.article, slug)
    for address, browser, helped in (
        ("192.0.2.1", "a", True),
        ("192.0.2.1", "a", False),
        ("192.0.2.1", "b", True),
        ("2001:db8::1", "a", True),
    ):
        do(help_pages.vote, public.slug, helped=helped, address=address, browser=browser)
    do(help_pages.vote, public.slug, helped=True, address="2001:db8::2", browser="a")
    figures = look(article_uses.figures, sam, [public.id])[public.id]
    assert (figures.helped, figures.not_helped) == (2, 1), (
        "one per visitor, the last answer counts, a whole network of one house is one"
    )
    with pytest.raises(TooMany):
        for n in range(help_pages.VOTES + 1):
            do(help_pages.vote, public.slug, helped=True, address="::ffff:192.0.2.1", browser=f"robot {n}")
    assert {row.source_hash == "" for row in votes()} == {False}
    with clock.frozen(clock.utcnow() + timedelta(minutes=help_pages.VOTE_MINUTES + 1)):
        do(help_pages.vote, public.slug, helped=True, address="192.0.2.9", browser="z")
        do(help_pages.vote, public.slug, helped=False, address="192.0.2.1", browser="a")
    assert [row.helped for row in votes() if row.source_hash] == [False, True], "what was said before hangs together no more"


def votes():
    return look(lambda session: session.exec(select(ArticleVote).order_by(ArticleVote.id)).all())


def test_addresses_are_made_of_titles_and_found_in_texts():
    assert [article_rules.slug_of(one) for one in ("Über-Größe: 5 €?", "???", "x" * 300)] == ["uber-grosse-5", "article", "x" * 70]
    text = "see http://h/help/a-b. or /help/c) /help/ /help/../x (/help/a-b) https://other.example/help/d other.example/help/e http://h/x/help/f"
    assert article_rules.addresses_in(text, "H") == ["a-b", "c"], "other sites have a /help too"
    assert article_rules.addresses_in(text) == ["c", "a-b"] and "d" in article_rules.addresses_in(text, "*")


def test_a_file_brings_articles_in_and_a_list_takes_them_out(cast, tmp_path):
    root, file = cast["root"], tmp_path / "articles.csv"

    def bring(text):
        file.write_text(text, encoding="utf-8")
        return runs.counts(import_file(file, "article", actor=root, options=Options()))

    article(cast["sam"], "A title", state="draft")
    counted = bring(
        "title,state,summary\nNew one,published,Short.\nA title,Published,Now it has one\nAnother,published,\nOnly begun,,\n"
    )
    assert (counted["created"], counted["updated"], counted["rejected"]) == (2, 1, 1)
    rows = {row["title"]: row for row in look(lists.find, root, "article", lists.ListQuery(columns=COLUMNS)).rows}
    assert set(rows) == {"New one", "A title", "Only begun"} and rows["Only begun"]["state"] is ArticleState.DRAFT
    assert rows["New one"]["published_at"] and rows["New one"]["review_by"]
    assert kinds_of(rows["New one"]["id"]) == ["article.created", "article.published"]
    assert kinds_of(rows["A title"]["id"]) == ["article.created", "article.published"]
    past = clock.today() - timedelta(days=3)
    do(articles.update, root, rows["New one"]["id"], {"state": "archived", "review_by": past})
    bring("title,state\nNew one,published\n")
    again = look(articles.get, root, rows["New one"]["id"])
    assert again.review_by > clock.today() and kinds_of(again.id)[-2:] == ["article.retired", "article.published"]
    page = look(lists.find, cast["ana"], "article", lists.ListQuery(q="short"))
    assert page.total == 1, "the list finds words of the short answer"
    taken = look(exports.build, root, "article", lists.ListQuery(columns=("title", "summary"))).data.decode()
    assert "New one" in taken and "Now it has one" in taken
