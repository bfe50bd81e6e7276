"""Generation: files in the dataset's formats, placed where they should be, the same for the same seed."""

import json

import numpy as np
import pytest
import soundfile
from helpers.tiny_shards import JOINTS, TAKES, TEXT_WIDTH, make_shards, write_shard
from scipy.spatial.transform import Rotation

from models import generate
from models.asked_actions import asked_actions
from models.data import takes_of
from pipeline.config import Generate
from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh
from pipeline.formats.shard_file import open_shards
from pipeline.motion import pose
from pipeline.motion.skeleton import forward_kinematics

OPTIONS = Generate(num_samples=2, window_frames=48, overlap_frames=16, device="cpu")
NOTHING = dict.fromkeys("shards takes audio transcripts actions facing actors placement".split()) | {
    "name": "00000000_000"
}


def go(**arguments):
    generate.run(**NOTHING | {"options": OPTIONS} | arguments)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("generated")
    go(runs=[trained.runs], shards=trained.shards, out=out)
    return out


@pytest.fixture
def voices(tmp_path):
    import soundfile

    rng = np.random.default_rng(0)
    for name, rate, width, seconds in (("a", 44_100, "PCM_16", 2.0), ("b", 48_000, "PCM_24", 1.5)):
        soundfile.write(
            tmp_path / f"{name}.wav", rng.normal(0, 0.1, int(rate * seconds)).clip(-1, 1), rate, subtype=width
        )
        words = [{"word": "hello", "start": 0.2, "end": 0.6, "confidence": 1.0}]
        (tmp_path / f"{name}.json").write_text(json.dumps({"words": words}))
    return tmp_path


@pytest.fixture
def tiny_embeddings(monkeypatch):
    """Embeddings as wide as the tiny models', without a language model."""
    monkeypatch.setattr(
        "pipeline.shards.text.embed_words", lambda words, **_: np.ones((len(words), TEXT_WIDTH), np.float32)
    )


def test_test_takes_come_out_in_the_datasets_formats(trained, made):
    performances = ["20240101_001_004", "20240101_002_004", "20240101_002_005", "20240101_004_005"]
    want = {
        f"{where}{folder}/{p}.{ending}"
        for where in ("", "sample-01/")
        for p in performances
        for folder, ending in (("bvhs", "bvh"), ("face_arkit", "npy"))
    }
    assert set(files(made)) == want | {"generated.json"}
    face = np.load(made / "face_arkit" / "20240101_002_005.npy")
    assert face.shape == (90, 51) and face.dtype == np.float32 and np.isfinite(face).all()
    shard = open_shards(trained.shards)[1]
    span = shard.find("20240101_005")
    motion = load_bvh(made / "bvhs" / "20240101_004_005.bvh", unit="cm")
    assert motion.names == JOINTS and motion.num_frames == 90 and motion.fps == 30
    assert np.allclose(motion.offsets_cm, shard.skeleton("20240101_004_005").offsets_cm, atol=1e-4)
    root = pose.encode(motion)[1]
    real = shard["root"][span.start_frame, 1]
    assert np.allclose(root[0, [0, 2, 3]], real[[0, 2, 3]], atol=1e-3)


def places_in_file(path):
    """Joint positions (T, J, 3) of a BVH by the format's rules alone, without the reader of the project."""
    hierarchy, motion = path.read_text().split("MOTION")
    parents, offsets, channels, stack, last = [], [], [], [], -1
    for line in hierarchy.splitlines():
        match line.split():
            case ["ROOT" | "JOINT", _]:
                parents.append(stack[-1] if stack else -1)
                last = len(parents) - 1
            case ["End", "Site"]:
                last = None
            case ["{"]:
                stack.append(last)
            case ["}"]:
                stack.pop()
            case ["OFFSET", *numbers] if stack[-1] is not None:
                offsets.append([float(number) for number in numbers])
            case ["CHANNELS", _, *names]:
                channels.append(names)
    table = np.array([[float(number) for number in line.split()] for line in motion.splitlines()[3:]])
    places, turns, column = [], [], 0
    for parent, offset, names in zip(parents, offsets, channels):
        place, turn = np.tile(offset, (len(table), 1)), Rotation.identity(len(table))
        for name in names:
            if name.endswith("position"):
                place[:, "XYZ".index(name[0])] = table[:, column]
            else:
                turn *= Rotation.from_euler(name[0].lower(), table[:, column, None], degrees=True)
            column += 1
        places.append(place if parent < 0 else places[parent] + turns[parent].apply(place))
        turns.append(turn if parent < 0 else turns[parent] * turn)
    return np.stack(places, 1)


