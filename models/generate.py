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
leave this range too, and metrics compare like with like. Vertices that a model makes are fitted back to them
on the rigs that --rigs has; every actor of a scene needs one, a stranger too.
"""

import logging
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models import placing, runs
from models.asked_actions import asked_actions, spans_of
from models.channels import identities
from models.data import attach_speech, speech_folder, takes_of
from models.draws import Draws
from models.labels import number_of
from models.recipe import FINAL
from models.row import check_encoder, known_labels, load_runs, speech_encoder
from models.runs import pick_device
from models.scene import MADE, STREAMS, Scene, other_takes, scene_of, told_of
from models.stored import Late
from models.threads import fixed_threads
from models.voice_scene import parse_placement, scene_of_voices
from models.voices import write_voice
from pipeline import config, ownership, stage
from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.formats.bvh import save_bvh_parts
from pipeline.formats.shard_file import open_shards
from pipeline.formats.shard_index import LABELS, labels_of
from pipeline.formats.voice_file import KINDS
from pipeline.ids import check_id
from pipeline.motion import pose
from pipeline.motion.motion import Motion
from pipeline.reading import inside

log = logging.getLogger("interact")
BLOCK_FRAMES = 3000
"""Frames of a body that are written at a time."""
LONG_FRAMES = 300
"""Sampling longer takes shows its progress."""
NO_DATE = "00000000"
"""Date in the name of what was made of voices that have none."""
RECORD = "generated.json"
BEGUN = ".generated.json"
"""The record while motion is being written, so that a killed command may go on in its folder."""


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
    told: dict[str, Any] = {
        name: torch.from_numpy(value)[None].to(device)
        if isinstance(value, np.ndarray)
        else Late(value, device)
        for name, value in scene.batch.items()
    }
    for run, seed in zip(found, seeds):
        known = {"actors": torch.from_numpy(identities(scene.actors, run.description["actors"]))}
        for name, labels in run.model.meta.labels.items():
            known[name] = torch.tensor(number_of(scene.labels.get(name, ""), labels))
        if heads := run.model.heads:
            known["rigs"] = torch.tensor(heads.places(scene.actors))
        known = {name: value[None].to(device) for name, value in known.items()}
        long = scene.num_frames > LONG_FRAMES
        report = partial(stage.progress, label=f"{scene.name} {run.name}") if long else iter
        draws = Draws(int(seed >> 1), 0, 1, device)
        batch = told | known
        if not run.model.by_windows:
            batch |= {name: value[:, :] for name, value in told.items() if isinstance(value, Late)}
        told |= run.model.sample(batch, draws, options, report)
    return {name: told[name][0].cpu().numpy() for name in (*FINAL, "relation") if name in told}


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


def record(
    found: list[runs.Run],
    options: config.Generate,
    path: Path,
    *,
    actions: dict[str, list[str]] | None = None,
) -> None:
    """Say by which models and options the motion in the folder of `path` is generated.

    And what was asked for in place of the takes' own actions, by take, as a value for each of the two.
    """
    hashes = {run.name: run.description["hash"] for run in found}
    asked = {"actions": actions} if actions else {}
    write_json(path, {"models": hashes} | options.model_dump(exclude={"device"}) | asked)


def known_of_bodies(found: list[runs.Run], options: config.Generate) -> dict[str, float]:
    """What models.placing is told of the train takes; nothing where feet are left free.

    lower_foot: the height in cm at which feet are held; closest: how near to each other two people come, cm.
    """
    if options.feet != "held":
        return {}
    stats = next((run.model.meta.stats for run in found if "lower_foot" in run.model.meta.stats), {})
    return {name: float(stats[name]["mean"][0]) for name in ("lower_foot", "closest") if name in stats}


def write(
    scene: Scene, sampled: dict[str, np.ndarray], out: Path, *, known: dict[str, float] | None = None
) -> None:
    """Write a sample in the dataset's formats.

    Bodies stand where models.placing puts them, told what is `known_of_bodies`; InputError for NaN.
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
    if "body" in sampled:
        body, root = placing.place(
            sampled["body"],
            sampled["relative"],
            scene.start,
            scene.skeletons,
            relation=sampled.get("relation"),
            **(known or {}),
        )
    for k in range(2):
        if "face" in sampled:
            with whole(faces[k]) as temporary:
                np.save(temporary, np.ascontiguousarray(sampled["face"][:, k], np.float32))
        if "body" in sampled:
            bodies[k].parent.mkdir(parents=True, exist_ok=True)
            save_bvh_parts(bodies[k], _motions(body[:, k], root[:, k], scene.skeletons[k]), len(root))


def _motions(body: np.ndarray, root: np.ndarray, skeleton: pose.Skeleton) -> Iterator[Motion]:
    """The motion of poses (N, 3 J) and roots (N, 4), in parts: as matrices it is six times larger."""
    for first in range(0, len(root), BLOCK_FRAMES):
        part = slice(first, first + BLOCK_FRAMES)
        yield pose.decode(body[part], root[part], skeleton)


