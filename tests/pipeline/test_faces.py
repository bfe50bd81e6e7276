import h5py
import numpy as np
import pytest
from tiny_shoot import write_mesh

from pipeline import arkit, faces
from pipeline.errors import InputError
from pipeline.timecode import format_timecode

CODES = [format_timecode(36_000 + i / 30, 60) for i in range(10)]


@pytest.fixture
def mesh(tmp_path):
    vertices = np.random.default_rng(0).normal(size=(10, 5, 3)).astype(np.float32)
    write_mesh(tmp_path / "x.mesh.h5", vertices, CODES)
    return tmp_path / "x.mesh.h5", vertices


def recording(path, *, change=lambda text: text):
    """A small Live Link Face CSV whose weights are row + column / 100."""
    rows = [["Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in arkit.NAMES_52), "HeadYaw"]]
    rows += [[CODES[i], "61", *(f"{i + k / 100}" for k in range(52)), "0.5"] for i in range(10)]
    path.write_bytes(change("\n".join(",".join(row) for row in rows) + "\n").encode("utf-8", "surrogateescape"))
    return path


def test_mesh_times_and_blocks(mesh):
    path, vertices = mesh
    stream = faces.open_face(path)
    assert stream.is_mesh and stream.num_vertices == 5 and np.allclose(stream.seconds, 36_000 + np.arange(10) / 30, atol=1e-4)
    for block_frames in (1, 3, 64):
        parts = list(faces.blocks(stream, 2, 9, block_frames=block_frames))
        assert max(len(part) for part in parts) <= block_frames and np.array_equal(np.concatenate(parts), vertices[2:9])


@pytest.mark.parametrize(("unit", "size"), [("cm", 1.0), ("m", 100.0), ("mm", 0.1)])
def test_units_of_vertices(tmp_path, unit, size):
    write_mesh(tmp_path / "x.mesh.h5", np.ones((10, 5, 3)), CODES, units=unit)
    (block,) = faces.blocks(faces.open_face(tmp_path / "x.mesh.h5"), 0, 10, block_frames=64)
    assert block.dtype == np.float32 and np.allclose(block, size)


def test_unknown_unit_is_named(tmp_path):
    write_mesh(tmp_path / "x.mesh.h5", np.ones((10, 5, 3)), CODES, units="feet")
    with pytest.raises(InputError, match="units 'feet', need one of cm, m, mm"):
        list(faces.blocks(faces.open_face(tmp_path / "x.mesh.h5"), 0, 10, block_frames=64))


def edit(path, change):
    with h5py.File(path, "r+") as f:
        change(f)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("vertices"), "no dataset 'vertices'"),
        (lambda f: f.__delitem__("timecode"), "no dataset 'timecode'"),
        (lambda f: f.attrs.__delitem__("timecode_rate"), "no attribute timecode_rate"),
        (lambda f: f["timecode"].__setitem__(3, b"soon"), "timecode 'soon'"),
        (lambda f: f["timecode"].__setitem__(3, b"\xff\xfe"), "not a readable HDF5"),
        (lambda f: f["timecode"].__setitem__(3, CODES[2].encode()), "frame 3: timecode 10:00:00:04.000 does not come after"),
        (lambda f: f["timecode"].__setitem__(3, b"10:00:00:60"), "out of range"),
        (lambda f: (f.__delitem__("timecode"), f.__setitem__("timecode", [b"10:00:00:00"])), "vertices (10, 5, 3) and 1 timecodes"),
        (lambda f: (f.__delitem__("vertices"), f.__setitem__("vertices", np.zeros((10, 15)))), "vertices (10, 15)"),
    ],
)
def test_bad_streams_are_named(mesh, change, message):
    edit(mesh[0], change)
    with pytest.raises(InputError) as error:
        faces.open_face(mesh[0])
    assert message in str(error.value) and "x.mesh.h5" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_truncated_files_are_named(mesh, keep):
    content = mesh[0].read_bytes()
    mesh[0].write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(InputError, match="not a readable HDF5 file") as error:
        faces.open_face(mesh[0])
    assert "\n" not in str(error.value)


def test_missing_face_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.mesh.h5: no such file"):
        faces.open_face(tmp_path / "gone.mesh.h5")


def test_live_link_weights(tmp_path):
    path = recording(tmp_path / "x.csv")
    stream = faces.open_face(path)
    assert not stream.is_mesh and np.allclose(stream.seconds, 36_000 + np.arange(10) / 30, atol=1e-4)
    assert np.allclose(faces.live_link_weights(path), np.arange(10)[:, None] + np.arange(51) / 100)
    cut = recording(tmp_path / "cut.csv", change=lambda text: text[:-40])
    assert len(faces.open_face(cut).seconds) == len(faces.live_link_weights(cut)) == 9, "a recording that was cut off ends in a short row"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "first column is not Timecode"),
        (lambda text: "\udcff\udcfe" + text, "not a CSV in UTF-8"),
        (lambda text: text.replace("Timecode", "Time"), "first column is not Timecode"),
        (lambda text: text.split("\n")[0], "0 frames, need at least 2"),
        (lambda text: text.replace("JawOpen", "Jaw"), "jawOpen"),
        (lambda text: text.replace("3.07,", "open,"), "could not convert"),
        (lambda text: text.replace(CODES[4], "later"), "timecode 'later'"),
    ],
)
def test_bad_recordings_are_named(tmp_path, change, message):
    path = recording(tmp_path / "x.csv", change=change)
    with pytest.raises(InputError) as error:
        faces.open_face(path)
        faces.live_link_weights(path)
    assert message in str(error.value) and "x.csv" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "frames"), [("a", 4030), ("b", 3809)])
def test_real_recordings(real_data, name, frames):
    stream = faces.open_face(real_data / "face" / f"llf_take_{name}.csv")
    weights = faces.live_link_weights(stream.path)
    assert len(stream.seconds) == len(weights) == frames and weights.shape[1] == 51
    assert weights.min() >= 0 and weights.max() <= 1.1 and weights[:, arkit.NAMES.index("jawOpen")].std() > 0.01