def places_of(body, relative, start, skeleton):
    """Joint positions (T, J, 3) of a sample: the root step by step, then each joint on its parent.

    The skeleton's hips point along +z, so nothing is between their axes and the body's.
    """
    x, _, z, heading = start
    hips = []
    for frame, (dx, dz, turn, height) in enumerate(relative):
        if frame:
            heading += turn
            x += dx * np.cos(heading) + dz * np.sin(heading)
            z += dz * np.cos(heading) - dx * np.sin(heading)
        hips.append([x, height, z, heading])
    hips = np.array(hips)
    places, turns = [], []
    for j, parent in enumerate(skeleton.parents):
        turn = Rotation.from_rotvec(body[:, 3 * j : 3 * j + 3])
        turns.append(turns[parent] * turn if j else Rotation.from_rotvec(hips[:, 3:] * [0, 1, 0]) * turn)
        offset = np.tile(skeleton.offsets_cm[j], (len(body), 1))
        places.append(places[parent] + turns[parent].apply(offset) if j else hips[:, :3])
    return np.stack(places, 1)


def test_bodies_stand_where_the_sample_says_on_each_ones_own_skeleton(trained, tmp_path, monkeypatch):
    """Every joint in every frame, by a reader of BVH and a forward kinematics that stand in this test."""
    seen, write = [], generate.write

    def kept(scene, sampled, out, **more):
        sampled = {name: value for name, value in sampled.items() if name != "relation"}
        seen.append((scene, sampled, out))
        write(scene, sampled, out, **more)

    monkeypatch.setattr(generate, "write", kept)
    options = OPTIONS.model_copy(update={"num_samples": 1, "feet": "free"})
    go(runs=[trained.runs], shards=trained.shards, out=tmp_path, options=options)
    bones = set()
    for scene, sampled, out in seen:
        for k, name in enumerate(scene.performances):
            path, skeleton = out / "bvhs" / f"{name}.bvh", scene.skeletons[k]
            bones.add(round(float(np.linalg.norm(skeleton.offsets_cm, axis=1).sum()), 3))
            want = places_of(sampled["body"][:, k], sampled["relative"][:, k], scene.start[k], skeleton)
            found = places_in_file(path)
            assert found.shape == (scene.num_frames, len(JOINTS), 3)
            assert np.abs(found - want).max() < 0.001, name  # cm
            ours = forward_kinematics(load_bvh(path, unit="cm"))[0]
            assert np.abs(ours - found).max() < 1e-6, name
            start = scene.start[k]
            assert np.allclose(found[0, 0, [0, 2]], start[[0, 2]], atol=1e-3)
    assert len(seen) == 2 and len(bones) == 3, "of three actors, whose bones differ"


def test_test_takes_do_what_is_asked_in_place_of_what_was_done(trained, tmp_path):
    options = OPTIONS.model_copy(update={"num_samples": 1})
    made = {}
    for name, actions in (("own", None), ("asked", ["sit:0-1,walk:1-3", "stand"]), ("same", None)):
        out = tmp_path / name
        go(runs=[trained.runs], shards=trained.shards, out=out, options=options, actions=actions)
        made[name] = {path.name: path.read_bytes() for path in sorted((out / "bvhs").iterdir())}
    assert made["own"] == made["same"] and made["own"] != made["asked"]
    told = {name: json.loads((tmp_path / name / "generated.json").read_text()) for name in made}
    takes = {span.take: span for _, span in takes_of(open_shards(trained.shards), "test")}
    assert told["asked"]["actions"].keys() == takes.keys() and "actions" not in told["own"]
    for take, values in told["asked"]["actions"].items():
        frames = takes[take].stop_frame - takes[take].start_frame
        asked = asked_actions(["sit:0-1,walk:1-3", "stand"], frames)
        assert np.array_equal(asked_actions(values, frames), asked) and values[1] == "stand"


