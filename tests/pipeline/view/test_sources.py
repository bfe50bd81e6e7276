import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.tiny_dataset import body
from helpers.tiny_scene import NUM_FRAMES, PERFORMANCES, TAKE, bare_folder, make_run

from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion import rotations
from pipeline.view.sources import at_fps, open_source


def test_a_run_has_what_was_captured_and_each_sample(tmp_path):
    make_run(tmp_path, takes=(TAKE, "20260102_007"))
    source = open_source(tmp_path)
    assert source.takes == [TAKE, "20260102_007"]
    assert source.keys(TAKE) == ["captured", "trained_models", "trained_models/sample-01"]
    assert source.keys("20260102_007") == ["captured"]
    scene = source.scene(TAKE)
    assert [v.label for v in scene.variants] == ["captured", "trained models", "trained models, sample 1"]
    assert [person.actor for person in scene.people] == ["001", "002"]
    assert scene.num_frames == NUM_FRAMES and scene.seconds == NUM_FRAMES / 30 and not scene.notes
    first = load_bvh(tmp_path / "dataset" / "bvhs" / f"{PERFORMANCES[1]}.bvh", unit="cm")
    shown = scene.variants[0].performances[1].motion
    np.testing.assert_array_equal(shown.positions_cm, first.positions_cm)
    moved = scene.variants[2].performances[1].motion.positions_cm[:, 0, 0]
    np.testing.assert_allclose(moved, first.positions_cm[:, 0, 0] + 20, atol=1e-4)
    assert [person.voice.name for person in scene.people] == [f"{name}.wav" for name in PERFORMANCES]
    assert set(source.files(TAKE)) > {person.voice for person in scene.people}


def test_a_dataset_and_bare_folders_are_sources_too(tmp_path):
    made = make_run(tmp_path / "run")
    assert open_source(made.dataset).keys(TAKE) == ["captured"]
    generated = open_source(tmp_path / "run" / "results" / "generated" / "trained_models")
    assert generated.keys(TAKE) == ["trained_models", "trained_models/sample-01"]
    folder = bare_folder(made, tmp_path / "bare")
    scene = open_source(folder).scene(TAKE)
    assert [person.rig for person in scene.people] == [None, None]
    assert scene.notes == ("no rig of 001: body only", "no rig of 002: body only")
    with_rigs = open_source(folder, rigs=made.dataset / "rigs").scene(TAKE)
    assert all(person.rig is not None for person in with_rigs.people) and not with_rigs.notes
    both = open_source(folder, generated=[tmp_path / "run" / "results" / "generated" / "trained_models"])
    assert both.keys(TAKE) == ["captured", "trained_models", "trained_models/sample-01"]


def test_faces_of_a_row_without_bodies_are_on_the_captured_ones(tmp_path):
    made = make_run(tmp_path, takes=(TAKE, "20260102_007"), samples=1)
    row = tmp_path / "results" / "generated" / "trained_models"
    shutil.rmtree(row / "bvhs")
    source = open_source(tmp_path)
    assert source.keys(TAKE) == ["captured", "trained_models"] and source.keys("20260102_007") == ["captured"]
    scene = source.scene(TAKE)
    captured, faces = scene.variants
    assert scene.notes == ("trained models: faces alone, on the captured bodies",)
    for number, name in enumerate(PERFORMANCES):
        one, other = captured.performances[number], faces.performances[number]
        np.testing.assert_array_equal(one.motion.rotations, other.motion.rotations)
        np.testing.assert_array_equal(other.face, np.load(row / "face_arkit" / f"{name}.npy"))
        assert not np.array_equal(one.face, other.face)
        assert made.dataset / "bvhs" / f"{name}.bvh" in source.files(TAKE)


def test_a_body_of_any_name_is_a_take_of_its_own(tmp_path):
    save_bvh(tmp_path / "bvhs" / "walk fast.bvh", body(20))
    scene = open_source(tmp_path).scene("walk fast")
    assert [person.actor for person in scene.people] == ["walk fast"]
    assert scene.variants[0].performances[0].face is None and not scene.notes


def test_what_is_generated_of_voices_without_a_date_is_one_take(tmp_path):
    for actor in ("001", "007"):
        save_bvh(tmp_path / "bvhs" / f"00000000_{actor}_000.bvh", body(20))
    write_json(tmp_path / "generated.json", {"num_samples": 1})
    source = open_source(tmp_path)
    assert source.takes == ["00000000_000"]
    assert [person.actor for person in source.scene("00000000_000").people] == ["001", "007"]


