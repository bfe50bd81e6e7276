r"""Sample two moving people from trained models: for test takes out of shards, or for anybody's two voices.

    python -m models.generate --runs data/runs --shards data/shards --out data/generated [--takes T ...]
    python -m models.generate --runs data/runs --audio A.wav B.wav --out DIR [--actions walk stand] \
        [--placement "0,0,0 0,150,180"]

In: run folders in the order in which they sample, each told what the ones before it made; or a folder of
runs, of which the built-in row is taken, `face`, `body_lower`, `body_upper`, those that are there. With
shards: voices, words, actions and facing of the test takes, and where the actors stand in frame 0. With
--audio: the voices of one conversation, in one file or two (models.voices), which are written beside, as
wav/{performance}.wav. Out, in the dataset's formats: bvhs/{performance}.bvh (the joints of the models'
dataset) and face_arkit/{performance}.npy (N, 51) float32; samples after the first of test takes go to
sample-01, sample-02, ... and generated.json says how many there are and which models they are from.

ARKit weights are written as sampled, not clipped to [0, 1]: the dataset's own are least-squares fits that
leave this range too, and metrics compare like with like.
"""

import logging
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models import data, recipes, runs
from models.channels import identities
from models.data import attach_speech, read, speech_folder, takes_of
from models.draws import Draws
from models.recipe import FINAL
from models.runs import pick_device
from models.threads import fixed_threads
from models.voices import two_voices, words_of, write_voice
from pipeline import config, ownership, stage
from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.formats.bvh import save_bvh
from pipeline.formats.shard_file import Shard, TakeSpan, open_shards, text_frames
from pipeline.formats.voice_file import KINDS
from pipeline.ids import check_id, is_id
from pipeline.motion import clock, pose
from pipeline.reading import inside
from pipeline.shards import features

log = logging.getLogger("interact")
(BUILT_IN,) = config.ROWS.values()
"""Runs of the built-in row."""
ACTIONS = ("sit", "walk", "stand")
DISTANCE_CM = 150.0
NO_DATE = "00000000"
"""Date in the name of what was made of voices that have none."""
RECORD = "generated.json"
BEGUN = ".generated.json"
"""The record while motion is being written, so that a killed command may go on in its folder."""
STREAMS: tuple[str, ...] = ("mel", "text", "action", "facing")
"""What every scene has; more where a model hears more."""
MADE = ("face", "body", "root")
"""Streams that models are trained to make, and are not told."""


@dataclass
class Scene:
    """What models are told of a take, for two actors in id order.

    name; performances and actors (2 each); batch: mel (N, 2, M), text (N, 2, E), spoken, action, facing (N,
    2) as a training item has them; start (2, 4): x, height or NaN for the model's own, z in cm and heading in
    radians of frame 0; skeletons (2 of pipeline.motion.pose); voices (2, each (S,) at 16 kHz) that are of no
    take.
    """

    name: str
    performances: tuple[str, str]
    actors: tuple[str, str]
    batch: dict[str, np.ndarray]
    start: np.ndarray
    skeletons: list[pose.Skeleton]
    voices: list[np.ndarray] = field(default_factory=list)


def run_folders(paths: list[Path]) -> list[Path]:
    """Run folders as they are given; of one folder of runs those of the built-in row that are there."""
    if len(paths) != 1 or (paths[0] / "model.json").exists():
        return paths
    return [paths[0] / name for name in BUILT_IN if (paths[0] / name / "model.json").exists()]


def load_runs(paths: list[Path], device: str) -> list[runs.Run]:
    """The models of a row; InputError where they do not make a face or a body, or do not fit together."""
    found = [runs.load(folder, device=device) for folder in run_folders(paths)]
    if not found:
        raise InputError(
            f"{paths[0]}: no trained model;"
            f" need a run, or a folder of the runs {', '.join(BUILT_IN)} (python -m models.train)"
        )
    recipes.made_by([(run.name, run.options) for run in found], str(paths[0]))
    first, *others = found
    for other in others:
        for key in ("joint_names", "features", "text_model"):
            if other.description[key] != first.description[key]:
                raise InputError(
                    f"{paths[0]}: {key} of {other.name} and {first.name} differ;"
                    " train both on the same shards"
                )
    first_encoder, *more = [encoder for run in found if (encoder := _encoder_of(run))] or [{}]
    for encoder in more:
        check_encoder(encoder, first_encoder, str(paths[0]))
    return found


def _encoder_of(run: runs.Run) -> dict | None:
    return run.description["speech_encoder"] if "speech" in run.options.streams else None


def speech_encoder(found: list[runs.Run]) -> dict | None:
    """What describes the speech encoder that a run hears; None where none does."""
    return next((encoder for run in found if (encoder := _encoder_of(run))), None)


