"""A rate is doubted where witnesses contradict it, and only there; what is advised would agree."""

import re

import numpy as np
import pytest

from pipeline.capture import sync_rates
from pipeline.errors import InputError

START = 47_580.0
TIMECODE, ENDS, HEADER, GIVEN = (
    "timecode per frame",
    "start, rate and end",
    "start and header rate",
    "start and rate",
)


def stream(
    kind: str,
    seconds: float,
    *,
    rate: float,
    source: str,
    begin: float | None = START,
    said: float | None = None,
) -> dict:
    """A stream that lasted `seconds` at `rate`, and is said to have run at `said`."""
    said = said or rate
    count = round(seconds * rate) + (kind != "audio")
    lasts = seconds * rate / said
    about = {"samples": count, "sample_rate": said} if kind == "audio" else {"frames": count}
    return {"start": begin, "end": (begin or 0.0) + lasts, "rate": float(said), "source": source, **about}


def body(seconds: float, *, header: float = 24, **more) -> dict:
    made = stream("body", seconds, **{"rate": 120, "source": HEADER} | more)
    return made | {"header_rate": made["rate"] if made["source"] == HEADER else header}


def face(seconds: float, **more) -> dict:
    return stream("face", seconds, **{"rate": 60, "source": TIMECODE} | more)


def voice(seconds: float, **more) -> dict:
    return stream("audio", seconds, **{"rate": 48_000, "source": "bext"} | more)


def take(*performances: tuple[dict, dict, dict]) -> list[dict]:
    return [
        {"actor": f"{k:03d}", "body": b, "face": f, "audio": a} for k, (b, f, a) in enumerate(performances, 1)
    ]


@pytest.mark.parametrize(
    "performances",
    [
        take((body(22.04), face(13.0), voice(22.5)), (body(22.04), face(22.3), voice(22.5))),
        take((body(22.04), face(13.0), voice(22.5))),
        take((body(22.04, source=GIVEN), face(13.0), voice(30.0))),
        take(
            (body(22.04, source=GIVEN), face(13.0), voice(13.2)),
            (body(22.04, source=GIVEN), face(22.3), voice(13.2)),
        ),
        take((body(38.0, source=GIVEN, header=120), face(24.5), voice(24.4, begin=START - 1))),
        take((body(22.0, source=GIVEN, header=120), face(13.9), voice(14.1))),
        take((body(60.0), face(848.0), voice(61.0))),
        take(
            (body(60.0), face(848.0, source="none", begin=None), voice(61.0)),
            (body(60.0), face(60.5), voice(61.0)),
        ),
        take(
            (body(60.0), face(60.5), voice(900.0, begin=START - 400)),
            (body(60.0), face(59.0), voice(900.0, begin=START - 400)),
        ),
        take((body(60.0), face(60.5), voice(66.0, rate=44_100))),
        take((body(60.0), face(60.5), voice(65.3, rate=44_100, begin=START - 2.0))),
        take(
            (body(22.0, source=ENDS), face(13.2), voice(13.2)),
            (body(22.0, source=ENDS), face(13.2), voice(13.2)),
        ),
        take((body(4.0), face(3.0), voice(5.0))),
    ],
)
def test_streams_of_different_length_are_the_common_case(caplog, performances):
    """Streams that were once refused or told a wrong rate.

    Among them a face that stopped early beside a body of 22 s, and a phone left rolling.
    """
    sync_rates.check_rates(performances, "take 7")
    assert not caplog.text


@pytest.mark.parametrize(
    ("performances", "said"),
    [
        (
            take((body(60.0, rate=120, said=24), face(60.5), voice(61.0))),
            "actor 001: BVH header says 24 fps, .* at 120 fps",
        ),
        (
            take(
                (body(60.0, rate=120, said=24), face(60.5), voice(61.0)),
                (body(60.0, said=24), face(500.0), voice(61.0)),
            ),
            "at 120 fps",
        ),
        (
            take((body(60.0, rate=60, said=120, source=GIVEN), face(60.5), voice(61.0))),
            "timecode.json says 120 fps, .* at 60 fps",
        ),
        (
            take((body(13.2, rate=200, said=120), face(13.0), voice(13.1))),
            "at 200 fps .*; if 120 is right, write it there as the rate",
        ),
        (
            take((body(13.2, rate=200, said=120, source=GIVEN), face(13.0), voice(13.1))),
            "at 200 fps .* if it is right, write the body's end",
        ),
        (
            take(
                (body(60.0), face(60.0, rate=30, said=60, source="none", begin=None), voice(60.5)),
                (body(60.0), face(60.2), voice(60.5)),
            ),
            "the face is described at 60 fps, .* at 30 fps .* timecode.json$",
        ),
        (
            take(
                (body(60.0), face(60.0, rate=30, said=60, source=GIVEN), voice(60.5)),
                (body(60.0), face(60.2), voice(60.5)),
            ),
            "at 30 fps",
        ),
        (take((body(4.0, rate=120, said=30), face(4.1), voice(4.2))), "at 120 fps"),
    ],
)
def test_a_rate_that_two_witnesses_contradict_is_refused_with_one_that_fits(performances, said):
    with pytest.raises(InputError, match=said):
        sync_rates.check_rates(performances, "take 7")


