import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.tiny_shoot import write_mesh

from pipeline.errors import InputError
from pipeline.formats import faces, streams
from pipeline.formats.timecode import format_timecode

CODES = [format_timecode(36_000 + i / 30, 60) for i in range(10)]


@pytest.fixture
def mesh(tmp_path):
    vertices = np.random.default_rng(0).normal(size=(10, 5, 3)).astype(np.float32)
    write_mesh(tmp_path / "x.mesh.h5", vertices, CODES)
    return tmp_path / "x.mesh.h5", vertices


def test_mesh_times_and_blocks(mesh):
    path, vertices = mesh
    stream = faces.open_face(path)
    assert (
        stream.is_mesh
        and stream.num_vertices == 5
        and np.allclose(stream.seconds, 36_000 + np.arange(10) / 30, atol=1e-4)
    )
    for block_frames in (1, 3, 64):
        parts = list(faces.blocks(stream, 2, 9, block_frames=block_frames))
        assert max(len(part) for part in parts) <= block_frames and np.array_equal(
            np.concatenate(parts), vertices[2:9]
        )


@pytest.mark.parametrize(("unit", "size"), [("cm", 1.0), ("m", 100.0), ("mm", 0.1)])
def test_units_of_vertices(tmp_path, unit, size):
    write_mesh(tmp_path / "x.mesh.h5", np.ones((10, 5, 3)), CODES, units=unit)
    (block,) = faces.blocks(faces.open_face(tmp_path / "x.mesh.h5"), 0, 10, block_frames=64)
    assert block.dtype == np.float32 and np.allclose(block, size)


@pytest.mark.parametrize(
    "units",
    [
        "cm",
        np.bytes_(b"cm"),
        np.bytes_(b"cm\0\0"),
        np.bytes_(b"cm  "),
        np.array([b"cm"]),
        np.array(["cm"], object),
    ],
)
@pytest.mark.parametrize("rate", [60, 60.0, np.int16(60), np.float32(60), np.array([60]), np.array([[60.0]])])
def test_attributes_as_other_languages_write_them(tmp_path, units, rate):
    vertices = np.random.default_rng(0).normal(size=(20, 7, 3)).astype(np.float32)
    with h5py.File(tmp_path / "x.mesh.h5", "w") as f:
        f["vertices"] = vertices
        f["timecode"] = np.array([[format_timecode(36_000 + i / 30, 60).encode()] for i in range(20)], "S16")
        f.attrs["units"] = (
            np.array(units, h5py.string_dtype()) if np.asarray(units).dtype == object else units
        )
        f.attrs["timecode_rate"] = rate
    stream = faces.open_face(tmp_path / "x.mesh.h5")
    assert (stream.unit_cm, len(stream.seconds), stream.num_vertices) == (1.0, 20, 7)
    assert np.array_equal(next(faces.blocks(stream, 0, 20, block_frames=64)), vertices)


def test_the_fields_mesh_is_read(field):
    stream = faces.open_face(field / "h5-units-bytes" / "x.mesh.h5")
    assert (stream.unit_cm, len(stream.seconds), stream.num_vertices) == (1.0, 20, 7)


@pytest.mark.parametrize(
    "rate",
    [
        np.array([60, 30]),
        np.array([], float),
        "60",
        h5py.Empty("f4"),
        np.bytes_(b"60"),
        True,
        np.nan,
        np.array(60 + 1j),
    ],
)
def test_attributes_that_are_no_rate(tmp_path, rate):
    write_mesh(tmp_path / "x.mesh.h5", np.ones((10, 5, 3)), CODES)
    edit(tmp_path / "x.mesh.h5", lambda f: f.attrs.__setitem__("timecode_rate", rate))
    with pytest.raises(InputError, match="x.mesh.h5: .*attribute timecode_rate"):
        faces.open_face(tmp_path / "x.mesh.h5")


