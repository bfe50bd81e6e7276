"""Train one of the models on shards: face, body_lower (legs and root of both actors) or body_upper (the rest,
told the lower body).

    python -m models.train face --shards data/shards --speech data/shards/speech-HASH --out data/runs/face
    python -m models.train body_lower --shards data/shards --out data/runs/body_lower

In: a folder of shards with stats.json and, for a face that hears it, a folder of speech sidecars. Out: a run
folder with config.yaml, log.jsonl (step, loss, learning rate), model.safetensors, model.json (models.runs),
CARD.md, and checkpoints/<hash>/, where the hash is of options, train data and model code. Run again, training
goes on where the newest checkpoint of the same hash ended, as if it had never stopped; a finished one is only
written out again; with another hash it starts afresh beside what is there.
"""

import hashlib
import inspect
import json
import logging
import math
import sys
from pathlib import Path

import torch
import yaml

import models
import pipeline
from models import runs
from models.checkpoints import PROOFS, WRITTEN, State, losses, step_seed, summary
from models.data import Windows, actors_of, attach_speech, loader, shards_of, speech_folder, takes_of
from models.representation import MODELS, Representation
from models.threads import fixed_threads
from models.weights import write_tensors
from pipeline import config, ownership, stage
from pipeline.errors import InputError
from pipeline.files import alone_in, whole, write_json
from pipeline.formats import arkit, shard_file
from pipeline.motion import joints, pose, rotations, skeleton

log = logging.getLogger("interact")
CODE = (
    "checkpoints",
    "data",
    "diffusion",
    "layers",
    "body",
    "face",
    "representation",
    "runs",
    "threads",
    "train",
    "weights",
)
NO_EFFECT = ("checkpoint_steps", "sample_steps", "workers")
"""Options that do not change the weights."""
MAX_LOG_LINES = 10_000


