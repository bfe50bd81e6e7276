import shutil

from helpers.pictures import height_of

from pipeline.files import write_json
from pipeline.reading import read_json
from pipeline.report import residuals


def call(arguments) -> None:
    residuals.main([str(argument) for argument in arguments])


def test_residuals_are_drawn_and_fits_without_one_left_out(captured, tmp_path):
    fits, table, out = tmp_path / "fits", captured / "dataset" / "takes.tsv", tmp_path / "residuals.png"
    shutil.copytree(captured / "annotations" / "fit", fits)
    call(["--takes", table, "--fits", fits, "--out", out])
    first = out.read_bytes()
    for i, path in enumerate(sorted(fits.glob("*.json"))):
        assert height_of(out) > 200
        write_json(path, {"performance": path.stem, "source": "csv"})
        call(["--takes", table, "--fits", fits, "--out", out])
        assert i or out.read_bytes() != first, "the title counts it"


def test_a_shoot_without_meshes_says_so_instead_of_an_empty_chart(captured, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(residuals, "save", lambda fig, out: kept.append(fig))
    for path in sorted((captured / "annotations" / "fit").glob("*.json")):
        found = {key: value for key, value in read_json(path).items() if not key.startswith("residual")}
        write_json(tmp_path / path.name, found)
    call(
        [
            "--takes",
            captured / "dataset" / "takes.tsv",
            "--fits",
            tmp_path,
            "--out",
            tmp_path / "x.png",
        ]
    )
    (ax,) = kept[0].axes
    assert not ax.axison and "came as weights: nothing was fitted" in ax.texts[0].get_text()