def test_a_type_that_is_no_text_is_not_read(tmp_path):
    """Neither lists that vary in length nor a damaged kind of them, which crashes HDF5 when it is read."""
    path = tmp_path / "x.mesh.h5"
    write_mesh(path, np.ones((10, 5, 3)), CODES)
    edit(
        path,
        lambda f: (f.__delitem__("timecode"), f.create_dataset("timecode", (10,), h5py.vlen_dtype(np.uint8))),
    )
    with pytest.raises(InputError, match="'timecode' holds no text"):
        faces.open_face(path)
    write_mesh(path, np.ones((10, 5, 3)), CODES)
    edit(
        path,
        lambda f: (
            f.__delitem__("timecode"),
            f.create_dataset("timecode", data=CODES, dtype=h5py.string_dtype()),
        ),
    )
    content = path.read_bytes()
    kind = (
        content.index(bytes.fromhex("1901"))
        if bytes.fromhex("1901") in content
        else content.index(bytes.fromhex("190101"))
    )
    path.write_bytes(content[: kind + 1] + b"\xff\x7f" + content[kind + 3 :])
    with pytest.raises(InputError, match="x.mesh.h5"):
        faces.open_face(path)


def test_vertices_are_not_read_from_other_files(tmp_path):
    """Neither by a link, nor by external storage, nor by a virtual dataset.

    And no more of them than the file holds.
    """
    write_mesh(tmp_path / "other.mesh.h5", np.ones((10, 5, 3)), CODES)
    layout = h5py.VirtualLayout((10, 5, 3), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "other.mesh.h5", "vertices", (10, 5, 3))

    def replaced(make):
        write_mesh(tmp_path / "x.mesh.h5", np.ones((10, 5, 3)), CODES)
        edit(tmp_path / "x.mesh.h5", lambda f: (f.__delitem__("vertices"), make(f)))
        with pytest.raises(InputError) as error:
            faces.open_face(tmp_path / "x.mesh.h5")
        return str(error.value)

    assert "is a link into another file" in replaced(
        lambda f: f.__setitem__("vertices", h5py.ExternalLink("other.mesh.h5", "vertices"))
    )
    outside = [(str(tmp_path / "other.mesh.h5"), 0, 600)]
    assert "lie in another file" in replaced(
        lambda f: f.create_dataset("vertices", (10, 5, 3), "f4", external=outside)
    )
    assert "lie in another file" in replaced(lambda f: f.create_virtual_dataset("vertices", layout))
    assert "1,000,000,000,000 rows" in replaced(
        lambda f: f.create_dataset("vertices", (10**12, 5, 3), "f4", chunks=(64, 5, 3))
    )
    assert "claims" in replaced(
        lambda f: f.create_dataset("vertices", (10, 10**9, 3), "f4", chunks=(1, 1024, 3))
    )


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
        (
            lambda f: f["timecode"].__setitem__(3, CODES[1].encode()),
            "frame 3: timecode 10:00:00:02.000 does not come after",
        ),
        (lambda f: f["timecode"].__setitem__(3, b"10:00:00:60"), "out of range"),
        (
            lambda f: (f.__delitem__("timecode"), f.__setitem__("timecode", [b"10:00:00:00"])),
            "vertices (10, 5, 3) and 1 timecodes",
        ),
        (
            lambda f: (f.__delitem__("vertices"), f.__setitem__("vertices", np.zeros((10, 15)))),
            "vertices (10, 15)",
        ),
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


def shape_of(
    path: Path,
    vertices: np.ndarray,
    codes: list[str] | None,
    *,
    form: str,
    units: str = "cm",
    numbers=None,
    **about,
) -> Path:
    """A face stream in any of the forms for meshes; what open_face takes."""
    about = {"units": units} | ({"timecode_rate": 60} if codes else {}) | about
    if form == "h5":
        with h5py.File(f"{path}.mesh.h5", "w") as f:
            f["vertices"] = vertices.astype(np.float32)
            f.attrs.update(about)
            if codes:
                f["timecode"] = [code.encode() for code in codes]
        return Path(f"{path}.mesh.h5")
    if form.startswith("npy"):
        np.save(f"{path}.npy", vertices.astype(form[4:]))
        Path(f"{path}.stream.json").write_text(json.dumps(about))
        if codes:
            Path(f"{path}.timecode.txt").write_text("\n".join(codes) + "\n")
        return Path(f"{path}.npy")
    folder = Path(f"{path}{form}")
    folder.mkdir()
    for number, frame in zip(numbers or range(1, len(vertices) + 1), vertices):
        lines = [
            "# comment",
            "vn 0 0 1",
            *("v " + " ".join(f"{x:.7g}" for x in v) for v in frame),
            "vt 0 1",
            "f 1/1 2/2 3/3",
        ]
        (folder / f"{number:05d}.obj").write_text("\n".join(lines) + "\n")
    (folder / "stream.json").write_text(json.dumps(about))
    if codes:
        (folder / "timecode.txt").write_text("\n".join(codes) + "\n")
    return folder / "stream.json"


