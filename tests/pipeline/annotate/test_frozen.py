import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from helpers.tiny_dataset import quality_arguments

from pipeline.annotate import frozen, quality
from pipeline.formats.bvh import load_bvh, save_bvh

NAMES = ["20260101_001_001", "20260101_002_001"]


@pytest.fixture
def take(tmp_path):
    """The arguments of quality's `run` for a take of 8 s."""
    return quality_arguments(tmp_path, 240)


def freeze(stream: str, path, first: float, seconds: float) -> None:
    """Repeat what the stream shows at `first` for `seconds`, by rewriting its file."""
    if stream == "body":
        motion = load_bvh(path)
        index = np.arange(motion.num_frames)
        index[round(first * 30) : round((first + seconds) * 30)] = round(first * 30)
        save_bvh(path, motion.frames(index))
    elif stream == "face":
        weights = np.load(path)
        weights[round(first * 30) : round((first + seconds) * 30)] = weights[round(first * 30)]
        np.save(path, weights)
    else:
        audio, rate = soundfile.read(path)
        audio[round(first * rate) : round((first + seconds) * rate)] = 0
        soundfile.write(path, audio, rate, subtype="PCM_24")


def reasons(take) -> list[str]:
    quality.run(**take)
    return json.loads(take["out"].read_text())["reasons"]


@pytest.mark.parametrize("stream, kind", [("body", "bvh"), ("face", "face"), ("voice", "wav")])
@pytest.mark.parametrize("first, seconds", [(2.0, 4.0), (0.0, 0.5), (7.0, 1.0)])
def test_each_stream_that_stands_still_is_told_in_the_same_words(take, stream, kind, first, seconds):
    assert reasons(take) == []
    freeze(stream, take[kind][1], first, seconds)
    (reason,) = reasons(take)
    start, _, length = reason.partition(" is frozen for ")
    found, when = (float(word.split(" ")[0]) for word in length.split(" s at "))
    assert start == f"{NAMES[1]}: the {stream}" and abs(found - seconds) < 0.04 and abs(when - first) < 0.04


@pytest.mark.parametrize("stream, kind", [("body", "bvh"), ("face", "face"), ("voice", "wav")])
def test_what_is_shorter_or_moves_a_little_is_not_frozen(take, stream, kind):
    freeze(stream, take[kind][0], 3.0, 0.2)
    assert reasons(take) == []
    freeze(stream, take[kind][0], 1.0, 0.5)
    freeze(stream, take[kind][0], 3.0, 2.0)
    (reason,) = reasons(take)
    assert reason.endswith(" s, the longest of 2 stretches") and "frozen for 2.0" in reason


def test_a_twitch_of_one_joint_weight_or_sample_ends_a_stretch(take):
    motion = load_bvh(take["bvh"][0])
    motion = motion.frames(np.zeros(120, int))
    assert frozen.of_body(motion) == [(0.0, 4.0)]
    turned = motion.rotations.copy()
    turned[60:, 3] = [np.sin(1e-4), 0, 0, np.cos(1e-4)]
    assert frozen.of_body(replace(motion, rotations=turned)) == [(0.0, 2.0), (2.0, 2.0)]
    assert frozen.of_body(
        replace(motion, rotations=motion.rotations * np.where(np.arange(120) % 2, 1.0, -1.0)[:, None, None])
    ) == [(0.0, 4.0)]
    weights = np.full((120, 51), 0.25, np.float32)
    weights[60:, 7] += 1e-3
    assert frozen.of_face(weights, 30) == [(0.0, 2.0), (2.0, 2.0)]
    hum = 2.0**-22 * (np.arange(16_000) % 2)
    assert frozen.of_voice(hum, 16_000) == [] and frozen.of_voice(0 * hum + 0.3, 16_000) == [(0.0, 1.0)]
    assert frozen.of_face(weights[:1], 30) == [] and frozen.of_voice(hum[:0], 16_000) == []
