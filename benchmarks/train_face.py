"""How long a step of the paper's face takes, its speech encoder frozen or trained, beside a plain loop.

    python benchmarks/train_face.py data                              # the root of a run, for its shards
    python benchmarks/train_face.py data --batch-sizes 1 16 64 --precisions float32 bfloat16 --steps 40

The face of config/paper.yaml, at full size, on windows of the project's shards. Its speech encoder is a
wav2vec2-base that is drawn at random in a temporary folder: weights do not change how long a step takes.
`frozen` reads features of that encoder which are made beforehand, `trained` hears windows of the voices.

`plain` is what one would write first: batches read between the steps, Adam, no clipping, no average, no log.
`engine` is models.train's loop with the options of the run. Each has a process of its own. Printed, as
Markdown: device, parameters that learn, median seconds of a step after the first ones, seconds of an epoch of
the paper (6,000 windows of one person), memory, and how the engine's step compares with the plain one's at
the same batch.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from snakemake.utils import update_config

from models import runs
from models.checkpoints import State
from models.data import Windows, actors_of, attach_speech, loader, shards_of
from models.draws import Draws
from models.processes import Processes
from models.threads import fixed_threads
from models.train import optimise
from models.watch import Watch
from pipeline import config
from pipeline.config import Speech
from pipeline.planning.runs import plan_runs
from pipeline.shards import speech, speech_stats

REPOSITORY = Path(__file__).resolve().parents[1]
SEGMENTS = 6000
"""Windows of one person in an epoch of the paper."""


class Timed(State):
    """A training's state that notes when each step has ended."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.times: list[float] = []

    def advance(self) -> None:
        """Count a step, once the device is done with it."""
        super().advance()
        wait()
        self.times.append(time.perf_counter())

    def save(self, live_log: Path) -> None:
        """Nothing: checkpoints are no part of a step."""


def wait() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def paper() -> Any:
    """Options of the paper's face."""
    values = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    for name in ("release.yaml", "paper.yaml"):
        update_config(values, yaml.safe_load((REPOSITORY / "config" / name).read_text()))
    return plan_runs(config.parse(values))["face"].options


def draw_encoder(folder: Path) -> None:
    """A wav2vec2-base with drawn weights, as its library saves it."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"do_normalize": True, "sampling_rate": 16_000})
    )


def write_features(project: Path, encoder: Path, out: Path) -> None:
    """Features of the encoder for all shards, and their moments."""
    paths = sorted((project / "shards").glob("shard-*.h5"))
    for path in paths:
        speech.run(shard=path, out=out / path.name, options=Speech(model=str(encoder)))
    speech_stats.run(shards=paths, sidecars=[out / path.name for path in paths], out=out / "stats.json")


def measure(project: Path, folder: Path, loop: str, changes: dict[str, Any], steps: int) -> dict[str, Any]:
    """Seconds of each step of a loop, memory, and how many parameters learn."""
    options = paper().model_copy(update=changes | {"steps": steps})
    shards, stats = shards_of(project / "shards")
    described = None
    if options.trains_encoder:
        from models.learned_encoder import describe

        described = describe(str(folder / "encoder"), "last")
    else:
        stats |= attach_speech(shards, folder / "features")
    device = runs.pick_device("auto")
    torch.manual_seed(0)
    meta = runs.meta_of(options, stats, shards[0].joint_names, actors_of(shards), encoder=described)
    model = runs.build("face", options, meta).to(device)
    model.initialise({})
    sizes = {"window": options.window_frames, "stride": 5}  # enough windows, however few takes there are
    windows = Windows(shards, streams=options.streams, actors=meta.actors, **sizes)
    times = [time.perf_counter()]
    if loop == "engine":
        optimiser = model.optimiser(model.groups(), options.learning_rate)
        state = Timed(model, optimiser, folder, last_step=steps, average=options.average)
        torch.set_float32_matmul_precision("highest" if options.precision == "float32" else "high")
        told: dict[str, Any] = {"device": device, "label": loop, "processes": Processes()}
        watch = Watch(None, None, options.seed, device)
        optimise(model, state, windows, watch, folder / f"{os.getpid()}.jsonl", options, **told)
        times += state.times
    else:
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        adam = torch.optim.Adam(learning, lr=options.learning_rate)
        order = {"batch_size": options.batch_size, "seed": options.seed, "first_step": 0, "last_step": steps}
        for step, read in enumerate(loader(windows, **order)):
            batch = {name: value.to(device) for name, value in read.items()}
            adam.zero_grad()
            model.train().loss(batch, Draws(0, step, options.batch_size, device))["loss"].backward()
            adam.step()
            wait()
            times.append(time.perf_counter())
    on_gpu = device.startswith("cuda")
    peak = (
        torch.cuda.max_memory_allocated()
        if on_gpu
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    return {
        "seconds": [after - before for before, after in zip(times, times[1:])],
        "memory": peak,
        "learning": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads",
    }


def apart(given: argparse.Namespace, folder: Path, loop: str, changes: dict[str, Any]) -> dict[str, Any]:
    """`measure` in a process of its own."""
    child = json.dumps({"folder": str(folder), "loop": loop, "changes": changes})
    command = [sys.executable, __file__, str(given.project), "--child", child]
    command += ["--steps", str(given.steps), "--threads", str(given.threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path, help="root of a run with shards")
    parser.add_argument("--encoders", nargs="+", choices=("frozen", "trained"), default=["frozen", "trained"])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1], help="windows of two people")
    parser.add_argument(
        "--precisions", nargs="+", default=["float32"], help="of the engine; plain is float32"
    )
    parser.add_argument("--compile", action="store_true", help="compile the engine's network")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--skip", type=int, default=3, help="first steps that are not counted")
    parser.add_argument("--threads", type=int, default=2, help="on a CPU")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    with fixed_threads(given.threads):
        if given.child:
            asked = json.loads(given.child)
            found = measure(
                given.project, Path(asked["folder"]), asked["loop"], asked["changes"], given.steps
            )
            print(json.dumps(found))
            return
        with tempfile.TemporaryDirectory(prefix="interact-") as name:
            folder = Path(name)
            draw_encoder(folder / "encoder")
            if "frozen" in given.encoders:
                write_features(given.project, folder / "encoder", folder / "features")
            compare(given, folder)


def compare(given: argparse.Namespace, folder: Path) -> None:
    """The table."""
    head = "encoder", "windows", "loop", "learn", "s/step", "s/epoch", "memory (MB)", "of plain"
    device = ""
    for encoder in given.encoders:
        for size in given.batch_sizes:
            changes: dict[str, Any] = {"encoder": encoder, "batch_size": size}
            kinds: list[tuple[str, str, dict[str, Any]]] = [("plain", "plain, float32", {})]
            for precision in given.precisions:
                own = {"precision": precision, "compile": given.compile}
                kinds.append(("engine", f"engine, {precision}{', compiled' * given.compile}", own))
            plain = 0.0
            for loop, label, more in kinds:
                found = apart(given, folder, loop, changes | more)
                if not device:
                    device = found["device"]
                    print(f"{device}; torch {torch.__version__}\n\n| " + " | ".join(head) + " |")
                    print("|" + " --- |" * len(head))
                step = median(found["seconds"][given.skip :])
                plain = plain or step
                cells = (
                    encoder, str(size), label, f"{found['learning']:,}", f"{step:.3f}",
                    f"{step * SEGMENTS / (2 * size):.0f}", f"{found['memory'] / 1e6:.0f}",
                    f"{step / plain:.2f}",
                )  # fmt: skip
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
