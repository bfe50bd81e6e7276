"""Separation: each actor's own voice out of what both close microphones picked up.

In: the Broadcast Waves of both performances and the take's sync JSON, or any two recordings alone. Out:
24-bit WAVs at 48 kHz, cut to the common window to the sample (round(frames x 48000 / 30)), and a JSON of what
the microphones were like and what was gained (pipeline.capture.voice_quality). The microphone of one
performance alone has nothing to be separated from: it is cut and written as it is, and its report says
`none`.

    python -m pipeline.capture.separation A.wav B.wav --out VOICES

Without --sync, two microphones have their own clock (pipeline.capture.microphones), and the voices and
reports go into the folder --out under their recordings' names. One file of two channels holds two
microphones; FLAC, MP3 and Ogg are read as well.

A microphone that is silent throughout, or clipped in more than `max_clipped_share` of its samples, is an
error.

`mask`: in each short-time cell the two microphones' powers are taken for the powers of two independent
voices, each heard fully in its owner's microphone and leaking into the other's by a coupling that is
estimated per frequency band from the moments in which only the other voice is there. Solving the two
equations gives each voice's share of its own microphone, which becomes a Wiener mask.
"""

import importlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline import config, stage
from pipeline.capture import microphones, voice_quality
from pipeline.capture.separation_ilrma import separate_ilrma
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats import audio
from pipeline.formats.sync_file import read_sync, recorded_marks, same_file
from pipeline.formats.takes import actor_of, performance_actor
from pipeline.motion.clock import AUDIO_RATE, FPS
from pipeline.run_report import write_report
from pipeline.signals.mask import separate_mask

log = logging.getLogger("interact")

OUT_RATE = 48_000
SILENT_DB = -90.0
"""Peak of full scale below which a channel holds no microphone: one step of 16 bits.

The noise of any microphone is above.
"""

Method = Callable[[np.ndarray, int], np.ndarray]
"""Microphones float32 (2, S) and their rate in Hz -> voices float32 (2, S).

Each voice is at its own microphone's level and time.
"""


def keep(mics: np.ndarray, rate: int) -> np.ndarray:
    """The microphones as they are, a copy."""
    return mics.copy()


METHODS: dict[str, Method] = {"mask": separate_mask, "ilrma": separate_ilrma, "none": keep}

SEEING = ("lips", "visualvoice")
"""Methods that see faces beside the microphones: pipeline.capture.separation_neural."""


def separate(mics: np.ndarray, rate: int, *, method: str = "mask") -> np.ndarray:
    """Each actor's own voice, float32 (2, S), from two microphones (2, S) at `rate` Hz.

    Each is at its own microphone's level.
    """
    mics = np.asarray(mics, np.float32)
    if mics.ndim != 2 or mics.shape[0] != 2 or not np.isfinite(mics).all():
        raise InputError(
            f"separation: microphones {mics.shape}, need two equally long finite signals (2, S); check the"
            " recordings"
        )
    if method in SEEING:
        raise InputError(
            f"separation: method {method} sees faces too; run python -m pipeline.capture.separation with them"
        )
    if method not in METHODS:
        raise InputError(
            f"separation: got method {method!r}, need one of {', '.join(METHODS)}; correct separation.method"
        )
    return METHODS[method](mics, rate)


def read_window(path: Path, record: dict, start_seconds: float, num_samples: int) -> np.ndarray:
    """A microphone's samples (num_samples,) float32 at OUT_RATE from `start_seconds` on.

    On the take's clock, by the microphone's record in the sync JSON.
    """
    same_file(record, path, where=str(path))
    stream = audio.open_audio(path, channel=record.get("channel"))
    return audio.resample_span(
        stream, start_seconds - record["start"], num_samples, true_rate=record["rate"], out_rate=OUT_RATE
    )


