"""The one error that the maths raises about its input."""


class DataError(ValueError):
    """The data cannot carry the question.

    Parameters
    ----------
    found, needed
        Two half sentences that read well as ``needs <needed>, found <found>``: what the method would have to be given,
        and what it was given. Both stay readable as attributes, so that a page can show them apart.
    """

    def __init__(self, found: str, needed: str) -> None:
        self.found = found
        self.needed = needed
        super().__init__(f"needs {needed}, found {found}")

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, str]]:
        """Keep both halves when the error crosses a process border."""
        return type(self), (self.found, self.needed)
