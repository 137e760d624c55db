"""The installation's key: made once, never committed, never shown. Signs what must come back unaltered: cookies and links."""

import base64
import hashlib
import hmac
import os
import secrets
from functools import lru_cache
from pathlib import Path

from crm_core.settings import settings

VARIABLE = "STREAMLIT_SERVER_COOKIE_SECRET"


def key() -> str:
    """The key from the environment (several replicas share one), or from a file below the data folder that is made on first use."""
    return os.environ.get(VARIABLE) or _from_file(settings().data_dir / "cookie.key")


def signature(purpose: str, text: str) -> str:
    """A signature of a text for one purpose, fit for an address: 32 characters of 192 bits."""
    made = hmac.new(key().encode(), f"{purpose}\x00{text}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made[:24]).decode()


def is_signed(purpose: str, text: str, given: str) -> bool:
    """True when the signature is that of the text; takes equally long whatever is wrong."""
    return hmac.compare_digest(signature(purpose, text).encode(), given.encode("utf-8", "replace"))


@lru_cache(maxsize=8)
def _from_file(path: Path) -> str:
    try:
        found = path.read_text(encoding="ascii").strip()
        if len(found) >= 32:
            return found
    except FileNotFoundError:
        pass
    made = secrets.token_hex(32)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip() or made
    except OSError:
        return made  # a read-only disk: sign-ins work, but what is signed here ends with the process
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(made)
    return made
