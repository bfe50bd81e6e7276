"""Status: which takes are done, which failed where and why, and the line that lets the rest go on.

In: the config. Out: a line per take, and one per performance of a lip-accurate set that has failed, read off the outputs and
logs under root; exit code 1 when one has failed.
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
    "dialogue": "annotations/dialogue/{}.json",
    "quality": "annotations/quality/{}.json",
    "features": "features/{}.h5",
}
PER_PERFORMANCE = {
    "release_in": "dataset/bvhs/{}.bvh",
    "body": "dataset/bvhs/{}.bvh",
    "blendshapes": "dataset/face_arkit/{}.npy",
    "separation": "dataset/wav/{}.wav",
    "actions": "annotations/actions/{}.npy",
    "facing": "annotations/facing/{}.npy",
    "transcripts": "annotations/transcripts/{}.json",
}
LIP = {
    "lip_sync": "annotations/lip_acc/sync/{}.json",
    "lip_blendshapes": "dataset/lip_acc/face_arkit/{}.npy",
    "lip_separation": "dataset/lip_acc/wav/{}.wav",
}
"""Stages of one performance of a shoot's lip-accurate set, which `lip_acc` joins, as it does the one of a download's."""
LIP_IN = {"lip_in": "dataset/lip_acc/face_arkit/{}.npy"}
JOINT = {
    "shard_index": "shards/index.parquet",
    **{f"train_{run}": f"runs/{run}/model.safetensors" for run in ("face", "body_lower", "body_upper")},
    "generate": "results/generated/generated.json",
    "evaluate": "results/table.csv",
}
"""Stages that join takes, with an output of each; before them the one that writes the dataset's tables."""
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
    """The jobs of `take` alone, which come before those of its shard, in order."""
    root = Path(study.root)
    names = study.takes[take].performances
    steps = []
    streams = ("release_in",) if study.config.dataset else CAPTURE
    for name in (*streams, "actions", "facing", "transcripts", "dialogue", "sync_check", "quality", "features"):
        pattern, subjects = (PER_TAKE[name], [take]) if name in PER_TAKE else (PER_PERFORMANCE[name], names)
        steps += [Step(name, root / pattern.format(subject), root / "logs" / name / f"{subject}.log") for subject in subjects]
    return steps


def lip_steps(study: Study, performance: str) -> list[Step]:
    """The jobs of one performance of the lip-accurate set, in order."""
    root, stages = Path(study.root), LIP_IN if study.config.dataset else LIP
    return [Step(name, root / pattern.format(performance), root / "logs" / name / f"{performance}.log") for name, pattern in stages.items()]


def state_of(steps: list[Step]) -> tuple[str, str]:
    """failed, open or done, and the words for it."""
    errors = [step for step in steps if step.error]
    missing = [step for step in steps if not step.output.exists()]
    if errors:
        return "failed", f"failed at {errors[0].stage}: {errors[0].error}"
    if missing:
        return "open", f"{len(steps) - len(missing)} of {len(steps)} jobs done, next: {missing[0].stage}"
    return "done", "done"


def report(study: Study) -> tuple[list[str], bool]:
    """Lines to print, and whether a take, a performance of the lip-accurate set or a stage that joins them has failed."""
    takes = {take: state_of(steps_of(study, take)) for take in study.takes}
    lips = {name: state_of(lip_steps(study, name)) for name in study.lip_acc}
    failed, lips_failed = ([name for name, (state, _) in found.items() if state == "failed"] for found in (takes, lips))
    lines = [f"{take}  {words}" for take, (_, words) in takes.items()]
    lines.append(f"{sum(state == 'done' for state, _ in takes.values())} of {len(takes)} takes done, {len(failed)} failed")
    if lips:
        lines += [f"{name}  {lips[name][1]}" for name in lips_failed]
        done = sum(state == "done" for state, _ in lips.values())
        lines.append(f"{done} of {len(lips)} performances of the lip-accurate set done, {len(lips_failed)} failed")
    outputs = ({"release_takes": "dataset/takes.tsv"} if study.config.dataset else {"dataset": "dataset/dataset.json"}) | JOINT
    outputs |= {"lip_acc": "dataset/lip_acc/lip_acc_sentences.txt"} if lips else {}
    joint = [Step(name, Path(study.root, path), Path(study.root, "logs", f"{name}.log")) for name, path in outputs.items()]
    joint[1:1] = shard_steps(study)
    stages = {name: [step for step in joint if step.stage == name] for name in dict.fromkeys(step.stage for step in joint)}
    lines.append("; ".join(f"{name} {_joint_state(steps)}" for name, steps in stages.items()))
    lines += [f"{step.stage} failed: {step.error}" for step in joint if step.error]
    if study.config.dataset and failed + lips_failed:
        lines.append(f"to go on without {', '.join(failed + lips_failed)}: {_exclude(study, failed + lips_failed)}, then run again")
        failed = lips_failed = []
    for names, table in ((failed, "takes.tsv"), (lips_failed, "lip_acc/lip_acc.tsv")):
        for name in names:
            lines.append(f"to go on without {name}: in {study.shoot}/{table} set its `exclude` to yes and write why under `reason`, then run again")
    return lines, any(state == "failed" for state, _ in [*takes.values(), *lips.values()]) or any(step.error for step in joint)


def shard_steps(study: Study) -> list[Step]:
    """The jobs of each shard, stage by stage."""
    outputs = {"text": f"{study.root}/features/{{}}.text.h5", "speech": f"{study.speech_folder}/{{}}.h5", "shards": f"{study.root}/shards/{{}}.h5"}
    if not study.speech_flag:
        del outputs["speech"]
    return [
        Step(name, Path(pattern.format(shard)), Path(study.root, "logs", name, f"{shard}.log"))
        for name, pattern in outputs.items()
        for shard in study.shards
    ]


def _joint_state(steps: list[Step]) -> str:
    """done, failed or waits, of a stage's jobs."""
    if any(step.error for step in steps):
        return "failed"
    done = sum(step.output.exists() for step in steps)
    return "done" if done == len(steps) else f"waits ({done} of {len(steps)} shards)" if len(steps) > 1 else "waits"


def _exclude(study: Study, failed: list[str]) -> str:
    """How to leave takes of a download out."""
    return f"set exclude: [{', '.join([*study.config.exclude, *failed])}] in the config"


def run(*, configfile: Path, config: list[str]) -> None:
    """Print the report; exit with 1 when a take, a performance of the lip-accurate set or a stage that joins them has failed."""
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
