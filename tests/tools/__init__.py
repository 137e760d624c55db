"""Tools beside the tests: a browser to drive, pictures of every page."""
