"""Pages on which strangers book a meeting."""
