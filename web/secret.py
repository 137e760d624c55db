"""The key that signs short-lived cookies: made once per installation, never committed, never shown."""

import os
import secrets
from functools import lru_cache
from pathlib import Path

from crm_core.settings import settings

VARIABLE = "STREAMLIT_SERVER_COOKIE_SECRET"


@lru_cache(maxsize=1)
def key() -> str:
    """The key from the environment (several replicas share one), or from a file below the data folder that is made on first use."""
    return os.environ.get(VARIABLE) or _from_file(settings().data_dir / "cookie.key")


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
        return made  # a read-only disk: sign-ins work, cookies of this kind just end with the process
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(made)
    return made
