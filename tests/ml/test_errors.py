"""The error of the maths reads as one sentence and survives a process border."""

import pickle

from ml.errors import DataError


def test_the_message_says_what_is_needed_and_what_was_found():
    error = DataError("3", "at least 10 customers")
    assert str(error) == "needs at least 10 customers, found 3"
    assert (error.found, error.needed) == ("3", "at least 10 customers")
    assert isinstance(error, ValueError)


def test_both_halves_survive_pickling():
    again = pickle.loads(pickle.dumps(DataError("none", "one row")))
    assert (again.found, again.needed, str(again)) == ("none", "one row", "needs one row, found none")
