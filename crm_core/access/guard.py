"""The check at the top of each use case."""

from crm_core.access.actor import Actor
from crm_core.errors import NotPermitted
from crm_core.vocabulary import Action


def require(actor: Actor, entity: str, action: Action) -> None:
    """Raise NotPermitted unless some role grants the verb. Which rows it reaches is decided by ``visible``."""
    if not actor.can(entity, action):
        from crm_core.entities import label_of

        raise NotPermitted(f"Your role does not allow this: {action.label.lower()} {label_of(entity, plural=True).lower()}.")
