"""The key that signs short-lived cookies: the installation's own (crm_core.kit.secret)."""

from crm_core.kit.secret import VARIABLE, key

__all__ = ["VARIABLE", "key"]
