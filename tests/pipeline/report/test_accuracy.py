import csv

import numpy as np
import pytest
import soundfile
from helpers.commands import refused
from helpers.tiny_shoot import ACTORS, AUDIO_RATE

from pipeline.files import write_json
from pipeline.reading import read_json
from pipeline.report import accuracy


def test_si_sdr_does_not_see_the_level():
    rng = np.random.default_rng(0)
    voice, noise = rng.normal(size=(2, 48_000))
    noise -= noise @ voice / (voice @ voice) * voice
    noise *= np.linalg.norm(voice) / np.linalg.norm(noise)
    for level in (-10, 0, 20):
        mixed = voice + 10 ** (-level / 20) * noise
        assert accuracy.si_sdr(mixed, voice) == pytest.approx(level, abs=1e-9)
        assert accuracy.si_sdr(-7 * mixed, 0.1 * voice) == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize("lag", [-480, -1, 0, 1, 37, 9000])
def test_lag_is_how_far_the_signal_is_behind(lag):
    reference = np.random.default_rng(0).normal(size=48_000)
    signal = np.roll(reference, lag)
    assert accuracy.lag_seconds(signal, reference, 48_000) == lag / 48_000


def contact(actor, start, stop, *, of="002", hand="LeftHand", part="RightElbow"):
    return {
        "type": "hand-elbow",
        "actor": actor,
        "of": of,
        "hand": hand,
        "part": part,
        "start": start,
        "stop": stop,
    }


def test_contacts_are_matched_by_hand_part_and_time():
    touches = [
        contact("001", 101.0, 102.0),
        contact("001", 103.0, 104.0),
        contact("001", 99.5, 100.5),
        contact("002", 105.0, 106.0),
    ]
    found = [
        contact("001", 27, 45),
        contact("001", 48, 63),
        contact("001", 90, 120, hand="RightHand"),
        contact("001", 200, 210),
    ]
    scores = accuracy.contact_scores(found, touches, "001", 100.0, 110.0)
    assert scores["contact_recall"] == 0.5, (
        "the third touch began before the dataset, the fourth is the other actor's"
    )
    assert scores["contact_start_ms"] == pytest.approx(100) and scores["contact_stop_ms"] == pytest.approx(
        100
    )
    assert scores["contacts_other"] == 2
    assert accuracy.contact_scores([], touches, "003", 100.0, 110.0) == {"contacts_other": 0}
    assert accuracy.contact_scores([], touches, "002", 100.0, 110.0) == {
        "contacts_other": 0,
        "contact_recall": 0,
    }


def words(text, *, start=0.0, step=0.5):
    return [
        {"word": word, "start": start + step * i, "end": start + step * i + 0.3}
        for i, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("found", "true", "error", "count"),
    [
        ("Hello, there!", "hello there", 0.0, 2),
        ("hello bear", "hello there", 0.5, 2),
        ("hello", "hello there", 0.5, 2),
        ("well hello there", "hello there", 0.5, 2),
        ("", "hello there", 1.0, 2),
        ("hello", "", 1.0, 0),
        ("", "", 0.0, 0),
        ("It's", "it's", 0.0, 1),
    ],
)
def test_word_error(found, true, error, count):
    rate, _, number = accuracy.word_scores(words(found), words(true))
    assert (rate, number) == (error, count)


def test_word_starts_are_compared_where_words_agree():
    true = words("one two three four")
    found = words("one two free four", start=0.1)
    assert accuracy.word_scores(found, true)[1] == pytest.approx(0.1)
    assert accuracy.word_scores(found[1:], true)[1] == pytest.approx(0.1), (
        "a lost word does not shift the rest"
    )
    assert np.isnan(accuracy.word_scores(words("x y"), true)[1])


