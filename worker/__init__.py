"""The patient door: runs the jobs that the other doors put into the queue. Started with ``python -m crm_core worker``."""