def test_feet_are_held_at_the_height_of_the_train_takes_unless_they_are_free(trained, tmp_path):
    lower = {}
    for feet in ("held", "free"):
        options = OPTIONS.model_copy(update={"num_samples": 1, "feet": feet})
        go(runs=[trained.runs], shards=trained.shards, out=tmp_path / feet, options=options)
        places = [places_in_file(path) for path in sorted((tmp_path / feet / "bvhs").glob("*.bvh"))]
        toes = [JOINTS.index(f"{side}Foot") for side in ("Left", "Right")]
        lower[feet] = np.concatenate([own[:, toes, 1].min(1) for own in places])
    height = json.loads((trained.shards / "stats.json").read_text())["lower_foot"]["mean"][0]
    assert np.abs(lower["held"] - height).mean() < 0.5 < np.abs(lower["free"] - height).mean()


def test_runs_are_named_one_by_one_or_by_their_folder(trained, made, tmp_path):
    each = [trained.runs / name for name in ("face", "body_lower", "body_upper")]
    go(runs=each, shards=trained.shards, takes=["20240101_005"], out=tmp_path / "each")
    there = files(made)
    here = files(tmp_path / "each")
    assert len(here) == 9 and all(there[name] == data for name, data in here.items())
    assert set(json.loads(here["generated.json"])["models"]) == {"face", "body_lower", "body_upper"}
    found = generate.load_runs([trained.runs], "cpu")
    assert [run.name for run in found] == ["face", "body_lower", "body_upper"]


def test_captured_motion_is_not_replaced(trained, tmp_path):
    path = tmp_path / "bvhs" / "20240101_001_004.bvh"
    path.parent.mkdir()
    path.write_text("captured")
    with pytest.raises(InputError, match="20240101_001_004.bvh: is there"):
        go(runs=[trained.runs], shards=trained.shards, takes=["20240101_004"], out=tmp_path)
    assert path.read_text() == "captured" and len(list(tmp_path.rglob("*"))) == 2


