"""Train one run of a recipe on shards: one loop for all recipes.

    python -m models.train face --shards data/shards --speech data/shards/speech-HASH --out data/runs/face
    python -m models.train body --joints lower --shards data/shards --out data/runs/body_lower

The first word names a recipe, a file of models/recipes; its options are flags (--help after it). In: a folder
of shards with stats.json; for a model that hears it, a folder of speech sidecars; for one that learns
vertices, the actors' rigs; runs that the model is given, and one whose weights it begins with, and whose
moments and actors it keeps. Out: a run folder with config.yaml, log.jsonl (step, loss, learning rate),
model.safetensors, model.json (models.runs), CARD.md, and checkpoints/<hash>/, where the hash is of options,
train data and what runs of the code. Run again, training goes on where the newest checkpoint of the same hash
ended, as if it had never stopped; a finished one is only written out again; with another hash it starts
afresh beside what is there. With keep_checkpoints it goes on from a checkpoint of other code, and says so in
the log and the card.
"""

import hashlib
import json
import logging
import math
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import pipeline
from models import recipes, runs
from models.board import Board
from models.card import card, learned
from models.checkpoints import (
    NEWEST,
    PREVIOUS,
    PROOFS,
    WRITTEN,
    State,
    losses,
    read_record,
    step_seed,
    summary,
)
from models.data import Windows, actors_of, attach_speech, loader, shards_of, speech_folder, takes_of
from models.description import RUN_NAME
from models.draws import Draws
from models.faults import is_out_of_memory, need_finite, what_fits
from models.heads import Heads
from models.interruption import heard_signals
from models.labels import known_labels, number_of, train_labels
from models.processes import Processes, joined, shared_loss
from models.recipe import Meta, Model
from models.row import check_encoder
from models.threads import fixed_threads
from models.watch import Watch, Watched, left_out
from models.weights import fit, write_tensors
from pipeline import config, ownership, source, stage
from pipeline.errors import InputError
from pipeline.files import alone_in, whole, write_json
from pipeline.ids import ABSENT
from pipeline.motion.pose import Skeleton
from pipeline.reading import read_json

log = logging.getLogger("interact")
NO_EFFECT = ("checkpoint_steps", "sample_steps", "sampler", "workers", "keep_checkpoints", "tensorboard")
"""Options that do not change the weights."""
MAX_LOG_LINES = 10_000
KEPT_OF_START = (
    "joint_names", "parents", "actors", "stats", "skeletons", "text_model", "features", "labels",
    "learned_encoder",
)  # fmt: skip
"""Of model.json what a run keeps of the one that it starts from."""
KEPT = "kept.json"
"""In a checkpoint folder: hashes of the code that trained its first steps, where that was other code."""


def run_hash(
    recipe: str,
    options: config.Training,
    meta: Meta,
    shards: list,
    *,
    encoder: dict | None = None,
    start: str | None = None,
    labels: dict[str, dict[str, str]] | None = None,
) -> str:
    """What the weights depend on but for the code: recipe, options, train data, runs that it is given.

    Of the data that which this model reads: statistics, train takes and who acts in them, the labels of takes
    that it is told, and the files that the rows of its streams come from. So a face stays as it is where only
    a word was corrected.
    """
    chosen = {key: value for key, value in options.model_dump().items() if key not in NO_EFFECT}
    train = takes_of(shards, "train")
    spans = [
        [shard.path.name, span.take, span.start_frame, span.stop_frame, span.actor_a, span.actor_b]
        for shard, span in train
    ]
    origins = [
        shard.origin(options.streams, [span for other, span in train if other is shard]) for shard in shards
    ]
    heard = encoder if "speech" in options.streams else meta.encoder or None
    read = [meta.stats, meta.joint_names, meta.actors, heard, meta.rigs]
    given = {name: description["hash"] for name, description in meta.given.items()}
    own = {name: [by_take[span.take] for _, span in train] for name, by_take in (labels or {}).items()}
    told = [recipe, chosen, spans, origins, read, given, start, own]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def code_hash(recipe: str) -> str:
    """What the weights depend on of the code: all that training this recipe runs, without comments."""
    files = source.closure("models.train", f"models.recipes.{recipe}", sampling=False)
    return source.digest(files, sampling=False)[:16]