def sample_folder(out: Path, number: int) -> Path:
    """Folder of a take's sample: `out` itself for the first, sample-01, ... below it for further ones."""
    return out / f"sample-{number:02d}" if number else out


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
    relationship: str | None = None,
    emotion: str | None = None,
    rigs: Path | None = None,
) -> None:
    """Sample what the arguments name and write it."""
    if (shards is None) == (audio is None):
        raise InputError("generate: need either --shards (test takes) or --audio A.wav B.wav, not both")
    if audio is not None and options.voices != "own":
        raise InputError(
            f"generate.voices {options.voices}: there is no other take beside --audio; give --shards, or take"
            " voices own"
        )
    labels = {key: value for key, value in zip(LABELS, (relationship, emotion)) if value is not None}
    if labels and audio is None:
        raise InputError(f"--{next(iter(labels))}: test takes have their own labels; leave it out")
    with fixed_threads(options.threads):
        found = load_runs(runs, pick_device(options.device), rigs)
        if shards is not None:
            sample_takes(found, shards, speech, takes, out, options, actions=actions)
        elif audio is not None:
            choices: dict[str, Any] = {
                "actions": actions,
                "facing": facing,
                "actors": actors,
                "placement": parse_placement(placement),
                "name": name,
                "speech_model": speech_model,
                "labels": labels,
            }
            with tempfile.TemporaryDirectory(prefix="interact-") as folder:
                scene = scene_of_voices(audio, transcripts, found, folder=Path(folder), **choices)
                heard = [out / "wav" / f"{name}.wav" for name in scene.performances]
                need_own(out, scene.performances, heard)
                sampled = sample(found, scene, number=0, options=options)
                record(found, options.model_copy(update={"num_samples": 1}), out / BEGUN)
                write(scene, sampled, out, known=known_of_bodies(found, options))
                for voice, path in zip(scene.voices, heard):
                    write_voice(voice, inside(out, path, what=str(path)))
            os.replace(out / BEGUN, out / RECORD)
            log.info("see and hear it: python -m pipeline.view --source %s --rigs <folder of rigs>", out)
            log.info("%s: motion of actors %s and %s, %d frames", out, *scene.actors, scene.num_frames)


def sample_takes(
    found: list[runs.Run],
    shards: Path,
    speech: Path | None,
    takes: list[str] | None,
    out: Path,
    options: config.Generate,
    *,
    actions: list[str] | None = None,
) -> None:
    """Sample test takes of shards, and say in generated.json what was sampled.

    actions: what all of them are asked to do in place of what was done.
    """
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
    for run in found:
        if heads := run.model.heads:  # what does not fit is said before anything is sampled
            heads.places(actor for take in chosen for actor in (test[take][1].actor_a, test[take][1].actor_b))
    others = other_takes(opened) if options.voices == "another" else {}
    known = known_labels(found)
    labels = labels_of(shards, list(test)) if known else {}
    need_own(out, [name for take in chosen for name in test[take][1].performances])
    asked_of: dict[str, list[str]] = {}
    for take in stage.progress(chosen, label="generate"):
        shard, span = test[take]
        scene = scene_of(shard, span, streams)
        if options.voices == "another":
            other = others[take][1].take
            log.info("take %s: is told what is said, done and faced in %s", take, other)
            scene = told_of(scene, scene_of(*others[take], streams))
        if actions:
            scene.batch["action"] = asked_actions(actions, scene.num_frames)
            asked_of[take] = [spans_of(labels) for labels in scene.batch["action"].T]
        for actor in sorted(set(scene.actors) - set(found[0].description["actors"])):
            log.warning(
                "take %s: actor %s is in no train take; the face has the mean of all speaking styles",
                take,
                actor,
            )
        scene.labels |= labels.get(take, {})
        for label, ones in known.items():
            if scene.labels.get(label, "") not in ones:
                log.warning(
                    "take %s: its %s is %r, which is in no train take; the models are told none (they know"
                    " %s)",
                    take,
                    label,
                    scene.labels.get(label, ""),
                    ", ".join(ones),
                )
        for number in range(options.num_samples):
            sampled = sample(found, scene, number=number, options=options)
            record(found, options, out / BEGUN, actions=asked_of)
            write(scene, sampled, sample_folder(out, number), known=known_of_bodies(found, options))
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
    parser.add_argument(
        "--rigs",
        type=Path,
        help="folder of {actor}.npz, or one .npz for all: rigs, which models of vertices need",
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
        "--actions",
        nargs="+",
        help=(
            "what both do, or each: sit, walk or stand, spans of seconds between which one stands, such as"
            " sit:0-5,walk:5-12, or a .npy of labels (default: stand with --audio; what was done in test"
            " takes)"
        ),
    )
    parser.add_argument(
        "--facing", nargs="+", help="whether each actor faces the other: yes, no (default: yes)"
    )
    parser.add_argument(
        "--actors", nargs="+", help="ids that lend style and body (default: the first two known)"
    )
    for label in LABELS:
        parser.add_argument(
            f"--{label}",
            help=f"{label} of the two, for models that are told it, which say what they know (default: none)",
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
