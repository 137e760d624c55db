"""Automations: when something happens, if it matters, then do something. See docs/automations.md."""
