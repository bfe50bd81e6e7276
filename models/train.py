"""Train one run of a recipe on shards: one loop for all recipes.

    python -m models.train face --shards data/shards --speech data/shards/speech-HASH --out data/runs/face
    python -m models.train body --joints lower --shards data/shards --out data/runs/body_lower

The first word names a recipe, a file of models/recipes; its options are flags (--help after it). In: a folder
of shards with stats.json; for a model that hears it, a folder of speech sidecars; runs that the model is
given, and one whose weights it begins with. Out: a run folder with config.yaml, log.jsonl (step, loss,
learning rate), model.safetensors, model.json (models.runs), CARD.md, and checkpoints/<hash>/, where the hash
is of options, train data and what runs of the code. Run again, training goes on where the newest checkpoint
of the same hash ended, as if it had never stopped; a finished one is only written out again; with another
hash it starts afresh beside what is there. With keep_checkpoints it goes on from a checkpoint of other code,
and says so in the log and the card.
"""

import hashlib
import json
import logging
import math
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

import pipeline
from models import recipes, runs
from models.checkpoints import (
    MEASURED,
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
from models.held_out import ERRORS
from models.recipe import Meta, Model
from models.threads import fixed_threads
from models.watch import Watched, left_out
from models.weights import fit, write_tensors
from pipeline import config, ownership, source, stage
from pipeline.errors import InputError
from pipeline.files import alone_in, whole, write_json
from pipeline.motion.pose import Skeleton
from pipeline.reading import read_json

log = logging.getLogger("interact")
NO_EFFECT = ("checkpoint_steps", "sample_steps", "workers", "keep_checkpoints")
"""Options that do not change the weights."""
MAX_LOG_LINES = 10_000
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
) -> str:
    """What the weights depend on but for the code: recipe, options, train data, runs that it is given.

    Of the data that which this model reads: statistics, train takes and who acts in them, and the files that
    the rows of its streams come from. So a face stays as it is where only a word was corrected.
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
    read = [meta.stats, meta.joint_names, meta.actors, encoder if "speech" in options.streams else None]
    given = {name: description["hash"] for name, description in meta.given.items()}
    told = [recipe, chosen, spans, origins, read, given, start]
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


@dataclass(frozen=True)
class Watch:
    """What is measured while a training goes on: test takes, and train takes that it does not learn from."""

    test: Watched | None
    validation: Watched | None
    seed: int
    device: str

    def measure(self, state: State) -> dict[str, Any] | None:
        """A line of the log: the error on held-out windows of the weights that would be kept now.

        The best on the validation takes so far are kept. None where there is nothing to measure.
        """
        kept = state.kept.eval()
        assert isinstance(kept, Model)
        found = {
            name: kept.held_out(watched.pairs(self.device), self.seed)
            for name, watched in (("test", self.test), ("validation", self.validation))
            if watched
        }
        if not found:
            return None
        line: dict[str, Any] = {"step": state.step, MEASURED: found.get("test")}
        if "validation" in found:
            loss = found["validation"]["loss"]
            if math.isfinite(loss):
                line |= {"validation": loss, "best": state.keep_best(loss)}
        return line


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
) -> None:
    """Run the steps that are left: linear warm-up, gradients clipped to a norm, weights averaged.

    Checkpoints, measurements and log lines on the way.
    """
    learning = [parameter for group in state.optimiser.param_groups for parameter in group["params"]]
    batches = loader(
        windows,
        batch_size=options.batch_size,
        seed=options.seed,
        first_step=state.step,
        last_step=options.steps,
        workers=options.workers,
    )
    log_every = max(1, options.steps // MAX_LOG_LINES)
    half = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=options.precision == "bfloat16")
    with open(live_log, "a", encoding="utf-8") as lines:

        def write(line: dict[str, Any]) -> None:
            lines.write(json.dumps(line) + "\n")
            lines.flush()

        for batch in stage.progress(batches, label=f"train {label}", total=options.steps - state.step):
            model.train()
            torch.manual_seed(step_seed(options.seed, state.step))  # dropout
            draws = Draws(options.seed, state.step, len(batch["actors"]), device)
            rate = options.learning_rate * min(1.0, (state.step + 1) / max(options.warmup_steps, 1))
            for group in state.optimiser.param_groups:
                group["lr"] = rate * group.get("rate", 1.0)
            batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
            with half:
                told = model.loss(batch, draws)
            state.optimiser.zero_grad(set_to_none=True)
            told["loss"].backward()
            torch.nn.utils.clip_grad_norm_(learning, options.clip_norm)
            state.optimiser.step()
            model.after_step()
            state.advance()
            last = state.step == options.steps
            if state.step % log_every == 0 or last:
                values = {name: value.detach().item() for name, value in told.items()}
                if not math.isfinite(values["loss"]):
                    raise InputError(
                        f"train {label}: the loss is {values['loss']} at step {state.step}, need a finite"
                        f" one; lower learning_rate ({options.learning_rate:g})"
                    )
                write({"step": state.step, "loss": values.pop("loss"), "learning_rate": rate} | values)
            if last or (options.held_out_steps and state.step % options.held_out_steps == 0):
                if line := watch.measure(state):
                    write(line)
            if state.step % options.checkpoint_steps == 0 or last:
                state.save(live_log)


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
    }


def _card(
    description: dict,
    what: str,
    num_parameters: int,
    train: tuple[int, float],
    ends: tuple[float, float],
    kept: list,
) -> str:
    """CARD.md: what the model is, what it was trained on, and how to use it."""
    options, (takes, seconds), (first, last) = description["options"], train, ends
    actors = ", ".join(description["actors"])
    windows = f"{options['batch_size']} windows of {options['window_frames']} frames"
    lines = [
        f"# {description['run']}",
        "",
        f"Recipe {description['recipe']}, at 30 frames per second. {what}",
        "",
        f"- parameters: {num_parameters:,}; channels predicted: {len(description['feature_names'])}",
        f"- trained on {takes} takes ({seconds:.0f} s of two people), actors {actors}",
        f"- {options['steps']} steps of {windows}, seed {options['seed']}",
        f"- loss {first:.4f} -> {last:.4f} (mean of the first and of the last tenth of the steps)",
        f"- hash of options, data and code: {description['hash']}",
    ]
    if description["given"]:
        lines.append(f"- given {', '.join(description['given'])}")
    if description["start"]:
        lines.append(f"- began with the weights of {description['start']}")
    if kept:
        lines.append(
            f"- **its first steps were trained with other code** ({', '.join(kept)}): checkpoints were kept"
        )
    lines += [
        "",
        "Use: `python -m models.generate --runs <folder of runs> --audio A.wav B.wav --out DIR`.",
        "",
        "The model knows the actors, the scenes and the microphones of its training takes. What it makes of",
        "other voices is not measured. The licence of the training data applies to the weights.",
        "",
    ]
    return "\n".join(lines)


def _learned(measured: dict[str, Any] | None, state: State, watch: Watch) -> str:
    """The card's part on takes that the model has not learned from."""
    lines = ["", "## On takes that it has not learned from", ""]
    which = "the moving average of the weights" if state.average else "the weights"
    if state.best and watch.validation:
        takes = ", ".join(span.take for _, span in watch.validation.windows.takes)
        lines.append(
            f"Kept are {which} of step {state.best['step']}, which did best on train takes that were left out"
            f" of the learning: {takes}."
        )
    else:
        lines.append(f"Kept are {which} of the last step: no train take was left out to compare them on.")
    if measured is None or watch.test is None:
        return "\n".join([*lines, "", "No test take is as long as a window, so nothing was measured.", ""])
    windows = watch.test
    lines += ["", f"{len(windows.numbers)} windows of test takes, loss {measured['loss']:.4f}."]
    if levels := measured.get("levels"):
        lines += [
            "Mean squared error of standardised motion that is seen through noise, by the signal's share",
            "(alpha-bar): of the model; of the same with another take's conditions; of the best linear",
            "shrinkage of the input, per channel; of the mean.",
            "",
            "| alpha-bar | model | another take's conditions | shrinkage | mean |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {level} | " + " | ".join(f"{error[name]:.4f}" for name in ERRORS) + " |"
            for level, error in levels.items()
        ]
    return "\n".join([*lines, ""])


