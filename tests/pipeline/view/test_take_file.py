import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.commands import without_marks
from helpers.tiny_scene import NUM_FRAMES, PERFORMANCES, TAKE, bare_folder, make_run

from pipeline.annotate import quality
from pipeline.capture import body
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion import rotations
from pipeline.reading import read_json
from pipeline.view.catalogue import Catalogue
from pipeline.view.sources import open_source
from pipeline.view.take_file import faults, plain_name, take_file, write_take_file

SECONDS = NUM_FRAMES / 30


def of(folder, take=TAKE):
    catalogue = Catalogue(open_source(folder))
    return take_file(catalogue, catalogue.source.scene(take))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, make_run(root)


@pytest.fixture
def root(made, tmp_path):
    """A run to spoil."""
    shutil.copytree(made[0], tmp_path / "run")
    return tmp_path / "run"


def test_a_take_of_a_run_has_people_variants_words_and_labels(made):
    root, tiny = made
    found = of(root)
    head = {key: found[key] for key in ("format", "take", "fps", "frames", "seconds", "glb", "audio")}
    assert head == {
        "format": 1,
        "take": TAKE,
        "fps": 30,
        "frames": NUM_FRAMES,
        "seconds": SECONDS,
        "glb": "scene.glb",
        "audio": "voices.flac",
    }
    assert [(actor["id"], actor["gender"], actor["head"]) for actor in found["actors"]] == [
        ("001", None, True),
        ("002", None, True),
    ]
    assert (found["relationship"], found["emotion"], found["verdict"]) == ("Friends", "Joy é", "")
    assert [(v["key"], v["label"], v["group"], v["sample"]) for v in found["variants"]] == [
        ("captured", "captured", "captured", None),
        ("trained_models", "trained models", "trained models", 0),
        ("trained_models/sample-01", "trained models, sample 1", "trained models", 1),
    ]
    assert all(v["characters"] == [0, 1] and v["face"] for v in found["variants"])
    assert [c["actor"] for c in found["characters"]] == [0, 1]
    assert found["characters"][0]["joints"][:2] == ["Hips", "Spine"]
    assert [len(peaks) for peaks in found["waveforms"]["peaks"]] == [75, 75] and found["notes"] == []
    for number, name in enumerate(PERFORMANCES):
        said = read_json(tiny.annotations / "transcripts" / f"{name}.json")["words"]
        assert [word["word"] for word in found["words"][number]] == [word["word"] for word in said]
        assert found["words"][number][1]["start"] == pytest.approx(said[1]["start"], abs=1e-4)
        labels = np.load(tiny.annotations / "actions" / f"{name}.npy")
        again = np.concatenate(
            [
                [("sit", "walk", "stand").index(what)] * round((stop - start) * 30)
                for start, stop, what in found["actions"][number]
            ]
        )
        np.testing.assert_array_equal(again, labels)
        assert [a[1] for a in found["actions"][number][:-1]] == [a[0] for a in found["actions"][number][1:]]
        sees = np.zeros(NUM_FRAMES, np.uint8)
        for start, stop in found["facing"][number]:
            sees[round(start * 30) : round(stop * 30)] = 1
        np.testing.assert_array_equal(sees, np.load(tiny.annotations / "facing" / f"{name}.npy"))


def test_a_bare_folder_has_what_there_is(made, tmp_path):
    found = of(bare_folder(made[1], tmp_path / "bare"))
    assert found["audio"] is None and found["waveforms"]["peaks"] == [[], []]
    assert [found[key] for key in ("words", "actions", "facing")] == [[[], []]] * 3
    assert found["contacts"] == found["faults"] == [] and found["split"] == found["relationship"] == ""
    assert not any(actor["head"] for actor in found["actors"]) and len(found["notes"]) == 2


def test_touches_are_told_in_words(root):
    touch = {"actor": "001", "hand": "RightHand", "of": "002", "part": "LeftElbow", "type": "hand-elbow"}
    own = {"actor": "002", "hand": "LeftHand", "of": "002", "part": "Head", "type": "hand-head"}
    path = root / "annotations" / "contacts" / f"{TAKE}.json"
    write_json(path, {"contacts": [touch | {"start": 30, "stop": 60}, own | {"start": 3, "stop": 6}]})
    assert of(root)["contacts"] == [
        (0.1, 0.2, "left hand touches own head", 1),
        (1.0, SECONDS, "right hand touches 002's left elbow", 0),  # to the end of the take
    ]
    write_json(path, {"contacts": [touch | {"of": "009", "start": 30, "stop": 60}]})
    with pytest.raises(InputError, match=rf"{TAKE}\.json, contact 0.*run the stage contacts again"):
        of(root)