def keep_other_code(checkpoints: Path, made_of: str, code: str) -> None:
    """Take up the furthest checkpoint that other code has written of the same options and data, if any."""
    own = checkpoints / f"{made_of}-{code}"
    if (own / NEWEST).exists():
        return
    others = [path for path in sorted(checkpoints.glob(f"{made_of}-*")) if (path / NEWEST).exists()]
    if not others:
        return
    found = max(others, key=lambda path: read_record(path / NEWEST)["step"])
    hashes = [*_kept(found), found.name.removeprefix(f"{made_of}-")]
    own.mkdir(exist_ok=True)
    for path in sorted(found.glob("step-*.safetensors")):
        with whole(own / path.name, durable=True) as temporary:
            shutil.copyfile(path, temporary)
    write_json(own / KEPT, hashes, durable=True)
    for name in (PREVIOUS, NEWEST):  # the newest last: only then is there something to go on from
        if (found / name).exists():
            write_json(own / name, read_record(found / name), durable=True)


def learning_rate(options: config.Training, step: int) -> float:
    """The rate of a step, from 0: linear warm-up, then `decay` down to `final_rate` at the last step."""
    warm = options.learning_rate * min(1.0, (step + 1) / max(options.warmup_steps, 1))
    if options.decay == "none":
        return warm
    done = max(step - options.warmup_steps, 0) / max(options.steps - 1 - options.warmup_steps, 1)
    least = options.final_rate
    shares = {
        "linear": 1 - (1 - least) * done,
        "cosine": least + (1 - least) * (1 + math.cos(math.pi * done)) / 2,
        "exponential": least**done,
    }
    return warm * shares[options.decay]


def gradients(
    loss: nn.Module,
    batch: dict[str, Tensor],
    options: config.Training,
    *,
    step: int,
    first: int,
    pieces: int,
    half: torch.autocast,
) -> dict[str, Tensor]:
    """Add up the gradients of a batch, a piece of it after the other; the means of what the loss tells.

    Each item draws the same numbers in whatever piece and process it lies: `first` is its place in the whole
    batch of the step.
    """
    size = len(batch["actors"]) // pieces
    means: dict[str, Tensor] = {}
    for piece in range(pieces):
        own = slice(piece * size, (piece + 1) * size)
        part = {name: value[own] for name, value in batch.items()}
        torch.manual_seed(step_seed(options.seed, step, first + own.start))  # dropout
        draws = Draws(options.seed, step, size, part["actors"].device, first=first + own.start)
        last = piece == pieces - 1
        with loss.no_sync() if isinstance(loss, DistributedDataParallel) and not last else nullcontext():
            with half:
                told = loss(part, draws)
            (told["loss"] / pieces).backward()
        for name, value in told.items():
            means[name] = means.get(name, torch.zeros_like(value)) + value.detach() / pieces
    return means


