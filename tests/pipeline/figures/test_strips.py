import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import refused
from helpers.tiny_shoot import ACTORS

from pipeline.figures import strips
from pipeline.figures.figure import DPI, pyplot
from pipeline.files import write_json
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.formats.rig_file import Rig
from pipeline.reading import read_json


@pytest.fixture
def work(captured, tmp_path):
    """The command for the first take, with made-up labels and words."""
    data, names = captured / "dataset", [f"20260101_{actor}_001" for actor in ACTORS]
    num_frames = read_json(data / "dataset.json")["takes"]["20260101_001"]["frames"]
    for name in names:
        np.save(tmp_path / f"{name}.npy", np.full(num_frames, 2, np.uint8))
        np.save(tmp_path / f"{name}.facing.npy", np.ones(num_frames, np.uint8))
        write_json(
            tmp_path / f"{name}.json",
            {"words": [{"word": "héllo", "start": 0.1, "end": 0.4, "confidence": 0.5}]},
        )

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
    return [
        *arguments,
        "--actions",
        *files(tmp_path, "npy"),
        "--facing",
        *files(tmp_path, "facing.npy"),
        "--transcripts",
        *files(tmp_path, "json"),
        "--out",
        tmp_path / "out" / "strip.png",
    ]


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
    assert size_of(out)[0] > 1.6 * height


def test_bad_input_stops_with_one_line(work, capsys, tmp_path):
    out = work[-1]
    refused(
        strips.main,
        [*work, "--generated", tmp_path / "nowhere"],
        capsys,
        "20260101_001_001.bvh: no such file",
        outputs=[out],
    )
    (tmp_path / "20260101_002_001.json").write_text("{")
    refused(strips.main, work, capsys, "20260101_002_001.json: not a readable JSON", outputs=[out])
    write_json(tmp_path / "20260101_002_001.json", {"words": []})
    np.save(tmp_path / "20260101_002_001.facing.npy", np.ones(3, np.uint8))
    refused(
        strips.main, work, capsys, "20260101_002_001.facing.npy: another number of labels than", outputs=[out]
    )


def test_labels_of_both_actors_are_drawn_under_the_strip(work, tmp_path):
    import matplotlib.image

    labels, facing = [np.array([0, 1, 2]), np.array([2, 2, 1])], [np.array([0, 1, 1]), np.array([1, 0, 0])]
    colours = strips.label_colours(labels, facing)
    assert colours.shape == (4, 3, 3)
    assert (
        len(np.unique(colours[0], axis=0)) == 3
        and (colours[2, 0] == colours[0, 2]).all()
        and (colours[2, 2] == colours[0, 1]).all()
    )
    assert (
        (colours[1, 0] == 1).all() and (colours[1, 1] == colours[1, 2]).all() and (colours[3, 1:] == 1).all()
    )
    assert not np.allclose(colours[1, 1], colours[3, 0]) and colours[1, 1].min() < 1

    strips.main([str(a) for a in work])
    before = matplotlib.image.imread(work[-1])
    name = tmp_path / "20260101_001_001.facing.npy"
    np.save(name, 1 - np.load(name))
    strips.main([str(a) for a in work])
    changed = np.flatnonzero((matplotlib.image.imread(work[-1]) != before).any((1, 2)))
    assert changed.min() > 0.7 * len(before), "only the bars at the foot"


def test_the_view_spreads_the_actors_from_left_to_right():
    rng = np.random.default_rng(0)
    for angle in np.linspace(0, 3, 7):
        apart = np.array([np.cos(angle), 0, np.sin(angle)]) * 200
        bodies = [rng.normal(0, 5, (8, 3, 3)), rng.normal(0, 5, (8, 3, 3)) + apart]
        axis = strips.view_axis(bodies)
        assert np.allclose(axis @ axis.T, np.eye(2))
        across, up = strips.project(apart, axis)
        assert abs(across) > 190 and abs(up) < 20


