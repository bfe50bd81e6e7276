import json

import numpy as np
import pytest
import soundfile
from helpers.commands import refused
from helpers.talks import late, talk

from pipeline.annotate import quality, sync_check
from pipeline.simulate.speech import RATE

TAKE, NAMES = "20260101_001", ["20260101_001_001", "20260101_002_001"]
SECONDS = 30.0


def arguments(folder, faces, voices, *flags):
    """Command-line arguments of a take of these faces and voices, written to `folder`."""
    files = []
    for kind, suffix, values in (("face", "npy", faces), ("wav", "wav", voices)):
        (folder / kind).mkdir()
        paths = [folder / kind / f"{name}.{suffix}" for name in NAMES]
        for path, value in zip(paths, values, strict=True):
            (
                np.save(path, value.astype(np.float32))
                if kind == "face"
                else soundfile.write(path, value, RATE, subtype="PCM_24")
            )
        files += [f"--{kind}", *map(str, paths)]
    return [*files, "--out", str(folder / f"{TAKE}.json"), *flags]


def checked(folder, faces, voices, *flags) -> dict:
    sync_check.main(arguments(folder, faces, voices, *flags))
    return json.loads((folder / f"{TAKE}.json").read_text())


def test_a_take_in_sync_agrees(tmp_path):
    found = checked(tmp_path, *talk(5, SECONDS))
    assert found["take"] == TAKE and found["swapped"] is False and found["clap_offset_seconds"] is None
    for k, name in enumerate(NAMES):
        own = found["performances"][name]
        assert own["verdict"] == "agrees" and own["claps_seconds"] == []
        assert own["lag_frames"] == pytest.approx(30 * own["lag_seconds"]) and abs(own["lag_frames"]) < 0.5
        assert (
            found["matrix"][k][k]["confidence"] == own["confidence"] > found["matrix"][k][1 - k]["confidence"]
        )


def test_a_late_voice_is_off_and_warned_of(tmp_path, caplog):
    faces, voices = talk(5, SECONDS)
    found = checked(tmp_path, faces, [voices[0], late(voices[1], 0.2)])
    first, second = (found["performances"][name] for name in NAMES)
    assert first["verdict"] == "agrees"
    assert second["verdict"] == "off" and second["lag_seconds"] == pytest.approx(0.2, abs=1 / 60)
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 1 and "actor 002" in warned[0] and "need 16.7 ms" in warned[0]


def test_swapped_microphones_are_one_clear_line(tmp_path, caplog):
    faces, voices = talk(5, SECONDS)
    found = checked(tmp_path, faces, voices[::-1])
    assert found["swapped"] is True
    assert [record.getMessage() for record in caplog.records if "swapped" in record.getMessage()] == [
        f"take {TAKE}: each mouth moves with the other actor's voice; the microphones are swapped, exchange"
        " the two WAVs"
    ]


def test_what_cannot_be_told_abstains(tmp_path):
    faces, voices = talk(5, SECONDS)
    still, silent = 0 * faces[0] + 0.2, 0 * voices[1]
    found = checked(tmp_path, [still, faces[1]], [voices[0], silent], "--max-offset-seconds", "0.01")
    assert found["swapped"] is None
    for name in NAMES:
        assert (
            found["performances"][name]["verdict"] == "abstains"
            and found["performances"][name]["lag_seconds"] is None
        )


def test_strangers_abstain(tmp_path):
    found = checked(tmp_path, talk(5, SECONDS)[0], talk(6, SECONDS)[1])
    assert [found["performances"][name]["verdict"] for name in NAMES] == ["abstains", "abstains"] and found[
        "swapped"
    ] is None


