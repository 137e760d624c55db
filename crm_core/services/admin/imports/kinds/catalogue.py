"""Products, help articles, campaigns and promotions: nothing special about them but their names."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from crm_core.kit import clock
from crm_core.services.admin.imports.kinds.base import Kind, RowRefused, Written
from crm_core.services.helpdesk import article_rules, articles
from crm_core.services.sales import promotion_rules
from crm_core.vocabulary import ArticleState

if TYPE_CHECKING:
    from crm_core.services.admin.imports.batch import Batch


class Products(Kind):
    entity = "product"
    match = (("sku",), ("name",))
    synonyms = {
        "name": ("product", "product name", "item", "article", "title"),
        "sku": ("article number", "item number", "product code", "code", "product id"),
        "category_id": ("series", "category", "product line", "family", "group", "product category"),
        "price_minor": ("price", "sales price", "list price", "unit price"),
        "cost_minor": ("cost", "cost price", "purchase price"),
        "is_active": ("active", "available", "offered"),
    }


class Campaigns(Kind):
    entity = "campaign"
    match = (("name",),)
    synonyms = {
        "name": ("campaign", "campaign name", "title"),
        "starts_on": ("start", "start date", "begin"),
        "ends_on": ("end", "end date"),
        "budget_minor": ("budget", "budgeted cost", "planned cost"),
        "expected_revenue_minor": ("expected revenue",),
        "owner_id": ("owner", "campaign owner"),
    }


class Promotions(Kind):
    entity = "promotion"
    match = (("code",), ("name",))
    unique = frozenset({"code"})
    closed = frozenset({"state"})
    synonyms = {
        "name": ("promotion", "promotion name", "title", "discount name"),
        "code": ("coupon", "coupon code", "discount code", "voucher"),
        "percent_off": ("percent", "percentage", "discount %"),
        "amount_off_minor": ("amount", "discount", "value", "coupon amount"),
        "min_order_minor": ("minimum", "minimum amount", "minimum spend"),
        "starts_on": ("start", "start date", "valid from"),
        "ends_on": ("end", "end date", "expires", "expiry date", "valid until"),
        "max_redemptions": ("usage limit", "limit", "uses"),
        "per_customer": ("usage limit per user", "per user"),
        "budget_minor": ("budget",),
    }
    notes = ("Promotions come in as drafts: look at each, then start it.",)

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        if "code" in values:
            values["code"] = promotion_rules.normal(values["code"]) or None
        fields = ("code", "starts_on", "ends_on", "product_id", "category_id")
        given = SimpleNamespace(**{key: values.get(key, getattr(old, key, None)) for key in fields})
        if wrong := promotion_rules.problems(given, running=False, today=clock.today(batch.actor.timezone)):
            raise RowRefused(**wrong)


class Articles(Kind):
    entity = "article"
    match = (("title",),)
    synonyms = {
        "title": ("article", "question", "subject", "headline"),
        "summary": ("short answer", "answer", "excerpt", "abstract"),
        "body": ("text", "content", "markdown", "solution"),
        "category": ("section", "topic", "folder"),
        "state": ("status",),
        "review_by": ("review", "next review", "valid until"),
        "owner_id": ("owner", "author"),
    }
    notes = ("An article without a state comes in as a draft. A published one needs its short answer.",)

    def satisfied(self, given: frozenset[str]) -> frozenset[str]:
        return frozenset({"slug"})

    def begin(self, batch: "Batch") -> None:
        self.slugs = articles.slugs(batch.session)

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        draft = SimpleNamespace(**{key: values.get(key, getattr(old, key, None)) for key in ("title", "summary", "body")})
        state = values.get("state") or getattr(old, "state", None) or ArticleState.DRAFT
        published = state is ArticleState.PUBLISHED
        wrong = article_rules.problems(draft, published=published)
        if wrong:
            raise RowRefused(**wrong)
        if old is None:
            values["slug"] = article_rules.free_slug(draft.title or "", self.slugs)
            self.slugs.add(values["slug"])
        if published and getattr(old, "state", None) is not ArticleState.PUBLISHED:
            again = values.get("review_by") or getattr(old, "review_by", None)
            values |= article_rules.published(getattr(old, "published_at", None), again, clock.today(batch.actor.timezone))

    def name_change(self, row: Written) -> None:
        """The event of an update that changed the state says so."""
        if "state" in row.old:
            row.event_type = articles.EVENTS[row.columns["state"]]

    def also(self, created: Sequence[Written]) -> list[Written]:
        published = ArticleState.PUBLISHED
        return [replace(row, event_type=articles.EVENTS[published]) for row in created if row.columns["state"] is published]
