"""The one error that is the user's to mend."""


class InputError(Exception):
    """Input that a stage cannot use: one line that says what, where, got, need and what to do.

    Command lines print it without a traceback and exit with code 2.
    """
