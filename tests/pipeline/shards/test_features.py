import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from helpers.tiny_dataset import make_tiny

from pipeline.config import Features
from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion import pose
from pipeline.motion.clock import sample_of
from pipeline.shards import features
from pipeline.shards.features import log_mel, mel_filters


def test_a_click_stands_on_its_frame_after_90_seconds():
    num_frames = 2700
    frames = np.array([0, 1, 2, 1000, 2698, 2699])
    audio = np.zeros(int(sample_of(num_frames)), np.float32)
    audio[sample_of(frames)] = 1.0
    mel = log_mel(audio, num_frames, num_mels=20, mel_fft=256)
    assert mel.shape == (num_frames, 20) and mel.dtype == np.float32
    peaks = mel[frames, -1]
    np.testing.assert_allclose(peaks, peaks[0], atol=1e-3)  # the window's middle is on the click each time
    assert (mel[[4, 998, 1003, 2695]] == np.log(np.float32(features.MEL_FLOOR))).all()


@pytest.mark.parametrize("phase", range(4))
def test_a_click_on_every_frame_of_90_seconds_is_in_its_row_and_no_other(phase):
    num_frames = 2700
    frames = np.arange(phase, num_frames, 4)
    audio = np.zeros(int(sample_of(num_frames)), np.float32)
    audio[sample_of(frames)] = 1.0
    mel = log_mel(
        audio, num_frames
    )  # the window of 1024 samples ends before the middles of its neighbours', 533 away
    expected = np.full((num_frames, 80), np.log(np.float32(features.MEL_FLOOR)))
    expected[frames] = mel[frames[0]]
    assert (mel[frames[0]] > np.log(1e-4)).all()
    np.testing.assert_allclose(mel, expected, atol=1e-4)


def test_a_click_at_any_sample_is_loudest_in_the_nearest_frame_of_90_seconds():
    num_frames = 2700
    frames = np.arange(4, num_frames - 4, 4)
    audio = np.zeros(int(sample_of(num_frames)), np.float32)
    shift = np.random.default_rng(0).integers(-266, 267, len(frames))  # half a frame is 266.7 samples
    audio[sample_of(frames) + shift] = 1.0
    level = log_mel(audio, num_frames).mean(1)
    near = level[frames[:, None] + np.arange(-2, 3)]
    assert (near.argmax(1) == 2).all()


def test_the_mel_of_a_take_cut_in_two_is_that_of_the_whole_a_frame_from_the_cut():
    num_frames, cut = 2700, 1302  # a multiple of three frames is a whole number of samples
    audio = np.random.default_rng(0).normal(0, 0.1, int(sample_of(num_frames))).astype(np.float32)
    at = int(sample_of(cut))
    whole, first, second = (
        log_mel(audio, num_frames),
        log_mel(audio[:at], cut),
        log_mel(audio[at:], num_frames - cut),
    )
    np.testing.assert_allclose(first[:-1], whole[: cut - 1], atol=1e-5)
    np.testing.assert_allclose(second[1:], whole[cut + 1 :], atol=1e-5)
    assert np.abs(second[0] - whole[cut]).max() > 0.1  # half of its window is gone


def test_a_spectrogram_takes_no_more_memory_for_a_longer_take():
    import tracemalloc

    peaks = []
    for num_frames in (2700, 10_800):
        audio = np.zeros(int(sample_of(num_frames)), np.float32)
        tracemalloc.start()
        result = log_mel(audio, num_frames)
        peaks.append(tracemalloc.get_traced_memory()[1] - result.nbytes)
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6, peaks


@pytest.mark.parametrize(
    "num_mels, mel_fft, mel_fmax", [(80, 1024, 8000.0), (128, 512, 900.0), (27, 800, 7600.0)]
)
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_mel_filters_are_librosas(num_mels, mel_fft, mel_fmax):
    from librosa.filters import mel

    expected = mel(sr=16_000, n_fft=mel_fft, n_mels=num_mels, fmin=0.0, fmax=mel_fmax)
    found = mel_filters(num_mels, mel_fft, mel_fmax)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * expected.max())


def test_log_mel_agrees_with_librosa_where_hops_are_whole():
    import librosa

    audio = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    power = librosa.feature.melspectrogram(
        y=audio, sr=16_000, n_fft=1024, hop_length=1600, n_mels=40, pad_mode="constant", fmax=8000
    )
    np.testing.assert_allclose(log_mel(audio, 30, num_mels=40)[::3], np.log(power.T[:10]), atol=2e-3)


def test_sine_is_in_its_band():
    from librosa import mel_frequencies

    audio = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    band = log_mel(audio, 20, num_mels=80)[10].argmax()
    assert abs(mel_frequencies(82, fmin=0, fmax=8000)[band + 1] - 1000) < 40