FORMS = ["h5", "npy float32", "npy float64", "npy >f4", ".obj", "_obj"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("units", faces.UNITS_CM)
def test_every_form_gives_the_same_stream(tmp_path, form, units):
    vertices = np.random.default_rng(0).normal(size=(10, 5, 3)).astype(np.float32)
    path = shape_of(tmp_path / "x", vertices, CODES, form=form, units=units)
    assert streams.find_face(tmp_path / "x") == path and all(
        file.exists() for file in streams.beside_face(path)
    )
    stream = faces.open_face(path)
    assert (
        stream.is_mesh
        and stream.has_timecode
        and stream.num_vertices == 5
        and np.allclose(stream.seconds, 36_000 + np.arange(10) / 30, atol=1e-4)
    )
    for block_frames in (1, 3, 64):
        parts = list(faces.blocks(stream, 2, 9, block_frames=block_frames))
        assert all(part.dtype == np.float32 and len(part) <= block_frames for part in parts)
        assert np.allclose(np.concatenate(parts), vertices[2:9] * faces.UNITS_CM[units], rtol=1e-6, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_without_timecode_counts_from_0(tmp_path, form):
    path = shape_of(tmp_path / "x", np.zeros((10, 5, 3)), None, form=form, rate=25)
    for given, rate in ((None, 25), (50.0, 50)):
        stream = faces.open_face(path, rate=given)
        assert not stream.has_timecode and np.allclose(stream.seconds, np.arange(10) / rate)
    bare = shape_of(tmp_path / "bare", np.zeros((10, 5, 3)), None, form=form)
    assert np.allclose(faces.open_face(bare, rate=30).seconds, np.arange(10) / 30)
    with pytest.raises(InputError, match="bare.*no .*rate"):
        faces.open_face(bare)


@pytest.mark.parametrize("form", FORMS)
def test_timecode_may_stand_still_and_cross_midnight(tmp_path, form):
    codes = ["23:59:59:58", "23:59:59:59", "23:59:59:59", "00:00:00:00", "00:00:00:02"]
    stream = faces.open_face(shape_of(tmp_path / "x", np.zeros((5, 3, 3)), codes, form=form))
    assert np.allclose((stream.seconds - 86_400) * 60, [-2, -1, -1, 0, 2], atol=1e-6)


def test_a_drop_frame_day_is_shorter(tmp_path):
    codes = ["23:59:59;29", "00:00:00;00"]
    stream = faces.open_face(
        shape_of(tmp_path / "x", np.zeros((2, 3, 3)), codes, form=".obj", timecode_rate=29.97)
    )
    assert np.diff(stream.seconds) == pytest.approx(1001 / 30000, abs=1e-9)


@pytest.mark.parametrize("codes", [CODES, None])
def test_holes_in_the_numbering_are_dropped_frames(tmp_path, codes):
    numbers = [8, 9, 10, 11, 14, 15, 99, 100, 101, 1000]
    path = shape_of(
        tmp_path / "x",
        np.arange(10)[:, None, None] * np.ones((5, 3)),
        codes,
        form=".obj",
        numbers=numbers,
        rate=30,
    )
    (path.parent / "._00008.obj").write_bytes(b"left by a file manager")
    stream = faces.open_face(path)
    assert np.allclose(
        stream.seconds, 36_000 + np.arange(10) / 30 if codes else (np.array(numbers) - 8) / 30, atol=1e-4
    )
    assert np.concatenate(list(faces.blocks(stream, 0, 10, block_frames=4)))[:, 0, 0].tolist() == list(
        range(10)
    ), "in the order of numbers"


def test_timecodes_by_number(tmp_path):
    path = shape_of(
        tmp_path / "x", np.zeros((3, 5, 3)), None, form=".obj", numbers=[2, 3, 5], timecode_rate=60
    )
    rows = [f"{number},{CODES[number]}" for number in (5, 4, 3, 2, 1)]
    (path.parent / "timecode.csv").write_text("\r\n".join(["frame,timecode", *rows]))
    assert np.allclose(faces.open_face(path).seconds, 36_000 + np.array([2, 3, 5]) / 30, atol=1e-4)
    (path.parent / "timecode.csv").write_text("\n".join(rows[1:]))
    with pytest.raises(InputError, match="timecode.csv: no timecode for 1 of 3 frames, the first is 5"):
        faces.open_face(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no vertex"),
        ("f 1 2 3\n", "no vertex"),
        ("v 1 2 3\nv 1 2\nv 1 2 3", "line 2: got 2 numbers after v, need 3"),
        ("v 1 2 3\n#\nv 1 2 3 4", "line 3: got 4 numbers after v, need 3"),
        ("v 1 2\nv 1 2", "line 1: got 2 numbers after v, need 3"),
        ("v 1 2 3\nvn 1\nv 1 2 1.#QNAN", "line 3: got '1.#QNAN', need a number"),
        ("v 1 2 3\nv 1 2 3\nv 1 2 3\nf 1 2 3", "5.obj: 3 vertices, the first file has 5"),
        ("v 1 2 3\n" * 5 + "f 3/3 2/2 1/1", "5.obj: its faces are not those of the first file"),
    ],
)
def test_bad_obj_files_are_named(tmp_path, text, message):
    path = shape_of(tmp_path / "x", np.zeros((6, 5, 3)), None, form=".obj", rate=30)
    (path.parent / "00005.obj").write_text(text)
    stream = faces.open_face(path)
    with pytest.raises(InputError) as error:
        list(faces.blocks(stream, 0, 6, block_frames=64))
    assert message in str(error.value) and "00005.obj" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("form", ["npy float32", ".obj"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about, codes: about.unlink(), "stream.json: no such file; write it"),
        (lambda about, codes: about.write_text("{"), "stream.json: not a readable JSON"),
        (lambda about, codes: about.write_text("[]"), "stream.json: no units"),
        (
            lambda about, codes: about.write_text('{"units": "feet", "timecode_rate": 60}'),
            "units 'feet', need one of cm, m, mm",
        ),
        (
            lambda about, codes: about.write_text('{"units": "cm", "timecode_rate": 1' + "0" * 15 + "}"),
            "need frames per second",
        ),
        (
            lambda about, codes: codes.write_text(f"{'7' * 5000},{CODES[0]}\n8,{CODES[1]}"),
            "timecode.txt, line 1: got '7777",
        ),
        (lambda about, codes: about.write_text('{"units": "cm"}'), "stream.json: no timecode_rate"),
        (
            lambda about, codes: about.write_text('{"units": "cm", "timecode_rate": "60"}'),
            "timecode_rate '60', need frames per second",
        ),
        (
            lambda about, codes: about.write_text('{"units": "cm", "timecode_rates": 60}'),
            "unknown key 'timecode_rates'; did you mean 'timecode_rate'?",
        ),
        (lambda about, codes: codes.write_text(""), "timecode.txt: 0 timecodes, need 10"),
        (lambda about, codes: codes.write_text("\n".join(CODES[:9])), "timecode.txt: 9 timecodes, need 10"),
        (
            lambda about, codes: codes.write_text("\n".join([*CODES[:9], "now"])),
            "timecode.txt: timecode 'now'",
        ),
        (
            lambda about, codes: codes.write_text("\n".join([*CODES[:9], CODES[3]])),
            "timecode.txt, frame 9: timecode",
        ),
        (
            lambda about, codes: codes.write_text("\n".join([CODES[0], f"7,{CODES[1]}"])),
            "timecode.txt, line 2: got '7,",
        ),
        (
            lambda about, codes: codes.write_text(f"7,{CODES[0]}\n7,{CODES[1]}"),
            "remove the number that stands twice",
        ),
        (
            lambda about, codes: codes.write_bytes(b"\xff\xfe\xe9"),
            "timecode.txt: not a readable text in UTF-8",
        ),
    ],
)
def test_bad_descriptions_are_named(tmp_path, form, change, message):
    path = shape_of(tmp_path / "x", np.zeros((10, 5, 3)), CODES, form=form)
    about, codes = (
        (path, path.with_name("timecode.txt"))
        if form == ".obj"
        else (tmp_path / "x.stream.json", tmp_path / "x.timecode.txt")
    )
    change(about, codes)
    with pytest.raises(InputError) as error:
        faces.open_face(path)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: np.save(p, np.zeros((10, 15))), "x.npy: float64 (10, 15), need vertices (N,V,3)"),
        (lambda p: np.save(p, np.zeros((10, 5, 3), int)), "x.npy: int64 (10, 5, 3)"),
        (lambda p: np.save(p, np.zeros((1, 5, 3))), "1 frames, need at least 2"),
        (lambda p: np.save(p, np.array([{}] * 3), allow_pickle=True), "x.npy: not a readable .npy"),
        (lambda p: p.write_bytes(b""), "x.npy: not a readable .npy"),
        (lambda p: p.write_bytes(p.read_bytes()[:-1]), "x.npy: not a readable .npy"),
    ],
)
def test_bad_arrays_are_named(tmp_path, write, message):
    path = shape_of(tmp_path / "x", np.zeros((10, 5, 3)), None, form="npy float32", rate=30)
    write(path)
    with pytest.raises(InputError) as error:
        faces.open_face(path)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"), [("00003b.obj", "no frame number"), ("3.obj", "frame 3 is also 00003.obj")]
)
def test_odd_names_in_a_folder_are_named(tmp_path, name, message):
    path = shape_of(tmp_path / "x", np.zeros((10, 5, 3)), None, form=".obj", rate=30)
    (path.parent / name).write_text("v 1 2 3\n")
    with pytest.raises(InputError, match=f"{name}.*{message}|{message}.*{name}"):
        faces.open_face(path)


