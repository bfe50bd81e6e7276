"""Status: which takes are done, which failed where and why, and the line that lets the rest go on.

In: the config. Out: a line per take, and one per performance of a lip-accurate set that has failed, read off
the outputs and logs under root; exit code 1 when one has failed.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline import stage
from pipeline.errors import FAILED, InputError
from pipeline.planning.study import Study
from pipeline.reading import line_of, read_text

PER_TAKE = {
    "sync": "annotations/sync/{}.json",
    "sync_check": "annotations/sync_check/{}.json",
    "dialogue": "annotations/dialogue/{}.json",
    "quality": "annotations/quality/{}.json",
    "features": "features/{}.h5",
}
PER_PERFORMANCE = {
    "ingest": "dataset/bvhs/{}.bvh",
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
"""Stages of one performance of a shoot's lip-accurate set.

`lip_acc` joins them, as it does the one of a download's.
"""
LIP_DOWNLOAD = {"release_lip": "dataset/lip_acc/face_arkit/{}.npy"}
JOINT = {
    "shards_index": "shards/index.parquet",
    "shards_stats": "shards/stats.json",
}
"""Stages that join takes before anything is trained, with an output of each.

Before them the one that writes the dataset's tables.
"""
CAPTURE = ("sync", "body", "blendshapes", "separation")


WARNING = "WARNING "
"""What a warning begins with in a log."""


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
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        for line in reversed(lines):
            if line.startswith("error: ") or ": error: " in line:
                return line.partition("error: ")[2]
        return lines[-1] if lines and "Error" in lines[-1] else None

    @property
    def warnings(self) -> list[str]:
        """What the job's log warns of, in order."""
        if not self.log.exists():
            return []
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [line.removeprefix(WARNING) for line in text.splitlines() if line.startswith(WARNING)]


def steps_of(study: Study, take: str) -> list[Step]:
    """The jobs of `take` alone, which come before those of its shard, in order."""
    root = Path(study.root)
    names = study.takes[take].performances
    steps = []
    streams = ("ingest",) if study.config.dataset else CAPTURE
    for name in (
        *streams,
        "actions",
        "facing",
        "transcripts",
        "dialogue",
        "sync_check",
        "quality",
        "features",
    ):
        pattern, subjects = (PER_TAKE[name], [take]) if name in PER_TAKE else (PER_PERFORMANCE[name], names)
        steps += [
            Step(name, root / pattern.format(subject), root / "logs" / name / f"{subject}.log")
            for subject in subjects
        ]
    return steps


def lip_steps(study: Study, performance: str) -> list[Step]:
    """The jobs of one performance of the lip-accurate set, in order."""
    root, stages = Path(study.root), LIP_DOWNLOAD if study.config.dataset else LIP
    return [
        Step(name, root / pattern.format(performance), root / "logs" / name / f"{performance}.log")
        for name, pattern in stages.items()
    ]


def state_of(steps: list[Step]) -> tuple[str, str]:
    """failed, open or done, and the words for it."""
    errors = [step for step in steps if step.error]
    missing = [step for step in steps if not step.output.exists()]
    if errors:
        return "failed", f"failed at {errors[0].stage}: {errors[0].error}"
    if missing:
        return "open", f"{len(steps) - len(missing)} of {len(steps)} jobs done, next: {missing[0].stage}"
    return "done", "done"


def joint_steps(study: Study) -> list[Step]:
    """The jobs that join takes, in order."""
    outputs = (
        {"release_takes": "dataset/takes.tsv"}
        if study.config.dataset
        else {"dataset": "dataset/dataset.json"}
    ) | JOINT
    outputs |= {"lip_acc": "dataset/lip_acc/lip_acc_sentences.txt"} if study.lip_acc else {}
    joint = [
        Step(name, Path(study.root, path), Path(study.root, "logs", f"{name}.log"))
        for name, path in outputs.items()
    ]
    joint[1:1] = shard_steps(study)
    return joint + model_steps(study)


def model_steps(study: Study) -> list[Step]:
    """The trainings that the rows of the table need, the rows' samples, and the table, in order."""
    root, logs = Path(study.root), Path(study.root, "logs")
    steps = [
        Step(
            study.runs[name].target,
            root / "runs" / name / "model.safetensors",
            logs / ("swap_run" if study.runs[name].swap else "train_run") / f"{name}.log",
        )
        for name in study.needed_runs
    ]
    steps += [
        Step(
            f"generate_{row.folder}",
            Path(study.row_folder(row), "generated.json"),
            logs / "generate" / f"{row.folder}.log",
        )
        for row in study.rows
    ]
    return [*steps, Step("evaluate", root / "results" / "table.csv", logs / "evaluate.log")]


def all_steps(study: Study) -> dict[str, list[Step]]:
    """Every job that status knows by the take or performance that it is of.

    Those that join takes are known by their stage.
    """
    steps = {take: steps_of(study, take) for take in study.takes} | {
        name: lip_steps(study, name) for name in study.lip_acc
    }
    for step in joint_steps(study):
        steps.setdefault(step.stage, []).append(step)
    return steps


def warnings_since(study: Study, started: float) -> list[str]:
    """`<take or stage>, <stage>: <warning>` of every warning in logs since `started`.

    They were written at `started`, seconds since 1970, or later.
    """
    found = []
    every = all_steps(study)
    known = {step.log for steps in every.values() for step in steps}
    for log in sorted(
        Path(study.root, "logs").rglob("*.log")
    ):  # of rules that are no step on a take's way: statistics, pictures
        rule = log.relative_to(Path(study.root, "logs")).parts[0].removesuffix(".log")
        if log not in known:
            every.setdefault(log.stem, []).append(Step(rule, log, log))
    for subject, steps in every.items():
        for step in steps:
            if step.log.exists() and step.log.stat().st_mtime >= started:
                found += [
                    f"{subject if subject == step.stage else f'{subject}, {step.stage}'}: {text}"
                    for text in step.warnings
                ]
    return found