def test_no_frames():
    assert log_mel(np.zeros(0, np.float32), 0, num_mels=80).shape == (0, 80)


def test_file_holds_both_actors(tiny):
    with h5py.File(tiny.features / "20260101_001.h5") as f:
        assert (
            f["body"].shape == (61, 2, 36)
            and f["mel"].shape == (61, 2, 16)
            and f["audio"].shape == (32533, 2)
        )
        motion = load_bvh(tiny.dataset / "bvhs" / "20260101_002_001.bvh")
        body, root = pose.encode(motion)
        np.testing.assert_allclose(f["body"][:, 1], body, atol=1e-6)
        np.testing.assert_allclose(f["root"][:, 1], root, rtol=1e-6)
        np.testing.assert_allclose(f["skeletons/20260101_002_001/offsets_cm"], motion.offsets_cm)
        ends = f["skeletons/20260101_002_001/ends_cm"][()]
        assert np.isfinite(ends).all(1).sum() == len(motion.ends_cm)
        assert list(f["skeletons/20260101_002_001"].attrs["orders"]) == ["zxy"] * 12


@pytest.fixture
def one(tmp_path):
    """One take without features, and the paths that `run` takes."""
    made = make_tiny(tmp_path, {"20260101_001": 30})
    names = ["20260101_001_001", "20260101_002_001"]
    paths = {
        "bvh": [made.dataset / "bvhs" / f"{n}.bvh" for n in names],
        "wav": [made.dataset / "wav" / f"{n}.wav" for n in names],
    }
    return paths, tmp_path / "out.h5"


def test_same_bytes(one, tmp_path):
    paths, out = one
    features.run(**paths, out=out, options=Features(num_mels=8))
    features.run(**paths, out=tmp_path / "b.h5", options=Features(num_mels=8))
    assert out.read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_wav_a_little_off_is_mended_and_more_is_an_error(one, caplog):
    paths, out = one
    wav = paths["wav"][0]
    audio, _ = soundfile.read(wav)
    soundfile.write(wav, audio[:-2000], 48_000, subtype="PCM_24")
    features.run(**paths, out=out, options=Features(num_mels=8))
    assert "silence is added" in caplog.text
    with h5py.File(out) as f:
        assert (
            f["audio"].shape == (16_000, 2)
            and np.abs(f["audio"][-600:, 0]).max() < 1e-4 < np.abs(f["audio"][-600:, 1]).max()
        )
    soundfile.write(wav, np.concatenate([audio, audio]), 48_000, subtype="PCM_24")
    with pytest.raises(InputError, match="got 96000 samples .* need 48000 for 30 frames"):
        features.run(**paths, out=out, options=Features(num_mels=8))


def break_bvh(edit):
    def run(paths):
        motion = load_bvh(paths["bvh"][1])
        save_bvh(paths["bvh"][1], edit(motion))

    return run


def _stereo(paths):
    soundfile.write(paths["wav"][1], np.zeros((48_000, 2)), 48_000)


def _fast(motion):
    from dataclasses import replace

    return replace(motion, fps=120.0)


def _nan(motion):
    motion.positions_cm[4, 0, 0] = np.nan
    return motion


def _renamed(motion):
    motion.names[5] = "LeftShin"
    return motion


@pytest.mark.parametrize(
    "damage, message",
    [
        (break_bvh(lambda m: m.frames(slice(0, 29))), "got 29 frames, need 30"),
        (break_bvh(_fast), "got 120 fps, need 30"),
        (break_bvh(_nan), "frame 4: got 1 frames with NaN"),
        (break_bvh(_renamed), "its joints differ"),
        (_stereo, "got 2 channels, need 1"),
        (lambda paths: paths["wav"][0].write_bytes(b"RIFF"), "cannot be read as WAV"),
        (lambda paths: paths["wav"][0].unlink(), "no such file"),
    ],
)
def test_bad_input(one, damage, message):
    paths, out = one
    damage(paths)
    with pytest.raises(InputError, match=message):
        features.run(**paths, out=out, options=Features(num_mels=8))
    assert not out.exists()


def test_command_line(one, capsys):
    paths, out = one
    flags = ["--bvh", *map(str, paths["bvh"]), "--wav", *map(str, paths["wav"]), "--out", str(out)]
    features.main([*flags, "--num-mels", "12"])
    with h5py.File(out) as f:
        assert f["mel"].shape[2] == 12
    shutil.copy(paths["bvh"][0], Path(out).with_suffix(".bvh"))
    with pytest.raises(SystemExit) as stop:
        features.main([*flags, "--num-mels", "many"])
    assert stop.value.code == 2 and "--num-mels" in capsys.readouterr().err