def test_what_is_longer_is_left_out_and_said(tmp_path):
    made = make_run(tmp_path, samples=1)
    path = tmp_path / "results" / "generated" / "trained_models" / "bvhs" / f"{PERFORMANCES[0]}.bvh"
    save_bvh(path, load_bvh(path, unit="cm").frames(slice(0, 40)))
    other = path.with_name(f"{PERFORMANCES[1]}.bvh")
    save_bvh(other, load_bvh(other, unit="cm").frames(slice(0, 40)))
    scene = open_source(tmp_path).scene(TAKE)
    assert scene.num_frames == 40
    assert {p.motion.num_frames for v in scene.variants for p in v.performances} == {40}
    assert {len(p.face) for v in scene.variants for p in v.performances} == {40}
    assert [note for note in scene.notes if "cut to the shortest, 40 frames" in note and "5 more" in note]
    assert made.dataset.exists()


def test_another_rate_becomes_30_fps():
    motion = body(121, fps=120)
    motion.positions_cm[:, 0, 0] = np.arange(121) / 4
    motion.rotations[:, 0] = rotations.about("y", np.arange(121) / 100)
    slow = at_fps(motion, 30.0)
    assert slow.num_frames == 31 and slow.fps == 30
    np.testing.assert_allclose(slow.positions_cm[:, 0, 0], np.arange(31))
    np.testing.assert_allclose(slow.rotations[:, 0], rotations.about("y", np.arange(31) / 25), atol=1e-12)
    odd = at_fps(replace(motion, fps=100.0), 30.0)
    assert odd.num_frames == 37
    np.testing.assert_allclose(odd.positions_cm[:, 0, 0], np.arange(37) * 100 / 120, atol=1e-9)


def test_errors_say_what_to_do(tmp_path):
    made = make_run(tmp_path)
    source = open_source(tmp_path)
    with pytest.raises(InputError, match=f"no take '20260101_002'; did you mean {TAKE}"):
        source.scene("20260101_002")
    with pytest.raises(InputError, match="no variant 'better', there are: captured, trained_models"):
        source.scene(TAKE, ["better"])
    with pytest.raises(InputError, match="no such folder; give the root of a run"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "empty" / "bvhs").mkdir(parents=True)
    with pytest.raises(InputError, match="no .bvh in its bvhs"):
        open_source(tmp_path / "empty")
    with pytest.raises(InputError, match="neither dataset/bvhs/ nor bvhs/"):
        open_source(tmp_path / "annotations")
    shutil.copy(
        made.dataset / "bvhs" / f"{PERFORMANCES[0]}.bvh", made.dataset / "bvhs" / "20260101_003_001.bvh"
    )
    (made.dataset / "takes.tsv").unlink()
    with pytest.raises(InputError, match="has 3 bodies"):
        _ = open_source(made.dataset).takes


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_face_that_is_no_number_is_refused(tmp_path, value):
    made = make_run(tmp_path)
    path = made.dataset / "face_arkit" / f"{PERFORMANCES[0]}.npy"
    weights = np.load(path)
    weights[7, 3] = value
    np.save(path, weights)
    with pytest.raises(InputError, match=rf"{PERFORMANCES[0]}.npy, frame 7"):
        open_source(tmp_path).scene(TAKE)


def test_a_body_that_is_no_number_is_refused(tmp_path):
    made = make_run(tmp_path)
    path = made.dataset / "bvhs" / f"{PERFORMANCES[0]}.bvh"
    lines = path.read_text().splitlines()
    start = lines.index("MOTION") + 3
    lines[start + 4] = " ".join(["nan"] * len(lines[start].split()))
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=rf"{PERFORMANCES[0]}.bvh.*frame 4"):
        open_source(tmp_path).scene(TAKE)


def test_a_body_without_its_partner_is_left_out_and_said(tmp_path):
    make_run(tmp_path, samples=1)
    (tmp_path / "results" / "generated" / "trained_models" / "bvhs" / f"{PERFORMANCES[1]}.bvh").unlink()
    scene = open_source(tmp_path).scene(TAKE)
    assert [v.key for v in scene.variants] == ["captured"]
    assert scene.notes == (f"trained models: left out, it has no body of {PERFORMANCES[1]}",)
