import h5py
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.reading import read_json
from pipeline.report import face as report_face

NAMES = ("20260101_001_001", "20260101_002_001")


@pytest.fixture
def files(shoot, captured):
    """Faces, rigs and fit reports of a take, as the command wants them."""
    return {
        "face": [shoot.folder / "20260101_001" / f"{name}.mesh.h5" for name in NAMES],
        "rig": [shoot.folder / "rigs" / f"{name[9:12]}.npz" for name in NAMES],
        "reports": [captured / "annotations" / "fit" / f"{name}.json" for name in NAMES],
    }


def test_the_report_names_frames_that_fit_worst_and_move_most(files):
    report = read_json(files["reports"][0])
    for key in ("worst", "extreme"):
        seconds = [moment["seconds"] for moment in report[key]]
        assert 1 <= len(seconds) <= 8 and all(
            abs(a - b) >= 0.5 for i, a in enumerate(seconds) for b in seconds[:i]
        )
    residuals = [moment["residual_cm"] for moment in report["worst"]]
    assert residuals == sorted(residuals, reverse=True) and residuals[0] == report["residual_max_cm"]


def test_the_frames_are_the_streams_own(files):
    from pipeline.formats.rig_file import load_rig

    rig, report = load_rig(files["rig"][0]), read_json(files["reports"][0])
    found = report_face.fitted_frames(files["face"][0], rig, report)
    with h5py.File(files["face"][0]) as f:
        expected = f["vertices"][report["worst"][0]["frame"]]
    title, vertices, weights, error = found[0]
    assert title.startswith("fits worst") and np.allclose(vertices, expected)
    assert np.allclose(
        error,
        np.linalg.norm(expected - rig.neutral - np.tensordot(weights, rig.deltas, 1), axis=1),
        atol=1e-6,
    )


def test_the_picture_is_written_with_the_same_bytes_and_shows_the_error(files, tmp_path):
    for name in ("a.png", "b.png"):
        report_face.run(**files, out=tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    swapped = files | {"rig": files["rig"][::-1]}
    report_face.run(**swapped, out=tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes() != (tmp_path / "a.png").read_bytes()


def test_faces_that_came_as_weights_are_said_to_be(files, tmp_path):
    for i in range(2):
        write_json(tmp_path / f"{i}.json", {"performance": NAMES[i], "source": "live link"})
    report_face.run(**files | {"reports": [tmp_path / "0.json", tmp_path / "1.json"]}, out=tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_another_stream_than_the_fitted_one_is_refused(files, tmp_path):
    report = read_json(files["reports"][0])
    report["worst"][0]["frame"] = 10**6
    write_json(tmp_path / "r.json", report)
    with pytest.raises(InputError, match="names frame 1000000; give the stream that was fitted"):
        report_face.run(
            **files | {"reports": [tmp_path / "r.json", files["reports"][1]]}, out=tmp_path / "x.png"
        )
    assert not (tmp_path / "x.png").exists()