def test_a_fault_is_where_the_take_has_it(shoot, captured, tmp_path):
    """A joint jumps in a recording of 120 fps that began a second before the take."""
    take, name = "20260101_001", "20260101_001_001"
    path = shutil.copy(shoot.folder / take / f"{name}.bvh", tmp_path / f"{name}.bvh")
    sync = without_marks(captured / "annotations" / "sync" / f"{take}.json", tmp_path / "sync.json")
    motion = load_bvh(path, unit="cm")
    motion = motion.frames(
        np.maximum(np.arange(-120, motion.num_frames), 0)
    )  # the recorder ran a second before
    about = read_json(sync)
    stream = next(p["body"] for p in about["performances"] if p["actor"] == "001")
    stream |= {"start": stream["start"] - 1, "frames": stream["frames"] + 120}
    write_json(sync, about)
    t = round((about["start_seconds"] + 2.5 - stream["start"]) * stream["rate"])
    assert t / stream["rate"] > 3.5
    turned = rotations.multiply(motion.rotations[t:, 2], rotations.about("x", np.array(1.5)))
    motion.rotations[t:, 2] = turned
    save_bvh(path, motion)
    out, report = tmp_path / "bvhs" / f"{name}.bvh", tmp_path / "body" / f"{name}.json"
    files = ["--bvh", path, "--sync", sync, "--performance", name, "--out", out, "--out-report", report]
    body.main([str(word) for word in files])
    root = tmp_path / "run"
    shutil.copytree(captured / "dataset", root / "dataset")
    shutil.copy(out, root / "dataset" / "bvhs" / f"{name}.bvh")
    data = root / "dataset"
    both = [f"20260101_{actor}_001" for actor in ("001", "002")]
    quality.run(
        bvh=[data / "bvhs" / f"{one}.bvh" for one in both],
        face=[data / "face_arkit" / f"{one}.npy" for one in both],
        wav=[data / "wav" / f"{one}.wav" for one in both],
        parts=[report],
        out=root / "annotations" / "quality" / f"{take}.json",
    )
    found = of(root, take)
    jumps = [fault for fault in found["faults"] if "jump" in fault[2]]
    assert len(jumps) == 1 and jumps[0][3] == 0
    start, stop, what, _ = jumps[0]
    assert start == pytest.approx(2.5, abs=0.005) and stop == pytest.approx(start + 1 / 120, abs=1e-3)
    assert what.startswith(f"body: {plain_name(motion.names[2])}: jump, 8") and "limit" in what
    assert found["verdict"] == "check" and any("jumps" in note for note in found["notes"])


def test_frozen_streams_are_faults_and_what_lies_outside_is_cut(root):
    fault = {"kind": "side_swap", "joint": "whole body", "value": 2.0, "limit": 0.0, "unit": "s"}
    fault |= {"note": "", "mended": False, "first": 7, "stop": 9, "index": -1}
    path = root / "annotations" / "quality" / f"{TAKE}.json"
    write_json(
        path,
        {
            "verdict": "check",
            "reasons": ["the voice is silent"],
            "performances": {PERFORMANCES[1]: {"frozen": {"face": [[0.5, 0.4]], "body": [], "voice": []}}},
            "parts": {
                "body": {
                    PERFORMANCES[0]: {
                        "quality": {
                            "faults": [
                                fault | {"start_seconds": -0.4, "seconds": 0.6},
                                fault | {"start_seconds": SECONDS + 1, "seconds": 0.6},
                            ]
                        }
                    }
                }
            },
        },
    )
    found = of(root)
    assert found["faults"] == [
        (0.0, 0.2, "body: whole body: left and right change places, 2 s", 0),
        (0.5, 0.9, "face: frozen", 1),
    ]
    assert found["notes"] == ["look at this: the voice is silent"]
    write_json(path, {"parts": {"body": {PERFORMANCES[0]: {"quality": {"faults": [{"kind": "jump"}]}}}}})
    catalogue = Catalogue(open_source(root))
    scene = SimpleNamespace(take=TAKE, seconds=SECONDS)
    with pytest.raises(InputError, match="run it again"):
        faults(catalogue, scene)


@pytest.mark.parametrize(
    "kind, values, needle",
    [
        ("actions", np.zeros(NUM_FRAMES - 1, np.uint8), f"need a label for each of the {NUM_FRAMES} frames"),
        ("facing", np.zeros(NUM_FRAMES + 3, np.uint8), f"need a label for each of the {NUM_FRAMES} frames"),
        ("facing", np.zeros(NUM_FRAMES), "got float64"),
        ("actions", np.full(NUM_FRAMES, 3, np.uint8), "need 0 to 2"),
    ],
)
def test_labels_of_another_take_are_refused_in_one_line(root, kind, values, needle):
    path = root / "annotations" / kind / f"{PERFORMANCES[1]}.npy"
    np.save(path, values)
    with pytest.raises(InputError, match=f"{PERFORMANCES[1]}.*{needle}.*label the take again") as error:
        of(root)
    assert "\n" not in str(error.value)


def test_the_file_is_the_same_bytes_and_plain_json(made, tmp_path):
    for name in ("a", "b"):
        write_take_file(of(made[0]), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_text(encoding="utf-8"))["emotion"] == "Joy é"


@pytest.mark.parametrize(
    "joint, words",
    [("LeftForeArm", "left fore arm"), ("Spine1", "spine 1"), ("RightHandIndex2", "right hand index 2")],
)
def test_joints_have_plain_names(joint, words):
    assert plain_name(joint) == words