@pytest.fixture
def scored(shoot, captured, tmp_path):
    """Truth and annotations of the tiny shoot, labels right but for a tenth; and the command."""
    truth, notes = tmp_path / "truth", tmp_path / "annotations"
    for take in ("20260101_001", "20260101_002"):
        about = read_json(captured / "annotations" / "sync" / f"{take}.json")
        write_json(notes / "sync" / f"{take}.json", about)
        record = {
            "start": {},
            "rate": {},
            "window": [about["start_seconds"] + 0.002, about["start_seconds"] + 3],
            "words": {},
            "said": {},
            "phonemes": {},
        }
        for k, actor in enumerate(ACTORS):
            name = f"20260101_{actor}_{take[-3:]}"
            true = shoot.truth[name]
            record["start"][actor], record["rate"][actor] = (
                true.start,
                {"body": 120.0, "face": 30.0, "audio": 48_000.0},
            )
            record["words"][actor] = words("well hello there", start=about["start_seconds"] + 0.2)
            record["said"][actor] = [
                {"text": "", "start": about["start_seconds"], "end": about["start_seconds"] + 3}
            ]
            record["phonemes"][actor] = []
            (truth / take).mkdir(parents=True, exist_ok=True)
            soundfile.write(truth / take / f"{name}.wav", true.voice, AUDIO_RATE, subtype="PCM_24")
            seconds = true.start["face"] + np.arange(105) / 30
            seconds = np.delete(seconds, 40)  # the frame that the tiny shoot's recorder lost
            np.save(truth / take / f"{name}.seconds.npy", seconds)
            np.save(truth / take / f"{name}.arkit.npy", true.weights_at(seconds))
            for kind in ("actions", "facing"):
                labels = np.zeros(about["frames"], np.uint8)
                np.save(truth / take / f"{name}.{kind}.npy", labels)
                labels[: about["frames"] // 10] = k
                (notes / kind).mkdir(parents=True, exist_ok=True)
                np.save(notes / kind / f"{name}.npy", labels)
            write_json(
                notes / "transcripts" / f"{name}.json",
                {"words": [w | {"confidence": 0.9} for w in words("hello there", start=0.75)]},
            )
        record["touches"] = [contact(ACTORS[0], about["start_seconds"] + 1, about["start_seconds"] + 2)]
        write_json(notes / "contacts" / f"{take}.json", {"contacts": [contact(ACTORS[0], 30, 66)]})
        write_json(truth / take / "truth.json", record)
    out = tmp_path / "results" / "accuracy.csv"
    return [
        "--shoot",
        shoot.folder,
        "--truth",
        truth,
        "--dataset",
        captured / "dataset",
        "--annotations",
        notes,
        "--out",
        out,
    ], out


def test_sync_errors_are_seen_at_both_ends_and_drops_are_named():
    found = {
        "body": {"start": 10.0, "rate": 120.0, "frames": 1201},
        "audio": {"start": 9.0, "rate": 48_000.0, "samples": 480_001},
    }
    found["face"] = {
        "start": 9.5,
        "rate": 60.0,
        "frames": 599,
        "dropped": 2,
        "duplicates": 0,
        "missing": [5, 7],
    }
    seconds = 9.5 + np.delete(np.arange(601), [5, 9]) / 60
    start, rate = (
        {"body": 10.001, "face": 9.5, "audio": 9.0},
        {"body": 120.0, "face": 60.0, "audio": 48_000 * (1 + 50e-6)},
    )
    errors = accuracy.sync_errors(found, start, rate, seconds)
    assert errors["sync_first_ms"] == pytest.approx(1.0) and errors["sync_last_ms"] == pytest.approx(
        1.0, abs=1e-6
    )
    assert errors["drops_missed"] == errors["drops_invented"] == 1
    rate["audio"] = 48_000 * (1 - 300e-6)
    assert accuracy.sync_errors(found, start, rate, seconds)["sync_last_ms"] == pytest.approx(3.0, rel=1e-3)


def table(path) -> dict:
    with open(path, newline="") as f:
        return {(row["take"], row["actor"], row["measure"]): float(row["value"]) for row in csv.DictReader(f)}


def test_scores_are_those_of_what_happened(scored):
    arguments, out = scored
    accuracy.main([str(a) for a in arguments])
    scores = table(out)
    for take in ("20260101_001", "20260101_002"):
        for k, actor in enumerate(ACTORS):
            values = {measure: value for (t, a, measure), value in scores.items() if (t, a) == (take, actor)}
            assert (
                values["sync_first_ms"] < 1e-3
                and values["sync_last_ms"] < 1e-2
                and values["drops_missed"] == values["drops_invented"] == 0
            )
            assert values["start_error_ms"] == pytest.approx(-2, abs=1e-3) and values["audio_lag_ms"] == 0
            assert (
                values["body_error_cm"] < 1e-3
                and values["body_error_deg"] < 1e-2
                and values["face_weight_rms"] < 1e-4
            )
            assert values["si_sdr_db"] > values["si_sdr_raw_db"] + 2 > 10
            assert k or values["contact_recall"] == 1 and values["contact_stop_ms"] == pytest.approx(200)
            assert (
                values["action_accuracy"] == values["facing_accuracy"] == pytest.approx(1 - 0.1 * k, abs=0.02)
            )
            assert values["word_error"] == pytest.approx(1 / 3, abs=1e-5) and values[
                "word_start_ms"
            ] == pytest.approx(50, abs=1e-3)
    pairs = [
        value for (take, _, measure), value in scores.items() if measure == "si_sdr_db" and take != "mean"
    ]
    assert scores["mean", "", "si_sdr_db"] == pytest.approx(np.mean(pairs), rel=1e-4)


def test_the_same_bytes_twice(scored):
    arguments, out = scored
    written = []
    for _ in range(2):
        accuracy.main([str(a) for a in arguments])
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_bad_input_stops_with_one_line(scored, capsys):
    arguments, out = scored
    truth = arguments[3] / "20260101_002" / "truth.json"
    truth.write_bytes(b"\xe9\xff garbage")
    refused(accuracy.main, arguments, capsys, "truth.json: not a readable JSON", outputs=[out])
    truth.unlink()
    refused(accuracy.main, arguments, capsys, "truth.json: no such file", outputs=[out])