def optimise(
    model: Model,
    state: State,
    windows: Windows,
    watch: Watch,
    live_log: Path,
    options: config.Training,
    *,
    device: str,
    label: str,
    processes: Processes,
) -> None:
    """Run the steps that are left: gradients clipped to a norm, weights averaged.

    Checkpoints, measurements and log lines on the way. Numbers are asked of a GPU only now and then, so that
    it never waits. A signal to stop ends the process after the step's checkpoint (models.interruption).
    """
    learning = [parameter for group in state.optimiser.param_groups for parameter in group["params"]]
    mine = processes.share(options.batch_size)
    if (mine.stop - mine.start) % options.pieces:
        raise InputError(
            f"pieces: got {options.pieces} for {mine.stop - mine.start} windows of a process, need a divisor;"
            " change batch_size or pieces"
        )
    batches = loader(
        windows,
        batch_size=options.batch_size,
        seed=options.seed,
        first_step=state.step,
        last_step=options.steps,
        workers=options.workers,
        share=mine,
    )
    log_every = max(1, options.steps // MAX_LOG_LINES)
    check_every = log_every if torch.device(device).type == "cuda" else 1
    half = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=options.precision == "bfloat16")
    if options.compile:
        for module in model.compiled():
            module.compile()
    loss = shared_loss(model, processes)
    recent: list[Tensor] = []
    with Board(live_log, options, processes) as board, heard_signals() as interruption:
        steps = stage.progress(batches, label=f"train {label}", total=options.steps - state.step)
        for batch in steps:
            model.train()
            rate = learning_rate(options, state.step)
            for group in state.optimiser.param_groups:
                group["lr"] = rate * group.get("rate", 1.0)
            batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
            state.optimiser.zero_grad(set_to_none=True)
            work = partial(gradients, loss, batch, options, step=state.step, first=mine.start, half=half)
            try:
                told = work(pieces=options.pieces)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                error.__traceback__ = None  # whose frames hold what filled the memory
                raise InputError(what_fits(work, model, len(batch["actors"]), options, label)) from None
            torch.nn.utils.clip_grad_norm_(learning, options.clip_norm)
            state.optimiser.step()
            model.after_step()
            state.advance()
            recent.append(told["loss"])
            last = state.step == options.steps
            stopped = not last and interruption.asked(state.step, processes)
            if state.step % check_every == 0 or last or stopped:
                need_finite(recent, state.step, windows, options, mine, label)
                recent.clear()
            if state.step % log_every == 0 or last:
                values = processes.mean(told)
                board.write({"step": state.step, "loss": values.pop("loss"), "learning_rate": rate} | values)
            if last or (options.held_out_steps and state.step % options.held_out_steps == 0):
                if processes.first and (line := watch.measure(state)):
                    board.write(line)
                    kept = state.kept
                    assert isinstance(kept, Model)
                    board.preview(kept, watch.test or watch.validation, state.step)
            if state.step % options.checkpoint_steps == 0 or last or stopped:
                if processes.first:
                    state.save(live_log)
                processes.wait()
            if stopped:
                interruption.stop(state.step, options.steps, processes)


def _skeletons(shards: list) -> dict[str, Skeleton]:
    """The skeleton of each actor of the train split, as their first take has it."""
    result: dict[str, Skeleton] = {}
    for shard, span in takes_of(shards, "train"):
        for actor, performance in zip((span.actor_a, span.actor_b), span.performances):
            if actor not in result:
                result[actor] = shard.skeleton(performance)
    return result


def _describe(
    name: str, recipe: str, options: config.Training, meta: Meta, shards: list, encoder: dict | None
) -> dict[str, Any]:
    """model.json but for hash and feature names: what rebuilds the model and decodes its samples."""
    skeletons = {actor: runs.skeleton_json(own) for actor, own in _skeletons(shards).items()}
    defaults, attributes = config.Features(), shards[0].attributes
    mel = {key: float(attributes.get(key, getattr(defaults, key))) for key in ("mel_fft", "mel_fmax")}
    return {
        "format_version": runs.FORMAT_VERSION,
        "package_version": pipeline.__version__,
        "run": name,
        "recipe": recipe,
        "fps": 30,
        "options": options.model_dump(),
        "joint_names": meta.joint_names,
        "parents": [int(p) for p in shards[0].parents],
        "actors": meta.actors,
        "stats": meta.stats,
        "skeletons": skeletons,
        "speech_encoder": encoder,
        "text_model": str(attributes.get("text_model", config.Text().model)),
        "features": {"num_mels": shards[0]["mel"].shape[-1]} | mel | {"mel_fft": int(mel["mel_fft"])},
        "given": meta.given,
        "labels": meta.labels,
        "learned_encoder": meta.encoder or None,
        "rigs": meta.rigs,
    }


