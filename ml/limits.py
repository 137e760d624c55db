"""Limits that the mathematics and its figures share."""

PATTERN, HIGHLY_STABLE = 0.75, 0.85
"""Hennig's reading of the Jaccard overlap of a cluster with its redrawn self."""
