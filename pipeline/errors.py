"""The one error that is the user's to mend, and how a line calls those that are not."""

FAILED = "the program itself failed"
"""What the line of a fault says that no stage foresaw.

`make status` tells it from a bad input by these words.
"""


LONGEST = 2000
"""Characters of an error's line; what a file holds may be quoted in it."""


class InputError(Exception):
    """Input that a stage cannot use: one line that says what, where, got, need and what to do.

    Command lines print it without a traceback and exit with code 2. A line that quotes too much is cut in its
    middle, where neither the place nor what to do stands; line ends in what it quotes are spaces.
    """

    def __str__(self) -> str:
        text = " ".join(super().__str__().splitlines())
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 700]} ... {text[-690:]}"
