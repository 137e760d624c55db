"""The business: records, rules, permissions, use cases. Knows no screen and no web server."""

__version__ = "0.1.0"