def check_microphone(
    samples: np.ndarray, where: str, *, max_clipped_share: float, alone: bool = False
) -> None:
    """InputError where a microphone (S,) is silent throughout, or clipped beyond use.

    At OUT_RATE, of a take or `alone`.
    """
    peak = 2 * voice_quality.decibels(float(np.abs(samples).max(initial=0.0)))
    if peak < SILENT_DB:
        level = "all samples are zero" if not samples.any() else f"its peak is {peak:.0f} dB of full scale"
        during, channel, fix = (
            ("", "--channel", "")
            if alone
            else (" in the take's window", "audio.channel in timecode.json", " Else exclude the take")
        )
        raise InputError(
            f"{where} is silent{during}: {level}, need the actor's voice; was another channel recorded"
            f" ({channel})?{fix}"
        )
    clipped = voice_quality.clipped(samples)
    if (share := float(clipped.mean())) > max_clipped_share:
        fix = (
            " or raise separation.max_clipped_share"
            if alone
            else ", raise separation.max_clipped_share, or exclude the take"
        )
        raise InputError(
            f"{where} is clipped in {100 * share:.1f} % of its samples, first"
            f" {int(np.argmax(clipped)) / OUT_RATE:.2f} s into the take, need at most"
            f" {100 * max_clipped_share:g} %; take another recording of it{fix}"
        )


def measure(mics: np.ndarray, voices: np.ndarray) -> list[dict]:
    """Measures for the reports, of each of one or two microphones (K, S) and the voices out of them.

    All at OUT_RATE.
    """
    import soxr

    low = [[soxr.resample(x, OUT_RATE, AUDIO_RATE) for x in signals] for signals in (mics, voices)]
    segments = voice_quality.speech(low[1])
    length = mics.shape[1] / OUT_RATE
    found: list[dict] = []
    for k, mic in enumerate(mics):
        count = int(voice_quality.clipped(mic).sum())
        values: dict = {
            "clipped_samples": count,
            "clipped_share": count / len(mic),
            "noise_floor_db": voice_quality.noise_floor_db(mic, OUT_RATE),
        }
        values["speech_share"] = voice_quality.seconds(segments[k]) / length
        if len(mics) == 2:
            for when, signals in zip(("before", "after"), low, strict=True):
                heard = voice_quality.crosstalk(signals, segments, k)
                values |= {f"leak_{when}_db": heard["leak_db"], f"sir_{when}_db": heard["sir_db"]}
            values["removed_db"] = float(
                10 * np.log10((np.sum((mic - voices[k]) ** 2) + 1e-12) / (np.sum(mic**2) + 1e-12))
            )
        found.append(values)
    return found


def _separate_seeing(
    mics: np.ndarray,
    take: dict,
    face: Sequence[Path],
    mouth: Sequence[Path],
    picture: Sequence[Path],
    options: config.Separation,
) -> np.ndarray:
    """Voices of both microphones (2, S) by a method that sees faces.

    `mouth` begins with the actor's face stream.
    """
    # not an import statement: torch, and no rule of another method shall depend on the networks' code
    neural = importlib.import_module("pipeline.capture.separation_neural")
    if options.method == "lips":
        if options.weights is None:
            raise InputError(
                "separation.method lips needs separation.weights, a model.safetensors of train_separation;"
                " train it"
            )
        return neural.separate_lips(
            mics, OUT_RATE, face=face, weights=Path(options.weights), frames=take["frames"]
        )
    if options.checkpoints is None:
        raise InputError(
            "separation.method visualvoice needs separation.checkpoints, a folder of VisualVoice's weights; "
            "make it with python -m models.speech.visualvoice convert"
        )
    skip = [take["start_seconds"] - p["face"]["start"] for p in take["performances"]]
    return neural.separate_visualvoice(
        mics,
        OUT_RATE,
        mouth=mouth,
        picture=picture,
        skip_seconds=skip,
        checkpoints=Path(options.checkpoints),
        hop_seconds=options.hop_seconds,
    )


