"""The runs of a row, loaded together: do they make a face or a body, and do they fit each other?"""

from pathlib import Path

from models import recipes, runs
from models.heads import Heads
from pipeline import config
from pipeline.errors import InputError

BUILT_IN = config.ROWS["trained models"]
"""Runs of the built-in row."""


def run_folders(paths: list[Path]) -> list[Path]:
    """Run folders as they are given; of one folder of runs those of the built-in row that are there."""
    if len(paths) != 1 or (paths[0] / "model.json").exists():
        return paths
    return [paths[0] / name for name in BUILT_IN if (paths[0] / name / "model.json").exists()]


def load_runs(paths: list[Path], device: str, rigs: Path | None = None) -> list[runs.Run]:
    """The models of a row, those on rigs with the ones of the folder or file `rigs`.

    InputError where they do not make a face or a body, do not fit together, or lack rigs.
    """
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
    for run in found:
        if run.model.meta.rigs:
            if rigs is None:
                raise InputError(
                    f"run {run.name}: makes vertices, which are fitted on the actors' rigs; give their folder"
                    " (--rigs)"
                )
            run.model.heads = Heads(rigs, need=run.model.meta.rigs, whose=f"those that run {run.name} knows")
    first_encoder, *more = [encoder for run in found if (encoder := encoder_of(run))] or [{}]
    for encoder in more:
        check_encoder(encoder, first_encoder, str(paths[0]))
    return found


def encoder_of(run: runs.Run) -> dict | None:
    return run.description["speech_encoder"] if "speech" in run.options.streams else None


def speech_encoder(found: list[runs.Run]) -> dict | None:
    """What describes the speech encoder that a run hears; None where none does."""
    return next((encoder for run in found if (encoder := encoder_of(run))), None)


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


def known_labels(found: list[runs.Run]) -> dict[str, list[str]]:
    """By name the labels of takes that any of the runs knows."""
    known: dict[str, set[str]] = {}
    for run in found:
        for name, labels in run.model.meta.labels.items():
            known.setdefault(name, set()).update(labels)
    return {name: sorted(labels) for name, labels in known.items()}
