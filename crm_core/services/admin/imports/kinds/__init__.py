"""What is special about each kind of record when it comes from a file. A new kind is a new file here and a line below."""

from crm_core.errors import Invalid
from crm_core.services.admin.imports.kinds.base import Kind
from crm_core.services.admin.imports.kinds.catalogue import Articles, Campaigns, Products, Promotions
from crm_core.services.admin.imports.kinds.customers import Accounts, Contacts, Leads
from crm_core.services.admin.imports.kinds.deals import Deals
from crm_core.services.admin.imports.kinds.orders import Orders
from crm_core.services.admin.imports.kinds.people import People

KINDS: dict[str, type[Kind]] = {
    kind.entity: kind for kind in (Accounts, Contacts, Leads, Deals, Products, Orders, Articles, Campaigns, Promotions, People)
}


def kind_of(entity_key: str) -> Kind:
    """The importer of an entity. Raises Invalid for records that can't be imported."""
    if entity_key not in KINDS:
        raise Invalid(f"Records of this kind can't be imported. These can: {', '.join(KINDS)}.")
    return KINDS[entity_key]()


__all__ = ["KINDS", "Kind", "kind_of"]
