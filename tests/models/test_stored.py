"""What of a long take lies on disk: the same values by slices, and no more of it in memory than windows."""

import numpy as np
import pytest
import soundfile
import torch

from models import generate
from models.stored import Both, Late, Rows, Voice, Words
from models.voice_scene import MEL_FRAMES, _mel
from models.voices import two_voices
from pipeline.config import Generate
from pipeline.shards.features import log_mel
from pipeline.signals.resampling import resample

SLICES = (slice(None), slice(3, 7), slice(5, 5), slice(8, 99), slice(0, 1))


def test_rows_are_read_by_slices(tmp_path):
    values = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float16)
    rows = Rows(tmp_path / "x", iter([values[:5], values[5:5], values[5:]]), dtype="float16", shape=(4,))
    assert len(rows) == 11
    for places in SLICES:
        assert np.array_equal(rows[places], values[places]) and rows[places].dtype == np.float16
        both = Both([rows, rows])[places]
        assert both.dtype == np.float32 and np.array_equal(both, np.stack([values[places]] * 2, 1))
    with pytest.raises(FileExistsError):
        Rows(tmp_path / "x", iter([values]), dtype="float16", shape=(4,))


def test_a_voice_ends_in_silence():
    own = np.arange(1, 7, dtype=np.float32)
    voice, whole = Voice(own, 10, silent=False), np.pad(own, (0, 4))
    for places in SLICES:
        assert np.array_equal(voice[places], whole[places])
        assert np.array_equal(voice.cut(4)[places], whole[:4][places])
        assert not Voice(None, 10, silent=True)[places].any()
    assert voice.any() and not Voice(None, 10, silent=True).any() and np.array_equal(np.asarray(voice), whole)


def test_words_stand_where_they_are_said():
    rows, index = np.arange(6, dtype=np.float32).reshape(3, 2) + 1, np.array([[0, -1], [0, 2], [-1, 1]])
    text = Words(rows, index)[1:]
    assert text.tolist() == [[[1, 2], [5, 6]], [[0, 0], [3, 4]]]
    late = Late(Words(rows, index), torch.device("cpu"))
    assert late.shape == (1, 3) and late.ndim > 2 and torch.equal(late[:, 1:3][0], torch.from_numpy(text))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_voices_in_blocks_are_those_of_the_whole_file(tmp_path, rate, monkeypatch):
    monkeypatch.setattr("pipeline.formats.voice_file.BLOCK_SAMPLES", 7_001)
    sound = np.random.default_rng(1).normal(0, 0.1, (3 * rate + 17, 2)).astype(np.float32)
    soundfile.write(tmp_path / "x.flac", sound, rate, subtype="PCM_16")
    read = soundfile.read(tmp_path / "x.flac", dtype="float32")[0]
    for voice, channel in zip(two_voices([tmp_path / "x.flac"], tmp_path), read.T):
        assert np.array_equal(voice[:], resample(np.ascontiguousarray(channel), rate))


def test_a_log_mel_in_stretches_is_that_of_the_whole(monkeypatch):
    monkeypatch.setattr("models.voice_scene.MEL_FRAMES", 30)
    assert MEL_FRAMES % 3 == 0
    options = {"num_mels": 20, "mel_fft": 2048, "mel_fmax": 8000.0}
    sound = np.random.default_rng(2).normal(0, 0.1, 16_000 * 4).astype(np.float32)
    voices = [Voice(sound, 64_000, silent=False), Voice(sound[:30_000], 64_000, silent=False)]
    made = _mel(voices, 119, options)
    for k, voice in enumerate(voices):
        assert np.allclose(made[:, k], log_mel(voice[:], 119, **options), atol=1e-5)  # rounding of products


def test_generation_reads_what_it_is_told_window_by_window(trained, tmp_path, monkeypatch):
    """No read of text or voices is longer than a window, and the sample is that of arrays in memory."""
    (found, _, _) = generate.load_runs([trained.runs], "cpu")
    rng = np.random.default_rng(3)
    rows, index = rng.normal(size=(9, 6)).astype(np.float32), rng.integers(-1, 9, (200, 2))
    mel = [rng.normal(-5, 2, (200, 8)).astype(np.float32) for _ in range(2)]
    lengths = []

    class Told(Both):
        def __getitem__(self, places):
            lengths.append(len(super().__getitem__(places)))
            return super().__getitem__(places)

    shard, span = generate.takes_of(generate.open_shards(trained.shards), "test")[0]
    scene = generate.scene_of(shard, span)
    batch = {"mel": Told(mel), "text": Words(rows, index), "facing": np.ones((200, 2), np.int64)}
    options = Generate(window_frames=48, overlap_frames=16, device="cpu")
    scene.batch = batch
    made = generate.sample([found], scene, number=0, options=options)["face"]
    assert max(lengths) <= 48 and sum(lengths) > 200
    scene.batch = {"mel": np.stack(mel, 1), "facing": batch["facing"]}
    assert np.array_equal(made, generate.sample([found], scene, number=0, options=options)["face"])
