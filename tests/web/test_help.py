"""The public help centre over HTTP: off until it is switched on, published articles alone, harmless whatever is written in them."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.services.helpdesk import article_uses, articles, help_centre
from crm_core.services.marketing import lead_forms
from tests.web.conftest import HERE
from web import help as help_web

EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def article(cast):
    help_web._COUNTER.clear()
    with write_session() as session:
        values = {
            "title": f"Reset {EVIL}", "summary": f"Hold it. {EVIL}", "body": f"## Steps\n\n{EVIL}\n\n[x](javascript:alert(1)) ![p](https://t.example/p.png)",
            "category": "Problems", "state": "published", "language": "de",
        }  # fmt: skip
        return articles.create(session, cast["sam"], values)


def switch(cast, **values):
    with write_session() as session:
        form = (
            lead_forms.save(session, cast["root"], None, {"name": "Contact", "fields": [{"key": "name", "required": True}]})
            if values.pop("form", False)
            else None
        )
        return help_centre.save(session, cast["root"], {"is_on": True, **values, **({"form_id": form.id} if form else {})})


def vote(guest, article, helped):
    return guest.post(f"/help/{article.slug}", data={"helped": helped}, headers={"origin": HERE}, follow_redirects=True)


def test_it_is_not_there_until_the_workspace_switches_it_on(guest, article, cast):
    for path in ("/help", f"/help/{article.slug}"):
        closed = guest.get(path)
        assert closed.status_code == 404 and "There is no help centre at this address" in closed.text
    assert vote(guest, article, "yes").status_code == 404
    assert guest.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"
    switch(cast)
    assert guest.get("/help").status_code == 200 and "noindex" in guest.get("/help").headers["x-robots-tag"]
    switch(cast, indexed=True)
    assert guest.get("/help").headers["x-robots-tag"] == "all" and "Allow: /help\n" in guest.get("/robots.txt").text
    for path in ("/signin", "/help?q=buy+this", f"/help/{article.slug}?helped=yes"):
        assert "noindex" in guest.get(path).headers["x-robots-tag"], "nobody's words become a page that is found"
    assert guest.get("/help/").status_code == 301 and guest.get("/help/").headers["location"] == "/help"


def test_a_stranger_searches_reads_and_says_whether_it_helped(guest, article, cast):
    switch(cast, title="Help & answers", intro=EVIL, form=True)
    for page in (
        guest.get("/help"),
        guest.get("/help", params={"q": EVIL}),
        guest.get("/help", params={"c": "Problems"}),
        guest.get(f"/help/{article.slug}"),
    ):
        assert page.status_code == 200 and "<script>alert" not in page.text and 'javascript:alert(1)"' not in page.text
        assert "t.example" not in page.text.replace("https://t.example/p.png)", "") and "<img" not in page.text
        assert page.headers["cache-control"] == "public, max-age=60" and "set-cookie" not in page.headers
        assert "Help &amp; answers" in page.text
    page = guest.get(f"/help/{article.slug}")
    assert (
        '<article class="card prose" dir="auto" lang="de">' in page.text
        and "<h3>Steps</h3>" in page.text
        and "Last reviewed" in page.text
    )
    assert 'href="/f/contact' in page.text
    assert "Nothing found" in guest.get("/help?q=zebra").text and article.slug in guest.get("/help?q=resets").text
    for _ in range(2):
        done = vote(guest, article, "yes")
    assert done.status_code == 200 and "Thank you" in done.text and "set-cookie" not in done.headers
    assert "look at this article again" in vote(guest, article, "no").text
    assert vote(guest, article, "maybe").status_code == 404
    first = guest.post_form(f"/help/{article.slug}", {"helped": "no"})
    assert first.status_code == 303 and first.headers["location"] == f"/help/{article.slug}?helped=no#helped"
    foreign = guest.post(f"/help/{article.slug}", data={"helped": "yes"}, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    with read_session() as session:
        figures = article_uses.figures(session, cast["sam"], [article.id])[article.id]
    assert (figures.helped, figures.not_helped) == (0, 1), "one answer per visitor, the last one counts"


def test_guessed_and_hidden_addresses_get_a_page_with_a_sentence(guest, article, cast):
    switch(cast)
    with write_session() as session:
        articles.update(session, cast["sam"], article.id, {"state": "archived"})
        draft = articles.create(session, cast["sam"], {"title": "Secret plan"})
    answers = set()
    for slug in (article.slug, draft.slug, "guess", "1", "%00", "..%2f..%2fetc", "x" * 3_000, "a/b/c", "%F0%9F%92%A9"):
        page = guest.get(f"/help/{slug}")
        assert page.status_code in (400, 404) and "Secret" not in page.text, slug
        answers |= {page.text} if page.status_code == 404 else set()
    assert len(answers) == 1 and "This article is not here" in answers.pop()
    assert "No articles yet" in guest.get("/help").text
    for verb in (guest.put, guest.delete, guest.patch):
        assert verb("/help").status_code == 405
    assert guest.post("/help").status_code == 405


def test_a_flood_is_asked_to_wait(guest, article, cast, monkeypatch):
    switch(cast)
    monkeypatch.setattr(help_web, "PER_MINUTE", 3)
    codes = [guest.get("/help").status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429] and guest.get("/help").headers["retry-after"] == "60"
    help_web._COUNTER.clear()
