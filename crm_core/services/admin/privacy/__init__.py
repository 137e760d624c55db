"""A person's own data: everything that is kept about them as a file, and its erasure. Both go by ``crm_core.personal_data``."""