def test_a_command_that_was_stopped_goes_on_in_its_folder(trained, tmp_path, monkeypatch):
    command = {"runs": [trained.runs], "shards": trained.shards, "takes": ["20240101_004"], "out": tmp_path}
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(generate, "save_bvh_parts", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        go(**command)
    assert files(tmp_path) and not (tmp_path / "generated.json").exists()
    go(**command)
    go(**command)
    assert (tmp_path / "generated.json").exists() and not (tmp_path / ".generated.json").exists()


def test_the_same_seed_gives_the_same_bytes_and_samples_differ(trained, made, tmp_path):
    go(runs=[trained.runs], shards=trained.shards, takes=["20240101_005"], out=tmp_path)
    here, there = files(tmp_path), files(made)
    assert len(here) == 9 and all(there[name] == data for name, data in here.items())
    for name in ("bvhs/20240101_004_005.bvh", "face_arkit/20240101_004_005.npy"):
        assert here[name] != here[f"sample-01/{name}"]


def test_voices_of_another_take(trained, made, tmp_path):
    """The people, their places and the noise stay; what is said, done and faced is that of the next take."""
    shards = open_shards(trained.shards)
    others = generate.other_takes(shards)
    pairs = {take: span.take for take, (_, span) in others.items()}
    assert pairs == {"20240101_004": "20240101_005", "20240101_005": "20240101_004"}
    scenes = {take: generate.scene_of(*place) for take, place in [(pairs[k], v) for k, v in others.items()]}
    long = generate.told_of(scenes["20240101_004"], scenes["20240101_005"])  # 100 frames told of 90
    for name, values in long.batch.items():
        told, own = scenes["20240101_005"].batch[name], scenes["20240101_004"].batch[name]
        assert values.shape == own.shape and values.dtype == own.dtype
        assert np.array_equal(values[:90], told) and np.array_equal(values[90:], told[:10])
    short = generate.told_of(scenes["20240101_005"], scenes["20240101_004"])
    assert np.array_equal(short.batch["mel"], scenes["20240101_004"].batch["mel"][:90])
    assert short.name == "20240101_005" and np.array_equal(short.start, scenes["20240101_005"].start)

    go(
        runs=[trained.runs],
        shards=trained.shards,
        takes=["20240101_005"],
        out=tmp_path,
        options=OPTIONS.model_copy(update={"voices": "another"}),
    )
    here, there = files(tmp_path), files(made)
    assert here.keys() <= there.keys() and len(here) == 9
    assert all(here[name] != there[name] for name in here)
    assert json.loads(here["generated.json"])["voices"] == "another"
    assert json.loads(there["generated.json"])["voices"] == "own"


def test_the_only_test_take_is_told_the_first_train_take(tmp_path):
    write_shard(tmp_path / "shard-000.h5", {t: TAKES[t] for t in ("20240101_002", "20240101_004")})
    ((take, (_, span)),) = generate.other_takes(open_shards(tmp_path)).items()
    assert (take, span.take) == ("20240101_004", "20240101_002")
    (tmp_path / "alone").mkdir()
    write_shard(tmp_path / "alone" / "shard-000.h5", {"20240101_004": TAKES["20240101_004"]})
    with pytest.raises(InputError, match="there is one take and no other"):
        generate.other_takes(open_shards(tmp_path / "alone"))


def test_sampling_in_windows_stays_close_to_sampling_whole(trained, made, tmp_path):
    """Windows overlap and are blended at every step, so nothing jumps at their borders.

    That holds for takes that are not of training length.
    """
    face = np.load(made / "face_arkit" / "20240101_001_004.npy")
    steps = np.abs(np.diff(face, axis=0)).mean(1)
    assert steps.max() < 10 * np.median(steps)


def test_two_voices_become_two_people(trained, voices, tiny_embeddings, tmp_path):
    audio, transcripts = [voices / "a.wav", voices / "b.wav"], [voices / "a.json", voices / "b.json"]
    go(
        runs=[trained.runs],
        audio=audio,
        transcripts=transcripts,
        actions=["sit", "walk"],
        out=tmp_path / "out",
    )
    motion = {
        f"{f}/00000000_{a}_000.{e}"
        for a in ("001", "002")
        for f, e in (("bvhs", "bvh"), ("face_arkit", "npy"))
    }
    heard = {f"wav/00000000_{a}_000.wav" for a in ("001", "002")}
    assert set(files(tmp_path / "out")) == motion | heard | {"generated.json"}
    assert [soundfile.info(tmp_path / "out" / name).frames for name in sorted(heard)] == [32_000] * 2
    roots = [
        pose.encode(load_bvh(tmp_path / "out" / "bvhs" / f"00000000_{a}_000.bvh", unit="cm"))[1]
        for a in ("001", "002")
    ]
    assert len(roots[0]) == len(roots[1]) == 60
    assert np.allclose(roots[0][0, [0, 2, 3]], [-75, 0, np.pi / 2], atol=1e-3) and np.allclose(
        roots[1][0, [0, 2, 3]], [75, 0, -np.pi / 2], atol=1e-3
    )


def test_actors_keep_their_voice_and_place_in_any_order(trained, voices, tiny_embeddings, tmp_path):
    audio, transcripts = [voices / "a.wav", voices / "b.wav"], [voices / "a.json", voices / "b.json"]
    go(
        runs=[trained.runs],
        audio=audio,
        transcripts=transcripts,
        actors=["003", "001"],
        placement="10,20,30 40,50,60",
        out=tmp_path / "one",
    )
    go(
        runs=[trained.runs],
        audio=audio[::-1],
        transcripts=transcripts[::-1],
        actors=["001", "003"],
        placement="40,50,60 10,20,30",
        out=tmp_path / "two",
    )
    assert files(tmp_path / "one") == files(tmp_path / "two")
    root = pose.encode(load_bvh(tmp_path / "one" / "bvhs" / "00000000_003_000.bvh", unit="cm"))[1]
    assert np.allclose(root[0, [0, 2, 3]], [10, 20, np.deg2rad(30)], atol=1e-3)


def test_a_face_needs_no_body_models(trained, voices, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "face").symlink_to(trained.runs / "face")
    go(runs=[tmp_path / "runs"], audio=[voices / "a.wav", voices / "b.wav"], out=tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"face_arkit", "generated.json", "wav"}


def test_stereo_and_other_kinds_of_files_are_voices_too(trained, voices, tmp_path, caplog):
    """A demo is stereo more often than not: its channels are mixed down, and that is told."""
    import soundfile

    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "face").symlink_to(trained.runs / "face")
    for name in "ab":
        x, rate = soundfile.read(voices / f"{name}.wav")
        soundfile.write(tmp_path / f"{name}.flac", np.stack([x, x], 1), rate, subtype="PCM_16")
        soundfile.write(tmp_path / f"{name}.wav", x, rate, subtype="PCM_16")
    for kind in ("wav", "flac"):
        go(
            runs=[tmp_path / "runs"],
            audio=[tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"],
            out=tmp_path / kind,
        )
        assert caplog.text.count("2 channels are mixed down") == 2 * (kind == "flac")
    one, two = (np.load(tmp_path / kind / "face_arkit" / "00000000_001_000.npy") for kind in ("wav", "flac"))
    assert np.allclose(one, two, atol=1e-3)


def test_bad_requests_are_named(trained, voices, tiny_embeddings, tmp_path):
    audio = {
        "runs": [trained.runs],
        "audio": [voices / "a.wav", voices / "b.wav"],
        "transcripts": [voices / "a.json", voices / "b.json"],
        "out": tmp_path / "x",
    }
    test = {"runs": [trained.runs], "shards": trained.shards, "out": tmp_path / "x"}
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "body_lower").symlink_to(trained.runs / "body_lower")
    for arguments, message in [
        (audio | {"audio": [voices / "a.wav", tmp_path / "none.wav"]}, "none.wav"),
        (audio | {"actions": ["fly"]}, "--actions: got 'fly'"),
        (test | {"actions": ["sit:0-99", "sit:80-99"]}, "sit:80-99, and the take ends at 3.33 s"),
        (audio | {"actors": ["001", "009"]}, "out of 001, 002, 003"),
        (audio | {"actors": ["001"]}, "got 001 twice"),
        (audio | {"placement": "0,0 1,1"}, "--placement: got '0,0 1,1'"),
        (audio | {"shards": trained.shards}, "not both"),
        (audio | {"name": "take"}, "<date>_<scenario>"),
        (test | {"takes": ["20240101_001"]}, "take 20240101_001: not in the test split"),
        (
            test | {"runs": [tmp_path / "nothing"]},
            "no trained model; need a run, or a folder of the runs face",
        ),
        (test | {"runs": [tmp_path / "half"]}, "half: its runs make lower, need face or body"),
        (test | {"runs": [trained.runs / "body_lower"]}, "its runs make lower, need face or body"),
        (test | {"runs": [trained.runs / "face"] * 2}, "run face stands twice; name it once"),
        (test | {"runs": [trained.runs / "body_upper"]}, "body_upper needs a run before it that makes lower"),
        (
            test | {"runs": [trained.runs / name for name in ("body_upper", "body_lower")]},
            "needs a run before it",
        ),
        (test | {"runs": [trained.runs / "face", tmp_path / "nothing"]}, "nothing: no model.json"),
        (test | {"options": Generate(overlap_frames=300)}, "overlap_frames"),
        (audio | {"options": Generate(voices="another")}, "no other take beside --audio"),
    ]:
        with pytest.raises(InputError, match=message):
            go(**arguments)
    assert not (tmp_path / "x").exists()