def run(
    *,
    recipe: str,
    shards: Path,
    out: Path,
    options: Any,
    speech: Path | None = None,
    given: list[Path] | None = None,
    start: Path | None = None,
    speech_model: str = "package",
    speech_layer: str = "last",
    rigs: Path | None = None,
) -> None:
    """Train one model, or go on with it, and write the run folder.

    A second trainer of the same run waits for the first. InputError for a name that no run can have.
    """
    if not re.fullmatch(RUN_NAME, out.name):
        raise InputError(
            f"{out}: the folder's name is the run's and needs letters, digits and _, a letter first,"
            " 64 at most; rename it"
        )
    ownership.need_proof(out, [out / name for name in WRITTEN], PROOFS)
    (out / PROOFS[0]).mkdir(parents=True, exist_ok=True)
    device = runs.pick_device(options.device)
    with fixed_threads(options.threads), _multiplied(options), joined(device) as processes:
        with alone_in(out, log) if processes.first else nullcontext():
            heard = speech_model, speech_layer
            train(recipe, shards, out, options, speech, given or [], start, heard, rigs, processes)


@contextmanager
def _multiplied(options: config.Training) -> Iterator[None]:
    """Multiply float32 matrices on a GPU as the precision asks."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if options.precision == "float32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def train(
    recipe: str,
    shards: Path,
    out: Path,
    options: Any,
    speech: Path | None,
    given: list[Path],
    start: Path | None,
    heard: tuple[str, str],
    rigs: Path | None,
    processes: Processes,
) -> None:
    """Train or go on, in a run folder that no other training writes.

    heard: model and layer of a speech encoder that learns along.
    """
    opened, stats = shards_of(shards)
    encoder = None
    if "speech" in options.streams:
        stats = stats | attach_speech(opened, speech_folder(shards, speech))
        encoder = stats["encoder"]
    device = processes.device(runs.pick_device(options.device))
    taught = {folder.name: runs.load(folder, device=device) for folder in given}
    if len(taught) < len(given):
        names = ", ".join(folder.name for folder in given)
        raise InputError(f"--given {names}: a name stands twice, need runs of different names; rename one")
    begun = runs.load(start, device="cpu") if start else None
    labels = train_labels(shards, opened, getattr(options, "told", ()), need=begun is None)
    heads = _heads(opened, rigs, out.name) if options.on_rigs else None
    learned_on = actors_of(opened)
    meta = runs.meta_of(
        options,
        stats,
        opened[0].joint_names,
        learned_on,
        {name: one.description for name, one in taught.items()},
        known_labels(labels, [span.take for _, span in takes_of(opened, "train")]),
        _learned_encoder(*heard) if options.trains_encoder and not begun else None,
        heads.described(learned_on, stats["face"]) if heads else None,
    )
    description = _describe(out.name, recipe, options, meta, opened, encoder)
    if begun:
        need_same(begun, description, options, start)
        description |= {key: begun.description[key] for key in KEPT_OF_START if key in begun.description}
        if meta.rigs:  # in the scale that the weights speak of
            description["rigs"] = meta.rigs | {"scale_cm": begun.description["rigs"]["scale_cm"]}
        meta = replace(begun.model.meta, given=meta.given, rigs=description["rigs"])
    windows, watch = _windows(opened, options, meta, labels, heads, device)
    made_of = run_hash(
        recipe,
        options,
        meta,
        opened,
        encoder=encoder,
        start=begun.description["hash"] if begun else None,
        labels=labels,
    )
    code = code_hash(recipe)
    checkpoints = out / PROOFS[0] / f"{made_of}-{code}"
    if options.keep_checkpoints and processes.first:
        keep_other_code(checkpoints.parent, made_of, code)
    processes.wait()
    live_log = out / "log.jsonl"
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        model = runs.build(recipe, options, meta)
        model.heads = heads
        model.prepare(
            {actor: begun.skeleton(actor) for actor in meta.actors} if begun else _skeletons(opened)
        )
        model.to(device)
        rate = options.learning_rate
        optimiser = model.optimiser(model.groups(), rate)
        state = State(model, optimiser, checkpoints, last_step=options.steps, average=options.average)
        state.restore(live_log if processes.first else None)
        _begin(model, state, taught, begun, start)
        if processes.first:
            with whole(out / "config.yaml") as temporary:
                told = {"recipe": recipe, "given": sorted(taught), "start": start.name if start else None}
                text = yaml.safe_dump(told | {"options": options.model_dump()}, sort_keys=False)
                temporary.write_text(text, encoding="utf-8")
        processes.wait()
        kept = _kept(checkpoints)
        if kept:
            log.warning("%s: goes on from steps that other code (%s) has trained", out, ", ".join(kept))
        if state.step:
            log.info(
                "%s: goes on from step %d of %d (checkpoint %s)",
                out,
                state.step,
                options.steps,
                checkpoints.name,
            )
        if state.step < options.steps:
            told_of: dict[str, Any] = {"device": device, "label": out.name, "processes": processes}
            optimise(model, state, windows, watch, live_log, options, **told_of)
        if not processes.first:
            return
        _write_last(out / "last.safetensors", state)
        state.finish()
        measured = None
        if watch.test:
            measured = model.eval().held_out(watch.test.pairs(device), options.seed)
    ends = losses(live_log)
    write_tensors(out / "model.safetensors", model.state_dict())
    description |= {
        "hash": f"{made_of}{code}",
        "feature_names": model.feature_names,
        "start": start.name if start else None,
    }
    write_json(out / "model.json", description, durable=True)
    with open(live_log, "a", encoding="utf-8") as lines:
        lines.write(summary(*ends, measured, state.best))
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    frames = sum(span.stop_frame - span.start_frame for _, span in windows.takes)
    data = len(windows.takes), frames / 30
    what = (type(options).__doc__ or "").strip().splitlines()[0]
    with whole(out / "CARD.md") as temporary:
        text = card(description, what, num_parameters, data, ends, kept) + learned(measured, state, watch)
        temporary.write_text(text, encoding="utf-8")
    log.info("%s: %d steps, loss %.4f -> %.4f (mean of the first and last tenth)", out, options.steps, *ends)


def _write_last(path: Path, state: State) -> None:
    """Write the kept weights of the last step where those that are written as the model's are others."""
    if state.best and state.best["step"] != state.step:
        write_tensors(path, state.kept.state_dict())
    else:
        path.unlink(missing_ok=True)


