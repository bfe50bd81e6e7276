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


def test_what_is_written_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    weights = rng.uniform(-0.1, 1.2, (200, 51)).astype(np.float32)
    weights[17] = np.nan
    live_link.write_live_link(tmp_path / "x.csv", weights, fps=30, start="10:59:58:31.5")
    stream, again = faces.open_face(tmp_path / "x.csv"), live_link.read_weights(tmp_path / "x.csv")
    np.testing.assert_allclose(again, weights, atol=1e-10, rtol=0)
    begin = 10 * 3600 + 59 * 60 + 58 + 31.5 / 60
    np.testing.assert_allclose(stream.seconds, begin + np.arange(200) / 30, atol=1e-5)
    live_link.write_live_link(tmp_path / "y.csv", again, fps=30, start="10:59:58:31.5")
    assert (tmp_path / "y.csv").read_bytes() == (tmp_path / "x.csv").read_bytes()


def test_it_goes_on_over_midnight(tmp_path):
    live_link.write_live_link(tmp_path / "x.csv", np.zeros((90, 51)), fps=29.97, start="23:59:59:00")
    codes = live_link.read_timecodes(tmp_path / "x.csv")
    assert codes[0] == "23:59:59:00.000" and codes[-1].startswith("00:00:01:58.")
    seconds = faces.open_face(tmp_path / "x.csv").seconds
    np.testing.assert_allclose(np.diff(seconds), 1 / 29.97, atol=2e-5)


@pytest.mark.parametrize("name", ["a", "b"])
def test_it_is_as_the_app_writes_it(real_data, tmp_path, name):
    real = real_data / "face" / f"llf_take_{name}.csv"
    lines = real.read_text(encoding="utf-8").splitlines()
    first = live_link.read_timecodes(real)[0]
    weights = live_link.read_weights(real)
    live_link.write_live_link(tmp_path / "x.csv", weights, fps=30, start=first)
    ours = (tmp_path / "x.csv").read_text(encoding="utf-8").splitlines()
    assert len(ours) == len(lines) and ours[0] == lines[0] and len(lines[0].split(",")) == 63
    told = 2 + 51  # what our weights tell, with the timecode and the count before it
    assert ours[1].split(",")[:told] == lines[1].split(",")[:told]
    assert [line.split(",")[1:told] for line in ours] == [line.split(",")[1:told] for line in lines]
    assert set(",".join(ours[9].split(",")[told:]).split(",")) == {"0.0000000000"}


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    weights = np.zeros((5, 51))
    weights[3, arkit.NAMES.index("jawOpen")] = np.nan
    with pytest.raises(InputError, match="x.csv, frame 3: jawOpen is nan, need a number"):
        live_link.write_live_link(tmp_path / "x.csv", weights, fps=30)
    weights[3] = np.inf
    with pytest.raises(InputError, match="x.csv, frame 3: eyeBlinkLeft is inf"):
        live_link.write_live_link(tmp_path / "x.csv", weights, fps=30)
    with pytest.raises(InputError, match="timecode 'noon': need HH:MM:SS:FF"):
        live_link.write_live_link(tmp_path / "x.csv", np.zeros((5, 51)), fps=30, start="noon")
    assert not list(tmp_path.iterdir())