def test_models_of_other_data_are_not_mixed(trained, tmp_path):
    (tmp_path / "runs").mkdir()
    for model in ("face", "body_lower", "body_upper"):
        (tmp_path / "runs" / model).mkdir()
        for name in ("model.json", "model.safetensors"):
            (tmp_path / "runs" / model / name).write_bytes((trained.runs / model / name).read_bytes())
    description = json.loads((tmp_path / "runs" / "face" / "model.json").read_text())
    description["features"]["mel_fmax"] = 4000.0
    (tmp_path / "runs" / "face" / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="features of body_lower and face differ"):
        generate.load_runs([tmp_path / "runs"], "cpu")


def test_command_line(trained, tmp_path, capsys):
    make_shards(tmp_path / "shards")
    arguments = [
        "--runs",
        str(trained.runs),
        "--shards",
        str(tmp_path / "shards"),
        "--out",
        str(tmp_path / "out"),
        "--num-samples",
        "1",
        "--device",
        "cpu",
    ]
    generate.main([*arguments, "--takes", "20240101_004"])
    assert len(list((tmp_path / "out" / "bvhs").iterdir())) == 2
    with pytest.raises(SystemExit) as caught:
        generate.main([*arguments, "--takes", "20990101_004"])
    assert caught.value.code == 2 and "test takes are 20240101_004, 20240101_005" in capsys.readouterr().err
