from pipeline.report.page import page, shown


def test_numbers_of_pages_are_short_and_do_not_break():
    given = {
        "3.39639e-09": "< 0.0001",
        "-2e-7": "> -0.0001",
        "0": "0",
        "0.0588235": "0.05882",
        "13.0468": "13.05",
        "123456.7": "123457",
        "1": "1",
        "": "",
    }
    assert (
        {value: shown(value) for value in given} == given and shown("nan") == "nan" and shown("<2>") == "<2>"
    )
    assert all("e" not in shown(f"{sign * 10.0**power:.6g}") for power in range(-12, 9) for sign in (1, -1))
    assert "td { white-space: nowrap" in page("x", ["a"], [{"a": "b c"}])
