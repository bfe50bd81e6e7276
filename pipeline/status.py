"""Status: which takes are done, which failed where and why, and the line that lets the rest go on.

In: the config. Out: a line per take, read off the outputs and logs under root; exit code 1 when a take has failed.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline import stage
from pipeline.errors import InputError
from pipeline.workflow import Study

PER_TAKE = {
    "sync": "annotations/sync/{}.json",
    "sync_check": "annotations/sync_check/{}.json",
    "quality": "annotations/quality/{}.json",
    "features": "features/{}.h5",
    "text": "features/{}.text.h5",
}
PER_PERFORMANCE = {
    "body": "dataset/bvhs/{}.bvh",
    "blendshapes": "dataset/face_arkit/{}.npy",
    "separation": "dataset/wav/{}.wav",
    "actions": "annotations/actions/{}.npy",
    "facing": "annotations/facing/{}.npy",
    "transcripts": "annotations/transcripts/{}.json",
}
JOINT = {
    "dataset": "dataset/dataset.json",
    "shard_index": "shards/index.parquet",
    **{f"train_{run}": f"runs/{run}/model.safetensors" for run in ("face", "body_lower", "body_upper")},
    "generate": "results/generated/generated.json",
    "evaluate": "results/table.csv",
}
"""Stages that join takes, with an output of each."""
CAPTURE = ("sync", "body", "blendshapes", "separation")


@dataclass(frozen=True)
class Step:
    """One job of a take: its stage, output and log."""

    stage: str
    output: Path
    log: Path

    @property
    def error(self) -> str | None:
        """Why the job failed, by its log; None when its output is there or it has not run."""
        if self.output.exists() or not self.log.exists():
            return None
        lines = self.log.read_text(errors="replace").strip().splitlines()
        for line in reversed(lines):
            if line.startswith("error: ") or ": error: " in line:
                return line.partition("error: ")[2]
        return lines[-1] if lines and "Error" in lines[-1] else None


def steps_of(study: Study, take: str) -> list[Step]:
    """The jobs that take `take` to the shards, in order."""
    root = Path(study.root)
    names = study.takes[take].performances
    steps = []
    for name in (*CAPTURE, "actions", "facing", "transcripts", "sync_check", "quality", "features", "text"):
        if name in CAPTURE and study.config.dataset:
            continue
        pattern, subjects = (PER_TAKE[name], [take]) if name in PER_TAKE else (PER_PERFORMANCE[name], names)
        steps += [Step(name, root / pattern.format(subject), root / "logs" / name / f"{subject}.log") for subject in subjects]
    return steps


def report(study: Study) -> tuple[list[str], bool]:
    """Lines to print, and whether a take or a stage that joins takes has failed."""
    lines, failed, done = [], [], 0
    for take in study.takes:
        steps = steps_of(study, take)
        errors = [(step.stage, step.error) for step in steps if step.error]
        missing = [step.stage for step in steps if not step.output.exists()]
        if errors:
            failed.append(take)
            lines.append(f"{take}  failed at {errors[0][0]}: {errors[0][1]}")
        elif missing:
            lines.append(f"{take}  {len(steps) - len(missing)} of {len(steps)} jobs done, next: {missing[0]}")
        else:
            done += 1
            lines.append(f"{take}  done")
    lines.append(f"{done} of {len(study.takes)} takes done, {len(failed)} failed")
    joint = [Step(name, Path(study.root, path), Path(study.root, "logs", f"{name}.log")) for name, path in JOINT.items()]
    lines.append("; ".join(f"{step.stage} {'done' if step.output.exists() else 'failed' if step.error else 'waits'}" for step in joint))
    lines += [f"{step.stage} failed: {step.error}" for step in joint if step.error]
    for take in failed:
        lines.append(f"to go on without {take}: in {study.shoot}/takes.tsv set its `exclude` to yes and write why under `reason`, then run again")
    return lines, bool(failed) or any(step.error for step in joint)


def run(*, configfile: Path, config: list[str]) -> None:
    """Print the report; exit with 1 when a take has failed."""
    try:
        values = yaml.safe_load(configfile.read_text()) or {}
    except FileNotFoundError:
        raise InputError(f"{configfile}: no such file; check the path") from None
    for pair in config:
        key, _, value = pair.partition("=")
        values[key] = yaml.safe_load(value)
    lines, failed = report(Study(values))
    print("\n".join(lines))
    if failed:
        sys.exit(1)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="the config of the run (default: config.yaml)")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="keys given to snakemake --config, such as shoot=... root=...")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