def _learned_encoder(model: str, layer: str) -> dict[str, Any]:
    """What describes the speech encoder that learns along."""
    from models.learned_encoder import describe

    return describe(model, layer)


def _begin(
    model: Model, state: State, taught: dict[str, runs.Run], begun: runs.Run | None, start: Path | None
) -> None:
    """What a run begins with, for a model that has no step behind it."""
    if not state.step:
        if not (begun and start):
            model.initialise({name: one.model for name, one in taught.items()})
        else:
            weights = {name: value.cpu() for name, value in begun.model.state_dict().items()}
            fix = "give both runs the same sizes"
            fit(model, weights, start / "model.safetensors", to="this run", fix=fix)
        state.begin()


def need_same(begun: runs.Run, own: dict[str, Any], options: config.Training, start: Path | None) -> None:
    """InputError where a run cannot begin with another one's weights, since its shards are of another kind.

    own: model.json of the run that begins. Whom the other one knows, and moments, may differ: they are kept.
    """
    other = begun.description
    if other["recipe"] == own["recipe"] and {*begun.options.streams} != {*options.streams}:
        raise InputError(
            f"{start}: reads {', '.join(begun.options.streams)}, need {', '.join(options.streams)}, as this"
            " run does; give both the same options, or name another run to start from"
        )
    asked = ["recipe", *(["features"] if "mel" in options.streams else [])]
    asked += ["joint_names", "parents"] if {"body", "root"} & {*options.streams} else []
    asked += ["text_model"] if "text" in options.streams else []
    for key in asked:
        if other[key] != own[key]:
            raise InputError(
                f"{start}: its {key} is {other[key]!s:.80}, need {own[key]!s:.80}, that of this run; name"
                " another run to start from, or make the shards alike"
            )
    if begun.options.on_rigs != options.on_rigs:
        which = {True: "vertices of rigs", False: "no vertices"}
        raise InputError(
            f"{start}: makes {which[begun.options.on_rigs]}, need {which[options.on_rigs]}, as this run does;"
            " give both the same options, or name another run to start from"
        )
    if options.on_rigs and any(other["rigs"][key] != own["rigs"][key] for key in ("num_vertices", "faces")):
        raise InputError(
            f"{start}: learned on rigs of {other['rigs']['num_vertices']} vertices, those of this run have"
            f" {own['rigs']['num_vertices']} or other faces; give rigs of the same topology (--rigs)"
        )
    if "speech" in options.streams:
        check_encoder(own["speech_encoder"], other["speech_encoder"], str(start))


