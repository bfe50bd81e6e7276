import shutil
import typing

import numpy as np
import pytest
import soundfile
from helpers.commands import refused, without_marks
from helpers.mixtures import mixture
from helpers.talks import talk
from helpers.tiny_shoot import AUDIO_RATE

from pipeline.capture import separation
from pipeline.capture.separation import separate
from pipeline.config import Separation
from pipeline.errors import InputError
from pipeline.planning import facts
from pipeline.reading import read_json
from pipeline.report.accuracy import si_sdr


@pytest.mark.parametrize("leak_db", [-18, -12, -8])
def test_each_voice_comes_out_clearer(leak_db):
    mics, voices = mixture(leak_db=leak_db)
    found = separate(mics, AUDIO_RATE)
    assert found.shape == mics.shape and found.dtype == np.float32
    for k in range(2):
        assert si_sdr(found[k], voices[k]) > si_sdr(mics[k], voices[k]) + 3
        assert abs(10 * np.log10(np.sum(found[k] ** 2) / np.sum(voices[k] ** 2))) < 0.5, (
            "at its own microphone's level"
        )


def test_the_microphones_order_does_not_matter():
    mics, _ = mixture(2)
    assert np.array_equal(separate(mics[::-1], AUDIO_RATE), separate(mics, AUDIO_RATE)[::-1])


def test_without_a_leak_nothing_is_taken():
    _, voices = mixture(2)
    assert min(si_sdr(a, b) for a, b in zip(separate(voices, AUDIO_RATE), voices)) > 20


def test_none_is_the_identity_and_a_copy():
    mics, _ = mixture(1)
    found = separate(mics, AUDIO_RATE, method="none")
    assert np.array_equal(found, mics) and not np.shares_memory(found, mics)


def test_silence_stays_silent_and_finite():
    mics, voices = mixture(1.0)
    assert np.abs(separate(np.zeros_like(mics), AUDIO_RATE)).max() == 0
    one = np.stack([voices[0], np.zeros_like(voices[0])])
    found = separate(one, AUDIO_RATE)
    assert np.isfinite(found).all() and si_sdr(found[0], voices[0]) > 20 and np.abs(found[1]).max() < 1e-6


def test_config_offers_the_methods_that_there_are():
    assert set(typing.get_args(Separation.model_fields["method"].annotation)) == {
        *separation.METHODS,
        *separation.SEEING,
    } and set(facts.SEEING) == set(separation.SEEING)


@pytest.mark.parametrize("method", ["mask", "ilrma"])
def test_every_method_keeps_level_place_and_order(method):
    mics, voices = mixture(2.0, leak_db=-12)
    found = separate(mics, AUDIO_RATE, method=method)
    assert found.shape == mics.shape and found.dtype == np.float32 and not np.shares_memory(found, mics)
    for k in range(2):
        assert abs(20 * np.log10(found[k] @ voices[k] / (voices[k] @ voices[k]))) < 1.0
        assert si_sdr(found[k], voices[k]) > si_sdr(np.roll(found[k], 1), voices[k]), "not a sample late"


def talking(gains=(1.0, 1.0), *, leak_db=-12.0):
    """Microphones (2, S) and voices of two people who talk for 30 s."""
    voices = np.stack(talk(3, 30.0)[1])
    return (np.array(gains)[:, None] * (voices + 10 ** (leak_db / 20) * voices[::-1])).astype(
        np.float32
    ), voices


