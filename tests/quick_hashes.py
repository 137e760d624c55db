"""Password hashes that cost nothing, for tests that are about something else."""

import pytest
from argon2 import PasswordHasher

from crm_core.services.admin import passwords


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    """argon2id as in earnest, only with parameters that take microseconds."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()
