"""Two microphones to two voices, by one command on the files alone."""

import logging

import numpy as np
import pytest
import soundfile
from helpers.commands import refused
from helpers.mixtures import mixture
from helpers.tiny_shoot import AUDIO_RATE, write_bwf

from pipeline.capture import separation
from pipeline.capture.microphones import read_microphones
from pipeline.reading import read_json

MICS, VOICES = mixture(3.0)


def plain(path, samples, rate=AUDIO_RATE, **more):
    """A WAV that says nothing but its samples, (S,) or (S, channels)."""
    soundfile.write(path, samples, rate, **{"subtype": "PCM_24"} | more)
    return path


def call(*arguments):
    separation.main([str(argument) for argument in arguments])


def read(path):
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == separation.OUT_RATE
    return samples


def test_two_wavs_and_a_folder_are_enough(tmp_path, caplog):
    paths = [plain(tmp_path / name, mic) for name, mic in zip(("A b.wav", "B.WAV"), MICS)]
    with caplog.at_level(logging.INFO):
        call(*paths, "--out", tmp_path / "voices")
    assert sorted(path.name for path in (tmp_path / "voices").iterdir()) == [
        "A b.json",
        "A b.wav",
        "B.json",
        "B.wav",
    ]
    assert "no timecode says when they began; they are taken to begin together" in caplog.text
    import soxr

    for name, mic, voice in zip(("A b", "B"), MICS, VOICES):
        about = read_json(tmp_path / "voices" / f"{name}.json")
        assert (
            about["performance"] == name
            and about["samples"] == len(read(tmp_path / "voices" / f"{name}.wav")) == 3 * separation.OUT_RATE
        )
        found = soxr.resample(read(tmp_path / "voices" / f"{name}.wav"), separation.OUT_RATE, AUDIO_RATE)
        assert (
            np.sum((found - voice) ** 2) < 0.5 * np.sum((mic - voice) ** 2) and about["skipped_seconds"] == 0
        )


def test_with_a_sync_of_the_same_window_the_voices_are_the_same_bytes(shoot, captured, tmp_path):
    """The take's window is the overlap of all streams.

    Cut to it, the microphones alone give the take's voices.
    """
    names = [f"20260101_00{k}_001" for k in (1, 2)]
    sync = read_json(captured / "annotations" / "sync" / "20260101_001.json")
    paths, num_samples = [], round(sync["frames"] * separation.OUT_RATE / 30)
    for name, performance in zip(names, sync["performances"]):
        record = {key: performance["audio"][key] for key in ("start", "rate")}
        stream = separation.audio.open_audio(shoot.folder / "20260101_001" / f"{name}.wav")
        cut = separation.audio.resample_span(
            stream,
            sync["start_seconds"] - record["start"],
            num_samples,
            true_rate=record["rate"],
            out_rate=separation.OUT_RATE,
        )
        paths.append(plain(tmp_path / f"{name}.wav", cut, separation.OUT_RATE, subtype="FLOAT"))
    call(*paths, "--out", tmp_path / "voices")
    for name in names:
        assert (tmp_path / "voices" / f"{name}.wav").read_bytes() == (
            captured / "dataset" / "wav" / f"{name}.wav"
        ).read_bytes()


def test_a_file_of_two_channels_is_two_microphones(tmp_path, capsys):
    call(
        *(plain(tmp_path / name, mic) for name, mic in zip(("A.wav", "B.wav"), MICS)),
        "--out",
        tmp_path / "apart",
    )
    four = np.stack([0 * MICS[0], MICS[1], 0 * MICS[0], MICS[0]], 1)
    for path, flags, order in (
        (plain(tmp_path / "zoom.wav", MICS.T), (), "AB"),
        (plain(tmp_path / "poly.wav", four), ("--channel", 4, 2), "AB"),
        (plain(tmp_path / "poly2.wav", four), ("--channel", 2, 4), "BA"),
    ):
        call(path, *flags, "--out", tmp_path / path.stem)
        for k, name in enumerate(order, 1):
            assert np.array_equal(
                read(tmp_path / path.stem / f"{path.stem}_{k}.wav"), read(tmp_path / "apart" / f"{name}.wav")
            )
    out = tmp_path / "x"
    refused(
        separation.main,
        [tmp_path / "poly.wav", "--out", out],
        capsys,
        "4 channels, need two microphones",
        "--channel",
        outputs=[out],
    )
    refused(
        separation.main,
        [tmp_path / "A.wav", "--out", out],
        capsys,
        "1 channel, need two microphones; give the other person's",
        outputs=[out],
    )
    both = [tmp_path / "zoom.wav", tmp_path / "poly.wav"]
    refused(
        separation.main,
        [*both, "--out", out],
        capsys,
        "zoom.wav: 2 channels, need one microphone",
        "--channel 1 1",
        outputs=[out],
    )
    refused(
        separation.main,
        [*both, "--channel", 1, "--out", out],
        capsys,
        "got 1 for --channel, need two",
        outputs=[out],
    )
    refused(
        separation.main,
        [*both, "--channel", 1, 5, "--out", out],
        capsys,
        "got channel 5, need 1 to 4",
        "correct --channel",
        outputs=[out],
    )


