from pipeline.errors import InputError


def test_is_an_ordinary_exception_with_its_line():
    assert issubclass(InputError, Exception) and not issubclass(InputError, (SystemExit, ValueError))
    assert str(InputError("take 1: bad; mend it")) == "take 1: bad; mend it"


def test_a_line_stays_one_line_of_a_bearable_length():
    said = str(InputError("take 1:\n" + "x" * 10_000 + "; mend it"))
    assert (
        len(said) <= 2000
        and "\n" not in said
        and said.startswith("take 1: xxx")
        and said.endswith("xxx; mend it")
        and " ... " in said
    )