def check_encoder(own: dict, need: dict, where: str) -> None:
    """InputError unless features come from the encoder that the face was trained with.

    Where its files lie does not matter.
    """
    for key in sorted(need.keys() - {"model"}):
        if own.get(key) != need[key]:
            raise InputError(
                f"{where}: {key} of the speech encoder is {own.get(key)}, the face was trained with"
                f" {need[key]} (model {need['model']}); take that encoder, or train the face again"
            )


def scene_of(shard, span, streams: tuple[str, ...] = STREAMS) -> Scene:
    """The scene of a take in a shard; initial placement and skeletons are the real ones."""
    batch = {
        name: array[0]
        for name, array in read([(shard, span, 0)], streams, span.stop_frame - span.start_frame).items()
    }
    start = np.asarray(shard["root"][span.start_frame], float)
    skeletons = [shard.skeleton(performance) for performance in span.performances]
    return Scene(span.take, span.performances, (span.actor_a, span.actor_b), batch, start, skeletons)


def told_of(scene: Scene, other: Scene) -> Scene:
    """A scene whose people are told what is said, done and faced in another.

    What is too long is cut, what is too short begins again. People, places and skeletons stay.
    """
    batch = {
        name: other.batch[name][np.arange(len(values)) % len(other.batch[name])]
        for name, values in scene.batch.items()
    }
    return replace(scene, batch=batch)


def other_takes(shards: list[Shard]) -> dict[str, tuple[Shard, TakeSpan]]:
    """For each test take another: the next one, after the last the first, or the first train take."""
    test = takes_of(shards, "test")
    others = [*test[1:], test[0]] if len(test) > 1 else takes_of(shards, "train")[:1]
    if test and not others:
        raise InputError("generate.voices another: there is one take and no other, need two; take voices own")
    return {span.take: other for (_, span), other in zip(test, others)}


def sample(
    found: list[runs.Run], scene: Scene, *, number: int, options: config.Generate
) -> dict[str, np.ndarray]:
    """Sample `number` of a scene: face (N, 2, 51); body (N, 2, 3 J) radians and relative root (N, 2, 4).

    By which runs there are. The noise depends on seed, take name, number and a run's place in the row, not on
    which other takes are sampled.
    """
    seeds = np.random.SeedSequence([options.seed, zlib.crc32(scene.name.encode()), number]).generate_state(
        len(found), np.uint64
    )
    device = found[0].model.device
    told = {name: torch.from_numpy(value)[None].to(device) for name, value in scene.batch.items()}
    for run, seed in zip(found, seeds):
        known = torch.from_numpy(identities(scene.actors, run.description["actors"]))[None].to(device)
        long = len(scene.batch["mel"]) > options.window_frames
        report = partial(stage.progress, label=f"{scene.name} {run.name}") if long else iter
        draws = Draws(int(seed >> 1), 0, 1, device)
        told |= run.model.sample(told | {"actors": known}, draws, options, report)
    return {name: told[name][0].cpu().numpy() for name in FINAL if name in told}


def files_of(names: Iterable[str], out: Path) -> list[list[Path]]:
    """Faces and bodies of performances in a folder of generated motion.

    InputError where a link would lead one out of it.
    """
    result = [
        [out / folder / f"{name}{ending}" for name in names]
        for folder, ending in (("face_arkit", ".npy"), ("bvhs", ".bvh"))
    ]
    for path in sum(result, []):
        inside(out, path, what=str(path))
    return result


def need_own(out: Path, performances: Iterable[str], more: Iterable[Path] = ()) -> None:
    """InputError where `out` has motion of these performances, and nothing in it says it was generated.

    more: further files that are to be written.
    """
    ownership.need_proof(out, [*sum(files_of(performances, out), []), *more], [RECORD, BEGUN])


def record(found: list[runs.Run], options: config.Generate, path: Path) -> None:
    """Say by which models and options the motion in the folder of `path` is generated."""
    hashes = {run.name: run.description["hash"] for run in found}
    write_json(path, {"models": hashes} | options.model_dump(exclude={"device"}))


def write(scene: Scene, sampled: dict[str, np.ndarray], out: Path) -> None:
    """Write a sample in the dataset's formats.

    Relative roots are integrated from the start; InputError for NaN.
    """
    for name, values in sampled.items():
        if not np.isfinite(values).all():
            raise InputError(
                f"take {scene.name}: the sampled {name} has NaN, need finite numbers; train the model longer"
                " or with a lower learning rate"
            )
    names = [
        check_id(name, "performance", f"take {scene.name}") if name[:8] != NO_DATE else name
        for name in scene.performances
    ]
    faces, bodies = files_of(names, out)
    for k in range(2):
        if "face" in sampled:
            with whole(faces[k]) as temporary:
                np.save(temporary, np.ascontiguousarray(sampled["face"][:, k], np.float32))
        if "body" in sampled:
            root = pose.integrate_root(sampled["relative"][:, k], scene.start[k])
            motion = pose.decode(sampled["body"][:, k], root, scene.skeletons[k])
            bodies[k].parent.mkdir(parents=True, exist_ok=True)
            save_bvh(bodies[k], motion)