def test_a_real_face_abstains_beside_a_voice_of_another_day(tmp_path, real_data):
    from pipeline.formats import live_link

    weights = [live_link.read_weights(path) for path in sorted((real_data / "face").glob("*.csv"))]
    cut = [w[: round(30 * SECONDS)] for w in weights]
    found = checked(
        tmp_path,
        cut,
        [voice[: len(w) * RATE // 30] for voice, w in zip(talk(5, SECONDS)[1], cut, strict=True)],
    )
    assert [found["performances"][name]["verdict"] for name in NAMES] == ["abstains", "abstains"]


def test_an_offset_beyond_the_limit_is_refused(tmp_path, capsys):
    faces, voices = talk(5, SECONDS)
    argv = arguments(tmp_path, faces, [voices[0], late(voices[1], 0.2)], "--max-offset-seconds", "0.1")
    refused(
        sync_check.main, argv, capsys, f"take {TAKE}, actor 002", "need 0.1 s or less", "correct the timecode"
    )
    assert not (tmp_path / f"{TAKE}.json").exists()


@pytest.mark.parametrize(
    "damage, needles",
    [
        (lambda face, wav: np.save(face, np.zeros((9, 52))), ["got shape (9, 52), need (frames, 51)"]),
        (lambda face, wav: np.save(face, np.full((9, 51), np.nan)), ["frame 0: got 9 frames with NaN"]),
        (lambda face, wav: face.write_text("x"), ["not a readable .npy"]),
        (
            lambda face, wav: soundfile.write(wav, np.zeros(8000), 8000),
            ["got 8000 samples per second, need 13000"],
        ),
    ],
)
def test_bad_files_are_refused(tmp_path, capsys, damage, needles):
    argv = arguments(tmp_path, [np.zeros((300, 51))] * 2, [np.zeros(10 * RATE)] * 2)
    damage(tmp_path / "face" / f"{NAMES[1]}.npy", tmp_path / "wav" / f"{NAMES[1]}.wav")
    refused(sync_check.main, argv, capsys, NAMES[1], *needles)


def test_voices_in_another_order_are_refused(tmp_path, capsys):
    argv = arguments(tmp_path, [np.zeros((300, 51))] * 2, [np.zeros(10 * RATE)] * 2)
    argv[4:6] = argv[5], argv[4]
    refused(sync_check.main, argv, capsys, f"got {NAMES[1]}.wav for {NAMES[0]}.npy", "same order")


@pytest.mark.parametrize(
    "values, reason",
    [
        ({"swapped": True}, "the microphones are swapped"),
        (
            {"performances": {NAMES[1]: {"verdict": "off", "lag_seconds": 0.1}}},
            f"{NAMES[1]}: the voice is +100 ms against the mouth",
        ),
    ],
)
def test_quality_names_what_is_off(values, reason):
    found = list(quality.part_reasons({"sync_check": {TAKE: values}}, 60))
    assert len(found) == 1 and reason in found[0]


def test_quality_says_nothing_of_agreement_and_abstention():
    performances = {
        NAMES[0]: {"verdict": "agrees", "lag_seconds": 0.0},
        NAMES[1]: {"verdict": "abstains", "lag_seconds": None},
    }
    assert (
        list(
            quality.part_reasons({"sync_check": {TAKE: {"swapped": None, "performances": performances}}}, 60)
        )
        == []
    )


def clapped(apart: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Still faces and quiet microphones that hear one clap, the second `apart` seconds later."""
    rng = np.random.default_rng(3)
    sound = 0.4 * rng.standard_normal(7200) * np.exp(-np.arange(7200) / (0.008 * RATE))
    voices = [1e-3 * rng.standard_normal(6 * RATE) for _ in range(2)]
    for voice, at in zip(voices, (2.0, 2.0 + apart), strict=True):
        voice[round(at * RATE) : round(at * RATE) + len(sound)] += sound
    return [np.zeros((180, 51))] * 2, voices


@pytest.mark.parametrize(("apart", "warns"), [(0.01, False), (0.05, True), (-0.05, True)])
def test_a_clap_that_is_heard_at_two_times_is_warned_of_past_half_a_frame(tmp_path, caplog, apart, warns):
    found = checked(tmp_path, *clapped(apart))
    assert found["clap_offset_seconds"] == pytest.approx(apart, abs=1e-3)
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "clap" in r.getMessage()]
    assert len(warned) == warns and all(f"clap {1e3 * apart:+.0f}." in line for line in warned)
    assert [reason for reason in quality.part_reasons({"sync_check": {TAKE: found}}, 180)] == (
        [f"the second microphone heard the same clap {1e3 * apart:+.0f} ms after the first"] if warns else []
    )


def test_a_clap_past_the_limit_fails_like_a_confident_lag(tmp_path, capsys):
    argv = arguments(tmp_path, *clapped(0.1), "--max-offset-seconds", "0.05")
    refused(
        sync_check.main,
        argv,
        capsys,
        f"take {TAKE}: the second microphone heard the same clap +100",
        "need 50 ms or less",
    )
