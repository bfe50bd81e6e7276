from pipeline.shards import __main__ as tool


def test_inspect_prints_and_plots(folder, tmp_path, capsys):
    tool.main(["inspect", str(folder / "shard-000.h5"), "--plot", str(tmp_path / "a.png")])
    printed = capsys.readouterr().out
    assert "(101, 2, 36)" in printed and "@format_version: 2" in printed and "20260101_002" in printed
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
