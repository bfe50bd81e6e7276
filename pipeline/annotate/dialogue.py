"""Dialogue: the words of both actors of a take as one conversation, turn by turn.

In: the transcripts of both performances, in actor order. Out: a JSON, {"take", "actors", "turns": [{"actor",
"start", "end", "text", "overlap", "words"}]}, seconds from frame 0, turns sorted by start. A turn is what one
actor says without a pause of `max_pause_seconds`; `overlap` lists the parts of it, [start, end], in which the
other speaks too, and `words` are those of the transcript.

    python -m pipeline.annotate.dialogue --transcripts A.json B.json --out DIALOGUE.json --text DIALOGUE.txt

writes it for readers too: a line a turn, with the time, the actor and `*` where the other speaks at the same
time.
"""

import logging
from pathlib import Path

from pipeline import stage
from pipeline.config import Dialogue
from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.formats.takes import actor_names, performance_actor
from pipeline.formats.words import read_words

log = logging.getLogger("interact")


def turns_of(words: list[dict], actor: str, *, max_pause_seconds: float) -> list[dict]:
    """Turns of one actor: words in order of start, parted at pauses longer than `max_pause_seconds`."""
    turns: list[list[dict]] = []
    for word in words:
        if turns and word["start"] - turns[-1][-1]["end"] <= max_pause_seconds:
            turns[-1].append(word)
        else:
            turns.append([word])
    return [
        {
            "actor": actor,
            "start": t[0]["start"],
            "end": max(w["end"] for w in t),
            "text": " ".join(w["word"].strip() for w in t),
            "words": t,
        }
        for t in turns
    ]


def overlaps(turn: dict, others: list[dict]) -> list[list[float]]:
    """The parts of a turn, [start, end] in seconds, in which the other actor says any word.

    Parts that touch are joined.
    """
    result: list[list[float]] = []
    for word in others:
        start, end = max(turn["start"], word["start"]), min(turn["end"], word["end"])
        if start < end and result and start <= result[-1][1]:
            result[-1][1] = max(result[-1][1], end)
        elif start < end:
            result.append([start, end])
    return result


def merge(words: list[list[dict]], actors: list[str], *, max_pause_seconds: float) -> list[dict]:
    """Turns of two actors by start, with what overlaps."""
    turns = []
    for k, actor in enumerate(actors):
        for turn in turns_of(words[k], actor, max_pause_seconds=max_pause_seconds):
            spoken = turn.pop("words")
            turns.append(turn | {"overlap": overlaps(turn, words[1 - k]), "words": spoken})
    return sorted(turns, key=lambda turn: (turn["start"], turn["actor"]))


def as_text(turns: list[dict]) -> str:
    """One line a turn: minutes and seconds, actor, `*` where the other speaks too, text."""
    return "".join(
        f"{t['start'] // 60:02.0f}:{t['start'] % 60:05.2f} {t['actor']}{'*' if t['overlap'] else ' '}"
        f" {t['text']}\n"
        for t in turns
    )


def run(*, transcripts: list[Path], out: Path, options: Dialogue, text: Path | None = None) -> None:
    """Write the dialogue of one take."""
    names = [path.stem for path in transcripts]
    actors, takes = actor_names(transcripts), {"_".join(name.split("_")[::2]) for name in names}
    if not all(
        performance_actor(name) for name in names
    ):  # files alone are of one talk, whatever they are called
        takes = {"-".join(names)}
    if len(takes) != 1 or len(set(actors)) < 2 or transcripts[0] == transcripts[1]:
        raise InputError(
            f"dialogue: transcripts {' and '.join(names)}, need those of both performances of one take;"
            " correct the command, or name files that are of one talk otherwise, such as guest.json"
        )
    turns = merge(
        [read_words(path) for path in transcripts], actors, max_pause_seconds=options.max_pause_seconds
    )
    write_json(out, {"take": takes.pop(), "actors": actors, "turns": turns})
    if text:
        with whole(text) as temporary:
            temporary.write_text(as_text(turns), encoding="utf-8")
    log.info(
        "%s: %d turns, %d of them overlap", out, len(turns), sum(bool(turn["overlap"]) for turn in turns)
    )


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Dialogue)
    parser.add_argument(
        "--transcripts",
        type=Path,
        nargs=2,
        required=True,
        help="transcripts of the take's two performances, in actor order",
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--text", type=Path, help="readable text to write as well")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