def drawn(monkeypatch, arguments):
    """The figure of a strip, and its axes with bodies as (first source's, second's)."""
    kept = []
    monkeypatch.setattr(strips, "save", lambda fig, out: kept.append(fig))
    strips.main([str(a) for a in arguments])
    (fig,) = kept
    bodies = [ax for ax in fig.axes if ax.patches and not ax.images]
    return fig, bodies[: len(bodies) // 2], bodies[len(bodies) // 2 :]


@pytest.mark.parametrize("apart_cm", [0.0, 250.0, 600.0])
def test_bodies_are_whole_tall_and_at_one_scale_wherever_they_are(
    work, captured, tmp_path, monkeypatch, apart_cm
):
    for folder in ("bvhs", "face_arkit"):
        shutil.copytree(captured / "dataset" / folder, tmp_path / "generated" / folder)
    path = tmp_path / "generated" / "bvhs" / "20260101_001_001.bvh"
    motion = load_bvh(path, unit="cm")
    positions = motion.positions_cm.copy()
    positions[:, 0] += [apart_cm * np.sin(0.4), -20, apart_cm * np.cos(0.4)]
    save_bvh(path, replace(motion, positions_cm=positions))
    fig, captured_axes, generated_axes = drawn(monkeypatch, [*work, "--generated", tmp_path / "generated"])
    assert len(captured_axes) == len(generated_axes) >= strips.LEAST_MOMENTS
    fig.canvas.draw()
    for ax in [*captured_axes, *generated_axes]:
        (left, bottom), (right, top) = ax.transData.transform([[0, 0], [170, 170]])
        assert right - left == pytest.approx(top - bottom, rel=1e-6) and top - bottom == pytest.approx(
            170 * strips.INCHES_PER_CM * fig.dpi, rel=1e-6
        )
        assert (top - bottom) * DPI / fig.dpi >= 120
        low, high = np.array(ax.get_xlim()), np.array(ax.get_ylim())
        points = np.concatenate([np.concatenate(c.get_segments()) for c in ax.collections])
        circles = np.array([[*p.center, p.radius] for p in ax.patches])
        assert len(circles) == 2 and (circles[:, 2] > 5).all()
        for values, limits in ((points[:, 0], low), (points[:, 1], high)):
            assert limits[0] < values.min() and values.max() < limits[1]
        assert (circles[:, 1] + circles[:, 2] < high[1]).all() and (
            circles[:, 0] - circles[:, 2] > low[0]
        ).all()


def test_a_body_without_head_has_no_ball(work, captured):
    motion = load_bvh(captured / "dataset" / "bvhs" / "20260101_001_001.bvh", unit="cm").frames(slice(0, 3))
    headless = replace(motion, names=["Lamp" if name == "Head" else name for name in motion.names])
    with_head, without = strips.scene_of([motion, headless]).heads
    assert (
        np.isfinite(with_head).all()
        and np.isnan(without).all()
        and np.isfinite(strips.common_limits([strips.scene_of([motion, headless])])).all()
    )


def test_words_are_those_of_the_moment():
    words = [
        {"word": " one", "start": 0.0, "end": 1.0},
        {"word": "two ", "start": 1.0, "end": 2.0},
        {"word": "x" * 40, "start": 5.0, "end": 6.0},
    ]
    assert (
        strips.said_at(words, 0.0, 2.0) == "one two"
        and strips.said_at(words, 0.6, 2.0) == "two"
        and strips.said_at(words, 2.0, 5.0) == ""
    )
    assert strips.said_at(words, 5.0, 6.0) == "x" * 27 + "…"


def drawn_face(rig, colour, **options):
    """Colours (F, 3) and corners of the faces that are drawn."""
    plt = pyplot()
    fig, ax = plt.subplots()
    strips.draw_face(ax, rig, np.zeros(1), colour, **options)
    (drawn,) = ax.collections
    plt.close(fig)
    return drawn.get_facecolors()[:, :3], [path.vertices for path in drawn.get_paths()]


def test_a_face_may_have_a_colour_for_each_vertex():
    neutral = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 1], [2, 1, 1]], float)
    rig = Rig(neutral, np.ones((1, 6, 3)), np.array([[0, 1, 2, 3], [1, 4, 5, 2]]))
    colours = np.zeros((6, 3))
    colours[[0, 3], 0], colours[[4, 5], 1] = 1, 1
    flat, _ = drawn_face(rig, colours, shade=0)
    np.testing.assert_allclose(
        flat, [[0.5, 0, 0], [0, 0.5, 0]], err_msg="the mean of a face's corners, far ones first"
    )
    dark, _ = drawn_face(rig, colours, shade=0.5)
    assert (dark.max(1) < 0.5).all() and (dark.max(1) > 0.25).all()


def test_a_triangle_among_quads_ends_at_its_third_corner():
    neutral = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [9, 9, 0]], float)
    _, corners = drawn_face(
        Rig(neutral, np.ones((1, 5, 3)), np.array([[0, 1, 2, 3], [0, 1, 2, -1]])), "#888888"
    )
    assert len(corners) == 2 and max(c.max() for c in corners) == 1, (
        "-1 is no vertex: the last one is far away"
    )


def test_samples_of_a_take_are_rows_below_each_other(work, captured, tmp_path, monkeypatch):
    for name in ("one", "two"):
        for folder in ("bvhs", "face_arkit"):
            shutil.copytree(captured / "dataset" / folder, tmp_path / name / folder)
    monkeypatch.setattr(strips, "NUM_MOMENTS", 1)
    fig, *_ = drawn(monkeypatch, [*work, "--generated", tmp_path / "one", tmp_path / "two"])
    said = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert [text for text in said if text.startswith(("captured", "generated"))] == [
        "captured",
        "generated 1",
        "generated 2",
    ]