def test_a_rate_that_is_a_little_wrong_is_told(caplog):
    sync_rates.check_rates(take((body(60.0, rate=120, said=100), face(60.0), voice(60.4))), "take 7")
    assert caplog.messages == [
        "take 7, actor 001: BVH header says 100 fps, at which the 7201 frames of the body last 72.0 s, but"
        " the face of 001 and the audio of 001 both last 60.0 s; at 120 fps it would begin and end with them:"
        " check the rate"
    ]
    caplog.clear()
    sync_rates.check_rates(
        take((body(60.0, rate=60, said=120, source=GIVEN, header=120), face(60.0), voice(60.4))), "take 7"
    )
    assert (
        "BVH header and timecode.json say 120 fps, at which" in caplog.text
        and "at 60 fps it would begin and end with them" in caplog.text
    )
    caplog.clear()
    sync_rates.check_rates(
        take((body(60.0), face(60.0), voice(60.3, rate=48_000, said=44_100, source="start"))), "take 7"
    )
    assert caplog.messages[0].endswith(
        "its header says 44100 Hz, at which the 2894400 samples of the audio last 65.6 s, but the face of 001"
        " and the body of 001 both last 60.0 s; at 48000 Hz it would begin and end with them: check the rate"
    )


def test_what_is_advised_would_agree():
    """Whatever rate is named brings the stream to the witnesses' beginning and end.

    Over many takes at random.
    """
    rng, named = np.random.default_rng(0), 0
    for _ in range(3000):
        lasts = rng.choice([13.0, 22.0, 60.0], 6) + rng.uniform(0, 2, 6)
        bodies = [
            body(s, rate=r, said=q)
            for s, r, q in zip(lasts[:2], rng.choice([60, 100, 120], 2), rng.choice([24, 60, 100, 120], 2))
        ]
        performances = take(*((bodies[k], face(lasts[2 + k]), voice(lasts[4 + k])) for k in range(2)))
        try:
            sync_rates.check_rates(performances, "take 7")
        except InputError as error:
            found = re.search(
                r"actor (\d+): .* says [\d.]+ fps, at which the (\d+) frames .* both last ([\d.]+) s; at"
                r" ([\d.]+) fps",
                str(error),
            )
            assert abs((int(found[2]) - 1) / float(found[4]) - float(found[3])) <= 3.05
            own = lasts[[int(found[1]) - 1]][0]
            assert abs(own - float(found[3])) <= 3.1 or float(found[4]) != bodies[int(found[1]) - 1]["rate"]
            named += 1
    assert named > 100


def beside(
    seconds: float, *, header: int, true: int = 48_000, late: float = -1.0, others: float = 60.0
) -> dict:
    """A performance of 60 s, and its voice of `seconds`.

    It is recorded at `true` Hz under a header of another rate.
    """
    told = (START + late) * true / header
    samples = round(seconds * true)
    sound = {
        "start": told,
        "end": told + samples / header,
        "samples": samples,
        "sample_rate": header,
        "source": "bext",
    }
    return {"face": face(others), "audio": sound}


@pytest.mark.parametrize(
    ("header", "true"),
    [(44_100, 48_000), (96_000, 48_000), (48_000, 96_000), (48_000, 44_100), (16_000, 48_000)],
)
@pytest.mark.parametrize(
    ("seconds", "late", "so"),
    [(62.0, -1.0, "both agree"), (400.0, -150.0, "it begins at 13:10:30, lasts 400.0 s and covers them")],
)
def test_a_wav_whose_header_has_another_rate_is_refused(header, true, seconds, late, so):
    message = (
        rf"take 7, actor 001: the header of x.wav says {header} Hz, .* begin at another time of day; at"
        rf" {true} Hz {so}: correct"
    )
    with pytest.raises(InputError, match=message):
        sync_rates.check_sample_rate(
            beside(seconds, header=header, true=true, late=late), "take 7, actor 001", "x.wav"
        )


@pytest.mark.parametrize(
    ("seconds", "late"),
    [(62.0, -1.0), (90.0, -15.0), (66.0, -1.0), (30.0, 10.0), (600.0, -500.0), (62.0, 3000.0)],
)
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_recorder_that_ran_longer_or_shorter_is_not_taken_for_a_wrong_header(caplog, rate, seconds, late):
    """Nor one whose clock was set wrong: at no other rate it would agree."""
    sync_rates.check_sample_rate(
        beside(seconds, header=rate, true=rate, late=late), "take 7, actor 001", "x.wav"
    )
    assert not caplog.text


def test_a_time_reference_of_0_that_fits_nothing_is_no_time(caplog):
    sound = beside(62.0, header=48_000)
    sound["audio"] |= {"start": 0.0, "end": 62.0}
    sync_rates.forget_empty_reference(sound, "take 7, actor 001", "x.wav")
    assert (
        sound["audio"]["start"] is None
        and sound["audio"]["end"] == 62.0
        and sound["audio"]["source"] == "none"
    )
    assert "TimeReference of x.wav is 0" in caplog.text
    night = {"face": face(60.0, begin=10.0), "audio": voice(62.0, begin=0.0)}
    sync_rates.forget_empty_reference(night, "take 7, actor 001", "x.wav")
    assert night["audio"]["start"] == 0.0
