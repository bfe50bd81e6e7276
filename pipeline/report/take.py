"""The report's picture of one take.

Its streams on a time line, voices before and after separation, labels under each other.

    python -m pipeline.report.take --sync S.json --microphones A.wav B.wav --voices A.wav B.wav \\
        --actions A.npy B.npy --facing A.npy B.npy --transcripts A.json B.json --out TAKE.png

In: sync JSON, microphones and separated voices (of a take that was captured here; a download has none of
them), action and facing labels, transcripts. Out: one PNG. Times are seconds from the take's first frame, at
30 frames per second.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save
from pipeline.figures.timeline import draw_streams
from pipeline.formats.array_files import read_npy
from pipeline.reading import read_json

FPS = 30
WAVE_SECONDS = 6.0
"""Length of the stretch whose waveforms are drawn."""
WAVE_COLUMNS = 1200
"""Columns of a waveform: each shows the lowest and the highest of its samples."""
MAX_WORD_SECONDS = 40.0
"""Words of a longer take are bars without text."""
COLOURS = ("#c2410c", "#1d4ed8")
ACTIONS = ("sit", "walk", "stand")
ACTION_COLOURS = ("#7dd3fc", "#fb923c", "#a3a3a3")


def stretches(labels: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs of equal values of `labels` (N,): first frame, frame after the last, value."""
    if not len(labels):
        return []
    borders = np.flatnonzero(np.diff(labels.astype(int))) + 1
    starts, stops = np.concatenate([[0], borders]), np.concatenate([borders, [len(labels)]])
    return [(int(a), int(b), int(labels[a])) for a, b in zip(starts, stops)]


def busiest(change: np.ndarray, width: int) -> int:
    """First index of the `width` neighbours with the largest sum in `change` (N,).

    0 where there are no more than `width`.
    """
    if len(change) <= width:
        return 0
    total = np.concatenate([[0.0], np.cumsum(change, dtype=float)])
    return int(np.argmax(total[width:] - total[:-width]))


