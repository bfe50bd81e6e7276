import csv
import logging
import sqlite3
import weakref

import numpy as np
import pytest
import scipy.stats
from helpers.commands import refused
from scipy.spatial.transform import Rotation

from pipeline.files import write_tsv
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import dataset_takes
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.statistics import body_entropy
from pipeline.statistics.body_entropy import (
    NUM_BINS,
    NUM_JOINTS,
    TOP_DEG_S,
    angular_speed,
    bin_counts,
    entropy,
    fastest,
    gather,
    measure,
)

NUM = 26
TAKES = {
    "20260101_001": ("001", "002", "Joy", "Siblings", 70),
    "20260101_002": ("001", "003", "Anger", "Pen Pals", 41),
    "20260102_003": ("002", "003", "Awe", "", 55),
}
"""Actors, emotion, relationship and frames by take; the paper lists no Pen Pals."""


def chain(turns: np.ndarray, *, fps: float = 30.0) -> Motion:
    """A chain of joints whose expmaps in radians are turns (T, J, 3)."""
    num_frames, num_joints = turns.shape[:2]
    offsets = np.repeat([[0.0, 6.0, 0.0]], num_joints, 0)
    names, parents = ["Hips", *(f"Link{j}" for j in range(1, num_joints))], np.arange(num_joints) - 1
    return Motion(
        names,
        parents,
        offsets,
        fps,
        np.repeat(offsets[None], num_frames, 0),
        rotations.from_expmap(turns),
        {},
        ["zxy"] * num_joints,
    )


def spun(steps_deg: np.ndarray, *, num_joints: int = NUM, fps: float = 30.0) -> Motion:
    """All joints turn about y by the given steps (T - 1,) in degrees."""
    angle = np.radians(np.concatenate([[0], np.cumsum(steps_deg)]))
    turns = np.zeros((len(angle), num_joints, 3))
    turns[..., 1] = angle[:, None]
    return chain(turns, fps=fps)


@pytest.fixture
def dataset(tmp_path):
    """A dataset of TAKES whose joints differ in speed, and whose actors do."""
    rng = np.random.default_rng(0)
    pace = rng.permutation(np.geomspace(0.001, 0.2, NUM))
    rows = []
    for take, (*pair, emotion, relationship, num_frames) in TAKES.items():
        date, scenario = take.split("_")
        for actor in pair:
            turns = np.cumsum(rng.normal(0, 1, (num_frames, NUM, 3)) * pace[:, None] * int(actor), 0) * 0.3
            save_bvh(tmp_path / "dataset" / "bvhs" / f"{date}_{actor}_{scenario}.bvh", chain(turns))
        row = {"take": take, "date": date, "scenario": scenario, "actor_a": pair[0], "actor_b": pair[1]}
        rows.append(
            dict.fromkeys(TAKE_COLUMNS, "") | row | {"emotion": emotion, "relationship": relationship}
        )
    write_tsv(tmp_path / "dataset" / "takes.tsv", TAKE_COLUMNS, rows)
    with sqlite3.connect(tmp_path / "dataset" / "actors.db") as connection:
        connection.execute("CREATE TABLE actors(actor_id TEXT, gender TEXT)")
        connection.executemany(
            "INSERT INTO actors VALUES (?, ?)", [("001", "female"), ("002", "male"), ("003", "male")]
        )
    connection.close()
    return tmp_path / "dataset"


def arguments(dataset, out) -> list[str]:
    outs = [
        "--out",
        out / "entropy.csv",
        "--out-joints",
        out / "joints.csv",
        "--out-picture",
        out / "entropy.png",
    ]
    return [str(word) for word in ["--dataset", dataset, *outs]]