def run(
    *,
    recipe: str,
    shards: Path,
    out: Path,
    options: Any,
    speech: Path | None = None,
    given: list[Path] | None = None,
    start: Path | None = None,
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
    with alone_in(out, log), fixed_threads(options.threads):
        train(recipe, shards, out, options, speech, given or [], start)


def train(
    recipe: str,
    shards: Path,
    out: Path,
    options: Any,
    speech: Path | None,
    given: list[Path],
    start: Path | None,
) -> None:
    """Train or go on, in a run folder that nobody else writes."""
    opened, stats = shards_of(shards)
    encoder = None
    if "speech" in options.streams:
        stats = stats | attach_speech(opened, speech_folder(shards, speech))
        encoder = stats["encoder"]
    device = runs.pick_device(options.device)
    taught = {folder.name: runs.load(folder, device=device) for folder in given}
    if len(taught) < len(given):
        names = ", ".join(folder.name for folder in given)
        raise InputError(f"--given {names}: a name stands twice, need runs of different names; rename one")
    begun = runs.load(start, device="cpu") if start else None
    if begun and begun.description["recipe"] != recipe:
        raise InputError(
            f"{start}: is of recipe {begun.description['recipe']}, need {recipe}; name another run"
        )
    meta = runs.meta_of(
        options,
        stats,
        opened[0].joint_names,
        actors_of(opened),
        {name: one.description for name, one in taught.items()},
    )
    windows, watch = _windows(opened, options, meta, device)
    made_of = run_hash(
        recipe, options, meta, opened, encoder=encoder, start=begun.description["hash"] if begun else None
    )
    code = code_hash(recipe)
    checkpoints = out / PROOFS[0] / f"{made_of}-{code}"
    if options.keep_checkpoints:
        keep_other_code(checkpoints.parent, made_of, code)
    live_log = out / "log.jsonl"
    description = _describe(out.name, recipe, options, meta, opened, encoder)
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        model = runs.build(recipe, options, meta)
        model.prepare(_skeletons(opened))
        model.to(device)
        rate = options.learning_rate
        optimiser = model.optimiser(model.groups(), rate)
        state = State(model, optimiser, checkpoints, last_step=options.steps, average=options.average)
        state.restore(live_log)
        started = _begin(model, state, taught, begun, start)
        with whole(out / "config.yaml") as temporary:
            told = {"recipe": recipe, "given": sorted(taught), "start": start.name if start else None}
            text = yaml.safe_dump(told | {"options": options.model_dump()}, sort_keys=False)
            temporary.write_text(text, encoding="utf-8")
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
            optimise(model, state, windows, watch, live_log, options, device=device, label=out.name)
        state.finish()
        measured = None
        if watch.test:
            measured = model.eval().held_out(watch.test.pairs(device), options.seed)
    ends = losses(live_log)
    weights = model.finish(started)
    write_tensors(out / "model.safetensors", weights)
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
        text = _card(description, what, num_parameters, data, ends, kept) + _learned(measured, state, watch)
        temporary.write_text(text, encoding="utf-8")
    log.info("%s: %d steps, loss %.4f -> %.4f (mean of the first and last tenth)", out, options.steps, *ends)


def _begin(
    model: Model, state: State, taught: dict[str, runs.Run], begun: runs.Run | None, start: Path | None
) -> dict[str, Tensor] | None:
    """What a run begins with, for a model that has no step behind it; the weights that it starts from."""
    started = None
    if begun:
        started = {name: value.cpu() for name, value in begun.model.state_dict().items()}
    if not state.step:
        model.initialise({name: one.model for name, one in taught.items()})
        if started and start:
            weights = start / "model.safetensors"
            fit(model, started, weights, to="this run", fix="give both runs the same sizes")
        state.begin()
    return started


def _windows(shards: list, options: Any, meta: Meta, device: str) -> tuple[Windows, Watch]:
    """Windows to learn from, and those to measure on.

    A test or validation take that is shorter than a window is not measured.
    """
    train, test = takes_of(shards, "train"), takes_of(shards, "test")
    validating = left_out(train, options.validation_share, options.seed)
    learned = [span.take for _, span in train if span.take not in validating]

    def chosen(names: list[str], split: str) -> Windows:
        return Windows(
            shards,
            window=options.window_frames,
            stride=options.stride_frames,
            streams=options.streams,
            actors=meta.actors,
            split=split,
            names=names,
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
        "--given", type=Path, nargs="*", help="folders of trained runs that the model is given"
    )
    parser.add_argument("--start", type=Path, help="folder of the run whose weights this one begins with")
    parser.add_argument("--out", type=Path, required=True, help="run folder to write; its name is the run's")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
