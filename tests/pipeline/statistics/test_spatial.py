import csv
import logging
import weakref

import numpy as np
import pytest
from helpers.commands import refused
from helpers.tiny_dataset import body, make_tiny

from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.formats.takes import dataset_takes
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.statistics import spatial
from pipeline.statistics.spatial import MEASURES, bin_counts, gather, measure, root_path, wrapped

TAKES = {"20260101_001": 40, "20260101_002": 25, "20260102_003": 31}


def placed(x: np.ndarray, z: np.ndarray, heading_deg: np.ndarray, *, y: float = 90.0) -> Motion:
    """A standing body on the given path (T,) in cm that looks along +z at 0 and along +x at 90 degrees."""
    motion = body(len(x))
    motion.positions_cm[:, 0] = np.stack([x, np.full(len(x), y), z], 1)
    motion.rotations[:, 0] = rotations.about("y", np.radians(heading_deg))
    return motion


def arguments(dataset, out) -> list[str]:
    return [
        str(word)
        for word in ["--dataset", dataset, "--out", out / "spatial.csv", "--out-picture", out / "spatial.png"]
    ]


def test_distances_and_turns_of_a_known_take():
    still = np.zeros(4)
    walker = placed(
        np.array([100.0, 130, 160, 100]), np.array([0.0, 40, 80, 0]), np.array([170.0, 179, -170, 80])
    )
    walker.positions_cm[3, 0, 1] = 40  # sits down: no way over the ground
    found = measure(walker, placed(still, still, still))
    np.testing.assert_allclose(found["own_distance"], [50, 100, 0, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(found["own_turn"], [9, 20, -90, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(found["pair_distance"], [100, np.hypot(130, 40), np.hypot(160, 80), 100])
    np.testing.assert_allclose(found["pair_angle"], [170, 179, 170, 80], atol=1e-9)


def test_a_turn_to_the_left_is_positive():
    ahead, left = (
        placed(np.zeros(2), np.zeros(2), np.zeros(2)),
        np.array([1.0, 0, 0]),
    )  # x is to the body's left
    turned = placed(np.zeros(2), np.zeros(2), np.array([0.0, 90]))
    assert measure(turned, ahead)["own_turn"][0] == pytest.approx(90)
    np.testing.assert_allclose(
        rotations.rotate(turned.rotations[1, 0], np.array([0.0, 0, 1])), left, atol=1e-12
    )


def test_people_face_to_face_and_side_by_side():
    one, other = (
        placed(np.zeros(1), np.zeros(1), np.zeros(1)),
        placed(np.zeros(1), np.full(1, 200.0), np.full(1, 180.0)),
    )
    assert measure(one, other)["pair_angle"] == pytest.approx(180)
    assert measure(one, placed(np.full(1, 60.0), np.zeros(1), np.zeros(1)))["pair_angle"] == pytest.approx(0)
    assert measure(one, other)["pair_distance"] == pytest.approx(200)
    for values in measure(one, other).values():
        assert len(values) <= 1, "a take of one frame has no frame after its first"


@pytest.mark.parametrize(
    "angle, value", [(180.0, 180), (-180.0, 180), (181.0, -179), (-540.0, 180), (725.0, 5), (0.0, 0)]
)
def test_angles_are_wrapped_above_minus_180_up_to_180(angle, value):
    assert wrapped(np.array(angle)) == value


def test_hips_that_point_up_have_no_heading_and_are_told(tmp_path, caplog):
    dataset = make_tiny(tmp_path, {"20260101_001": 6}).dataset
    lying = placed(np.zeros(6), np.zeros(6), np.zeros(6))
    lying.rotations[2, 0] = rotations.about("x", np.radians(-88.0))
    for name in ("20260101_001_001", "20260101_002_001"):
        save_bvh(dataset / "bvhs" / f"{name}.bvh", lying)
    assert np.isnan(root_path(lying)[1]).tolist() == [False, False, True, False, False, False]
    with caplog.at_level(logging.WARNING):
        spatial.main(arguments(dataset, tmp_path / "out"))
    assert (
        "own_turn: 2 frames" in caplog.text
        and "pair_angle: 1 frames" in caplog.text
        and "distance" not in caplog.text
    )
    counts, missing = gather(dataset_takes(dataset), dataset)
    assert (
        counts["own_turn"].sum() == 8
        and counts["pair_angle"].sum() == 5
        and counts["own_distance"].sum() == 10
    )
    assert missing == {"own_distance": 0, "own_turn": 2, "pair_distance": 0, "pair_angle": 1}


def test_hips_below_a_node_of_the_room_count_in_the_room():
    inner = placed(np.array([0.0, 30]), np.array([0.0, 40]), np.array([0.0, 20]))
    node = np.zeros((1, 3))
    outer = Motion(
        ["Room", *inner.names],
        np.concatenate([[-1], inner.parents + 1]),
        np.concatenate([node, inner.offsets_cm]),
        30.0,
        np.concatenate([np.repeat(node[None] + [5.0, 0, 7], 2, 0), inner.positions_cm], 1),
        np.concatenate([np.repeat(rotations.about("y", np.radians([[90.0]])), 2, 0), inner.rotations], 1),
    )
    place, heading = root_path(outer)
    np.testing.assert_allclose(place, [[5, 7], [45, -23]], atol=1e-9)
    np.testing.assert_allclose(heading, [90, 110], atol=1e-9)


def test_bins_are_fixed_and_the_last_distance_bin_has_no_end():
    counts = bin_counts(np.array([0.0, 9.99, 10, 995, 1000, 70000]), MEASURES["own_distance"])
    assert {int(i): int(counts[i]) for i in np.flatnonzero(counts)} == {0: 2, 1: 1, 99: 1, 100: 2}
    counts = bin_counts(np.array([-179.0, 180, 0, np.nan]), MEASURES["own_turn"])
    assert {int(i): int(counts[i]) for i in np.flatnonzero(counts)} == {0: 1, 35: 1, 18: 1}


def test_the_table_is_what_histograms_of_all_frames_say(tmp_path):
    dataset = make_tiny(tmp_path, TAKES).dataset
    spatial.main(arguments(dataset, tmp_path / "out"))
    with open(tmp_path / "out" / "spatial.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in MEASURES}
    for take in dataset_takes(dataset):
        one, other = (load_bvh(dataset / "bvhs" / f"{name}.bvh") for name in take.performances)
        for name, values in measure(one, other).items():
            parts[name].append(values)
    frames = sum(TAKES.values())
    for name, values in parts.items():
        own = [row for row in rows if row["measure"] == name]
        low, high = float(own[0]["from"]), float(own[-1]["to"] or own[-1]["from"])
        every = np.concatenate(values)
        np.testing.assert_array_equal(
            [int(row["frames"]) for row in own][:36],
            np.histogram(every, np.arange(low, high + 1, 10))[0][:36],
        )
        assert (
            sum(int(row["frames"]) for row in own)
            == len(every)
            == (frames if "pair" in name else 2 * (frames - len(TAKES)))
        )
        assert sum(float(row["share"]) for row in own) == pytest.approx(1, abs=1e-4)
    assert [row["to"] for row in rows if row["measure"] == "pair_distance"][-1] == ""


def test_spatial_writes_the_same_bytes_twice(tmp_path):
    dataset = make_tiny(tmp_path, TAKES).dataset
    for name in ("one", "two"):
        spatial.main(arguments(dataset, tmp_path / name))
    for file in ("spatial.csv", "spatial.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_spatial_holds_two_takes_at_most(tmp_path, monkeypatch):
    dataset = make_tiny(tmp_path, {f"20260101_{i:03d}": 9 for i in range(1, 6)}).dataset
    alive: list[weakref.ref] = []
    most = 0

    def load(path):
        nonlocal most
        motion = load_bvh(path)
        alive.append(weakref.ref(motion.rotations))
        most = max(most, sum(ref() is not None for ref in alive))
        return motion

    monkeypatch.setattr(spatial, "load_bvh", load)
    gather(dataset_takes(dataset), dataset)
    assert len(alive) == 10 and most <= 4


def test_hips_that_are_nan_and_bodies_of_other_lengths_are_refused(tmp_path, capsys):
    dataset = make_tiny(tmp_path, {"20260101_001": 9}).dataset
    path = dataset / "bvhs" / "20260101_001_001.bvh"
    motion = load_bvh(path)
    motion.positions_cm[4, 0, 2] = np.nan
    save_bvh(path, motion)
    refused(
        spatial.main,
        arguments(dataset, tmp_path / "out"),
        capsys,
        path.name,
        "frame 4",
        "NaN",
        outputs=[tmp_path / "out" / "spatial.csv"],
    )
    save_bvh(path, body(8))
    refused(
        spatial.main,
        arguments(dataset, tmp_path / "out"),
        capsys,
        path.name,
        "8 frames",
        "9",
        outputs=[tmp_path / "out" / "spatial.csv"],
    )
