"""Which articles a ticket, a product and some words find, how fast, and for whom without which words."""

import random
import time
from dataclasses import replace

import pytest

from crm_core import lists, records
from crm_core.errors import Invalid
from crm_core.services.helpdesk import article_finding, article_rules, articles, tickets
from tests.crm_core.services.helpdesk.writing import SHORT, article
from tests.verbs import do, look


def test_roles_that_hide_words_hide_them_wherever_articles_stand(cast):
    sam, product = cast["sam"], do(records.create, cast["root"], "product", {"name": "Router X"})
    made = article(sam)
    do(articles.set_products, sam, made.id, [product.id])
    ticket = do(tickets.create, sam, {"subject": "My router", "product_id": product.id})
    half = replace(cast["sam"], masks=frozenset({("article", "title"), ("article", "summary"), ("article", "category")}))
    name = f"Help article {made.id}"
    assert look(article_finding.search, half, "button") == [] and look(article_finding.search, half, "steps")[0].id == made.id
    for hit in (*look(article_finding.search, half, ""), *look(article_finding.search, half, "steps")):
        assert (hit.title, hit.summary, hit.category) == (name, "", "")
    assert look(article_finding.suggest, half, ticket.id) == [] and look(article_finding.suggest, sam, ticket.id)
    assert look(article_finding.published, half) == {made.id: name} and look(article_finding.of_product, half, product.id) == [
        (made.id, name)
    ]
    heard = look(article_finding.spoken, [made.id], half)[made.id]
    assert (heard.title, heard.words) == (name, lists.MASK) and look(article_finding.spoken, [made.id])[made.id].words == SHORT


def test_many_articles_are_searched_at_once_and_as_words_say():
    chance = random.Random(5)
    words = ["".join(chance.choice("abcdeilnorst") for _ in range(chance.randint(2, 9))) for _ in range(3_000)]
    some = lambda n: {chance.choice(words): chance.randint(1, 3) for _ in range(n)}  # noqa: E731
    docs = [article_rules.Doc(n, some(100)) for n in range(1_500)]
    index, query = (
        article_rules.Index(docs),
        " ".join(chance.choice(words) + chance.choice(("", "s", "ing", "abcd")) for _ in range(60)),
    )
    began = time.process_time()
    ranked = index.rank(query, near=0.3)
    assert ranked and time.process_time() - began < 0.5, (
        "a message is compared with what holds its words, not with every word of every article"
    )

    def akin(one, other):
        short, long = sorted((one, other), key=len)
        return len(short) >= 4 and long.startswith(short) and (len(long) - len(short) <= 3 or long == one)

    few = docs[:80]
    index = article_rules.Index(few)
    for term in chance.sample(words, 40):
        near = {doc.id: max((weight for word, weight in doc.weights.items() if akin(word, term)), default=0) for doc in few}
        slow = {doc.id: doc.weights.get(term) or (near[doc.id] if len(term) > 3 else 0) for doc in few}
        assert index._holding(term) == {key: weight for key, weight in slow.items() if weight}
    texts = ("パスワードを忘れたとき", "重置密码", "Router zurücksetzen")
    asian = article_rules.Index(article_rules.Doc(n, article_rules.weights_of(text, "", "")) for n, text in enumerate(texts))
    asked = ("パスワード", "我忘记了密码怎么办", "密", "routers", "未払い")
    assert [asian.rank(one) for one in asked] == [[0], [1], [1], [2], []], "words without blanks are found inside a sentence"


def test_a_ticket_gets_the_articles_that_fit_its_words_product_and_category(cast):
    root, sam = cast["root"], cast["sam"]
    product = do(records.create, root, "product", {"name": "Router X"})
    other = article(sam, "Pay an invoice", summary="Choose a way to pay.", category="Billing", body="")
    fits = article(sam)
    both = article(sam, "Reset your password", summary="Ask for a new one.", body="")
    do(articles.set_products, sam, fits.id, [product.id])
    assert look(articles.products_of, sam, fits.id) == {product.id: "Router X"}
    assert look(article_finding.of_product, sam, product.id) == [(fits.id, fits.title)]
    with pytest.raises(Invalid):
        do(articles.set_products, sam, fits.id, [product.id, 987_654])
    made = do(
        tickets.create,
        sam,
        {"subject": "Routers need a reset", "product_id": product.id},
        message="The ROUTER blinks, please help!",
    )
    assert [one.id for one in look(article_finding.suggest, sam, made.id)] == [fits.id], "best first, far ones not at all"
    plain = do(tickets.create, sam, {"subject": "reset", "category": "Billing"})
    assert {one.id for one in look(article_finding.suggest, sam, plain.id)} == {fits.id, both.id}
    assert look(article_finding.suggest, sam, do(tickets.create, sam, {"subject": "Hello, can you help?"}).id) == []
    assert other.id not in {one.id for one in look(article_finding.search, sam, "router")}
    do(articles.set_products, sam, fits.id, [])
    assert look(articles.products_of, sam, fits.id) == {}
    do(articles.set_products, sam, fits.id, [product.id])
    third = do(records.create, root, "product", {"name": "Cable"})
    do(articles.set_products, sam, fits.id, [third.id], began_with=[])
    assert set(look(articles.products_of, sam, fits.id)) == {product.id, third.id}, "what a colleague added meanwhile stays"
    do(articles.set_products, sam, fits.id, [], began_with=[third.id])
    assert set(look(articles.products_of, sam, fits.id)) == {product.id}
