import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats import arkit, faces, live_link
from pipeline.formats.timecode import format_timecode

CODES = [format_timecode(36_000 + i / 30, 60) for i in range(10)]


def recording(path, *, change=lambda text: text):
    """A small Live Link Face CSV whose weights are row + column / 100."""
    rows = [
        ["Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in arkit.NAMES_52), "HeadYaw"]
    ]
    rows += [[CODES[i], "61", *(f"{i + k / 100}" for k in range(52)), "0.5"] for i in range(10)]
    path.write_bytes(
        change("\n".join(",".join(row) for row in rows) + "\n").encode("utf-8", "surrogateescape")
    )
    return path


def test_live_link_weights(tmp_path):
    path = recording(tmp_path / "x.csv")
    stream = faces.open_face(path)
    assert not stream.is_mesh and np.allclose(stream.seconds, 36_000 + np.arange(10) / 30, atol=1e-4)
    assert np.allclose(live_link.read_weights(path), np.arange(10)[:, None] + np.arange(51) / 100)
    cut = recording(tmp_path / "cut.csv", change=lambda text: text[:-40])
    assert len(faces.open_face(cut).seconds) == len(live_link.read_weights(cut)) == 9, (
        "a recording that was cut off ends in a short row"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "first column is not Timecode"),
        (lambda text: "\udcff\udcfe" + text, "not a readable CSV in UTF-8"),
        (lambda text: text.replace("Timecode", "Time"), "first column is not Timecode"),
        (lambda text: text.split("\n")[0], "0 frames, need at least 2"),
        (lambda text: text.replace("JawOpen", "Jaw"), "jawOpen"),
        (lambda text: text.replace("3.07,", "open,"), "line 5: got 'open' for EyeBlinkRight, need a number"),
        (lambda text: text.replace(CODES[4], "later"), "timecode 'later'"),
        (lambda text: text.replace(CODES[4], CODES[4] + "." + "1" * 5000), "timecode"),
        (
            lambda text: text.replace("3.07,", '"3.07,').replace("5.07,", '5.07",'),
            "line 5: a quotation mark joins it to line 7",
        ),
        (lambda text: text.replace("3.07,", '"3.07,'), "not a readable CSV in UTF-8"),
        (lambda text: text.replace("HeadYaw", "JawOpen"), "jawOpen stands twice"),
    ],
)
def test_bad_recordings_are_named(tmp_path, change, message):
    path = recording(tmp_path / "x.csv", change=change)
    with pytest.raises(InputError) as error:
        faces.open_face(path)
        live_link.read_weights(path)
    assert message in str(error.value) and "x.csv" in str(error.value) and "\n" not in str(error.value)


def test_short_rows_count_as_drops_and_blank_lines_as_nothing(tmp_path, caplog):
    def change(text):
        lines = text.splitlines()
        lines[4] = lines[4][:60]
        return "\r\n".join(["", *lines[:7], "", " ", *lines[7:], lines[-1][:50]]) + "\r\n\r\n"

    path = recording(tmp_path / "x.csv", change=change)
    stream, weights = faces.open_face(path), live_link.read_weights(path)
    kept = np.delete(np.arange(10), 3)
    assert np.allclose(stream.seconds, 36_000 + kept / 30, atol=1e-4) and np.allclose(
        weights, kept[:, None] + np.arange(51) / 100
    )
    assert "1 short rows count as dropped frames, the first is line 6" in caplog.text


def test_a_row_that_is_too_long_is_named(tmp_path):
    path = recording(tmp_path / "x.csv", change=lambda text: text.replace("5.07,", "5.07,5.07,"))
    for open_it in (faces.open_face, live_link.read_weights):
        with pytest.raises(InputError, match="x.csv, line 7: got 56 cells, need 55"):
            open_it(path)


@pytest.mark.parametrize(("name", "frames"), [("a", 4030), ("b", 3809)])
def test_real_recordings(real_data, name, frames):
    stream = faces.open_face(real_data / "face" / f"llf_take_{name}.csv")
    weights = live_link.read_weights(stream.path)
    assert len(stream.seconds) == len(weights) == frames and weights.shape[1] == 51
    assert (
        weights.min() >= 0 and weights.max() <= 1.1 and weights[:, arkit.NAMES.index("jawOpen")].std() > 0.01
    )