def test_the_report_says_what_the_other_was_before_and_after():
    mics, _ = talking()
    found = separation.measure(mics, separate(mics, AUDIO_RATE))
    for own in found:
        assert own["leak_before_db"] == pytest.approx(-12, abs=1) and own["leak_after_db"] < -18
        assert own["sir_after_db"] > own["sir_before_db"] + 6 and 0.25 < own["speech_share"] < 0.5
        assert own["clipped_samples"] == 0 and own["noise_floor_db"] == pytest.approx(-80, abs=1.5)
    same = separation.measure(mics, mics)
    assert all(own["leak_before_db"] == own["leak_after_db"] and own["removed_db"] < -80 for own in same)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: 0 * x, "A is silent in the take's window: all samples are zero"),
        (lambda x: 3e-5 * np.sign(x), "A is silent in the take's window: its peak is -90 dB"),
        (
            lambda x: np.clip(100 * x, -1, 1),
            r"A is clipped in \d+.\d % of its samples, first 0.\d+ s into the take, need at most 2 %",
        ),
    ],
)
def test_a_silent_or_clipped_microphone_is_refused(make, message):
    x = talking()[0][0]
    separation.check_microphone(x, "A", max_clipped_share=0.02)
    separation.check_microphone(1e-3 * x, "A", max_clipped_share=0.02)
    with pytest.raises(InputError, match=message):
        separation.check_microphone(make(x), "A", max_clipped_share=0.02)


