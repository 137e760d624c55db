"""Help articles: written once by whoever knows it, found by everybody who is asked the same."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events, lists, records
from crm_core.access import Actor
from crm_core.errors import Conflict, Invalid
from crm_core.fields import parse, registry
from crm_core.kit import clock
from crm_core.models import Article, ArticleProduct, Organisation
from crm_core.services.collaboration import notifications
from crm_core.services.helpdesk import article_rules
from crm_core.vocabulary import Action, ArticleState, HelpLanguage

EVENTS = {
    ArticleState.PUBLISHED: "article.published",
    ArticleState.DRAFT: "article.withdrawn",
    ArticleState.ARCHIVED: "article.retired",
}
MAX_PRODUCTS = 50


def get(session: Session, actor: Actor, article_id: int | None, *, action: Action = Action.READ) -> Article:
    """The article, or NotFound."""
    return records.get(session, actor, "article", article_id, action=action)


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Article:
    """Write a new article, a draft unless ``state`` says otherwise. Events: article.published."""
    given = {**values, "language": values.get("language") or _language(session)}
    new: list[Article] = []

    def prepare(session: Session, actor: Actor, article: Article, old: Mapping[str, Any]) -> None:
        _prepare(session, actor, article, old)
        new.append(article)

    made: Article = records.create(
        session,
        actor,
        "article",
        given,
        prepare=prepare,
        submit_key=submit_key,
        filled=() if values.get("language") else ("language",),
        fixed={"slug": article_rules.free_slug(str(values.get("title") or ""), slugs(session))},
    )
    if new and made.state is ArticleState.PUBLISHED:
        events.record(session, actor, EVENTS[made.state], made)
    return made


def update(
    session: Session, actor: Actor, article_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change an article; a published one changes for its readers at once. Its address stays. Publishing needs the short answer.
    Events: article.published, article.withdrawn, article.retired."""
    before = get(session, actor, article_id, action=Action.EDIT).state
    after = _state(session, changes.get("state"))
    wanted = after if after is not before else None
    return records.update(
        session, actor, "article", article_id, changes, base_version=base_version, prepare=_prepare,
        event_type=EVENTS[wanted] if wanted is not None else None,
    )  # fmt: skip


def _state(session: Session, given: Any) -> ArticleState | None:
    """The state that somebody's words mean; None for none, and for words that will be refused."""
    try:
        return ArticleState(found) if (found := parse(registry(session, "article")["state"], given)) else None
    except ValueError:
        return None


def _prepare(session: Session, actor: Actor, article: Article, old: Mapping[str, Any]) -> None:
    published = article.state is ArticleState.PUBLISHED
    wrong = article_rules.problems(article, published=published)
    if wrong:
        raise Invalid(fields=wrong)
    if published and (article.id is None or "state" in old):
        for key, value in article_rules.published(article.published_at, article.review_by, clock.today(actor.timezone)).items():
            setattr(article, key, value)


def reviewed(
    session: Session, actor: Actor, article_id: int, *, again_on: date | None, base_version: int | None = None
) -> records.Saved:
    """Somebody read the article again and found it true; ``again_on``: the next time, None for never. Its owner's reminder is settled.
    Events: article.reviewed."""
    today = clock.today(actor.timezone)
    if again_on is not None and again_on <= today:
        raise Invalid(fields={"review_by": "Choose a day in the future, or none."})
    if base_version not in (None, get(session, actor, article_id, action=Action.EDIT).version):
        raise Conflict("Somebody else changed this article meanwhile. Read it again before you say that it is true.")
    notifications.withdraw(session, actor, key="article", record_id=article_id, kinds=("reminder.article",))
    return records.update(
        session, actor, "article", article_id, {}, event_type="article.reviewed",
        fixed={"reviewed_on": today, "review_by": again_on},
    )  # fmt: skip


def _language(session: Session) -> str:
    """The workspace's language, where articles can be written in it."""
    found = (session.exec(select(Organisation.locale)).first() or "en")[:2]
    return found if found in HelpLanguage.options() else HelpLanguage.EN.value


def slugs(session: Session) -> set[str]:
    """All addresses that are taken; those of deleted articles too, since they may come back."""
    return set(session.exec(select(Article.slug)))


def public_clause() -> tuple[Any, ...]:
    """What makes an article readable for everybody."""
    return Article.state == ArticleState.PUBLISHED, col(Article.deleted_at).is_(None)


# --- products ---------------------------------------------------------------------------------------------------------------


def products_of(session: Session, actor: Actor, article_id: int) -> dict[int, str]:
    """The products that an article is about, as far as the actor may see them."""
    get(session, actor, article_id)
    ids = session.exec(select(ArticleProduct.product_id).where(ArticleProduct.article_id == article_id)).all()
    return lists.titles(session, actor, "product", ids) if actor.can("product", Action.READ) else {}


def set_products(
    session: Session, actor: Actor, article_id: int, product_ids: Sequence[int], *, began_with: Iterable[int] | None = None
) -> None:
    """Say which products an article is about; those that the actor can't see stay, and so does what others changed since the choice ``began_with``
    these. Events: article.products_changed."""
    article = get(session, actor, article_id, action=Action.EDIT)
    before = set(products_of(session, actor, article_id))
    began = before if began_with is None else set(began_with)
    wanted = (before - (began - set(product_ids))) | (set(product_ids) - began)
    if len(wanted) > MAX_PRODUCTS:
        raise Invalid(fields={"products": f"An article can be about at most {MAX_PRODUCTS} products."})
    if wanted == before:
        return
    unknown = wanted - set(lists.titles(session, actor, "product", wanted)) if actor.can("product", Action.READ) else wanted
    if unknown:
        raise Invalid(fields={"products": "One of these products does not exist, or is not shared with you."})
    for row in session.exec(select(ArticleProduct).where(ArticleProduct.article_id == article_id)):
        if row.product_id in before - wanted:
            session.delete(row)
    session.add_all(ArticleProduct(article_id=article_id, product_id=one) for one in sorted(wanted - before))
    session.flush()
    events.record(session, actor, "article.products_changed", article)
