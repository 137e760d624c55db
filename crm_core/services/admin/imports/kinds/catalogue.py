"""Products and campaigns: nothing special about them but their names."""

from crm_core.services.admin.imports.kinds.base import Kind


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
