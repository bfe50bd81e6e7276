from pipeline.errors import InputError


def test_is_an_ordinary_exception_with_its_line():
    assert issubclass(InputError, Exception) and not issubclass(InputError, (SystemExit, ValueError))
    assert str(InputError("take 1: bad; mend it")) == "take 1: bad; mend it"