def read(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def whole_dataset(dataset) -> dict[tuple[str, str], np.ndarray]:
    """Speeds (N, J) by group, all held at once, by another library's rotations."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for take, (*pair, emotion, relationship, _) in TAKES.items():
        date, scenario = take.split("_")
        for actor in pair:
            q = load_bvh(dataset / "bvhs" / f"{date}_{actor}_{scenario}.bvh").rotations
            one, other = (Rotation.from_quat(part.reshape(-1, 4)) for part in (q[:-1], q[1:]))
            speed = np.degrees((one.inv() * other).magnitude()).reshape(-1, NUM) * 30
            keys = [
                ("all", "all"),
                ("actor", actor),
                ("gender", "female" if actor == "001" else "male"),
                ("emotion", emotion),
            ]
            keys += [
                (
                    "meta-emotion",
                    {
                        "Joy": "Primitive (Positive)",
                        "Anger": "Primitive (Negative)",
                        "Awe": "Surprise-related",
                    }[emotion],
                )
            ]
            if relationship:
                keys += [
                    ("relationship", relationship),
                    ("meta-relationship", "Family" if relationship == "Siblings" else "other"),
                ]
            for key in keys:
                found.setdefault(key, []).append(speed)
    return {key: np.concatenate(parts) for key, parts in found.items()}


def test_speed_is_degrees_per_second_whatever_the_sign_of_the_quaternions():
    motion = spun(np.array([1.0, 2.0, 0.0, 179.0]), num_joints=3, fps=50)
    motion.rotations[2] *= -1
    np.testing.assert_allclose(
        angular_speed(motion), np.repeat([[50.0], [100], [0], [8950]], 3, 1), atol=1e-9
    )


@pytest.mark.parametrize("k", [1, 2, 7, NUM_BINS])
def test_velocities_uniform_over_k_bins_have_the_entropy_log_k(k):
    centres = (np.arange(k) + 0.5) * TOP_DEG_S / NUM_BINS
    group = measure(spun(np.repeat(centres, 3) / 30))
    np.testing.assert_allclose(entropy(group.counts[fastest(group)].sum(0)), np.log(k), atol=1e-12)
    assert group.steps == 3 * k and group.seconds == pytest.approx(k / 10)


def test_a_velocity_on_an_edge_belongs_to_the_bin_above_and_one_beyond_to_the_last():
    speed = np.array([[0.0], [10.0], [999.9], [1000.0], [5400.0]])
    counts = bin_counts(speed)[0]
    assert {int(i): int(counts[i]) for i in np.flatnonzero(counts)} == {0: 1, 1: 1, 99: 3}
    assert measure(spun(np.array([1.0, 40.0, 170.0]))).beyond.tolist() == [2] * NUM


def test_the_table_is_what_histograms_of_the_whole_dataset_say(dataset, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        body_entropy.main(arguments(dataset, tmp_path / "out"))
    assert "'other': Pen Pals (1)" in caplog.text
    speeds = whole_dataset(dataset)
    joints = np.argsort(-speeds["all", "all"].mean(0))[:NUM_JOINTS]
    rows = {(row["grouping"], row["group"]): row for row in read(tmp_path / "out" / "entropy.csv")}
    assert set(rows) == set(speeds) and ("meta-relationship", "other") in rows
    for key, speed in speeds.items():
        chosen = speed[:, joints]
        counts, _ = np.histogram(np.minimum(chosen, TOP_DEG_S), bins=NUM_BINS, range=(0, TOP_DEG_S))
        assert float(rows[key]["entropy_nats"]) == pytest.approx(scipy.stats.entropy(counts), abs=6e-5)
        assert float(rows[key]["entropy_bits"]) == pytest.approx(
            scipy.stats.entropy(counts, base=2), abs=6e-5
        )
        assert float(rows[key]["mean_deg_s"]) == pytest.approx(chosen.mean(), abs=6e-3)
        assert float(rows[key]["beyond_share"]) == pytest.approx((chosen >= TOP_DEG_S).mean(), abs=6e-7)
        assert float(rows[key]["seconds"]) == pytest.approx(len(speed) / 30, abs=6e-3)
    assert float(rows["actor", "001"]["entropy_bits"]) < float(rows["actor", "003"]["entropy_bits"])
    named = read(tmp_path / "out" / "joints.csv")
    order = np.argsort(-speeds["all", "all"].mean(0))
    assert [row["joint"] for row in named] == [
        ["Hips", *(f"Link{j}" for j in range(1, NUM))][j] for j in order
    ]
    assert [row["counted"] for row in named] == ["yes"] * NUM_JOINTS + ["no"] * (NUM - NUM_JOINTS)


def test_joints_are_those_of_the_whole_dataset_and_of_equals_the_first(dataset):
    _, groups = gather(dataset_takes(dataset), dataset, {"001": "x", "002": "x", "003": "x"})
    groups["all", "all"].sums[:] = 1.0
    assert fastest(groups["all", "all"]).tolist() == list(range(NUM_JOINTS))
    assert groups["gender", "x"].performances == 6 == groups["all", "all"].performances


def test_few_joints_are_all_counted_and_the_log_says_so(dataset, tmp_path, caplog):
    for path in (dataset / "bvhs").iterdir():
        save_bvh(path, spun(np.full(9, 2.0), num_joints=5))
    with caplog.at_level(logging.WARNING):
        body_entropy.main(arguments(dataset, tmp_path / "out"))
    assert "5 joints, the paper takes 20" in caplog.text
    assert {row["counted"] for row in read(tmp_path / "out" / "joints.csv")} == {"yes"}


def test_body_entropy_writes_the_same_bytes_twice(dataset, tmp_path):
    for name in ("one", "two"):
        body_entropy.main(arguments(dataset, tmp_path / name))
    for file in ("entropy.csv", "joints.csv", "entropy.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_body_entropy_holds_few_bodies_at_a_time(dataset, monkeypatch):
    alive: list[weakref.ref] = []
    most = 0

    def load(path):
        nonlocal most
        motion = load_bvh(path)
        alive.extend([weakref.ref(motion), weakref.ref(motion.rotations)])
        most = max(most, sum(ref() is not None for ref in alive))
        return motion

    monkeypatch.setattr(body_entropy, "load_bvh", load)
    gather(dataset_takes(dataset), dataset, dict.fromkeys(("001", "002", "003"), ""))
    assert len(alive) == 12 and most <= 4, "the body at hand and the one before it"


def test_a_rotation_that_is_nan_is_refused_by_file_and_frame(dataset, tmp_path, capsys):
    path = dataset / "bvhs" / "20260101_003_002.bvh"
    motion = load_bvh(path)
    motion.rotations[7, 3] = np.nan
    save_bvh(path, motion)
    outputs = [tmp_path / "out" / name for name in ("entropy.csv", "joints.csv", "entropy.png")]
    refused(
        body_entropy.main,
        arguments(dataset, tmp_path / "out"),
        capsys,
        path.name,
        "frame 7",
        "NaN",
        outputs=outputs,
    )


@pytest.mark.parametrize(
    "num_joints, fps, num_frames, needle",
    [(NUM - 1, 30, 9, "Link25"), (NUM, 60, 9, "at 60 fps"), (NUM, 30, 1, "1 frame")],
)
def test_a_body_that_does_not_fit_the_others_is_refused_by_file(
    dataset, tmp_path, capsys, num_joints, fps, num_frames, needle
):
    path = dataset / "bvhs" / "20260101_003_002.bvh"
    save_bvh(path, spun(np.ones(num_frames - 1), num_joints=num_joints, fps=fps))
    refused(body_entropy.main, arguments(dataset, tmp_path / "out"), capsys, path.name, needle)
