"""Who may do what on which rows."""

from crm_core.access.actor import Actor, load, system
from crm_core.access.guard import require
from crm_core.access.scope import owned_within, visible

__all__ = ["Actor", "load", "owned_within", "require", "system", "visible"]
