"""Password hashes that cost nothing, for tests that are about something else."""

import pytest
from argon2 import PasswordHasher

from crm_core.kit import hashing


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    """argon2id as in earnest, only with parameters that take microseconds."""
    monkeypatch.setattr(hashing, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    hashing._nobody.cache_clear()
    yield
    hashing._nobody.cache_clear()
