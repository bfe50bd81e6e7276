import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats.obj import faces_of, read_obj, read_vertices, write_obj

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 2 0 0\n"


def faces_in(tmp_path, text: str) -> list[list[int]]:
    (tmp_path / "1.obj").write_text(SQUARE + text)
    return read_obj(tmp_path / "1.obj")[1].tolist()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("v 1 2 3", [1, 2, 3]),
        ("v  1.5\t-2e-3   +3.25 ", [1.5, -0.002, 3.25]),
        ("v 1 2 3 1.0", [1, 2, 3]),
        ("v 1 2 3 0.5 0.5 0.5\r", [1, 2, 3]),
        ("v nan 2 -nan(ind)", [np.nan, 2, np.nan]),
    ],
)
def test_vertex_lines(tmp_path, line, values):
    (tmp_path / "1.obj").write_text(f"{line}\nvt 7 7\nf 1 1 1\n{line}\nv{line[1:]}")
    assert np.array_equal(read_vertices(tmp_path / "1.obj")[0], np.array([values] * 3), equal_nan=True)


@pytest.mark.parametrize(
    ("text", "faces"),
    [
        ("f 1 2 3\nf 1 3 4", [[0, 1, 2], [0, 2, 3]]),
        ("f 1/7/7 2/8/8 3/9/9 4/9/9\r\n", [[0, 1, 2, 3]]),
        ("f 1//7 2//8 3//9", [[0, 1, 2]]),
        ("f 1/7 2/8 3/9 4/9\nusemtl skin\ns 1\nf 2 5 3", [[0, 1, 2], [0, 2, 3], [1, 4, 2]]),
        ("f 1 2 5 3 4", [[0, 1, 4], [0, 4, 2], [0, 2, 3]]),
        ("f -5 -4 -3\nv 9 9 9\nf -6 -5 -1", [[0, 1, 2], [0, 1, 5]]),
        ("vn 0 0 1\nfoo 1 2 3", []),
    ],
)
def test_face_lines(tmp_path, text, faces):
    assert faces_in(tmp_path, text) == faces


@pytest.mark.parametrize("line", ["f 1 2", "f 1 2 6", "f 0 1 2", "f -6 1 2", "f 1 2 x", "f 1 2 /3"])
def test_bad_face_lines_are_named(tmp_path, line):
    with pytest.raises(
        InputError, match=f"1.obj, line 6: got face '{line[2:]}', need three or more vertices from 1 to 5"
    ):
        faces_in(tmp_path, line)


def test_missing_obj_files_are_named(tmp_path):
    with pytest.raises(InputError, match="1.obj: no such file"):
        read_obj(tmp_path / "1.obj")


def test_the_checksum_is_that_of_the_faces(tmp_path):
    texts = ["f 1 2 3\n", "vn 0 0 1\nf 1 2 3\n", "f 1 3 2\n", ""]
    sums = []
    for text in texts:
        (tmp_path / "1.obj").write_text(SQUARE + text)
        sums.append(read_vertices(tmp_path / "1.obj")[1])
        assert read_obj(tmp_path / "1.obj")[2] == sums[-1]
    assert sums[0] == sums[1] != sums[2] and sums[3] == 0


def test_a_written_obj_reads_back_and_repeats_its_bytes(tmp_path):
    vertices = np.random.default_rng(0).normal(0, 10, (5, 3))
    vertices[0] = -1e-9, 0, 1
    for faces in (
        np.array([[0, 1, 2, 3], [1, 4, 2, 0]]),
        np.array([[0, 1, 2]]),
        np.array([[0, 1, 2, 3], [1, 4, 2, -1]]),
    ):
        write_obj(tmp_path / "1.obj", vertices, faces)
        first = (tmp_path / "1.obj").read_bytes()
        back, back_faces, _ = read_obj(tmp_path / "1.obj")
        assert np.abs(back - vertices).max() <= 5e-7 and b"-0.000000" not in first
        assert (
            back_faces.tolist()
            == faces_of([[corner for corner in face if corner >= 0] for face in faces.tolist()]).tolist()
        )
        write_obj(tmp_path / "1.obj", vertices.astype(np.float64), faces.astype(np.int32))
        assert (tmp_path / "1.obj").read_bytes() == first


def test_nan_is_not_written(tmp_path):
    with pytest.raises(InputError, match="1.obj: NaN or infinite vertices"):
        write_obj(tmp_path / "1.obj", np.full((3, 3), np.nan), np.array([[0, 1, 2]]))
    assert not list(tmp_path.iterdir())