def test_a_few_clips_are_reported_and_the_limit_is_the_config_s(work, capsys):
    wavs, arguments, outs, reports = work
    x, rate = soundfile.read(wavs[0])
    start = round(
        (
            read_json(arguments[4])["start_seconds"]
            - read_json(arguments[4])["performances"][0]["audio"]["start"]
        )
        * rate
    )
    x[start + 48_000 : start + 48_050] = 1.0
    with open(wavs[0], "r+b") as f:
        content = f.read()
        f.seek(content.index(b"data") + 8)
        f.write(np.round(x * (2**23 - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    separation.main([str(a) for a in arguments])
    assert read_json(reports[0])["clipped_samples"] == 50 and read_json(reports[1])["clipped_samples"] == 0
    for path in [*outs, *reports]:
        path.unlink()
    needles = [
        "take 20260101_001, actor 001: 20260101_001_001.wav is clipped in 0.0 %",
        "first 1.00 s into the take",
    ]
    refused(
        separation.main,
        [*arguments, "--max-clipped-share", "0.0001"],
        capsys,
        *needles,
        outputs=[*outs, *reports],
    )


@pytest.mark.parametrize(
    ("mics", "method", "message"),
    [
        (np.zeros(5), "mask", r"microphones \(5,\)"),
        (np.zeros((3, 5)), "mask", r"microphones \(3, 5\)"),
        (np.full((2, 5), np.nan), "mask", "finite"),
        (np.zeros((2, 5)), "magic", "method 'magic', need one of mask, ilrma, none"),
    ],
)
def test_bad_arrays_are_named(mics, method, message):
    with pytest.raises(InputError, match=message):
        separate(mics, AUDIO_RATE, method=method)


def test_the_dataset_has_the_voices_to_the_sample(shoot, captured):
    for take in ("20260101_001", "20260101_002"):
        about = read_json(captured / "annotations" / "sync" / f"{take}.json")
        num_samples = round(about["frames"] * AUDIO_RATE / 30)
        for actor in ("001", "002"):
            name = f"20260101_{actor}_{take[-3:]}"
            info = soundfile.info(captured / "dataset" / "wav" / f"{name}.wav")
            assert (info.frames, info.samplerate, info.channels, info.subtype) == (
                num_samples,
                AUDIO_RATE,
                1,
                "PCM_24",
            )
            first = round((about["start_seconds"] - shoot.truth[name].start["audio"]) * AUDIO_RATE)
            true = shoot.truth[name].voice[first : first + num_samples]
            found = soundfile.read(captured / "dataset" / "wav" / f"{name}.wav")[0]
            raw = soundfile.read(shoot.folder / take / f"{name}.wav")[0][first : first + num_samples]
            assert si_sdr(found, true) > si_sdr(raw, true) + 2 and si_sdr(np.roll(found, 1), true) < 5, (
                "a sample of lag would show"
            )
            report = read_json(captured / "annotations" / "separation" / f"{name}.json")
            assert (
                report["samples"] == num_samples
                and report["removed_db"] < -3
                and report["clipped_samples"] == 0
            )


@pytest.fixture
def work(shoot, captured, tmp_path):
    """Two microphones of the shoot, to spoil, and the command that reads them."""
    names = [f"20260101_{actor}_001" for actor in ("001", "002")]
    wavs = [
        shutil.copy(shoot.folder / "20260101_001" / f"{name}.wav", tmp_path / f"{name}.wav") for name in names
    ]
    outs, reports = (
        [tmp_path / "out" / f"{name}.wav" for name in names],
        [tmp_path / "out" / f"{name}.json" for name in names],
    )
    sync = without_marks(captured / "annotations" / "sync" / "20260101_001.json", tmp_path / "sync.json")
    return (
        wavs,
        ["--wav", *wavs, "--sync", sync, "--performance", *names, "--out", *outs, "--out-report", *reports],
        outs,
        reports,
    )


def test_one_or_both_performances_give_the_same_bytes(work):
    wavs, arguments, outs, reports = work
    separation.main([str(a) for a in arguments])
    both = [path.read_bytes() for path in [*outs, *reports]]
    name = outs[1].stem
    separation.main(
        [
            str(a)
            for a in [*arguments[:5], "--performance", name, "--out", outs[1], "--out-report", reports[1]]
        ]
    )
    assert [path.read_bytes() for path in [*outs, *reports]] == both


def test_method_none_keeps_the_microphone(work, captured):
    wavs, arguments, outs, _ = work
    separation.main([str(a) for a in [*arguments, "--method", "none"]])
    about = read_json(arguments[4])
    first = round((about["start_seconds"] - about["performances"][0]["audio"]["start"]) * AUDIO_RATE)
    kept = soundfile.read(outs[0])[0]
    assert np.abs(kept - soundfile.read(wavs[0], start=first, frames=len(kept))[0]).max() < 2**-22


def test_other_rates_are_resampled(tmp_path):
    t = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 44_100, subtype="PCM_24")
    found = separation.read_window(
        tmp_path / "x.wav", {"start": 10.0, "rate": 44_100, "channel": 1}, 10.25, 24_000
    )
    expected = 0.5 * np.sin(2 * np.pi * 440 * (0.25 + np.arange(24_000) / 48_000))
    assert found.shape == (24_000,) and np.abs(found - expected)[500:-500].max() < 1e-3


@pytest.mark.parametrize(
    ("spoil", "needles"),
    [
        (
            lambda p: soundfile.write(p, np.zeros(60_000), AUDIO_RATE),
            ["20260101_002_001.wav: the recording is 1.250 s long, need"],
        ),
        (
            lambda p: soundfile.write(p, np.zeros(10), AUDIO_RATE),
            ["20260101_002_001.wav: the recording is 0.000 s long"],
        ),
        (lambda p: p.write_bytes(b"\xe9\xff garbage" * 99), ["20260101_002_001.wav: not a readable WAV"]),
        (lambda p: p.write_bytes(b""), ["20260101_002_001.wav: not a readable WAV"]),
        (lambda p: p.unlink(), ["20260101_002_001.wav: no such file"]),
    ],
)
def test_bad_input_stops_with_one_line(work, capsys, spoil, needles):
    wavs, arguments, outs, reports = work
    spoil(wavs[1])
    refused(separation.main, arguments, capsys, *needles, outputs=[*outs, *reports])


def test_bad_options_stop_with_one_line(work, capsys):
    wavs, arguments, outs, reports = work
    outputs = [*outs, *reports]
    refused(
        separation.main,
        [*arguments, "--method", "magic"],
        capsys,
        "option --method: got 'magic'",
        outputs=outputs,
    )
    refused(
        separation.main, [*arguments, "--out", outs[0]], capsys, "1 --out, 2 --out-report", outputs=outputs
    )
    refused(
        separation.main,
        [*arguments, "--performance", "20260101_009_001", "20260101_001_001"],
        capsys,
        "need performances of actors 001, 002",
        outputs=outputs,
    )
