"""A face that hears a speech encoder: trained on sidecars, generated from sidecars and from voices.

It is never generated with another encoder.
"""

import json
import shutil

import numpy as np
import pytest
import soundfile
from helpers.tiny_encoders import tiny_wav2vec
from helpers.tiny_shards import FACE, make_shards

from models import generate, runs, train
from models.data import actors_of, attach_speech, shards_of, speech_folder
from pipeline.config import Generate, Speech
from pipeline.errors import InputError
from pipeline.formats.shard_file import open_shards, write_sidecar
from pipeline.shards import speech, speech_stats

SPEAKING = FACE.model_copy(update={"audio": "speech"})
OPTIONS = Generate(num_samples=1, window_frames=48, overlap_frames=16, device="cpu")
SIZES = {"window_seconds": 6.0, "context_seconds": 1.0}
NOTHING = dict.fromkeys("takes transcripts actions facing actors placement".split()) | {
    "name": "00000000_000",
    "options": OPTIONS,
}


def write_sidecars(shards, model: str, name: str):
    """Sidecars of all shards, of the voices that they hold."""
    for shard in open_shards(shards):
        found = []
        for span in shard.takes:
            voices = [np.array(shard["audio"][span.start_sample : span.stop_sample, k]) for k in range(2)]
            found.append(
                speech.encode(voices, span.stop_frame - span.start_frame, Speech(model=model, **SIZES))
            )
        lengths = {span.take: span.stop_frame - span.start_frame for span in shard.takes}
        write_sidecar(shards / name / shard.path.name, "speech", lengths, found)
    paths = sorted(shards.glob("shard-*.h5"))
    speech_stats.run(
        shards=paths, sidecars=[shards / name / path.name for path in paths], out=shards / name / "stats.json"
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder with shards, sidecars of two encoders, the first encoder and a face trained on it."""
    folder = tmp_path_factory.mktemp("speaking")
    make_shards(folder / "shards")
    for name, width in (("one", 12), ("two", 16)):
        tiny_wav2vec(folder / name, hidden_size=width)
        write_sidecars(folder / "shards", str(folder / name), f"speech-{name}")
    train.run(
        recipe="face",
        shards=folder / "shards",
        out=folder / "runs" / "face",
        options=SPEAKING,
        speech=folder / "shards" / "speech-one",
    )
    return folder


def test_the_run_says_which_encoder_it_hears(made):
    described = json.loads((made / "runs" / "face" / "model.json").read_text())
    assert (
        described["speech_encoder"]["model"] == str(made / "one")
        and len(described["speech_encoder"]["model_sha256"]) == 64
    )
    run = runs.load(made / "runs" / "face")
    assert run.options.streams == ("face", "speech", "facing")
    # the features of both voices, and who faces whom
    assert run.model.network.audio.in_features == 2 * 12 + 2
    losses = [
        line["loss"]
        for line in map(json.loads, (made / "runs" / "face" / "log.jsonl").read_text().splitlines())
        if "loss" in line
    ]
    assert np.isfinite(losses).all()


def test_another_encoder_is_another_run(made):
    hashes = set()
    for name in ("speech-one", "speech-two"):
        opened, stats = shards_of(made / "shards")
        stats |= attach_speech(opened, made / "shards" / name)
        meta = runs.meta_of(SPEAKING, stats, opened[0].joint_names, actors_of(opened))
        hashes.add(train.run_hash("face", SPEAKING, meta, opened, encoder=stats["encoder"]))
    assert len(hashes) == 2
    described = stats["encoder"] | {"model_sha256": "0" * 64}
    assert train.run_hash("face", SPEAKING, meta, opened, encoder=described) not in hashes


def test_a_generated_face_follows_the_speech_features(made, tmp_path):
    arguments = NOTHING | {
        "audio": None,
        "runs": [made / "runs"],
        "shards": made / "shards",
        "speech": made / "shards" / "speech-one",
    }
    generate.run(**arguments, out=tmp_path)
    face = np.load(tmp_path / "face_arkit" / "20240101_002_005.npy")
    assert face.shape == (90, 51) and np.isfinite(face).all()
    opened = open_shards(made / "shards")
    attach_speech(opened, made / "shards" / "speech-one")
    found = generate.load_runs([made / "runs"], "cpu")
    scene = generate.scene_of(opened[1], opened[1].find("20240101_005"), (*generate.STREAMS, "speech"))
    before = generate.sample(found, scene, number=0, options=OPTIONS)["face"]
    scene.batch["mel"] = scene.batch["mel"] + 1
    np.testing.assert_array_equal(generate.sample(found, scene, number=0, options=OPTIONS)["face"], before)
    scene.batch["speech"] = scene.batch["speech"] + 1
    assert np.abs(generate.sample(found, scene, number=0, options=OPTIONS)["face"] - before).max() > 1e-4


def test_sidecars_of_another_encoder_are_refused(made, tmp_path):
    arguments = NOTHING | {"audio": None, "runs": [made / "runs"], "shards": made / "shards", "out": tmp_path}
    with pytest.raises(
        InputError, match="model_sha256 of the speech encoder is .* the face was trained with"
    ):
        generate.run(**arguments, speech=made / "shards" / "speech-two")
    with pytest.raises(
        InputError, match="got speech-one, speech-two for speech sidecars; name one with --speech"
    ):
        generate.run(**arguments)


def test_voices_are_heard_by_the_encoder_of_the_training(made, tmp_path):
    rng = np.random.default_rng(0)
    audio = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path, seconds in zip(audio, (2.0, 1.5), strict=True):
        soundfile.write(path, rng.normal(0, 0.1, int(16_000 * seconds)), 16_000)
    arguments = NOTHING | {"audio": audio, "shards": None, "runs": [made / "runs"]}
    generate.run(**arguments, out=tmp_path / "out")
    assert np.load(tmp_path / "out" / "face_arkit" / "00000000_001_000.npy").shape == (60, 51)
    shutil.copytree(made / "one", tmp_path / "moved")
    generate.run(**arguments, out=tmp_path / "again", speech_model=str(tmp_path / "moved"))
    name = "face_arkit/00000000_001_000.npy"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    with pytest.raises(InputError, match="speech model .*two.*: model_sha256 of the speech encoder is"):
        generate.run(**arguments, out=tmp_path / "no", speech_model=str(made / "two"))
    assert not (tmp_path / "no").exists()


def test_training_without_sidecars_says_how_to_write_them(tmp_path):
    (tmp_path / "shards").mkdir()
    need = "got none for speech sidecars; .*python -m pipeline.shards.speech, pipeline.shards.speech_stats"
    with pytest.raises(InputError, match=need):
        speech_folder(tmp_path / "shards", None)