def envelope(x: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest sample of each of at most `columns` equal pieces of `x` (S,), S > 0."""
    starts = np.unique(np.linspace(0, len(x), min(columns, len(x)), endpoint=False).astype(int))
    return np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)


def signed_root(x: np.ndarray) -> np.ndarray:
    """Square root of the size of `x`, with its sign."""
    return np.sign(x) * np.sqrt(np.abs(x))


def signed_square(x: np.ndarray) -> np.ndarray:
    """Inverse of signed_root."""
    return np.sign(x) * np.square(x)


def draw_voices(axes, take: dict, microphones: list[Path], voices: list[Path]) -> None:
    """What a microphone heard and what is left after separation, for both actors.

    At the place where separation took away most.
    """
    import soundfile

    from pipeline.capture.separation import read_window

    pairs = []
    for performance, microphone, path in zip(take["performances"], microphones, voices, strict=True):
        try:
            voice, rate = soundfile.read(path, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise InputError(
                f"{path}: not a readable WAV ({error.error_string}); separate the take again"
            ) from None
        pairs.append(
            (read_window(microphone, performance["audio"], take["start_seconds"], len(voice)), voice)
        )
    width = round(WAVE_SECONDS * rate)
    # each actor's part is weighed by the microphone's power, so that a quiet voice counts as much as a loud
    # one
    length = min(len(voice) for _, voice in pairs)
    change = sum(((m - v)[:length] / (np.sqrt(np.mean(m**2)) + 1e-12)) ** 2 for m, v in pairs)
    first = busiest(change, width)
    for ax, performance, colour, (heard, voice) in zip(
        axes, take["performances"], COLOURS, pairs, strict=True
    ):
        part = slice(first, min(first + width, length))
        for x, shade, label in ((heard[part], "#c4c4c4", "microphone"), (voice[part], colour, "separated")):
            low, high = envelope(x, WAVE_COLUMNS)
            t = np.linspace(part.start, part.stop, len(low), endpoint=False) / rate
            ax.fill_between(t, low, high, color=shade, lw=0.6, label=label)
        # square roots: a voice that leaks into the other microphone is a tenth as loud as its owner's
        ax.set_yscale("function", functions=(signed_root, signed_square))
        ax.set_yticks([-0.5, -0.1, 0, 0.1, 0.5], ["-0.5", "-0.1", "0", "0.1", "0.5"], fontsize=7)
        ax.axhline(0, color="#666666", lw=0.4)
        ax.margins(x=0)
        ax.set_ylabel(performance["actor"], color=colour)
        ax.legend(loc="upper right", fontsize=8, ncols=2, framealpha=0.8)
    axes[0].set_title(
        "voices before and after separation, where it took away most (square-root scale)", fontsize=10
    )
    axes[-1].set_xlabel("seconds from the first frame", fontsize=8)


def draw_labels(
    ax, actor: str, actions: np.ndarray, facing: np.ndarray, words: list[dict], colour: str, seconds: float
) -> None:
    """Bars of an actor's action, facing and words; pale words are those that the recogniser was unsure of."""
    for first, stop, value in stretches(actions):
        ax.barh(0, (stop - first) / FPS, left=first / FPS, height=0.8, color=ACTION_COLOURS[value])
        if stop - first > 0.04 * len(actions):
            ax.text((first + stop) / 2 / FPS, 0, ACTIONS[value], ha="center", va="center", fontsize=8)
    for first, stop, value in stretches(facing):
        if value:
            ax.barh(1, (stop - first) / FPS, left=first / FPS, height=0.8, color=colour, alpha=0.45)
    for word in words:
        pale = 0.25 + 0.5 * word["confidence"]
        ax.barh(
            2.2,
            word["end"] - word["start"],
            left=word["start"],
            height=1.2,
            color=colour,
            alpha=pale,
            edgecolor="white",
            lw=0.6,
        )
        if seconds <= MAX_WORD_SECONDS:
            middle = (word["start"] + word["end"]) / 2
            ax.text(
                middle,
                2.95,
                word["word"].strip(),
                rotation=-60,
                ha="left",
                va="top",
                rotation_mode="anchor",
                fontsize=6,
            )
    ax.set_yticks([0, 1, 2.2], ["action", "faces partner", "words"], fontsize=8)
    ax.set_xlim(0, seconds)
    ax.set_ylim(4.6 if seconds <= MAX_WORD_SECONDS else 3.0, -0.6)
    ax.set_title(f"labels of {actor}", fontsize=10, color=colour)


def run(
    *,
    sync: list[Path],
    microphones: list[Path],
    voices: list[Path],
    actions: list[Path],
    facing: list[Path],
    transcripts: list[Path],
    out: Path,
) -> None:
    """Draw one take; without sync only its labels."""
    if len(sync) > 1 or not len(microphones) == len(voices) == 2 * len(sync):
        raise InputError(
            f"{out.name}: {len(sync)} --sync, {len(microphones)} --microphones, {len(voices)} --voices, need"
            " 1, 2 and 2, or none of them; correct the command"
        )
    take = read_json(sync[0]) if sync else None
    labels = [
        (read_npy(a), read_npy(f), read_json(t)["words"])
        for a, f, t in zip(actions, facing, transcripts, strict=True)
    ]
    heights = ([2.6, 1.5, 1.5] if take else []) + [2.3, 2.3]
    plt = pyplot()
    fig, axes = plt.subplots(
        len(heights), figsize=(15, sum(heights) + 1), height_ratios=heights, layout="constrained"
    )
    if take:
        draw_streams(axes[0], take)
        draw_voices(axes[1:3], take, microphones, voices)
    for ax, path, colour, (action, face, words) in zip(axes[-2:], actions, COLOURS, labels, strict=True):
        draw_labels(ax, path.stem, action, face, words, colour, len(action) / FPS)
    axes[-1].set_xlabel("seconds from the first frame", fontsize=8)
    fig.suptitle(out.stem)
    save(fig, out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    two: dict[str, Any] = {"nargs": 2, "type": Path, "required": True}
    parser.add_argument(
        "--sync", type=Path, nargs="*", default=[], help="the take's sync JSON; none for a download"
    )
    parser.add_argument(
        "--microphones",
        type=Path,
        nargs="*",
        default=[],
        help="Broadcast Waves of the shoot, in actor order; none for a download",
    )
    parser.add_argument(
        "--voices",
        type=Path,
        nargs="*",
        default=[],
        help="separated voices, in actor order; none for a download",
    )
    parser.add_argument("--actions", **two, help="action labels (.npy), in actor order")
    parser.add_argument("--facing", **two, help="facing labels (.npy), in actor order")
    parser.add_argument("--transcripts", **two, help="transcripts, in actor order")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