@pytest.mark.parametrize(
    ("starts", "skipped"),
    [((100.0, 100.5), (0.5, 0.0)), ((86_399.0, 0.25), (1.25, 0.0)), ((0.25, 86_399.0), (0.0, 1.25))],
)
def test_timecode_places_them_over_midnight_too(tmp_path, starts, skipped):
    paths = [tmp_path / f"{name}.wav" for name in "AB"]
    for path, mic, start in zip(paths, MICS, starts):
        write_bwf(path, mic, AUDIO_RATE, start)
    found = read_microphones(paths, out_rate=AUDIO_RATE)
    assert found.skipped_seconds == pytest.approx(skipped)
    first = [round(value * AUDIO_RATE) for value in found.skipped_seconds]
    length = min(MICS.shape[1] - value for value in first)
    assert found.samples.shape == (2, length)
    assert (
        np.abs(
            found.samples - np.stack([mic[value : value + length] for mic, value in zip(MICS, first)])
        ).max()
        < 1e-6
    )
    together = read_microphones(paths, out_rate=AUDIO_RATE, together=True)
    assert together.skipped_seconds == [0, 0] and together.samples.shape == MICS.shape


def test_other_rates_and_lengths_meet(tmp_path, caplog):
    import soxr

    other = soxr.resample(MICS[1], AUDIO_RATE, 44_100)[: 2 * 44_100]
    paths = [plain(tmp_path / "A.wav", MICS[0]), plain(tmp_path / "B.wav", other, 44_100)]
    found = read_microphones(paths, out_rate=AUDIO_RATE)
    assert (
        found.samples.shape == (2, 2 * AUDIO_RATE)
        and "A.wav lasts 3.00 s, B.wav 2.00 s; if they did not begin together" in caplog.text
    )
    middle = slice(2000, -2000)
    assert np.abs(found.samples[1] - MICS[1][: 2 * AUDIO_RATE])[middle].mean() < 0.1 * np.abs(MICS[1]).mean()


@pytest.mark.parametrize(
    ("name", "more", "near"),
    [("b.flac", {}, 1e-5), ("b.ogg", {"subtype": "VORBIS"}, 0.3), ("b.wav", {"subtype": "ALAW"}, 0.02)],
)
def test_other_kinds_of_files_begin_with_the_other(tmp_path, name, more, near):
    path = plain(tmp_path / name, MICS[1], **more)
    write_bwf(tmp_path / "a.wav", MICS[0], AUDIO_RATE, 1000.0)
    found = read_microphones([tmp_path / "a.wav", path], out_rate=AUDIO_RATE)
    assert found.samples.shape == MICS.shape and np.abs(found.samples[1] - MICS[1]).max() < near
    assert (
        read_microphones([path, path], out_rate=separation.OUT_RATE, channels=(1, 1)).samples.shape[1]
        == 3 * separation.OUT_RATE
    )


def test_what_cannot_be_two_microphones_is_one_line(tmp_path, capsys):
    a, b = (plain(tmp_path / f"{name}.wav", mic) for name, mic in zip("AB", MICS))
    out = tmp_path / "x"

    def said(*arguments):
        return refused(separation.main, [*arguments, "--out", out], capsys, outputs=[out])

    assert "is given twice" in said(a, a) and "got 3 recordings" in said(a, b, a)
    assert "got --performance without --sync" in said(a, b, "--performance", "20260101_001_001")
    assert "--channel or --together beside --sync" in said(a, b, "--together", "--sync", "s.json")
    for path, start in ((a, 10.0), (b, 400.0)):
        write_bwf(tmp_path / f"late {path.name}", MICS[0], AUDIO_RATE, start)
    assert "share 0.00 s by their timecode" in said(tmp_path / "late A.wav", tmp_path / "late B.wav")
    silent = plain(tmp_path / "silent.wav", 0 * MICS[0])
    assert (
        "silent.wav is silent" in (line := said(a, silent))
        and "--channel" in line
        and "timecode.json" not in line
        and "take;" not in line
    )
    loud = plain(tmp_path / "loud.wav", np.clip(60 * MICS[0], -1, 1))
    assert "or raise --max-clipped-share" in (line := said(a, loud)) and "exclude" not in line
    assert "--method visualvoice needs --checkpoints" in said(a, b, "--method", "visualvoice")
    before = a.read_bytes()
    assert "the voice would be written over it" in refused(separation.main, [a, b, "--out", tmp_path], capsys)
    assert "need one folder, or two WAVs" in refused(
        separation.main, [a, b, "--out", tmp_path / "x.wav"], capsys
    )
    assert a.read_bytes() == before
