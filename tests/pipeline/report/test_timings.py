import pytest

from pipeline.report import timings


def test_jobs_are_summed_by_rule_and_the_longest_comes_first(tmp_path, capsys):
    (tmp_path / "sync").mkdir()
    (tmp_path / "sync/a.tsv").write_text("s\tmax_rss\n1.5\t70\n")
    (tmp_path / "sync/b.tsv").write_text("s\tmax_rss\n2.5\t-\n")
    (tmp_path / "train_face.tsv").write_text("s\tmax_rss\n60\t400\n")
    timings.main([str(tmp_path)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["train_face", "1", "60.0", "60.0", "400"],
        ["sync", "2", "4.0", "2.5", "70"],
        ["all", "3", "64.0"],
    ]


def test_no_timings_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        timings.main([str(tmp_path / "none")])
    assert exit.value.code == 2
    assert "no timings; run the workflow first" in capsys.readouterr().err
