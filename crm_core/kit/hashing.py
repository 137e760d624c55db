"""Hashes of passwords: argon2id, a few at once, and a check that takes equally long where there is nothing to check."""

from functools import lru_cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_LENGTH = 200
"""Longer than any pass phrase; hashing megabytes would be a way to keep the server busy."""

_hasher = PasswordHasher()
_at_once = BoundedSemaphore(4)
"""Each check takes 64 MiB on purpose; a crowd of strangers must not take all of the machine's."""


def hash_password(password: str) -> str:
    """The argon2id hash to store."""
    return _hasher.hash(password)


@lru_cache(maxsize=1)
def _nobody() -> str:
    """The hash that is checked when there is nobody, so that the answer takes as long as for a real one."""
    return _hasher.hash("nobody has this password")


def fits(password_hash: str | None, password: str) -> bool:
    """True when the password belongs to the hash. Costs the same with no hash at all, and then is never true."""
    try:
        with _at_once:
            _hasher.verify(password_hash or _nobody(), password[:MAX_LENGTH])
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None and len(password) <= MAX_LENGTH


def is_outdated(password_hash: str) -> bool:
    """True when the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)
