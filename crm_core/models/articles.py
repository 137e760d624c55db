"""Help articles: what a team knows, who used it, whom it helped, and the public pages that show it."""

from datetime import date, datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Customisable, Record, field, table_args
from crm_core.vocabulary import ArticleState, FieldKind, HelpLanguage


class Article(Customisable, table=True):
    """One row per help article. ``slug`` is its public address and stays when the title changes, so that links in sent mails go on working."""

    __table_args__ = table_args(
        Index("ix_article_list", "deleted_at", "title", "id"),
        Index("ix_article_state", "state", "deleted_at", "review_by"),
    )
    title: str = field("Title", required=True, max_length=200)
    summary: str | None = field(
        "Short answer", FieldKind.LONG_TEXT, help="A few sentences without formatting: what agents insert, and what callers hear on the telephone"
    )  # fmt: skip
    body: str | None = field("Text", FieldKind.LONG_TEXT, help="The whole answer, in Markdown")
    category: str | None = field("Category", FieldKind.PICK)
    language: HelpLanguage = field("Language", enum=HelpLanguage, default=HelpLanguage.EN)
    state: ArticleState = field("State", enum=ArticleState, default=ArticleState.DRAFT)
    owner_id: int | None = field("Owner", to="user", help="Who keeps it true, and is reminded when it is time to read it again")
    review_by: date | None = field("Review by", FieldKind.DATE, help="The owner is reminded on this day to read it again")
    reviewed_on: date | None = field("Last reviewed", FieldKind.DATE, editable=False)
    published_at: datetime | None = field("Published", FieldKind.DATETIME, editable=False)
    slug: str = field("Address", required=True, max_length=90, unique=True, editable=False)


class ArticleProduct(Record, table=True):
    """One row per product that an article is about."""

    __tablename__ = "article_product"
    __table_args__ = table_args(UniqueConstraint("article_id", "product_id", name="uq_article_product"))
    article_id: int = Field(foreign_key="article.id", ondelete="CASCADE")
    product_id: int = Field(foreign_key="product.id", ondelete="CASCADE", index=True)


class ArticleUse(Record, table=True):
    """One row per article in an answer to a ticket. It goes with the answer when that is taken back. ``reopened_count``: of the ticket at that
    moment, so that a later re-opening shows."""

    __tablename__ = "article_use"
    __table_args__ = table_args(UniqueConstraint("article_id", "message_id", name="uq_article_use"))
    article_id: int = Field(foreign_key="article.id", ondelete="CASCADE")
    message_id: int = Field(foreign_key="ticket_message.id", ondelete="CASCADE", index=True)
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    reopened_count: int = 0
    at: datetime


class ArticleVote(Record, table=True):
    """One row per visitor and article: did it help? ``visitor_hash`` stands for network address and browser, made anew for each article;
    ``source_hash`` for the network, to see whether many come from one place: it is emptied after minutes, so that nobody's answers hang together."""

    __tablename__ = "article_vote"
    __table_args__ = table_args(
        UniqueConstraint("article_id", "visitor_hash", name="uq_article_vote"), Index("ix_article_vote_source", "source_hash", "updated_at")
    )  # fmt: skip
    article_id: int = Field(foreign_key="article.id", ondelete="CASCADE")
    visitor_hash: str = Field(max_length=64)
    source_hash: str = Field(max_length=64)
    helped: bool


class HelpCentre(Record, table=True):
    """One row: the public help centre. ``form_id``: the lead form to which readers go when nothing helped."""

    __tablename__ = "help_centre"
    is_on: bool = False
    title: str = Field(default="", max_length=120)
    intro: str = Field(default="", max_length=500)
    indexed: bool = False
    form_id: int | None = Field(default=None, foreign_key="lead_form.id", ondelete="SET NULL")


__all__ = ["Article", "ArticleProduct", "ArticleUse", "ArticleVote", "HelpCentre"]
