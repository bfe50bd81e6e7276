"""The table: what must be zero is, and every number is what the metrics say of the arrays.

Bad folders are named.
"""

import csv
import html
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from models import baselines, data, evaluate, generate, lips, metrics, mouths, scores
from models.asked_actions import asked_actions
from models.data import shards_of, takes_of
from pipeline.config import Evaluate, Facing, Generate
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats import arkit
from pipeline.formats.rig_file import load_rig, regions
from pipeline.motion import pose

OPTIONS = Evaluate(window_frames=40, num_pairs=50)
NEED_MORE = scores.GESTURES.keys() | {"actions_agree"}
"""Columns that need hands and toes, which the bodies of the tiny shards have not."""
HANDLESS = {name: what for name, what in scores.COLUMNS.items() if name not in NEED_MORE}
SOUNDS = (("P", 0.02), ("AH", 0.22), ("M", 0.42), ("IY", 0.62), ("B", 0.82))


@pytest.fixture(scope="module")
def rigs(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("rigs"), np.random.default_rng(0)
    for actor in ("001", "002", "003", "004"):
        deltas = rng.normal(0, 0.3, (51, 120, 3)) * (rng.random((51, 120, 1)) < 0.3)
        np.savez(
            folder / f"{actor}.npz",
            neutral=rng.normal(0, 5, (120, 3)),
            names=np.array(arkit.NAMES),
            deltas=deltas,
            faces=np.zeros((1, 3), int),
        )
    return folder


@pytest.fixture(scope="module")
def transcripts(trained, tmp_path_factory):
    """The same sounds in each second; the shorter take has them in its first only, actor 004 none."""
    folder = tmp_path_factory.mktemp("transcripts")
    for _, span in takes_of(shards_of(trained.shards)[0], "test"):
        for name in span.performances:
            seconds = 3 if name.endswith("_004") else "_004_" not in name
            said = [(sound, i + start, i + start + 0.1) for i in range(seconds) for sound, start in SOUNDS]
            phonemes = [{"phoneme": sound, "start": a, "end": b, "word": 0} for sound, a, b in said]
            write_json(folder / f"{name}.json", {"words": [], "phonemes": phonemes})
    return folder


@pytest.fixture(scope="module")
def generated(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("generated")
    nothing = dict.fromkeys("takes audio transcripts actions facing actors placement".split())
    generate.run(
        runs=[trained.runs],
        shards=trained.shards,
        out=out,
        name="",
        options=Generate(num_samples=2, device="cpu"),
        **nothing,
    )
    return out


class Written(NamedTuple):
    """Rows of the CSV by name, the page, and the folder of both and of the faces' files."""

    found: dict[str, dict]
    page: str
    folder: Path


@pytest.fixture(scope="module")
def rows(trained, generated, rigs, transcripts, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    paths = {"out_table": out / "table.csv", "out_page": out / "table.html", "transcripts": transcripts}
    paths["out_faces"] = out
    evaluate.run(shards=trained.shards, generated=[generated], rigs=rigs, options=OPTIONS, **paths)
    with open(paths["out_table"], newline="") as f:
        found = {row["method"]: row for row in csv.DictReader(f)}
    return Written(found, paths["out_page"].read_text(), out)


def test_rows_and_what_must_be_zero(rows):
    found, *_ = rows
    assert list(found) == ["real", "trained models", "mean pose", "nearest training clip", "training takes"]
    of_samples, of_moving_jaws = {"spread_body", "spread_face"}, {"jaw_voice"}
    assert all(found[name][column] == "" for name in found for column in NEED_MORE)
    for name in found:
        empty = {column for column in HANDLESS if found[name][column] == ""}
        expected = of_moving_jaws if name == "mean pose" else set()
        assert empty == (expected if name == "trained models" else expected | of_samples), name
    value = {
        name: {column: float(row[column] or "nan") for column in HANDLESS.keys() - of_samples}
        for name, row in found.items()
    }
    zero = ["FD_g", "FD_k", "Div_sample", "LVE_cm2", "LVE_mean_cm2", "LVE_root_cm", "FDD_cm2"]
    zero += [column for column in scores.SPACE if column.endswith("_W1")]
    assert all(abs(value["real"][column]) < 1e-8 for column in zero)
    assert value["real"]["accel_body"] == value["real"]["accel_face"] == value["real"]["upper_face"] == 1
    assert value["mean pose"]["upper_face"] == value["mean pose"]["blinks_min"] == 0
    assert value["real"]["Div_g"] > 0 and value["real"]["Div_k"] > 0
    still = ("Div_g", "Div_k", "Div_sample", "accel_body", "accel_face", "path_m_min", "speed_cm_s")
    assert all(abs(value["mean pose"][column]) < 1e-6 for column in (*still, "turn_deg_s", "slide_cm_s"))
    assert value["mean pose"]["FDD_cm2"] > 0  # a still face moves too little
    assert value["mean pose"]["path_W1"] == pytest.approx(value["real"]["path_m_min"], rel=1e-6)
    assert value["mean pose"]["LVE_cm2"] == value["mean pose"]["LVE_mean_cm2"] > 0
    assert value["trained models"]["Div_sample"] > 0 == value["nearest training clip"]["Div_sample"]
    assert value["trained models"]["FD_g"] > 0 and value["trained models"]["LVE_cm2"] > 0
    assert value["trained models"]["LVE_mean_cm2"] < value["trained models"]["LVE_cm2"]
    assert value["nearest training clip"]["path_m_min"] > 0  # its bodies move
    assert (
        found["trained models"]["samples"] == "2"
        and found["real"]["windows"] == "4"
        and found["real"]["num_pairs"] == "50"
    )


def test_intervals_stand_where_there_are_two_samples_or_takes(rows):
    found, page, _ = rows
    seeds = {name for name in HANDLESS if found["trained models"][f"{name}_seeds"]}
    # what is only defined over several samples has no value of one alone
    assert set(HANDLESS) - seeds == {"Div_sample", "spread_body", "spread_face", "LVE_mean_cm2"}
    assert all(found["trained models"][f"{name}_takes"] for name in HANDLESS)
    assert all(not found["mean pose"][f"{name}_seeds"] for name in scores.COLUMNS)
    assert float(found["nearest training clip"]["LVE_cm2_takes"]) > 0
    assert "over samples" in page and "&plusmn;" in page


def test_intervals_are_those_of_each_sample_and_each_take_alone(rows, trained, generated):
    """With two of each, a part is what is left when the other is left out."""
    row = {
        name: float(value) for name, value in rows[0]["trained models"].items() if value and name[0] in "FD"
    }
    shards, _ = data.shards_of(trained.shards)
    real, made = [], [[], []]
    for shard, span in data.takes_of(shards, "test"):
        cut = [slice(a, a + 40) for a in (0, 40)]
        body = shard["body"][span.start_frame : span.stop_frame]
        real.append([body[part].reshape(40, -1) for part in cut])
        for number in range(2):
            sample = evaluate.read_generated(generate.sample_folder(generated, number), shard, span)
            made[number].append([sample.body[part].reshape(40, -1) for part in cut])

    def score(samples, takes):
        chosen = [sum((made[s][q] for q in takes), []) for s in samples]
        return metrics.body_metrics(chosen, sum((real[q] for q in takes), []), rng=np.random.default_rng(0))

    t = 12.706205  # 97.5 % of Student's t with one degree of freedom
    for ending, parts in (
        ("seeds", [([s], [0, 1]) for s in range(2)]),
        ("takes", [([0, 1], [q]) for q in range(2)]),
    ):
        one, two = (score(*part) for part in parts)
        for name in ("FD_g", "FD_k", "Div_k"):
            assert row[f"{name}_{ending}"] == pytest.approx(t * abs(one[name] - two[name]) / 2, rel=1e-6), (
                name
            )


@pytest.mark.parametrize(
    "chosen",
    [
        {"body_values": "standardised"},
        {"body_values": "features", "body_rows": "person", "body_rates": "second", "div_k": "distance"},
        {"body_rows": "person", "body_pairs": "window", "div_k": "distance", "div_sample": "distance"},
        {"div_k": "deviation", "div_sample": "deviation"},
    ],
    ids=lambda chosen: "-".join(chosen),
)
def test_other_readings_of_the_body_metrics(trained, generated, chosen):
    """Each of the options, by what the metrics say of rows arranged by hand; and the notes name it."""
    options = OPTIONS.model_copy(update=chosen)
    rows, notes, *_ = evaluate.table(trained.shards, {"made": generated}, None, options)
    shards, stats = data.shards_of(trained.shards)
    live = {"body": np.array(stats["body"]["std"]) >= 0.01, "relative_root": np.ones(4, bool)}

    def windows(sample):
        parts = {"body": np.asarray(sample.body, float)}
        if options.body_values == "features":
            root = np.asarray(sample.root, float)
            parts["relative_root"] = np.stack([pose.relative_root(root[:, k]) for k in range(2)], 1)
        if options.body_values != "radians":
            for name, part in parts.items():
                mean, std = (np.array(stats[name][key])[live[name]] for key in ("mean", "std"))
                parts[name] = (part[..., live[name]] - mean) / std
        both = np.concatenate(list(parts.values()), -1)
        cut = [both[a : a + 40] for a in (0, 40)]
        if options.body_rows == "person":
            return [part[:, k] for part in cut for k in range(2)]
        return [part.reshape(40, -1) for part in cut]

    real, made = [], [[], []]
    for shard, span in data.takes_of(shards, "test"):
        true = (shard[name][span.start_frame : span.stop_frame] for name in ("body", "root"))
        real += windows(scores.Sample(*true))
        for number in range(2):
            folder = generate.sample_folder(generated, number)
            made[number] += windows(evaluate.read_generated(folder, shard, span))
    reading = metrics.Reading(
        30 if options.body_rates == "second" else 1, options.body_pairs, options.div_k, options.div_sample
    )
    want = metrics.body_metrics(made, real, rng=np.random.default_rng(0), num_pairs=50, reading=reading)
    names = ["FD_g", "FD_k", "Div_sample", "num_rows"]
    # of several draws by one generator only the first is that of the table
    names += ["Div_k"] if "Div_k" not in reading.drawn else []
    names += ["Div_g"]
    for name in names:
        assert rows["made"][name] == pytest.approx(want[name], rel=1e-7), name
    assert 0 < rows["made"]["Div_k"] != rows["real"]["Div_k"] and rows["made"]["Div_g_takes"] > 0
    assert (rows["made"].get("num_pairs") == 50) == (options.body_pairs == "pooled")
    for name, value in chosen.items():
        assert any(f"{name} {value}" in note for note in notes)
    if "distance" in chosen.values() and options.body_pairs == "pooled":
        assert rows["made"]["Div_k_seeds"] is not None
    whose = "one actor's" if options.body_rows == "person" else "both actors'"
    assert any(f"{whose} {real[0].shape[1]} " in note for note in notes)


def test_faces_of_some_actors_are_measured_alone(trained, generated, rigs, transcripts):
    takes = takes_of(shards_of(trained.shards)[0], "test")
    actors = [actor for _, span in takes for actor in (span.actor_a, span.actor_b)]

    def found(*chosen):
        options = OPTIONS.model_copy(update={"actors": chosen})
        return evaluate.table(
            trained.shards, {"made": generated}, scores.Rigs(rigs), options, transcripts=transcripts
        )

    together = found().rows
    alone = {actor: found(actor) for actor in set(actors)}
    for column in ("LVE_cm2", "LVE_mean_cm2", "FDD_cm2"):
        values = [alone[actor][0]["made"][column] for actor in actors]
        assert np.mean(values) == pytest.approx(together["made"][column], rel=1e-9)
        assert len(set(values)) > 1
    mouth_distances = [found.rows["made"]["mouth_FD"] for found in alone.values()]
    assert np.mean(mouth_distances) == pytest.approx(together["made"]["mouth_FD"], rel=1e-9)
    closed = {actor: found.rows["made"]["plosives_closed"] is not None for actor, found in alone.items()}
    assert closed == {"001": True, "002": True, "004": False}, "who says nothing closes on nothing"
    rows, notes, *_ = alone[actors[0]]
    assert f"Faces are those of {actors[0]} alone, bodies those of everybody." in notes
    assert rows["made"]["performances"] == actors.count(actors[0])
    assert rows["made"]["FD_g"] == together["made"]["FD_g"]
    with pytest.raises(InputError, match="no test take with actor '9'; the actors of the test takes are"):
        found("9")


def test_many_takes_are_left_out_in_parts(trained, generated, monkeypatch):
    apart, *_ = evaluate.table(trained.shards, {"mine": generated}, None, OPTIONS)
    monkeypatch.setattr(scores, "MOST_PARTS", 1)
    together, *_ = evaluate.table(trained.shards, {"mine": generated}, None, OPTIONS)
    for name in HANDLESS.keys() - scores.FACES.keys():
        assert together["mine"][name] == pytest.approx(apart["mine"][name], rel=1e-9)
        assert together["mine"][f"{name}_takes"] is None is not apart["mine"][f"{name}_takes"]


def test_rows_of_trained_models_are_checked(rows):
    found, page, _ = rows
    assert found["trained models"]["checks"].endswith("of 7") and found["real"]["checks"] == ""
    assert set(found["trained models"]["failed"].split()) <= set(scores.COLUMNS)
    assert page.count('class="pass"') + page.count('class="fail"') == 7


def test_numbers_are_those_of_the_metrics(rows, trained, generated, rigs):
    shards, _ = data.shards_of(trained.shards)
    real, made, lve, root, fdd, frames = [], [[], []], [], [], [], []
    for shard, span in data.takes_of(shards, "test"):
        real += [shard["body"][a : a + 40].reshape(40, -1) for a in (span.start_frame, span.start_frame + 40)]
        for number in range(2):
            sample = evaluate.read_generated(generate.sample_folder(generated, number), shard, span)
            made[number] += [sample.body[a : a + 40].reshape(40, -1) for a in (0, 40)]
            for k, actor in enumerate((span.actor_a, span.actor_b)):
                rig = load_rig(rigs / f"{actor}.npz")
                meshes = [
                    rig.neutral + np.einsum("tk,kvc->tvc", w[:, k].astype(float), rig.deltas)
                    for w in (sample.face, shard["face"][span.start_frame : span.stop_frame])
                ]
                areas, frames = regions(rig), [*frames, len(meshes[0])]
                lve.append(metrics.lip_vertex_error(*meshes, areas["lips"]))
                root.append(metrics.lip_vertex_error(*meshes, areas["lips"], squared=False))
                fdd.append(
                    [
                        metrics.face_dynamics_deviation(
                            *meshes, rig.neutral, areas["upper_face"], squared=squared
                        )
                        for squared in (True, False)
                    ]
                )
    want = metrics.body_metrics(
        np.array(made), np.array(real), rng=np.random.default_rng(OPTIONS.seed), num_pairs=50
    )
    row = rows[0]["trained models"]
    names = ("FD_g", "FD_k", "Div_g", "Div_k", "Div_sample")
    assert {key: float(row[key]) for key in names} == pytest.approx(
        {key: want[key] for key in names}, rel=1e-6
    )
    want = {"LVE_cm2": np.mean(lve), "LVE_frames_cm2": np.average(lve, weights=frames)}
    want |= {"LVE_root_cm": np.mean(root), "LVE_root_frames_cm": np.average(root, weights=frames)}
    want |= dict(zip(("FDD_cm2", "FDD_root_cm"), np.mean(fdd, 0)))
    assert {name: float(row[name]) for name in want} == pytest.approx(want, rel=1e-5)
    assert row["LVE_frames_cm2"] != row["LVE_cm2"]


def test_closures_are_counted_by_the_actors_gaps(rows, trained, rigs):
    shards, _ = data.shards_of(trained.shards)
    real = rows[0]["real"]
    closed, false, shares = [], [], []
    for shard, span in data.takes_of(shards, "test"):
        for k, actor in enumerate((span.actor_a, span.actor_b)):
            gap = lips.gap_of(load_rig(rigs / f"{actor}.npz"))
            own = [
                gap.of(s["face"][t.start_frame : t.stop_frame, j])
                for s in shards
                for t in s.takes
                for j, other in enumerate((t.actor_a, t.actor_b))
                if other == actor
            ]
            low, high = np.percentile(np.concatenate(own), [2, 98])
            shut = gap.of(shard["face"][span.start_frame : span.stop_frame, k]) <= low + 0.15 * (high - low)
            seconds = 3 if span.take == "20240101_004" else int(actor != "004")
            lips_at = [i + middle for i in range(seconds) for middle in (0.07, 0.47, 0.87)]
            times = np.arange(len(shut)) / 30
            closed += (at_lips := [any(shut[abs(times - middle) <= 0.05]) for middle in lips_at])
            shares += [np.mean(at_lips)] if at_lips else []
            for t, is_shut in zip(times, shut):
                said = any(0.22 <= t - i <= 0.32 or 0.62 <= t - i <= 0.72 for i in range(seconds))
                false += [is_shut] if said and min(abs(t - middle) for middle in lips_at) > 0.1 else []
    assert float(real["plosives_closed"]) == pytest.approx(np.mean(closed))
    assert float(real["plosives_false"]) == pytest.approx(np.mean(false))
    assert 0 < np.mean(false) and 0 < np.mean(closed) != pytest.approx(np.mean(shares))


def test_mouths_are_those_of_the_actors(rows, trained, generated):
    shards, stats = data.shards_of(trained.shards)
    captured, made = mouths.Mouths(shards, stats, {}), {}
    for shard, span in data.takes_of(shards, "test"):
        for number in range(2):
            sample = evaluate.read_generated(generate.sample_folder(generated, number), shard, span)
            for k, actor in enumerate((span.actor_a, span.actor_b)):
                made.setdefault(actor, []).append(captured.rows(sample.face[:, k]))
    pooled = {actor: np.concatenate(parts) for actor, parts in made.items()}
    train = {actor: [] for actor in captured.of}
    for shard in shards:
        for span in shard.takes:
            for k, actor in enumerate((span.actor_a, span.actor_b)):
                if span.split == captured.of[actor].split:
                    train[actor].append(captured.rows(shard["face"][span.start_frame : span.stop_frame, k]))
    distances = [
        metrics.frechet_distance(part, np.concatenate(train[actor])) for actor, part in pooled.items()
    ]
    row = rows[0]["trained models"]
    assert float(row["mouth_FD"]) == pytest.approx(np.mean(distances), rel=1e-6)
    assert 0 < float(row["mouth_own"]) < 1


def test_faces_beside_the_papers_are_those_of_the_table(rows):
    with open(rows.folder / "faces.csv", newline="") as f:
        faces = {row["method"]: row for row in csv.DictReader(f)}
    assert faces["trained models"]["paper"] == "Ours (Base)" and faces["real"]["paper"] == ""
    page = (rows.folder / "faces.html").read_text()
    assert "001 " in page and " of 120; 002 " in page and "joint values" not in page
    for name, row in rows.found.items():
        shared = faces[name].keys() & row.keys()
        assert shared >= {*scores.FACES, "LVE_cm2_seeds", "samples"}
        assert {key: row[key] for key in shared} == {key: faces[name][key] for key in shared}


def test_mouths_of_pairs_of_actors_make_the_scores(rows):
    with open(rows.folder / "mouths.csv", newline="") as f:
        pairs = [pair for pair in csv.DictReader(f) if pair["method"] == "trained models"]
    own = [float(pair["mouth_FD"]) for pair in pairs if pair["actor"] == pair["of"]]
    assert np.mean(own) == pytest.approx(float(rows.found["trained models"]["mouth_FD"]))
    shares = [(float(pair["nearer_own"]), int(pair["frames"])) for pair in pairs if pair["nearer_own"]]
    assert len(shares) == 3 * len(own) == 9, "three actors of the test takes, each against the three others"
    values, frames = zip(*shares)
    mean = float(rows.found["trained models"]["mouth_own"])
    assert np.average(values, weights=frames) == pytest.approx(mean)


def test_mouths_are_held_against_the_lip_set(trained, generated, rows, tmp_path):
    def found(**given):
        return evaluate.table(trained.shards, {"trained models": generated}, None, OPTIONS, **given)

    with pytest.raises(InputError, match="no .npy; need the faces of the lip-accurate set"):
        found(lip_set=tmp_path)
    rng = np.random.default_rng(0)
    reading = [rng.normal(0.3, 0.1, (frames, 51)) for frames in (40, 50)]
    for number, face in enumerate(reading):
        np.save(tmp_path / f"{number}.npy", face)
    table = found(lip_set=tmp_path)
    row = table.rows["trained models"]
    assert row["mouth_own"] == pytest.approx(float(rows.found["trained models"]["mouth_own"]), rel=1e-6)
    pairs = [pair for pair in table.mouths if pair["of"] == "lip set" and pair["method"] == "real"]
    shards, stats = data.shards_of(trained.shards)
    captured = mouths.Mouths(shards, stats, {})
    real = {}
    for shard, span in data.takes_of(shards, "test"):
        for k, actor in enumerate((span.actor_a, span.actor_b)):
            face = shard["face"][span.start_frame : span.stop_frame, k]
            real.setdefault(actor, []).append(captured.rows(face))
    want = [
        metrics.frechet_distance(np.concatenate(real[actor]), captured.rows(np.concatenate(reading)))
        for actor in sorted(real)
    ]
    assert [pair["mouth_FD"] for pair in pairs] == pytest.approx(want, rel=1e-6)
    np.save(tmp_path / "2.npy", np.zeros((5, 50)))
    with pytest.raises(InputError, match=r"2.npy: got shape \(5, 50\), need \(N, 51\)"):
        found(lip_set=tmp_path)


def test_blocks_do_not_change_face_errors(rigs, monkeypatch):
    rig = load_rig(rigs / "001.npz")
    rng = np.random.default_rng(1)
    predicted, real = rng.random((2, 37, 51))
    whole = scores.face_errors(predicted, real, rig, regions(rig))
    monkeypatch.setattr(scores, "BLOCK", 300)
    assert scores.face_errors(predicted, real, rig, regions(rig)) == pytest.approx(whole, rel=1e-9)


def test_page_stands_alone_and_explains_itself(rows):
    page = rows.page
    assert all(name in page for name in evaluate.ROWS) and "http" not in page and "<script" not in page
    assert "4 windows of 40 frames; 2 samples a take" in page and "mean over frames" in page


def test_a_short_take_is_one_window_and_shortens_no_other(trained, generated):
    found, notes, *_ = evaluate.table(
        trained.shards, {"mine": generated}, None, Evaluate(window_frames=95, num_pairs=10_000)
    )
    assert found["real"]["window_frames"] == 95 and found["real"]["windows"] == 2
    assert "2 windows of 95 frames, 1 of them shorter" in notes[0]
    assert found["real"]["LVE_cm2"] is None and any("No rigs" in note for note in notes)
    assert found["real"]["num_pairs"] == found["real"]["num_rows"] == 95 + 90
    assert any("real (185)" in note for note in notes)
    shards, _ = data.shards_of(trained.shards)
    test, real, made = data.takes_of(shards, "test"), [], [[], []]
    for shard, span in test:
        length = min(95, span.stop_frame - span.start_frame)
        real.append(shard["body"][span.start_frame : span.start_frame + length].reshape(length, -1))
        for number in range(2):
            sample = evaluate.read_generated(generate.sample_folder(generated, number), shard, span)
            made[number].append(sample.body[:length].reshape(length, -1))
    want = metrics.body_metrics(made, real, rng=np.random.default_rng(0))
    assert {name: found["mine"][name] for name in want} == pytest.approx(want, rel=1e-9)


def test_facing_is_counted_by_the_rule_of_the_labels(trained, generated):
    found, *_ = evaluate.table(trained.shards, {"mine": generated}, None, OPTIONS)
    assert 0 < found["real"]["facing_share"] < 1
    everybody = Facing(max_angle_deg=180, max_hips_angle_deg=180, min_level_deg=0)
    found, *_ = evaluate.table(trained.shards, {"mine": generated}, None, OPTIONS, everybody)
    assert found["real"]["facing_share"] == found["mine"]["facing_share"] == 1


def test_nearest_clip_of_a_training_take_is_itself(trained):
    shards, stats = data.shards_of(trained.shards)
    shard, span = data.takes_of(shards, "train")[1]
    features = baselines.Pooled(shard, span, stats)
    found = baselines.nearest_clips(
        {40: features.of([0, 60, 125], 40), 30: features.of([5], 30)}, shards, stats
    )
    assert [(clip.span.take, clip.start, clip.length) for clip in found[40] + found[30]] == [
        (span.take, 0, 40),
        (span.take, 60, 40),
        (span.take, 125, 40),
        (span.take, 5, 30),
    ]
    clip = found[40][1].read()
    assert np.array_equal(clip["face"], shard["face"][span.start_frame + 60 : span.start_frame + 100])
    root = shard["root"][span.start_frame + 59 : span.start_frame + 100]
    assert np.allclose(clip["relative"][:, 1], pose.relative_root(root[:, 1])[1:], atol=1e-5)


def test_the_nearest_clips_of_all_takes_are_found_in_one_search(trained, generated, rigs, monkeypatch):
    """For bodies and faces together: each train take is read once, and each test take."""
    looked = []

    class Counting(baselines.Pooled):
        def __init__(self, shard, span, stats):
            looked.append(span.take)
            super().__init__(shard, span, stats)

    monkeypatch.setattr(baselines, "Pooled", Counting)
    options = Evaluate(window_frames=95, num_pairs=50)
    evaluate.table(trained.shards, {"mine": generated}, scores.Rigs(rigs), options)
    shards, _ = data.shards_of(trained.shards)
    assert sorted(looked) == sorted(span.take for shard in shards for span in shard.takes)


def test_baselines_start_where_the_actors_stand(trained):
    shards, stats = data.shards_of(trained.shards)
    test = data.takes_of(shards, "test")
    nearest = baselines.Nearest(test, shards, stats, window=40)
    for shard, span in test:
        start, frames = shard["root"][span.start_frame], span.stop_frame - span.start_frame
        took = nearest.take(shard, span)
        for root in (took["root"], baselines.mean_root(stats, start, frames)):
            assert root.shape == (frames, 2, 4)
            assert np.allclose(root[0][:, [0, 2, 3]], start[:, [0, 2, 3]])
        still = baselines.mean_root(stats, start, frames)
        assert np.allclose(still, still[0]) and np.allclose(still[..., 1], stats["relative_root"]["mean"][3])
        steps = np.diff(took["root"][:, 0, [0, 2]], axis=0)
        length, starts, first = nearest.places[span.take]
        clip = nearest.clips[length][first]
        a = clip.span.start_frame + clip.start
        real = np.diff(clip.shard["root"][a : a + 40, 0][:, [0, 2]], axis=0)
        assert np.allclose(np.linalg.norm(steps[:39], axis=1), np.linalg.norm(real, axis=1), atol=1e-4)


def test_training_takes_stand_in_for_test_takes(trained):
    """The n-th for the n-th, joined where one is short, from where the real actors stand."""
    shards, _ = shards_of(trained.shards)
    test, train = takes_of(shards, "test"), takes_of(shards, "train")
    others = baselines.Others(test, shards)
    for number, (shard, span) in enumerate(test):
        found, start = others.take(shard, span), 0
        frames = span.stop_frame - span.start_frame
        assert np.array_equal(found["root"][0][:, [0, 2, 3]], shard["root"][span.start_frame][:, [0, 2, 3]])
        while start < frames:
            other, own = train[number % len(train)]
            length = min(own.stop_frame - own.start_frame, frames - start)
            for name in ("body", "face"):
                real = other[name][own.start_frame : own.start_frame + length]
                assert np.array_equal(found[name][start : start + length], real), (span.take, name)
            number, start = number + 1, start + length


def test_what_a_row_was_asked_to_do_is_what_it_is_measured_against(trained, generated, tmp_path):
    shutil.copytree(generated, tmp_path / "asked")
    record = tmp_path / "asked" / "generated.json"
    told = json.loads(record.read_text())
    shards, stats = shards_of(trained.shards)
    test = takes_of(shards, "test")
    write_json(record, told | {"actions": {test[0][1].take: ["sit:0-1", "walk"]}})
    setting = scores.Setting(test, stats, None, OPTIONS)
    folders = {
        name: evaluate.sample_folders(path) for name, path in (("own", generated), ("asked", record.parent))
    }
    sources = evaluate.sources_of(setting, shards, folders)
    frames = test[0][1].stop_frame - test[0][1].start_frame
    for source in sources["asked"]:
        assert np.array_equal(source(*test[0]).asked, asked_actions(["sit:0-1", "walk"], frames))
        assert all(source(*other).asked is None for other in test[1:])
    assert sources["own"][0](*test[0]).asked is None
    write_json(record, told | {"actions": {test[0][1].take: ["run", "walk"]}})
    with pytest.raises(InputError, match=f"generated.json: actions of {test[0][1].take}: got 'run'; need"):
        evaluate.sources_of(setting, shards, folders)["asked"][0](*test[0])
    write_json(record, told | {"actions": ["sit"]})
    with pytest.raises(InputError, match="generated.json: got actions .*need two values for each take"):
        evaluate.sources_of(setting, shards, folders)


def test_windows_cover_a_take():
    assert baselines.window_starts(100, 40) == [0, 40, 60]
    assert baselines.window_starts(80, 40) == [0, 40]
    assert baselines.window_starts(40, 40) == [0]


def test_pooled_features_equal_their_definition(trained):
    shards, stats = data.shards_of(trained.shards)
    shard, span = data.takes_of(shards, "test")[0]
    got = baselines.Pooled(shard, span, stats).of([10], 30)[0]
    a = span.start_frame + 10
    mel = (shard["mel"][a : a + 30] - np.array(stats["mel"]["mean"])) / np.array(stats["mel"]["std"])
    rows = np.concatenate([mel, np.eye(3)[shard["action"][a : a + 30]]], 2).reshape(30, -1)
    assert np.allclose(got, np.concatenate([rows.mean(0), rows.std(0)]), atol=1e-5)


def test_bad_folders_are_named(trained, generated, rigs, tmp_path):
    with pytest.raises(InputError, match="generate the test takes first"):
        evaluate.table(trained.shards, {"mine": tmp_path}, None, OPTIONS)
    broken = tmp_path / "broken"
    shutil.copytree(generated, broken)
    np.save(broken / "face_arkit" / "20240101_001_004.npy", np.zeros((7, 51), np.float32))
    with pytest.raises(InputError, match=r"20240101_001_004.npy: got shape \(7, 51\), need \(100, 51\)"):
        evaluate.table(trained.shards, {"mine": broken}, scores.Rigs(rigs), OPTIONS)
    (broken / "bvhs" / "20240101_001_004.bvh").unlink()
    with pytest.raises(InputError, match="20240101_001_004.bvh"):
        evaluate.table(trained.shards, {"mine": broken}, None, OPTIONS)
    with pytest.raises(InputError, match="every actor needs a rig"):
        evaluate.table(trained.shards, {"mine": generated}, scores.Rigs(tmp_path), OPTIONS)


def one_sample(generated, folder):
    """A folder with the first of the samples only."""
    shutil.copytree(generated, folder, ignore=shutil.ignore_patterns("sample-*"))
    record = json.loads((folder / "generated.json").read_text())
    (folder / "generated.json").write_text(json.dumps(record | {"num_samples": 1}))
    return folder


def test_every_row_of_the_config_is_a_row_of_the_table(rows, trained, generated, rigs, transcripts, tmp_path):
    arguments = [
        "--shards",
        trained.shards,
        "--generated",
        generated,
        one_sample(generated, tmp_path / "one"),
    ]
    arguments += [
        "--rows",
        "trained models",
        "one <sample>",
        "--rigs",
        rigs,
        "--out-table",
        tmp_path / "t.csv",
    ]
    arguments += ["--out-page", tmp_path / "t.html", "--window-frames", 40, "--num-pairs", 50]
    evaluate.main(
        [str(argument) for argument in [*arguments, "--transcripts", transcripts, "--viewer", "viewer"]]
    )
    with open(tmp_path / "t.csv", newline="") as f:
        found = {row["method"]: row for row in csv.DictReader(f)}
    assert list(found) == [
        "real",
        "trained models",
        "one <sample>",
        "mean pose",
        "nearest training clip",
        "training takes",
    ]
    alone = rows.found
    assert {name: found[name] for name in alone} == alone, "a row does not depend on the others"
    one, both = found["one <sample>"], found["trained models"]
    assert (one["samples"], both["samples"]) == ("1", "2") and float(one["Div_sample"]) == 0
    assert one["FD_g"] != both["FD_g"] and one["LVE_cm2"] != both["LVE_cm2"]
    page = (tmp_path / "t.html").read_text()
    takes = [span.take for _, span in takes_of(shards_of(trained.shards)[0], "test")]
    for take in takes:
        for shown in ("captured", f"captured,{generated.name}", "captured,one"):
            assert f'"viewer/{take}.html#take={take}&amp;show={shown}"' in page
    assert "2 (trained models), 1 (one <sample>) samples a take" in html.unescape(page)
    assert (
        "<sample>" not in page and page.count("one &lt;sample&gt;") == 10
    )  # seven tables, the checks, what it is, its samples


@pytest.mark.parametrize(
    "names", [["one"], ["one", "one"], ["one", "real"], ["mean pose", "one"], ["one", "two", "three"]]
)
def test_names_of_rows_that_do_not_fit_are_one_line(names, trained, generated, tmp_path, capsys):
    paths = ["--out-table", str(tmp_path / "t.csv"), "--out-page", str(tmp_path / "t.html")]
    folders = ["--generated", str(generated), str(generated)]
    with pytest.raises(SystemExit) as caught:
        evaluate.main(["--shards", str(trained.shards), *folders, "--rows", *names, *paths])
    said = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2 and len(said) == 1
    assert f"got rows {', '.join(names)} for 2 folders" in said[0] and list(tmp_path.iterdir()) == []