def _write_voice(path: Path, voice: np.ndarray) -> None:
    import soundfile

    with whole(path) as temporary:
        soundfile.write(temporary, np.clip(voice, -1, 1), OUT_RATE, subtype="PCM_24")


def _targets(
    wav: list[Path], names: list[str], out: list[Path], out_report: list[Path]
) -> tuple[list[Path], list[Path]]:
    """Files of both voices and reports of microphones alone; InputError over an input.

    They are in one folder under the microphones' names, or as they are named.
    """
    if len(out) == 1 and out[0].suffix.lower() != ".wav":
        voices = [out[0] / f"{name}.wav" for name in names]
        reports = out_report or [out[0] / f"{name}.json" for name in names]
    else:
        voices, reports = out, out_report
    if len(voices) != 2 or len(reports) not in (0, 2) or voices[0] == voices[1]:
        raise InputError(
            f"separation: got {len(out)} --out and {len(out_report)} --out-report, need one folder, or two"
            " WAVs (and two JSON)"
        )
    if taken := [path for path in voices if path.resolve() in [source.resolve() for source in wav]]:
        raise InputError(
            f"{taken[0]}: is a microphone's recording, and the voice would be written over it; give another"
            " --out"
        )
    return voices, reports


def run_alone(
    *,
    wav: list[Path],
    out: list[Path],
    out_report: list[Path],
    options: config.Separation,
    channel: Sequence[int],
    together: bool,
    face: Sequence[Path],
    mouth: Sequence[Path],
    picture: Sequence[Path],
) -> None:
    """Separate two microphones by themselves and write both voices and their reports."""
    mics = microphones.read_microphones(wav, out_rate=OUT_RATE, channels=channel, together=together)
    voices_out, reports_out = _targets(wav, mics.names, out, out_report)
    for samples, where in zip(mics.samples, mics.wheres):
        check_microphone(samples, where, max_clipped_share=options.max_clipped_share, alone=True)
    if options.method in SEEING:
        frames = mics.samples.shape[1] * FPS // OUT_RATE
        begin = {
            "take": " and ".join(mics.names),
            "frames": frames,
            "start_seconds": 0.0,
            "performances": [{"face": {"start": 0.0}}] * 2,
        }
        voices = _separate_seeing(mics.samples, begin, face, mouth, picture, options)
    else:
        voices = separate(mics.samples, OUT_RATE, method=options.method)
    found = measure(mics.samples, voices)
    for k, name in enumerate(mics.names):
        _write_voice(voices_out[k], voices[k])
        _tell(name, found[k])
        if reports_out:
            about = {
                "performance": name,
                "method": options.method,
                "samples": mics.samples.shape[1],
                "skipped_seconds": mics.skipped_seconds[k],
            }
            write_report(reports_out[k], about | found[k])


def _tell(name: str, found: dict) -> None:
    before, after = (found[f"sir_{when}_db"] for when in ("before", "after"))
    if before is None or after is None:
        log.info(
            "%s: how much louder the owner is than the other cannot be said: one of them hardly speaks alone",
            name,
        )
    else:
        log.info(
            "%s: the owner is %.1f dB louder than the other in the microphone, %.1f dB in the voice",
            name,
            before,
            after,
        )


