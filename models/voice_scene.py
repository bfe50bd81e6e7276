"""A scene out of anybody's voices: who speaks, stands, does and faces what, for models to be told."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from models import data, runs
from models.asked_actions import asked_actions
from models.row import check_encoder, known_labels, speech_encoder
from models.scene import Scene
from models.stored import Both, Rows, Voice, Words
from models.voices import two_voices, words_of
from pipeline import config
from pipeline.errors import InputError
from pipeline.formats.shard_file import text_frames
from pipeline.ids import is_id
from pipeline.motion import clock
from pipeline.shards import features

log = logging.getLogger("interact")
DISTANCE_CM = 150.0
TENTH_FRAMES, TENTH_SAMPLES = 3, 1600
"""A tenth of a second: the shortest time that is whole in frames and in samples."""
MEL_FRAMES = 1024 * TENTH_FRAMES
"""Frames of the log-mel that are made at a time."""


def parse_placement(text: str | None) -> np.ndarray:
    """Roots of frame 0 (2, 4) from "x,z,heading_deg x,z,heading_deg".

    x and z are in cm. Heading 0 looks along +z, 90 along +x. Default: 1.5 m apart on the x axis, facing each
    other. Heights are the model's own (NaN here).
    """
    if text is None:
        half = DISTANCE_CM / 2
        text = f"{-half},0,90 {half},0,-90"
    try:
        values = np.array([[float(number) for number in actor.split(",")] for actor in text.split()])
    except ValueError:
        values = np.zeros(0)
    if values.shape != (2, 3) or not np.isfinite(values).all():
        raise InputError(
            f'--placement: got {text!r}, need "x,z,heading_deg x,z,heading_deg" in cm and degrees,'
            ' such as "-75,0,90 75,0,-90"'
        )
    return np.stack([values[:, 0], np.full(2, np.nan), values[:, 1], np.deg2rad(values[:, 2])], 1)


def _two(values: list | None, default: list, choices: list, flag: str) -> list:
    """One or two values of a flag as two; InputError for others than the choices."""
    values = list(values or default)
    values = values * 2 if len(values) == 1 else values
    unknown = [value for value in values if value not in choices]
    if unknown or len(values) != 2:
        raise InputError(
            f"{flag}: got {' '.join(map(str, values))}, need one per actor out of {', '.join(choices)}"
        )
    return values


def scene_of_voices(
    audio: list[Path],
    transcripts: list[Path] | None,
    found: list[runs.Run],
    *,
    actions,
    facing,
    actors,
    placement,
    name: str,
    folder: Path,
    speech_model: str | None = None,
    labels: dict[str, str] | None = None,
) -> Scene:
    """A scene out of two voices (models.voices), of any length.

    `folder` gets what grows with it, voices and features of speech, and must stay as long as the scene.

    Actors stand in id order, as in training, whatever the order of the files; each keeps its file, action and
    place. Each actor has the skeleton of the train split.
    """
    first = found[0]
    known = first.description["actors"]
    date, _, number = name.partition("_")
    if not (len(date) == 8 and date.isdecimal() and date.isascii() and is_id(number, "scenario")):
        raise InputError(f"--name: got {name!r}, need <date>_<scenario> such as 20240101_001")
    chosen = _two(actors, known[:2], known, "--actors")
    if chosen[0] == chosen[1]:
        raise InputError(
            f"--actors: got {chosen[0]} twice, need two different ones out of {', '.join(known)}"
        )
    _check_labels(labels or {}, known_labels(found))
    faces = _two(facing, ["yes"], ["yes", "no"], "--facing")
    order = np.argsort(chosen, kind="stable")
    voices = two_voices(audio, folder)
    num_samples = len(voices[0])
    num_frames = num_samples * clock.FPS // clock.AUDIO_RATE
    if num_frames < 2:
        raise InputError(
            f"{audio[0]}: got {num_samples / clock.AUDIO_RATE:.3f} s of audio, need 0.1 s or more;"
            " give longer files"
        )
    reader = next((run for run in found if "text" in run.options.streams), None)
    words = words_of(transcripts, audio, voices) if reader else []
    voices = [voices[k] for k in order]
    batch: dict[str, Any] = {
        "action": asked_actions(actions, num_frames)[:, order],
        "facing": np.tile([int(faces[k] == "yes") for k in order], (num_frames, 1)),
    }
    if any("mel" in run.options.streams for run in found):
        batch["mel"] = _mel(voices, num_frames, first.description["features"])
    if reader:
        batch |= _embed([words[k] for k in order], num_frames, reader)
    if encoder := speech_encoder(found):
        batch["speech"] = _hear(voices, num_frames, encoder, speech_model, folder)
    if any("audio" in run.options.streams for run in found):
        batch["audio"] = Both([voice.cut(data.num_samples(num_frames)) for voice in voices])
    ids = chosen[order[0]], chosen[order[1]]
    performances = f"{date}_{ids[0]}_{number}", f"{date}_{ids[1]}_{number}"
    return Scene(
        name,
        performances,
        ids,
        batch,
        placement[order],
        [first.skeleton(actor) for actor in ids],
        [voice.cut(int(clock.sample_of(num_frames))) for voice in voices],
        labels or {},
    )


def _check_labels(labels: dict[str, str], known: dict[str, list[str]]) -> None:
    """InputError for a label that no model knows; those that could be told and are not are logged."""
    for name, label in labels.items():
        if name not in known:
            raise InputError(
                f"--{name}: got {label!r}, and these models are told none; leave it out, or train some with"
                f" told [{name}]"
            )
        if label not in known[name]:
            raise InputError(f"--{name}: got {label!r}, need one out of {', '.join(known[name])}")
    for name in sorted(known.keys() - labels.keys()):
        log.info("the models are told no %s; --%s takes one out of %s", name, name, ", ".join(known[name]))


def _mel(voices: list[Voice], num_frames: int, options: dict) -> np.ndarray:
    """Log-mel (N, 2, M) of two voices, made of stretches with the samples that their windows reach."""
    lead = TENTH_FRAMES * -(-options["mel_fft"] // (2 * TENTH_SAMPLES))
    result = np.empty((num_frames, 2, options["num_mels"]), np.float32)
    for start in range(0, num_frames, MEL_FRAMES):
        stop, before = min(start + MEL_FRAMES, num_frames), min(start, lead)
        a, b = (int(clock.sample_of(frame)) for frame in (start - before, stop + lead))
        for k, voice in enumerate(voices):
            rows = features.log_mel(voice[a:b], stop - start + before, **options)
            result[start:stop, k] = rows[before:]
    return result


def _hear(voices: list[Voice], num_frames: int, need: dict, model: str | None, folder: Path) -> Both:
    """Speech features (N, 2, E) of two voices, as sidecars have them.

    They come from the encoder that the face was trained with.
    """
    from pipeline.shards.speech import described, stretches, width

    layer = need["layer"] if need["layer"] == "last" else int(need["layer"])
    sizes = {key: need[key] for key in ("window_seconds", "context_seconds")}
    options = config.Speech(model=model or need["model"], layer=layer, **sizes)
    own = described(options) | {"width": width(options)}
    check_encoder(own, need, f"speech model {own['model']!r}")
    people = []
    for k, voice in enumerate(voices):
        rows = stretches(voice, num_frames, options)
        people.append(Rows(folder / f"speech-{k}.f16", rows, dtype="float16", shape=(need["width"],)))
    return Both(people)


def _embed(words: list[list[dict]], num_frames: int, run: runs.Run) -> dict[str, Any]:
    """text (N, 2, E) and spoken (N, 2) of two lists of words, as shards have them."""
    from pipeline.shards.text import embed_words

    model, width = run.description["text_model"], len(run.description["stats"]["text"]["mean"])
    rows = np.concatenate([embed_words(said, model=model) for said in words])
    if len(rows) and rows.shape[1] != width:
        raise InputError(
            f"text model {model!r}: gives {rows.shape[1]} values a word, the models were trained with"
            f" {width}; use the model they were trained with"
        )
    start, end = (np.array([word[key] for said in words for word in said], float) for key in ("start", "end"))
    index = text_frames(np.repeat([0, 1], [len(said) for said in words]), start, end, num_frames)
    return {"text": Words(rows.reshape(-1, width), index), "spoken": index >= 0}