def test_an_array_is_never_read_whole(tmp_path):
    """A process goes through 300 MB of 1.2 GB of (sparse) vertices and grows by much less."""
    np.lib.format.open_memmap(
        tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(4000, 25_000, 3)
    ).flush()
    (tmp_path / "x.stream.json").write_text('{"units": "cm", "rate": 30}')
    code = (
        "import resource, sys; from pipeline.formats import faces; stream = faces.open_face(sys.argv[1]); "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "frames = sum(len(part) for part in faces.blocks(stream, 0, 1000, block_frames=64)); "
        "print(frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x.npy"], capture_output=True, text=True, check=True
    ).stdout
    frames, grown = (int(word) for word in out.split())
    unit = 1024 if sys.platform == "darwin" else 1
    assert frames == 1000 and grown / unit < 150_000 < 1000 * 25_000 * 12 / 1024, (
        "kB; 1000 frames are 293,000"
    )


@pytest.mark.parametrize(
    "present",
    [
        [".mesh.h5", ".csv", ".npy", ".obj"],
        [".csv", ".npy", "_obj"],
        [".npy", ".obj"],
        [".obj", "_obj"],
        ["_obj"],
        [],
    ],
)
def test_the_first_form_is_found(tmp_path, present):
    for suffix in present:
        path = tmp_path / f"20260101_001_001{suffix}"
        path.mkdir() if suffix.endswith("obj") else path.touch()
    found = streams.find_face(tmp_path / "20260101_001_001")
    first = present[0] if present else None
    expected = None if first is None else tmp_path / f"20260101_001_001{first}"
    assert found == (expected / "stream.json" if first and first.endswith("obj") else expected)


def test_finding_a_face_imports_nothing_heavy():
    code = (
        "import sys; import pipeline.formats.streams; print([m for m in ('numpy', 'h5py',"
        " 'pipeline.formats.faces') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
