from helpers.commands import refused

from pipeline.report import accuracy_page


def call(arguments) -> None:
    accuracy_page.main([str(argument) for argument in arguments])


def test_accuracy_page_has_a_row_for_each_performance(tmp_path, capsys):
    table, out = tmp_path / "accuracy.csv", tmp_path / "out" / "accuracy.html"
    table.write_text("take,actor,measure,value\nt1,001,a,1\nt1,001,b_ms,2\nt1,<2>,a,3\nmean,,a,2\n")
    call(["--table", table, "--out", out])
    page = out.read_text()
    assert (
        "<th>b ms</th>" in page
        and "<td>t1</td><td>&lt;2&gt;</td><td>3</td><td></td>" in page
        and page.count("<tr><td>") == 3
    )
    out.unlink()
    table.write_text("take,value\nt1,1\n")
    refused(
        accuracy_page.main,
        ["--table", table, "--out", out],
        capsys,
        "columns take, actor, measure, value",
        outputs=[out],
    )
    refused(
        accuracy_page.main,
        ["--table", tmp_path / "none.csv", "--out", out],
        capsys,
        "no such file",
        outputs=[out],
    )
