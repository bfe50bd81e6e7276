import numpy as np
import pytest
from helpers.bodies import FPS, standing, turned
from helpers.commands import refused

from pipeline.capture.body_faults import summary
from pipeline.capture.body_quality import inspect
from pipeline.figures.figure import pyplot
from pipeline.files import write_json
from pipeline.formats.bvh import save_bvh
from pipeline.reading import read_json
from pipeline.report import body as report_body

NAMES = ["20260101_001_001", "20260101_002_001"]


@pytest.fixture
def take(tmp_path):
    """Arguments for a take whose first actor's motion has faults of hand, foot and spine.

    The second one's has none.
    """
    bad = turned(
        turned(turned(standing(2), "LeftHandIndex2", slice(60, 61), 30), "RightFoot", slice(90, 92), 30),
        "Spine",
        slice(150, None),
        30,
    )
    still = standing(2, seed=1)
    still.rotations[:, 1:8] = [0, 0, 0, 1]
    for name, motion in zip(NAMES, (bad, still)):
        save_bvh(tmp_path / f"{name}.bvh", motion)
        found = inspect(motion, slide_cm_s=99.0)
        write_json(
            tmp_path / f"{name}.json",
            {"performance": name, "quality": summary(found, fps=FPS, num_frames=motion.num_frames)},
        )
    bvh, reports = ([tmp_path / f"{name}.{suffix}" for name in NAMES] for suffix in ("bvh", "json"))
    return ["--bvh", *bvh, "--reports", *reports, "--out", tmp_path / "out" / "20260101_001.png"]


def test_the_page_has_a_row_for_each_fault_and_its_bytes_repeat(take):
    import matplotlib.image

    out = take[-1]
    report_body.main([str(a) for a in take])
    first = out.read_bytes()
    report_body.main([str(a) for a in take])
    image = matplotlib.image.imread(out)
    assert out.read_bytes() == first
    assert image.shape[:2] == (
        round(100 * (2.9 * 3 + 4.6 + 0.6)),
        1300,
    ), "three faults and a body without one"
    red = (image[..., 0] > 0.8) & (image[..., 1] < 0.25) & (image[..., 2] < 0.25)
    rows = [red[round(60 + 290 * i) : round(60 + 290 * (i + 1))].any() for i in range(4)]
    assert rows == [True, True, True, False], "the bones of the joints at fault stand out"


def test_the_worst_of_each_kind_come_first():
    def fault(kind, value, seconds, first):
        return {"kind": kind, "value": value, "limit": 8, "seconds": seconds, "first": first, "index": 0}

    faults = [fault("flicker", v, 0.01, i) for i, v in enumerate((9, 30, 12, 30))] + [
        fault("swap", 5, 2.0, 9),
        fault("nan", 1, 1, 0),
    ]
    assert [(f["kind"], f["first"]) for f in report_body.worst(faults)] == [
        ("swap", 9),
        ("flicker", 1),
        ("flicker", 3),
    ]
    assert report_body.worst([]) == []


def test_hands_and_feet_are_enlarged():
    motion = standing(1)
    for name, extent in (("LeftHandIndex2", 35), ("RightFoot", 80), ("Spine", 250)):
        points, joints = report_body.views(motion, [10, 11, 12], motion.names.index(name))
        assert (
            all(p.shape == (2 * len(motion.names), 3) for p in points) and motion.names.index(name) in joints
        )
        assert np.ptp(points[1][joints], axis=0).max() < extent
    assert report_body.hand_of(motion, motion.names.index("LeftForeArm")) is None


def test_a_turn_of_the_hand_itself_is_enlarged_and_seen():
    motion = turned(standing(1), "LeftHand", slice(60, 61), 30)
    hand, tip = (motion.names.index(name) for name in ("LeftHand", "LeftHandIndex3"))
    points, joints = report_body.views(motion, [59, 60, 61], hand)
    assert motion.names.index("LeftForeArm") in joints and np.ptp(points[1][joints], axis=0).max() < 60
    assert (
        np.linalg.norm(points[1][tip] - points[0][tip]) > 3 > np.linalg.norm(points[2][tip] - points[0][tip])
    )


def test_the_heading_counts_what_is_drawn(take, monkeypatch):
    titles = []
    monkeypatch.setattr(report_body, "save", lambda figure, path: titles.append(figure.get_suptitle()))
    # the first actor's report gets a stretch of NaN, which is not drawn
    path = take[take.index("--reports") + 1]
    report_of_first = read_json(path)
    report_of_first["quality"]["faults"].append(report_of_first["quality"]["faults"][0] | {"kind": "nan"})
    write_json(path, report_of_first)
    report_body.main([str(a) for a in take])
    assert len(titles) == 1 and "; 3 of 4 faults drawn" in titles[0]
    assert report_body.title("x", faults=0, drawn=0).endswith("no faults")


def test_reports_that_do_not_belong_are_refused(take, tmp_path, capsys):
    save_bvh(tmp_path / f"{NAMES[0]}.bvh", standing(0.5))
    refused(
        report_body.main, take, capsys, f"{NAMES[0]}.bvh: got 60 frames", "speaks of more", outputs=[take[-1]]
    )
    write_json(tmp_path / f"{NAMES[0]}.json", {"performance": NAMES[0]})
    refused(report_body.main, take, capsys, f"{NAMES[0]}.json: no quality in it", outputs=[take[-1]])


def test_ways_on_the_floor_are_plans_of_one_scale():
    plt = pyplot()
    fig, axes = plt.subplots(2, 1, figsize=(13, 9.2))
    circle = np.stack([np.cos(np.linspace(0, 6, 50)), np.sin(np.linspace(0, 6, 50))], 1)
    for ax, radius in zip(axes, (20.0, 150.0)):
        paths = {"LeftToeBase": radius * circle, "RightToeBase": radius * circle + 5}
        feet = {foot: {"sliding_share": 0.0, "contact_frames": 9, "longest_slide_cm": 0.0} for foot in paths}
        report_body.draw_feet(ax, paths, {"feet": feet}, "$a$", "#000000", 340.0)
    fig.canvas.draw()
    scales = [
        np.abs(
            ax.transData.transform([[0, 0], [100, 100]])[1] - ax.transData.transform([[0, 0], [100, 100]])[0]
        )
        for ax in axes
    ]
    assert np.allclose(scales[0], scales[0][0]) and np.allclose(scales[0], scales[1])
    for ax in axes:
        for line in ax.lines:
            inside = ax.transAxes.inverted().transform(ax.transData.transform(line.get_xydata()))
            assert (inside > 0).all() and (inside < 1).all()
    assert (report_body.window({}) == 0).all()
