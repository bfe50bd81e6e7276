"""CARD.md: what a trained model is, what it was trained on, and how it does on what it has not learned."""

from typing import Any

from models.checkpoints import State
from models.held_out import ERRORS
from models.watch import Watch


def card(
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
    predicted = str(len(description["feature_names"]))
    if rigs := description["rigs"]:
        predicted += f" of each of {rigs['num_vertices']:,} vertices, fitted back to ARKit weights on rigs"
    windows = f"{options['batch_size']} windows of {options['window_frames']} frames"
    lines = [
        f"# {description['run']}",
        "",
        f"Recipe {description['recipe']}, at 30 frames per second. {what}",
        "",
        f"- parameters: {num_parameters:,}; channels predicted: {predicted}",
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


def learned(measured: dict[str, Any] | None, state: State, watch: Watch) -> str:
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