def _heads(shards: list, rigs: Path | None, name: str) -> Heads:
    """The rigs of all actors of shards, those of test takes for what is measured on these."""
    if rigs is None:
        raise InputError(
            f"train {name}: it learns vertices, need the actors' rigs; give their folder (--rigs)"
        )
    heads = Heads(rigs)
    acting = {actor for _, span in takes_of(shards, None) for actor in (span.actor_a, span.actor_b)}
    heads.places(sorted(acting - {ABSENT}))
    return heads


def _windows(
    shards: list,
    options: Any,
    meta: Meta,
    labels: dict[str, dict[str, str]],
    heads: Heads | None,
    device: str,
) -> tuple[Windows, Watch]:
    """Windows to learn from, and those to measure on.

    A test or validation take that is shorter than a window is not measured.
    """
    train, test = takes_of(shards, "train"), takes_of(shards, "test")
    validating = left_out(train, options.validation_share, options.seed)
    learned = [span.take for _, span in train if span.take not in validating]
    numbers = {
        name: {take: number_of(label, meta.labels[name]) for take, label in by_take.items()}
        for name, by_take in labels.items()
    }

    def chosen(names: list[str], split: str) -> Windows:
        return Windows(
            shards,
            window=options.window_frames,
            stride=options.stride_frames,
            streams=options.streams,
            actors=meta.actors,
            split=split,
            names=names,
            labels=numbers,
            rigs=heads.place if heads else None,
        )

    windows = chosen(learned, "train")

    def watched(takes: list, names: list[str], split: str) -> Watched | None:
        lengths = [span.stop_frame - span.start_frame for _, span in takes if span.take in names]
        if max(lengths, default=0) < options.window_frames:
            return None
        return Watched(chosen(names, split), windows)

    tested = watched(test, [span.take for _, span in test], "test")
    validated = watched(train, validating, "train")
    return windows, Watch(tested, validated, options.seed, device)


def _kept(checkpoints: Path) -> list[str]:
    """Hashes of other code that a checkpoint folder's first steps were trained with."""
    path = checkpoints / KEPT
    if not path.exists():
        return []
    found = read_json(path, kind=list, fix="remove it")
    if not all(isinstance(name, str) for name in found):
        raise InputError(f"{path}: got {found!r:.60}, need hashes; remove it")
    return found


def main(argv: list[str] | None = None) -> None:
    """Command line; the first word names the recipe and with it the options."""
    argv = sys.argv[1:] if argv is None else list(argv)
    names = recipes.names()
    chosen = next((word for word in argv[:1] if word in names), None)
    parser = stage.parser(__doc__, section=recipes.load(chosen).Options if chosen else config.Training)
    parser.add_argument(
        "recipe", choices=names, help="what to train; --help after its name lists its options"
    )
    parser.add_argument("--shards", type=Path, required=True, help="folder of shards")
    parser.add_argument(
        "--speech",
        type=Path,
        help="folder of speech sidecars, for a model that hears them (default: the only one in --shards)",
    )
    parser.add_argument(
        "--rigs",
        type=Path,
        help="folder of {actor}.npz, or one .npz for all: rigs, for a model that learns vertices",
    )
    parser.add_argument(
        "--given", type=Path, nargs="*", help="folders of trained runs that the model is given"
    )
    parser.add_argument(
        "--speech-model",
        default="package",
        help="the speech encoder that learns along, where a model has one: as speech.model of the config"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--speech-layer", default="last", help="and its layer, as speech.layer (default: %(default)s)"
    )
    parser.add_argument("--start", type=Path, help="folder of the run whose weights this one begins with")
    parser.add_argument("--out", type=Path, required=True, help="run folder to write; its name is the run's")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