def _counted(words: str, steps: list[Step]) -> str:
    """Words on jobs, with how many warnings their logs have."""
    count = sum(len(step.warnings) for step in steps)
    return f"{words}, {count} warning{'s' if count > 1 else ''}" if count else words


def report(study: Study, *, warnings: bool = False) -> tuple[list[str], bool]:
    """Lines to print, and whether a take, a lip performance or a stage that joins them failed.

    With the texts of `warnings` where asked.
    """
    steps = {take: steps_of(study, take) for take in study.takes}
    takes = {take: state_of(jobs) for take, jobs in steps.items()}
    lips = {name: state_of(lip_steps(study, name)) for name in study.lip_acc}
    failed, lips_failed = (
        [name for name, (state, _) in found.items() if state == "failed"] for found in (takes, lips)
    )
    lines = [f"{take}  {_counted(words, steps[take])}" for take, (_, words) in takes.items()]
    lines.append(
        f"{sum(state == 'done' for state, _ in takes.values())} of {len(takes)} takes done, {len(failed)}"
        " failed"
    )
    if lips:
        lines += [f"{name}  {lips[name][1]}" for name in lips_failed]
        done = sum(state == "done" for state, _ in lips.values())
        lines.append(
            f"{done} of {len(lips)} performances of the lip-accurate set done, {len(lips_failed)} failed"
        )
    joint = joint_steps(study)
    stages = {
        name: [step for step in joint if step.stage == name]
        for name in dict.fromkeys(step.stage for step in joint)
    }
    lines.append("; ".join(f"{name} {_counted(_joint_state(jobs), jobs)}" for name, jobs in stages.items()))
    lines += [f"{step.stage} failed: {step.error}" for step in joint if step.error]
    lines += _ways_on(study, takes, lips)
    lines += [f"warning: {line}" for line in [*study.missing, *study.cautions]]
    found = warnings_since(study, 0.0)
    if found and warnings:
        lines += [f"{len(found)} warnings:", *(f"  {line}" for line in found)]
    elif found:
        lines.append(
            f"{len(found)} warnings in the logs; to read them: python -m pipeline.planning.status --warnings,"
            " with the same --config"
        )
    return lines, any(state == "failed" for state, _ in [*takes.values(), *lips.values()]) or any(
        step.error for step in joint
    )


def _ways_on(study: Study, takes: dict[str, tuple[str, str]], lips: dict[str, tuple[str, str]]) -> list[str]:
    """How the rest goes on without the takes and performances whose input is bad.

    Where the program failed, that it is to be reported.
    """
    lines = []
    failed: list[list[str]] = []
    for found in (takes, lips):
        broken = [name for name, (state, words) in found.items() if state == "failed" and FAILED in words]
        lines += [
            f"{name}: nothing is known to be wrong with its files; report the traceback in its log under"
            f" {study.root}/logs"
            for name in broken
        ]
        failed.append(
            [name for name, (state, _) in found.items() if state == "failed" and name not in broken]
        )
    of_takes, of_lips = failed
    if study.config.dataset:
        return lines + [
            f"to go on without {', '.join(names)}: {_exclude(study, names)}, then run again"
            for names in [of_takes + of_lips]
            if names
        ]
    for names, table in ((of_takes, "takes.tsv"), (of_lips, "lip_acc/lip_acc.tsv")):
        for name in names:
            lines.append(
                f"to go on without {name}: in {study.shoot}/{table} set its `exclude` to yes and write why"
                " under `reason`, then run again"
            )
    return lines


def shard_steps(study: Study) -> list[Step]:
    """The jobs of each shard, stage by stage."""
    outputs = {
        "text": f"{study.root}/features/{{}}.text.h5",
        "speech": f"{study.speech_folder}/{{}}.h5",
        "shards_build": f"{study.root}/shards/{{}}.h5",
    }
    if not any(study.runs[name].hears for name in study.needed_runs):
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
    return (
        "done"
        if done == len(steps)
        else f"waits ({done} of {len(steps)} shards)"
        if len(steps) > 1
        else "waits"
    )


def _exclude(study: Study, failed: list[str]) -> str:
    """How to leave takes of a download out."""
    names = ", ".join(f'"{name}"' for name in [*study.config.exclude, *failed])
    return f"set exclude: [{names}] in the config, quotation marks too"


def run(*, configfile: Path, config: list[str], warnings: bool = False) -> None:
    """Print the report; exit with 1 when something has failed.

    A take, a performance of the lip-accurate set or a stage that joins them.
    """
    try:
        values = yaml.safe_load(read_text(configfile)) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{configfile}: not valid YAML ({line_of(error)}); correct it") from None
    for pair in config:
        key, _, value = pair.partition("=")
        values[key] = yaml.safe_load(value)
    lines, failed = report(Study(values), warnings=warnings)
    print("\n".join(lines))
    if failed:
        sys.exit(1)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument(
        "--configfile",
        type=Path,
        default=Path("config.yaml"),
        help="the config of the run (default: config.yaml)",
    )
    parser.add_argument(
        "--config",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="keys given to snakemake --config, such as shoot=... root=...",
    )
    parser.add_argument(
        "--warnings", action="store_true", help="print every warning in the logs, not only how many there are"
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