def run(
    *,
    wav: list[Path],
    sync: Path | None = None,
    performance: Sequence[str] = (),
    out: list[Path],
    out_report: Sequence[Path] = (),
    options: config.Separation,
    face: Sequence[Path] = (),
    mouth: Sequence[Path] = (),
    picture: Sequence[Path] = (),
    channel: Sequence[int] = (),
    together: bool = False,
) -> None:
    """Separate one take, or two microphones by themselves.

    Of a take, the voices and reports of the performances that are asked for are written.
    """
    if sync is None:
        if performance:
            raise InputError(
                "separation: got --performance without --sync, need both for a take, or neither; correct the"
                " command"
            )
        run_alone(
            wav=wav,
            out=out,
            out_report=list(out_report),
            options=options,
            channel=channel,
            together=together,
            face=face,
            mouth=mouth,
            picture=picture,
        )
        return
    if channel or together:
        raise InputError(
            "separation: got --channel or --together beside --sync, which says them; correct the command"
        )
    take = read_sync(sync)
    actors = [p["actor"] for p in take["performances"]]
    if not len(performance) == len(out) == len(out_report) or not {
        actor_of(name) for name in performance
    } <= set(actors):
        raise InputError(
            f"take {take['take']}: performances {', '.join(performance)}, {len(out)} --out, {len(out_report)}"
            f" --out-report; need performances of actors {', '.join(actors)} and one of each file for each;"
            " correct the command"
        )
    if len(wav) != len(actors):
        raise InputError(
            f"take {take['take']}: got {len(wav)} --wav, need those of actors {', '.join(actors)}; correct"
            " the command"
        )
    num_samples = round(take["frames"] * OUT_RATE / take["fps"])
    mics = np.empty((len(actors), num_samples), np.float32)
    for k, path in enumerate(wav):
        if (owner := performance_actor(path.stem)) not in (None, actors[k]):
            raise InputError(
                f"take {take['take']}: {path.name} is the microphone of actor {owner}, need that of"
                f" {actors[k]}; give --wav in actor order"
            )
        mics[k] = read_window(path, take["performances"][k]["audio"], take["start_seconds"], num_samples)
        check_microphone(
            mics[k],
            f"take {take['take']}, actor {actors[k]}: {path.name}",
            max_clipped_share=options.max_clipped_share,
        )
    made_of = [recorded_marks(p["audio"]) for p in take["performances"]]
    method = "none" if len(actors) == 1 else options.method
    if method in SEEING:
        voices = _separate_seeing(mics, take, face, mouth, picture, options)
    else:
        voices = mics if len(actors) == 1 else separate(mics, OUT_RATE, method=method)
    found = measure(mics, voices)
    for name, path, report in zip(performance, out, out_report, strict=True):
        k = actors.index(actor_of(name))
        _write_voice(path, voices[k])
        if len(actors) == 2:
            _tell(name, found[k])
        write_report(
            report,
            {
                "performance": name,
                "method": method,
                "samples": num_samples,
                "made_of": made_of[k],
                **found[k],
            },
        )


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Separation)
    stage.add_files(
        parser,
        "wav",
        nargs="+",
        help=(
            "WAVs of both microphones (with --sync in actor order, or of one actor), or one WAV of two"
            " channels"
        ),
    )
    parser.add_argument(
        "--face", nargs="*", type=Path, default=[], help="fitted faces (.npy) of both actors, for method lips"
    )
    parser.add_argument(
        "--mouth",
        nargs="*",
        type=Path,
        default=[],
        help="mouth crops (.npz, 25 fps) of both actors, for method visualvoice",
    )
    parser.add_argument(
        "--picture",
        nargs="*",
        type=Path,
        default=[],
        help="pictures (.npy or .png) of both actors' faces, for method visualvoice",
    )
    parser.add_argument(
        "--sync", type=Path, help="the take's sync JSON; without it the microphones have their own clock"
    )
    parser.add_argument(
        "--performance", nargs="+", default=[], help="performances to write: one or both; with --sync"
    )
    parser.add_argument(
        "--channel",
        nargs="+",
        type=int,
        default=[],
        help="channel of each microphone, from 1, in files of several; without --sync",
    )
    parser.add_argument(
        "--together",
        action="store_true",
        help="both recordings begin together, whatever their timecode says; without --sync",
    )
    parser.add_argument(
        "--out",
        nargs="+",
        type=Path,
        required=True,
        help="WAV to write for each, or without --sync one folder",
    )
    parser.add_argument(
        "--out-report",
        nargs="+",
        type=Path,
        default=[],
        help="JSON to write for each (default without --sync: in the folder)",
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
