import csv

import numpy as np
import pytest
from helpers.commands import refused

from pipeline.files import write_tsv
from pipeline.formats import arkit
from pipeline.formats.rig_file import load_rig
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import dataset_takes
from pipeline.statistics import face_variance
from pipeline.statistics.face_variance import (
    Variance,
    facing_moments,
    gather,
    in_order,
    merge,
    on_rigs,
    outer,
    picture_rows,
    vertex_moments,
    weight_moments,
)

ACTORS = ("001", "002", "003")
NUM_VERTICES = 40
TAKES = {
    "20260101_001": ("001", "002", "Joy", "Friends", 70),
    "20260101_002": ("001", "003", "Anger", "Siblings", 41),
    "20260102_003": ("002", "003", "Joy", "", 55),
}
"""Actors, emotion, relationship and frames by take."""


def write_rig(path, rng, *, num_vertices: int = NUM_VERTICES, faces=None) -> None:
    neutral, deltas = (
        rng.normal(0, 5, (num_vertices, 3)).astype(np.float32),
        rng.normal(0, 0.5, (51, num_vertices, 3)).astype(np.float32),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    faces = np.arange(num_vertices).reshape(-1, 4) if faces is None else faces
    np.savez(path, neutral=neutral, names=np.array(arkit.NAMES), deltas=deltas, faces=faces)


@pytest.fixture
def study(tmp_path):
    """A folder with dataset/ and annotations/ of TAKES, actors with rigs and usual faces of their own."""
    rng = np.random.default_rng(0)
    usual = {actor: rng.uniform(0, 1, 51) for actor in ACTORS}
    for actor in ACTORS:
        write_rig(tmp_path / "dataset" / "rigs" / f"{actor}.npz", rng)
    rows = []
    for folder in ("dataset/face_arkit", "annotations/facing"):
        (tmp_path / folder).mkdir(parents=True)
    for take, (*pair, emotion, relationship, num_frames) in TAKES.items():
        date, scenario = take.split("_")
        for actor in pair:
            weights = usual[actor] + rng.normal(0, 0.3, (num_frames, 51))
            np.save(
                tmp_path / "dataset" / "face_arkit" / f"{date}_{actor}_{scenario}.npy",
                weights.astype(np.float32),
            )
            np.save(
                tmp_path / "annotations" / "facing" / f"{date}_{actor}_{scenario}.npy",
                rng.integers(0, 2, num_frames).astype(np.uint8),
            )
        row = {"take": take, "date": date, "scenario": scenario, "actor_a": pair[0], "actor_b": pair[1]}
        rows.append(
            dict.fromkeys(TAKE_COLUMNS, "") | row | {"emotion": emotion, "relationship": relationship}
        )
    write_tsv(tmp_path / "dataset" / "takes.tsv", TAKE_COLUMNS, rows)
    return tmp_path


def arguments(study, out) -> list:
    folders = [
        "--dataset",
        study / "dataset",
        "--annotations",
        study / "annotations",
        "--rigs",
        study / "dataset" / "rigs",
    ]
    return [*folders, "--out", out / "face_variance.csv", "--out-picture", out / "face_variance.png"]


def rig_paths(study) -> dict:
    return {actor: study / "dataset" / "rigs" / f"{actor}.npz" for actor in ACTORS}


def brute_force(study) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Variance (V,) by group, pooled and within actors.

    Of meshes built frame by frame less the neutral of their actor.
    """
    moved: dict[tuple[str, str], dict[str, list[np.ndarray]]] = {}
    for take, (*pair, emotion, relationship, num_frames) in TAKES.items():
        date, scenario = take.split("_")
        for actor in pair:
            rig = np.load(study / "dataset" / "rigs" / f"{actor}.npz")
            neutral, deltas = rig["neutral"].astype(float), rig["deltas"].astype(float)
            weights = np.load(study / "dataset" / "face_arkit" / f"{date}_{actor}_{scenario}.npy").astype(
                float
            )
            facing = np.load(study / "annotations" / "facing" / f"{date}_{actor}_{scenario}.npy")
            for frame in range(num_frames):
                mesh = neutral + np.einsum("k,kvi->vi", weights[frame], deltas)
                groups = [
                    ("all", "all"),
                    ("facing", "facing" if facing[frame] else "not facing"),
                    ("emotion", emotion),
                ]
                groups += [
                    ("meta-emotion", "Primitive (Positive)" if emotion == "Joy" else "Primitive (Negative)")
                ]
                groups += (
                    [("relationship", relationship), ("meta-relationship", "Family")]
                    if relationship == "Siblings"
                    else []
                )
                # the paper lists no Friends, only kinds of them
                for key in [
                    *groups,
                    *(
                        [("relationship", relationship), ("meta-relationship", "other")]
                        if relationship == "Friends"
                        else []
                    ),
                ]:
                    moved.setdefault(key, {}).setdefault(actor, []).append(mesh - neutral)
    result = {}
    for key, by_actor in moved.items():
        pooled = np.var(
            np.concatenate([np.stack(frames) for frames in by_actor.values()]), axis=0, ddof=0
        ).sum(1)
        parts = [
            np.var(np.stack(frames), axis=0, ddof=0).sum(1) * len(frames) for frames in by_actor.values()
        ]
        result[key] = pooled, sum(parts) / sum(map(len, by_actor.values()))
    return result


def test_the_variance_is_that_of_meshes_built_frame_by_frame_whoever_acts(study):
    groups = gather(dataset_takes(study / "dataset"), study / "dataset", study / "annotations")
    _, _, found = on_rigs(groups, rig_paths(study))
    true = brute_force(study)
    assert set(found) == set(true) and len(true) == 11
    for key, (pooled, within) in true.items():
        np.testing.assert_allclose(found[key].pooled, pooled, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found[key].within, within, rtol=1e-10, atol=1e-10)
    everybody = found["all", "all"]
    assert (everybody.pooled > 1.05 * everybody.within).all(), (
        "actors' usual faces differ, and so do their rigs"
    )


def test_blocks_and_the_order_of_merging_do_not_matter(study):
    name = "20260101_001_001.npy"
    paths = study / "dataset" / "face_arkit" / name, study / "annotations" / "facing" / name
    whole = facing_moments(*paths)
    for block_frames in (1, 7, 69):
        parts = facing_moments(*paths, block_frames=block_frames)
        for group, moments in whole.items():
            assert parts[group].count == moments.count
            np.testing.assert_allclose(parts[group].mean, moments.mean, rtol=1e-12)
            np.testing.assert_allclose(
                parts[group].scatter, moments.scatter, rtol=0, atol=1e-12 * np.abs(moments.scatter).max()
            )
    takes = dataset_takes(study / "dataset")
    one, other = (
        on_rigs(gather(order, study / "dataset", study / "annotations"), rig_paths(study))[2]
        for order in (takes, takes[::-1])
    )
    assert set(one) == set(other)
    for key in one:
        np.testing.assert_allclose(one[key].pooled, other[key].pooled, rtol=1e-12)


def test_small_movements_far_from_the_neutral_keep_their_digits():
    weights = 1e4 + np.random.default_rng(1).normal(0, 1e-4, (3000, 51))
    moments = None
    for block in np.split(weights, 30):
        moments = merge(moments, weight_moments(block), outer)
    true = np.cov(weights.T, ddof=0)  # of squares less the square of the mean, no digit would be left
    np.testing.assert_allclose(moments.scatter / 3000, true, rtol=0, atol=1e-5 * true.max())


def test_a_still_face_has_no_variance():
    moments = vertex_moments(
        weight_moments(np.full((7, 51), 0.7)), np.random.default_rng(1).normal(0, 1, (51, 5, 3))
    )
    assert (moments.scatter >= 0).all() and moments.scatter.max() < 1e-25


def test_facing_splits_the_frames_of_a_performance(study):
    for path in sorted((study / "dataset" / "face_arkit").iterdir()):
        weights, facing = np.load(path), np.load(study / "annotations" / "facing" / path.name)
        weights[facing == 1] = weights[0]
        np.save(path, weights)
    one = study / "annotations" / "facing" / "20260101_001_001.npy"
    np.save(one, np.zeros_like(np.load(one)))  # never faces the partner
    groups = gather(dataset_takes(study / "dataset"), study / "dataset", study / "annotations")
    labels = [np.load(path) for path in sorted((study / "annotations" / "facing").iterdir())]
    assert groups["facing", "facing"].frames == sum(int(x.sum()) for x in labels)
    assert groups["facing", "not facing"].frames == sum(int((1 - x).sum()) for x in labels)
    assert [groups["facing", name].performances for name in ("facing", "not facing")] == [5, 6]
    found = on_rigs(groups, rig_paths(study))[2]
    assert found["facing", "not facing"].within.min() > 0.1
    by_actor = {actor: groups["facing", "facing"].weights[actor].scatter for actor in ACTORS}
    assert np.abs(by_actor["001"]).max() < 1e-12, (
        "a face that does not move while it faces the partner has no variance there"
    )


def test_the_table_tells_who_is_in_a_group_and_leaves_unlabelled_takes_out(study, tmp_path, caplog):
    out = tmp_path / "out"
    face_variance.main([str(a) for a in arguments(study, out)])
    with open(out / "face_variance.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    names = [(row["grouping"], row["group"]) for row in rows]
    facing = [("facing", "facing"), ("facing", "not facing")]
    labels = [
        ("emotion", "Joy"),
        ("emotion", "Anger"),
        ("relationship", "Friends"),
        ("relationship", "Siblings"),
    ]
    meta = [("meta-emotion", "Primitive (Positive)"), ("meta-emotion", "Primitive (Negative)")]
    assert names == [
        ("all", "all"),
        *facing,
        *labels,
        *meta,
        ("meta-relationship", "other"),
        ("meta-relationship", "Family"),
    ]
    by_name = dict(zip(names, rows))
    counts = ("actors", "performances", "frames", "seconds")
    assert [by_name["all", "all"][column] for column in counts] == ["3", "6", "332", "11.07"]
    assert [by_name["emotion", "Joy"][column] for column in counts] == ["3", "4", "250", "8.33"]
    assert [by_name["relationship", "Friends"][column] for column in counts] == ["2", "2", "140", "4.67"]
    assert (
        "1 of 3 takes have no relationship and are in none of its groups, such as 20260102_003" in caplog.text
    )
    assert (
        "the paper lists no meta-relationship for these, their takes are in the group 'other': Friends (1)"
        in caplog.text
    )
    true = brute_force(study)
    for key, row in by_name.items():
        assert float(row["variance_mean_cm2"]) == pytest.approx(true[key][0].mean(), rel=1e-5)
        assert float(row["variance_max_cm2"]) == pytest.approx(true[key][0].max(), rel=1e-5)
        assert float(row["within_actors_mean_cm2"]) == pytest.approx(true[key][1].mean(), rel=1e-5)


def test_areas_of_the_table_are_regions_of_the_rig_and_what_shapes_move(study, tmp_path):
    for path in rig_paths(study).values():
        rig = dict(np.load(path))
        rig["deltas"][:, 20:] = 0  # the back of the head
        np.savez(path, **rig, region_lips=np.array([3, 5]), region_upper_face=np.array([7]))
    face_variance.main([str(a) for a in arguments(study, tmp_path / "out")])
    with open(tmp_path / "out" / "face_variance.csv", newline="", encoding="utf-8") as f:
        row = next(csv.DictReader(f))
    pooled, within = brute_force(study)["all", "all"]
    assert float(row["variance_mean_cm2"]) == pytest.approx(pooled[:20].mean(), rel=1e-5)
    assert float(row["variance_lips_cm2"]) == pytest.approx(pooled[[3, 5]].mean(), rel=1e-5)
    assert float(row["within_actors_upper_face_cm2"]) == pytest.approx(within[7], rel=1e-5)


def test_one_rig_may_serve_all_actors(study, tmp_path):
    shared = study / "dataset" / "rigs" / "001.npz"
    command = arguments(study, tmp_path / "one")
    command[command.index("--rigs") + 1] = shared
    face_variance.main([str(a) for a in command])
    for actor in ACTORS[1:]:
        (shared.parent / f"{actor}.npz").write_bytes(shared.read_bytes())
    face_variance.main([str(a) for a in arguments(study, tmp_path / "each")])
    for name in ("face_variance.csv", "face_variance.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "each" / name).read_bytes()


def test_the_picture_repeats_and_shows_the_variance(study, tmp_path):
    import matplotlib.image

    pictures = []
    for folder in ("first", "again"):
        face_variance.main([str(a) for a in arguments(study, tmp_path / folder)])
        pictures.append((tmp_path / folder / "face_variance.png").read_bytes())
    assert pictures[0] == pictures[1]
    path = study / "dataset" / "face_arkit" / "20260101_003_002.npy"
    np.save(path, np.load(path) * np.float32(3))
    face_variance.main([str(a) for a in arguments(study, tmp_path / "livelier")])
    assert (tmp_path / "livelier" / "face_variance.png").read_bytes() != pictures[0]
    assert matplotlib.image.imread(tmp_path / "first" / "face_variance.png").shape[:2] == (
        round(100 * (5 * 2.4 + 0.4)),
        round(100 * (3 * 1.6 + 1.3)),
    )


def test_faces_are_coloured_by_vertex(study, tmp_path):
    import matplotlib.image

    rig = load_rig(study / "dataset" / "rigs" / "001.npz")
    row = {"grouping": "facing", "group": "facing", "seconds": "1", "variance_lips_cm2": "0.1"}
    pictures = []
    for values in (
        np.zeros(NUM_VERTICES),
        np.full(NUM_VERTICES, 2.0),
        np.linspace(0, 2, NUM_VERTICES),
        np.linspace(2, 0, NUM_VERTICES),
    ):
        face_variance.draw(
            [row], {("facing", "facing"): Variance(values, values)}, rig, tmp_path / "face.png"
        )
        image = matplotlib.image.imread(tmp_path / "face.png")
        pictures.append(image[60:, :160, :3])  # without the colour bar
    still, lively, one, other = pictures
    assert still[..., 0].min() < 1 and np.abs(still[..., 0] - still[..., 1]).max() < 0.1, "pale yellow"
    assert (lively[..., 0] - lively[..., 1]).max() > 0.3, "dark red"
    assert np.abs(one - other).max() > 0.3


def test_a_row_of_the_picture_has_at_most_twelve_faces_and_names_the_rest():
    rows = [{"grouping": "all", "group": "all"}, {"grouping": "facing", "group": "facing"}]
    rows += [{"grouping": "emotion", "group": f"E{i}"} for i in range(14)]
    (facing, faces), (emotion, emotions) = picture_rows(rows)
    assert (facing, [row["group"] for row in faces]) == ("by facing", ["all", "facing"])
    assert emotion == "by emotion: the 12 of 14 groups with most frames; not drawn: E12, E13"
    assert [row["group"] for row in emotions] == [f"E{i}" for i in range(12)]


def test_groups_with_more_frames_come_first(study):
    groups = gather(dataset_takes(study / "dataset"), study / "dataset", study / "annotations")
    assert [key for key in in_order(groups) if key[0] == "emotion"] == [
        ("emotion", "Joy"),
        ("emotion", "Anger"),
    ]
    swapped = {("emotion", "Anger"): groups["emotion", "Joy"], ("emotion", "Joy"): groups["emotion", "Anger"]}
    assert in_order(swapped) == [("emotion", "Anger"), ("emotion", "Joy")]


NAME = "20260101_002_001.npy"
FACE, FACING = f"dataset/face_arkit/{NAME}", f"annotations/facing/{NAME}"


def with_nan(frame: int) -> np.ndarray:
    weights = np.zeros((70, 51), np.float32)
    weights[frame, 3] = np.nan
    return weights


@pytest.mark.parametrize(
    ("file", "value", "line"),
    [
        (FACE, with_nan(66), f"{FACE}, frame 66: a weight is NaN or infinite, need numbers"),
        (FACE, np.zeros((70, 52)), f"{FACE}: got shape (70, 52), need (N, 51)"),
        (FACE, np.zeros((1, 0, 51)), "got shape (1, 0, 51), need (N, 51) with N > 0"),
        (FACE, None, f"{FACE}: no such file"),
        (FACE, b"not numpy", f"{FACE}: not a readable .npy"),
        (FACING, np.zeros(69, np.uint8), f"{FACING}: got shape (69,), need (70,), a label for each frame of"),
        (FACING, np.array([0, 1] * 30 + [2] * 10), f"{FACING}, frame 60: got 2, need 0 or 1"),
        (FACING, None, f"{FACING}: no such file"),
        ("dataset/rigs/003.npz", None, "dataset/rigs/003.npz: no such file; every actor needs a rig"),
    ],
)
def test_bad_input_of_face_variance_is_one_line(study, tmp_path, capsys, file, value, line):
    (study / file).unlink()
    if isinstance(value, bytes):
        (study / file).write_bytes(value)
    elif value is not None:
        np.save(study / file, value)
    command = arguments(study, tmp_path / "out")
    refused(face_variance.main, command, capsys, line, outputs=[command[-3], command[-1]])


@pytest.mark.parametrize(
    ("num_vertices", "faces", "counts"),
    [
        (44, None, "44 vertices and 11 faces"),
        (NUM_VERTICES, np.roll(np.arange(NUM_VERTICES), 1).reshape(-1, 4), "40 vertices and 10 faces"),
    ],
)
def test_rigs_of_other_topologies_are_refused(study, tmp_path, capsys, num_vertices, faces, counts):
    write_rig(
        study / "dataset" / "rigs" / "002.npz",
        np.random.default_rng(2),
        num_vertices=num_vertices,
        faces=faces,
    )
    command = arguments(study, tmp_path / "out")
    line = refused(
        face_variance.main,
        command,
        capsys,
        f"rigs/002.npz: {counts}, not the topology of",
        outputs=[command[-3], command[-1]],
    )
    assert (
        "001.npz (40 and 10), need one for all actors; build the rigs on one topology, or set rig in the"
        " config to one file for all" in line
    )
