"""The catalogue as a frame, within the actor's scope."""

from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Product, ProductCategory
from crm_core.vocabulary import Action

_PRODUCTS: Any = Product.__table__  # type: ignore[attr-defined]
_CATEGORIES: Any = ProductCategory.__table__  # type: ignore[attr-defined]


def catalogue(session: Session, actor: Actor) -> pd.DataFrame:
    """product_id, category (name, or "No category"), unit_price (major units) of the products that can be sold."""
    require(actor, "product", Action.READ)
    statement = (
        select(_PRODUCTS.c.id.label("product_id"), _CATEGORIES.c.name.label("category"), _PRODUCTS.c.price_minor)
        .outerjoin(_CATEGORIES, _CATEGORIES.c.id == _PRODUCTS.c.category_id)
        .where(visible(actor, "product", _PRODUCTS), _PRODUCTS.c.is_active)
        .order_by(_PRODUCTS.c.id)
    )
    frame = read_frame(session, statement)
    frame["unit_price"] = frame.pop("price_minor").astype(float) / 10 ** exponent(actor.currency)
    frame["category"] = frame["category"].fillna("No category")
    return frame
