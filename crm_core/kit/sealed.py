"""Secrets of other servers, such as the password of a mailbox: kept encrypted with the installation's key, opened only where they are used."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken

from crm_core.kit import secret


def seal(purpose: str, text: str) -> str:
    """The text encrypted for one purpose; empty stays empty."""
    return _box(purpose).encrypt(text.encode()).decode() if text else ""


def unseal(purpose: str, sealed: str) -> str | None:
    """The text again; None when it was sealed with another installation's key, or altered."""
    if not sealed:
        return ""
    try:
        return _box(purpose).decrypt(sealed.encode()).decode()
    except (InvalidToken, ValueError):
        return None


def _box(purpose: str) -> Fernet:
    made = hashlib.sha256(f"rapport:seal:{purpose}\x00{secret.key()}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(made))
