"""Whose mouth it is, on shards of three actors whose mouths are drawn from known distributions."""

from dataclasses import dataclass

import numpy as np
import pytest
from helpers.tiny_shards import make_shards

from models import metrics
from models.data import shards_of
from models.mouths import LIP_SET, Mouths
from pipeline.formats.arkit import MOUTH, NAMES
from pipeline.formats.shard_file import TakeSpan

STATS = {"face": {"std": [0.5 if name != "mouthLeft" else 1e-5 for name in NAMES]}}
MEANS = {"001": 0.0, "002": 1.0, "003": 4.0}


@dataclass
class Drawn:
    """A shard of takes with faces only."""

    takes: list[TakeSpan]
    face: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return {"face": self.face}[name]


def faces(actor: str, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(MEANS[actor], 0.5, (count, 51))


def drawn_shard() -> tuple[list[TakeSpan], np.ndarray]:
    takes = [("001", "002", "train"), ("002", "003", "test"), ("001", "002", "test")]
    spans = [
        TakeSpan(f"20240101_{i:03d}", a, b, split, 400 * i, 400 * i + 400, 0, 0)
        for i, (a, b, split) in enumerate(takes)
    ]
    face = [
        np.stack([faces(a, 400, 2 * i), faces(b, 400, 2 * i + 1)], 1) for i, (a, b, _) in enumerate(takes)
    ]
    return spans, np.concatenate(face)


@pytest.fixture(scope="module")
def drawn() -> Mouths:
    return Mouths([Drawn(*drawn_shard())], STATS, {})


def test_moments_are_of_train_takes_and_else_of_test_takes(drawn):
    assert {actor: mouth.split for actor, mouth in drawn.of.items()} == {
        "001": "train",
        "002": "train",
        "003": "test",
    }
    used = [column for column in MOUTH if NAMES[column] != "mouthLeft"]  # which does not move
    rows = faces("001", 400, 0)[:, used] / 0.5
    assert drawn.of["001"].rows.count == 400
    np.testing.assert_allclose(drawn.of["001"].rows.mean, rows.mean(0), atol=1e-12)
    np.testing.assert_allclose(drawn.of["001"].rows.covariance(), np.cov(rows.T), atol=1e-12)
    assert drawn.of["001"].gap is None is drawn.of["001"].shut_below


def test_frames_are_told_by_their_nearest_mean(drawn):
    """Of two normal distributions d apart in Mahalanobis's distance, Phi(d / 2) are nearer to their own."""
    one = drawn.nearer("001", drawn.rows(faces("001", 4000, 9)))
    assert one == pytest.approx({"002": 1, "003": 1}, abs=1e-3)
    as_another = drawn.nearer("001", drawn.rows(faces("002", 4000, 9)))
    assert as_another == pytest.approx({"002": 0, "003": 1}, abs=1e-3)
    near = np.random.default_rng(1).normal(0.5, 0.5, (4000, 51))  # half-way between the two
    assert drawn.nearer("001", drawn.rows(near))["002"] == pytest.approx(0.5, abs=0.05)
    shrunk = faces("001", 4000, 9)
    shrunk[:, [i for i, name in enumerate(NAMES) if name != "jawOpen"]] = 0.5
    # one weight tells them: means 2 deviations apart, so half of that from the border; Phi(1) = 0.84
    assert drawn.nearer("001", drawn.rows(shrunk))["002"] == pytest.approx(0.84, abs=0.08)


def test_distances_are_those_of_mahalanobis():
    from scipy.spatial.distance import mahalanobis

    names, rng = ["jawOpen", "mouthClose"], np.random.default_rng(3)
    two = [NAMES.index(name) for name in names]
    std = np.where(np.isin(NAMES, names), 0.1, 0)

    def drawn_at(mean):
        face = np.zeros((500, 51))
        face[:, two] = rng.multivariate_normal(mean, [[0.0005, 0.0004], [0.0004, 0.0005]], 500)
        return face

    face = np.stack([drawn_at((0.2, 0.3)), drawn_at((0.21, 0.3))], 1)
    found = Mouths(
        [Drawn([TakeSpan("20240101_000", "001", "002", "train", 0, 500, 0, 0)], face)],
        {"face": {"std": std.tolist()}},
        {},
    )
    rows = found.rows(drawn_at((0.205, 0.31)))
    means = [face[:, k, two].mean(0) / 0.1 for k in range(2)]
    covariance = sum(np.cov(face[:, k, two].T / 0.1, ddof=0) for k in range(2)) / 2 + 0.01 * np.eye(2)
    inverse = np.linalg.inv(covariance)
    own, other = ([mahalanobis(row, mean, inverse) for row in rows] for mean in means)
    expected = np.mean(np.less(own, other))
    assert found.nearer("001", rows)["002"] == pytest.approx(expected) and 0.01 < expected < 0.99
    plain = np.linalg.norm(rows - means[0], axis=1) < np.linalg.norm(rows - means[1], axis=1)
    assert plain.mean() != pytest.approx(expected, abs=0.01)


def test_the_lip_set_is_one_more_reference(drawn):
    lip_set = [faces("003", 30, 5), faces("003", 40, 6)]
    spans, face = drawn_shard()
    found = Mouths([Drawn(spans, face)], STATS, {}, lip_set)
    assert [*found.references] == ["001", "002", "003", LIP_SET] and LIP_SET not in found.of
    np.testing.assert_allclose(found.references[LIP_SET].mean, found.rows(np.concatenate(lip_set)).mean(0))
    rows = found.rows(faces("001", 500, 9))
    shares = found.nearer("001", rows)
    assert shares.pop(LIP_SET) == pytest.approx(1, abs=0.01) and shares == drawn.nearer("001", rows)


def test_a_mouth_of_no_actor_but_the_own_has_no_other(drawn):
    shards, stats = (
        [Drawn([TakeSpan("20240101_000", "001", "002", "train", 0, 9, 0, 0)], np.ones((9, 2, 51)))],
        STATS,
    )
    found = Mouths(shards, stats, {})
    assert found.nearer("001", found.rows(np.ones((5, 51)))) == {"002": 0.5}, "a tie"


def test_shards_of_a_folder(tmp_path):
    opened, stats = shards_of(make_shards(tmp_path / "shards"))
    found = Mouths(opened, stats, {})
    assert [mouth.split for mouth in found.of.values()] == ["train", "train", "train", "test"]
    span = opened[0].takes[0]
    own = found.rows(opened[0]["face"][span.start_frame : span.stop_frame, 0])
    assert metrics.frechet_distance(own, own) == pytest.approx(0, abs=1e-6)
    assert found.of["001"].rows.count == 150 + 170
