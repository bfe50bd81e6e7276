import shutil

import numpy as np
import pytest
from commands import refused
from tiny_shoot import ACTORS

from pipeline import strips
from pipeline.files import read_json, write_json
from pipeline.rig_file import Rig


@pytest.fixture
def work(captured, tmp_path):
    """The command for the first take, with made-up labels and words."""
    data, names = captured / "dataset", [f"20260101_{actor}_001" for actor in ACTORS]
    num_frames = read_json(data / "dataset.json")["takes"]["20260101_001"]["frames"]
    for name in names:
        np.save(tmp_path / f"{name}.npy", np.full(num_frames, 2, np.uint8))
        write_json(tmp_path / f"{name}.json", {"words": [{"word": "héllo", "start": 0.1, "end": 0.4, "confidence": 0.5}]})

    def files(folder, kind):
        return [folder / f"{name}.{kind}" for name in names]

    arguments = [
        "--bvh",
        *files(data / "bvhs", "bvh"),
        "--face",
        *files(data / "face_arkit", "npy"),
        "--rig",
        *(data / "rigs" / f"{a}.npz" for a in ACTORS),
    ]
    return [*arguments, "--actions", *files(tmp_path, "npy"), "--transcripts", *files(tmp_path, "json"), "--out", tmp_path / "out" / "strip.png"]


def size_of(path) -> tuple[int, int]:
    import matplotlib.image

    return matplotlib.image.imread(path).shape[:2]


def test_a_generated_take_is_drawn_below_and_bytes_repeat(work, captured, tmp_path, monkeypatch):
    out = work[-1]
    monkeypatch.setattr(strips, "NUM_MOMENTS", 3)  # as many columns, for speed
    strips.main([str(a) for a in work])
    height, width = size_of(out)
    first = out.read_bytes()
    strips.main([str(a) for a in work])
    assert out.read_bytes() == first and min(width, height) > 200
    for folder in ("bvhs", "face_arkit"):
        shutil.copytree(captured / "dataset" / folder, tmp_path / "generated" / folder)
    strips.main([str(a) for a in [*work, "--generated", tmp_path / "generated"]])
    assert size_of(out)[0] > 1.8 * height


def test_bad_input_stops_with_one_line(work, capsys, tmp_path):
    out = work[-1]
    refused(strips.main, [*work, "--generated", tmp_path / "nowhere"], capsys, "20260101_001_001.bvh: no such file", outputs=[out])
    (tmp_path / "20260101_002_001.json").write_text("{")
    refused(strips.main, work, capsys, "20260101_002_001.json: not valid JSON", outputs=[out])


def test_the_view_spreads_the_actors_from_left_to_right():
    rng = np.random.default_rng(0)
    for angle in np.linspace(0, 3, 7):
        apart = np.array([np.cos(angle), 0, np.sin(angle)]) * 200
        bodies = [rng.normal(0, 5, (8, 3, 3)), rng.normal(0, 5, (8, 3, 3)) + apart]
        axis = strips.view_axis(bodies)
        assert np.allclose(axis @ axis.T, np.eye(2))
        across, up = strips.project(apart, axis)
        assert abs(across) > 190 and abs(up) < 20
        limits = strips.body_limits(bodies, axis)
        for body in bodies:
            screen = strips.project(body, axis)
            assert all(limits[i][0] < screen[..., i].min() and screen[..., i].max() < limits[i][1] for i in range(2))


def test_words_are_those_of_the_moment():
    words = [{"word": " one", "start": 0.0, "end": 1.0}, {"word": "two ", "start": 1.0, "end": 2.0}, {"word": "x" * 40, "start": 5.0, "end": 6.0}]
    assert strips.said_at(words, 0.0, 2.0) == "one two" and strips.said_at(words, 0.6, 2.0) == "two" and strips.said_at(words, 2.0, 5.0) == ""
    assert strips.said_at(words, 5.0, 6.0) == "x" * 27 + "…"


def test_triangles_among_quads_are_drawn_as_triangles():
    from matplotlib.figure import Figure

    neutral = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 0.0]], np.float32)
    rig = Rig(neutral, np.ones((51, 5, 3), np.float32), np.array([[0, 1, 2, -1], [0, 1, 2, 3]]))
    ax = Figure().subplots()
    strips.draw_face(ax, rig, np.zeros(51), "#000000")
    triangle, quad = (path.vertices[:-1] for path in ax.collections[0].get_paths())
    assert not (triangle == neutral[4, :2]).all(1).any() and np.array_equal(np.unique(triangle, axis=0), [[0, 0], [1, 0], [1, 1]])
    assert np.array_equal(quad, neutral[:4, :2])