def sample_folder(out: Path, number: int) -> Path:
    """Folder of a take's sample: `out` itself for the first, sample-01, ... below it for further ones."""
    return out / f"sample-{number:02d}" if number else out


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
    speech_model: str | None = None,
) -> Scene:
    """A scene out of two voices (WAV, FLAC, MP3, at any rate; several channels are mixed down).

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
    doing = _two(actions, ["stand"], list(ACTIONS), "--actions")
    faces = _two(facing, ["yes"], ["yes", "no"], "--facing")
    voices = two_voices(audio)
    num_samples = len(voices[0])
    num_frames = num_samples * clock.FPS // clock.AUDIO_RATE
    if num_frames < 2:
        raise InputError(
            f"{audio[0]}: got {num_samples / clock.AUDIO_RATE:.3f} s of audio, need 0.1 s or more;"
            " give longer files"
        )
    mels = [features.log_mel(voice, num_frames, **first.description["features"]) for voice in voices]
    reader = next((run for run in found if "text" in run.options.streams), None)
    embedded = _embed(words_of(transcripts, audio, voices), num_frames, reader) if reader else {}
    encoder = speech_encoder(found)
    heard = {"speech": _hear(voices, num_frames, encoder, speech_model)} if encoder else {}
    if any("audio" in run.options.streams for run in found):
        heard["audio"] = np.stack([voice[: data.num_samples(num_frames)] for voice in voices], 1)
    batch = (
        embedded
        | heard
        | {
            "mel": np.stack(mels, 1),
            "action": np.tile([ACTIONS.index(action) for action in doing], (num_frames, 1)),
            "facing": np.tile([int(face == "yes") for face in faces], (num_frames, 1)),
        }
    )
    order = np.argsort(chosen, kind="stable")
    ids = chosen[order[0]], chosen[order[1]]
    performances = f"{date}_{ids[0]}_{number}", f"{date}_{ids[1]}_{number}"
    return Scene(
        name,
        performances,
        ids,
        {key: value[:, order] for key, value in batch.items()},
        placement[order],
        [first.skeleton(actor) for actor in ids],
        [voices[k][: clock.sample_of(num_frames)] for k in order],
    )


def _hear(voices: list[np.ndarray], num_frames: int, need: dict, model: str | None) -> np.ndarray:
    """Speech features (N, 2, E) of two voices, as sidecars have them.

    They come from the encoder that the face was trained with.
    """
    from pipeline.shards.speech import encode

    layer = need["layer"] if need["layer"] == "last" else int(need["layer"])
    sizes = {key: need[key] for key in ("window_seconds", "context_seconds")}
    values, own = encode(
        voices, num_frames, config.Speech(model=model or need["model"], layer=layer, **sizes)
    )
    check_encoder(own | {"width": values.shape[2]}, need, f"speech model {own['model']!r}")
    return values.astype(np.float32)


def _embed(words: list[list[dict]], num_frames: int, run: runs.Run) -> dict[str, np.ndarray]:
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
    text = np.zeros((num_frames, 2, width), np.float32)
    text[index >= 0] = rows[index[index >= 0]]
    return {"text": text, "spoken": index >= 0}


def run(
    *,
    runs: list[Path],
    shards: Path | None,
    speech: Path | None = None,
    speech_model: str | None = None,
    takes: list[str] | None,
    audio: list[Path] | None,
    transcripts: list[Path] | None,
    actions: list[str] | None,
    facing: list[str] | None,
    actors: list[str] | None,
    placement: str | None,
    name: str,
    out: Path,
    options: config.Generate,
) -> None:
    """Sample what the arguments name and write it."""
    if (shards is None) == (audio is None):
        raise InputError("generate: need either --shards (test takes) or --audio A.wav B.wav, not both")
    if audio is not None and options.voices != "own":
        raise InputError(
            f"generate.voices {options.voices}: there is no other take beside --audio; give --shards, or take"
            " voices own"
        )
    with fixed_threads(options.threads):
        found = load_runs(runs, pick_device(options.device))
        if shards is not None:
            sample_takes(found, shards, speech, takes, out, options)
        elif audio is not None:
            choices: dict[str, Any] = {
                "actions": actions,
                "facing": facing,
                "actors": actors,
                "placement": parse_placement(placement),
                "name": name,
                "speech_model": speech_model,
            }
            scene = scene_of_voices(audio, transcripts, found, **choices)
            heard = [out / "wav" / f"{name}.wav" for name in scene.performances]
            need_own(out, scene.performances, heard)
            sampled = sample(found, scene, number=0, options=options)
            record(found, options.model_copy(update={"num_samples": 1}), out / BEGUN)
            write(scene, sampled, out)
            for voice, path in zip(scene.voices, heard):
                write_voice(voice, inside(out, path, what=str(path)))
            os.replace(out / BEGUN, out / RECORD)
            log.info("see and hear it: python -m pipeline.view --source %s --rigs <folder of rigs>", out)
            log.info("%s: motion of actors %s and %s, %d frames", out, *scene.actors, len(scene.batch["mel"]))


def sample_takes(
    found: list[runs.Run],
    shards: Path,
    speech: Path | None,
    takes: list[str] | None,
    out: Path,
    options: config.Generate,
) -> None:
    """Sample test takes of shards, and say in generated.json what was sampled."""
    opened, encoder = open_shards(shards), speech_encoder(found)
    if encoder:
        folder = speech_folder(shards, speech)
        check_encoder(attach_speech(opened, folder)["encoder"], encoder, str(folder))
    asked = {name for run in found for name in run.options.streams}
    streams = (*STREAMS, *sorted(asked - {*STREAMS, *MADE}))
    test = {span.take: (shard, span) for shard, span in takes_of(opened, "test")}
    missing = [take for take in takes or [] if take not in test]
    if missing or not test:
        raise InputError(
            f"take {missing[0] if missing else '(any)'}: not in the test split of {shards}; test takes are"
            f" {', '.join(test) or 'none'}"
        )
    chosen = takes or list(test)
    for shard in (test[take][0] for take in chosen):
        if shard.joint_names != found[0].description["joint_names"]:
            raise InputError(
                f"{shard.path}: its joints are not those that the models were trained on;"
                " train them on these shards"
            )
    others = other_takes(opened) if options.voices == "another" else {}
    need_own(out, [name for take in chosen for name in test[take][1].performances])
    for take in stage.progress(chosen, label="generate"):
        shard, span = test[take]
        scene = scene_of(shard, span, streams)
        if options.voices == "another":
            other = others[take][1].take
            log.info("take %s: is told what is said, done and faced in %s", take, other)
            scene = told_of(scene, scene_of(*others[take], streams))
        for actor in sorted(set(scene.actors) - set(found[0].description["actors"])):
            log.warning(
                "take %s: actor %s is in no train take; the face has the mean of all speaking styles",
                take,
                actor,
            )
        for number in range(options.num_samples):
            sampled = sample(found, scene, number=number, options=options)
            record(found, options, out / BEGUN)
            write(scene, sampled, sample_folder(out, number))
    os.replace(out / BEGUN, out / RECORD)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Generate)
    parser.add_argument(
        "--runs",
        type=Path,
        nargs="+",
        required=True,
        help=(
            "run folders in the order in which they sample;"
            " or one folder of the runs face, body_lower, body_upper"
        ),
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write bvhs/ and face_arkit/ into")
    parser.add_argument("--shards", type=Path, help="folder of shards, whose test takes are sampled")
    parser.add_argument(
        "--speech",
        type=Path,
        help="folder of speech sidecars, for a face that hears them (default: the only one in --shards)",
    )
    parser.add_argument("--takes", nargs="*", help="test takes to sample (default: all)")
    parser.add_argument(
        "--audio",
        type=Path,
        nargs="+",
        metavar="FILE",
        help=(
            "voices instead of shards: a file for each of two people, or one file of both (a channel each) or"
            f" of one, whose partner is silent; {KINDS}"
        ),
    )
    parser.add_argument(
        "--transcripts",
        type=Path,
        nargs="+",
        metavar="JSON",
        help="words with times of the first, or of both; a silent one may have some (default: recognised)",
    )
    parser.add_argument(
        "--speech-model", help="where the face's speech encoder lies (default: where it lay in training)"
    )
    parser.add_argument(
        "--actions", nargs="+", help=f"what each actor does: {', '.join(ACTIONS)} (default: stand)"
    )
    parser.add_argument(
        "--facing", nargs="+", help="whether each actor faces the other: yes, no (default: yes)"
    )
    parser.add_argument(
        "--actors", nargs="+", help="ids that lend style and body (default: the first two known)"
    )
    parser.add_argument(
        "--placement",
        help=(
            '"x,z,heading_deg x,z,heading_deg" of frame 0 in cm and degrees; heading 0 looks along +z, 90'
            " along +x; write --placement=... (default: 1.5 m apart, facing each other)"
        ),
    )
    parser.add_argument(
        "--name",
        default=f"{NO_DATE}_000",
        help="take name of what --audio makes, <date>_<scenario> (default: %(default)s)",
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
