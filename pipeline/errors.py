"""The one error that is the user's to mend, and how a line calls those that are not."""

FAILED = "the program itself failed"
"""What the line of a fault says that no stage foresaw; `make status` tells it from a bad input by these words."""


class InputError(Exception):
    """Input that a stage cannot use: one line that says what, where, got, need and what to do.

    Command lines print it without a traceback and exit with code 2.
    """