def run_hash(
    representation: Representation, options: runs.Options, shards: list, encoder: dict | None = None
) -> str:
    """What the weights depend on: options, train data, model code.

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
        shard.origin(representation.streams, [span for other, span in train if other is shard])
        for shard in shards
    ]
    read = [
        representation.stats,
        representation.joint_names,
        representation.actors,
        encoder if "speech" in representation.streams else None,
    ]
    told = [representation.model, chosen, spans, origins, read]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    sources = [Path(models.__file__).with_name(f"{name}.py") for name in CODE]
    sources += [
        Path(inspect.getfile(module)) for module in (arkit, joints, pose, rotations, shard_file, skeleton)
    ]
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _loss(
    network,
    engine,
    representation: Representation,
    batch: dict,
    generator: torch.Generator,
    options: runs.Options,
) -> torch.Tensor:
    """Loss of one batch; with condition_dropout, some items are told nothing, as classifier-free guidance
    needs.
    """
    clean, condition = representation.target(batch), representation.condition(batch)
    if options.condition_dropout:
        drop = torch.rand(len(clean), generator=generator) < options.condition_dropout
        condition = representation.unconditional(condition, drop.to(clean.device))
    weight = getattr(options, "velocity_weight", 0.0)
    return engine.loss(lambda x, step: network(x, step, *condition), clean, generator, velocity_weight=weight)


def optimise(
    state: State,
    engine,
    representation: Representation,
    windows: Windows,
    live_log: Path,
    options: runs.Options,
    device: str,
) -> None:
    """Run the steps that are left: Adam, linear warm-up, gradients clipped to a norm.

    Checkpoints and log lines on the way.
    """
    network = state.network.train()
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
        for batch in stage.progress(
            batches, label=f"train {representation.model}", total=options.steps - state.step
        ):
            seed = step_seed(options.seed, state.step)
            torch.manual_seed(seed)  # dropout
            generator = torch.Generator().manual_seed(seed)
            rate = options.learning_rate * min(1.0, (state.step + 1) / max(options.warmup_steps, 1))
            for group in state.optimiser.param_groups:
                group["lr"] = rate
            batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
            with half:
                loss = _loss(network, engine, representation, batch, generator, options)
            state.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
            state.optimiser.step()
            state.step += 1
            if state.step % log_every == 0 or state.step == options.steps:
                value = loss.detach().item()
                if not math.isfinite(value):
                    raise InputError(
                        f"train {representation.model}: the loss is {value} at step {state.step}, need a"
                        f" finite one; lower learning_rate ({options.learning_rate:g})"
                    )
                lines.write(json.dumps({"step": state.step, "loss": value, "learning_rate": rate}) + "\n")
                lines.flush()
            if state.step % options.checkpoint_steps == 0 or state.step == options.steps:
                state.save(live_log)


def _describe(
    representation: Representation, options: runs.Options, shards: list, digest: str, encoder: dict | None
) -> dict:
    """model.json: all that is needed to rebuild the network and to turn its samples into motion
    (models.runs).
    """
    skeletons = {}
    for shard, span in takes_of(shards, "train"):
        for actor, performance in zip((span.actor_a, span.actor_b), span.performances):
            if actor not in skeletons:
                skeletons[actor] = runs.skeleton_json(shard.skeleton(performance))
    defaults, attributes = config.Features(), shards[0].attributes
    mel = {"num_mels": shards[0]["mel"].shape[-1]} | {
        key: float(attributes.get(key, getattr(defaults, key))) for key in ("mel_fft", "mel_fmax")
    }
    return {
        "format_version": runs.FORMAT_VERSION, "package_version": pipeline.__version__, "model": representation.model, "hash": digest, "fps": 30,
        "options": options.model_dump(), "feature_names": representation.feature_names, "joint_names": representation.joint_names,
        "parents": [int(p) for p in shards[0].parents], "actors": representation.actors, "stats": representation.stats, "skeletons": skeletons,
        "speech_encoder": encoder, "text_model": str(attributes.get("text_model", config.Text().model)),
        "features": mel | {"mel_fft": int(mel["mel_fft"])},
    }  # fmt: skip


def _card(
    description: dict, num_parameters: int, takes: int, seconds: float, first: float, last: float
) -> str:
    """CARD.md: what the model is, what it was trained on, and how to use it."""
    options = description["options"]
    what = {
        "face": "ARKit weights of one actor from both actors' voices, identities and facing",
        "body_lower": "hips, legs and relative root of both actors from their voices, words and actions",
        "body_upper": "all other joints of both actors from voices, words, actions and the lower bodies",
    }[description["model"]]
    lines = [
        f"# {description['model']}", "",
        f"A diffusion model of {what}, at 30 frames per second.", "",
        f"- parameters: {num_parameters:,}; channels predicted: {len(description['feature_names'])}",
        f"- trained on {takes} takes ({seconds:.0f} s of two people), actors {', '.join(description['actors'])}",
        f"- {options['steps']} steps of {options['batch_size']} windows of {options['window_frames']} frames, seed {options['seed']}",
        f"- loss {first:.4f} -> {last:.4f} (mean of the first and of the last tenth of the steps)",
        f"- hash of options, data and code: {description['hash']}", "",
        "Use: `python -m models.generate --runs <folder of runs> --audio A.wav B.wav --out DIR`.", "",
        "The model knows the actors, the scenes and the microphones of its training takes; what it makes of other voices is",
        "not measured. The licence of the training data applies to the weights.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def run(*, model: str, shards: Path, out: Path, options: runs.Options, speech: Path | None = None) -> None:
    """Train one model, or go on with it, and write the run folder.

    A second trainer of the same run waits for the first.
    """
    ownership.need_proof(out, [out / name for name in WRITTEN], PROOFS)
    (out / PROOFS[0]).mkdir(parents=True, exist_ok=True)
    with alone_in(out, log), fixed_threads(options.threads):
        train(model, shards, out, options, speech)


def train(model: str, shards: Path, out: Path, options: runs.Options, speech: Path | None = None) -> None:
    """Train or go on, in a run folder that nobody else writes."""
    opened, stats = shards_of(shards)
    if getattr(options, "audio", "mel") == "speech":
        folder = speech_folder(shards, speech)
        stats = stats | attach_speech(opened, folder)
    actors, device = actors_of(opened), runs.pick_device(options.device)
    representation = runs.represent(model, options, stats, opened[0].joint_names, actors)
    windows = Windows(
        opened,
        window=options.window_frames,
        stride=options.stride_frames,
        streams=representation.streams,
        actors=actors,
    )
    digest = run_hash(representation, options, opened, stats.get("encoder"))
    live_log = out / "log.jsonl"
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        network, engine = runs.build(representation, options)
        network.to(device)
        state = State(
            network,
            torch.optim.Adam(network.parameters(), lr=options.learning_rate),
            out / "checkpoints" / digest,
            last_step=options.steps,
        )
        state.restore(live_log)
        with whole(out / "config.yaml") as temporary:
            section = "face_model" if model == "face" else "body_model"
            temporary.write_text(
                yaml.safe_dump({section: options.model_dump()}, sort_keys=False), encoding="utf-8"
            )
        if state.step:
            log.info("%s: goes on from step %d of %d (checkpoint %s)", out, state.step, options.steps, digest)
        if state.step < options.steps:
            optimise(state, engine, representation, windows, live_log, options, device)
    first, last = losses(live_log)
    write_tensors(out / "model.safetensors", network.state_dict())
    description = _describe(representation, options, opened, digest, stats.get("encoder"))
    write_json(out / "model.json", description, durable=True)
    with open(live_log, "a", encoding="utf-8") as lines:
        lines.write(summary(first, last))
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    with whole(out / "CARD.md") as temporary:
        temporary.write_text(
            _card(description, num_parameters, len(windows.takes), stats["frames"] / 30, first, last),
            encoding="utf-8",
        )
    log.info(
        "%s: %d steps, loss %.4f -> %.4f (mean of the first and last tenth)", out, options.steps, first, last
    )


def main(argv: list[str] | None = None) -> None:
    """Command line; the first argument chooses the model and with it the options."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = stage.parser(
        __doc__, section=runs.section_of(next((word for word in argv if word in MODELS), "face"))
    )
    parser.add_argument(
        "model",
        choices=MODELS,
        help="what to train; body models have other options than the face (see their --help)",
    )
    parser.add_argument("--shards", type=Path, required=True, help="folder of shards")
    parser.add_argument(
        "--speech",
        type=Path,
        help="folder of speech sidecars, for a face that hears them (default: the only one in --shards)",
    )
    parser.add_argument("--out", type=Path, required=True, help="run folder to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
