"""How good transcripts are, on simulated and real takes.

Words, their starts, words in silence, phonemes, and the time they take.

    python benchmarks/transcripts.py --seeds 0 1 2 --takes 4
    python benchmarks/transcripts.py --seeds --real make_shoot.py

Both go through sync, separation and transcripts. `make_shoot.py` is a script that writes a shoot of CMU
ARCTIC sentences with its truth, as INTERACT_REAL_DATA has it. Word error is pooled over all words that lie in
the window whole; of a sentence that the window cuts, words count where alignment of the clean recording puts
them. First words of real sentences are held against onsets that were read off the level of the clean
recordings; other words there have no independent truth, and get no figure. `given` aligns the true sentences
instead of recognising.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from pipeline.annotate import transcripts
from pipeline.annotate.forced_alignment import align
from pipeline.capture import separation, sync
from pipeline.config import Separation, Simulate, Sync, Transcripts
from pipeline.reading import read_json
from pipeline.report.accuracy import normalise_words, phoneme_kind, phoneme_pairs, words_in_silence
from pipeline.simulate import plan, take

ONSETS = {
    "aew_a0001": 0.165,
    "aew_a0002": 0.178,
    "aew_a0003": 0.135,
    "axb_a0004": 0.19,
    "axb_a0005": 0.192,
    "axb_a0006": 0.2,
}
"""Seconds at which the level of each recording leaves its floor."""


def voices_of(root: Path, name: str, actors: list[str]) -> tuple[list[Path], float, float]:
    """Separated voices of a take, and the start and end of its window, seconds of day."""
    date, scenario = name.split("_")
    stems = [f"{date}_{actor}_{scenario}" for actor in actors]
    raw = [root / "shoot" / name / stem for stem in stems]
    mics, report = [path.with_suffix(".wav") for path in raw], root / f"{name}.json"
    bodies, faces = [path.with_suffix(".bvh") for path in raw], [path.with_suffix(".mesh.h5") for path in raw]
    timecode = root / "shoot" / name / "timecode.json"
    sync.run(
        timecode=timecode, actors=actors, bvh=bodies, face=faces, wav=mics, rig=[], out=report, options=Sync()
    )
    out = [root / "wav" / f"{stem}.wav" for stem in stems]
    reports = [root / f"{stem}.json" for stem in stems]
    separation.run(
        wav=mics, sync=report, performance=stems, out=out, out_report=reports, options=Separation()
    )
    found = read_json(report)
    return out, found["start_seconds"], found["start_seconds"] + found["frames"] / found["fps"]


class Scores:
    """Errors pooled over performances."""

    def __init__(self) -> None:
        self.wrong = self.words = self.silent = 0
        self.seconds = self.took = 0.0
        self.starts: list[float] = []
        self.firsts: list[float] = []
        self.phonemes: dict[str, list[float]] = {"vowel": [], "lips": [], "other": []}

    def add(
        self, found: dict, words: list[dict], said: list[dict], phonemes: list[dict], *, known_starts: bool
    ) -> None:
        """Score one transcript against true words, sentences and phonemes, in its own clock.

        `first` marks the words that begin a sentence.
        """
        import jiwer

        true, heard = (
            [(text, word) for word in part for text in normalise_words(word["word"])]
            for part in (words, found["words"])
        )
        self.words += len(true)
        self.silent += words_in_silence(found["words"], said)
        if not true or not heard:
            self.wrong += len(true) or len(heard)
            return
        result = jiwer.process_words(" ".join(t for t, _ in true), " ".join(t for t, _ in heard))
        self.wrong += result.substitutions + result.deletions + result.insertions
        for chunk in result.alignments[0]:
            if chunk.type != "equal":
                continue
            for i, j in zip(
                range(chunk.ref_start_idx, chunk.ref_end_idx),
                range(chunk.hyp_start_idx, chunk.hyp_end_idx),
                strict=True,
            ):
                error = abs(heard[j][1]["start"] - true[i][1]["start"])
                self.starts += [error] if known_starts else []
                self.firsts += [error] if true[i][1]["first"] else []
        for one, other in phoneme_pairs(found, words, phonemes):
            self.phonemes[phoneme_kind(one["phoneme"])].append(abs(other["start"] - one["start"]))

    def row(self, name: str) -> str:
        """One line of the table."""
        every = sum(self.phonemes.values(), [])
        cells = [name, self.words, f"{100 * self.wrong / max(self.words, 1):.1f} %"]
        for part in (self.starts, self.firsts, every, self.phonemes["lips"]):
            cells.append(
                f"{1e3 * np.median(part):.0f} / {1e3 * np.percentile(part, 90):.0f} ms" if part else ""
            )
        cells += [self.silent, f"{self.took / self.seconds:.2f}"]
        return "| " + " | ".join(map(str, cells)) + " |"


def score_take(
    scores: Scores, wavs: list[Path], truths: list[tuple], *, given: list[str] | None, known_starts: bool
) -> None:
    """Transcribe a take's voices, or align what is given, and add them to the scores."""
    with tempfile.TemporaryDirectory() as folder:
        texts = [Path(folder) / f"{k}.txt" for k in range(len(wavs))] if given else None
        for path, text in zip(texts or [], given or [], strict=True):
            path.write_text(text)
        begin = time.perf_counter()
        found = transcripts.records(wavs, Transcripts(), texts=texts)
        scores.took += time.perf_counter() - begin
    scores.seconds += sum(soundfile.info(path).duration for path in wavs)
    for record, (words, said, phonemes) in zip(found, truths, strict=True):
        scores.add(record, words, said, phonemes, known_starts=known_starts)


def moved(entries: list[dict], start: float) -> list[dict]:
    """Entries in the clock that begins at `start`."""
    return [{**entry, "start": entry["start"] - start, "end": entry["end"] - start} for entry in entries]


def simulated(seed: int, count: int, heard: Scores, aligned: Scores) -> None:
    """Score takes of the simulated shoot."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for plan_row in plan.plan_takes(count, seed):
            name, actors = plan_row["take"], sorted((plan_row["actor_a"], plan_row["actor_b"]))
            take.run(
                take=name,
                out=root / "shoot",
                truth=root / "truth",
                seed=seed,
                options=Simulate(num_vertices=200),
            )
            wavs, start, end = voices_of(root, name, actors)
            record = read_json(root / "truth" / name / "truth.json")
            truths = []
            for actor in actors:
                kept = [
                    i for i, w in enumerate(record["words"][actor]) if start <= w["start"] and w["end"] <= end
                ]
                begins = {s["start"] for s in record["said"][actor]}
                words = [
                    {**record["words"][actor][i], "first": record["words"][actor][i]["start"] in begins}
                    for i in kept
                ]
                phonemes = [
                    p | {"word": kept.index(p["word"])}
                    for p in record["phonemes"][actor]
                    if p["word"] in kept
                ]
                truths.append(
                    (moved(words, start), moved(record["said"][actor], start), moved(phonemes, start))
                )
            score_take(heard, wavs, truths, given=None, known_starts=True)
            texts = [" ".join(word["word"] for word in words) for words, _, _ in truths]
            if all(texts):
                score_take(aligned, wavs, truths, given=texts, known_starts=True)


def real(script: Path, seed: int, heard: Scores, aligned: Scores) -> None:
    """Score the real shoot that the script makes."""
    module = importlib.util.spec_from_file_location("make_shoot", script)
    assert module and module.loader
    made = importlib.util.module_from_spec(module)
    module.loader.exec_module(made)
    places = {}
    for name, text in made.TEXT.items():
        audio, _ = soundfile.read(script.parent / "speech" / f"{name}.wav")
        found = [place for place in align(audio, text.split()) if place]
        places[text] = [
            {"word": w, "start": p.start, "end": p.end, "first": i == 0}
            for i, (w, p) in enumerate(zip(text.split(), found, strict=True))
        ]
        places[text][0]["start"] = ONSETS[name]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(
            [sys.executable, str(script), str(root / "shoot"), "--seed", str(seed)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for name, record in read_json(root / "shoot" / "truth" / "truth.json")["takes"].items():
            actors = sorted(record["said"])
            wavs, start, end = voices_of(root, name, actors)
            truths = []
            for actor in actors:
                words, said = [], []
                for sentence in record["said"][actor]:
                    own = moved(places[sentence["text"]], start - sentence["start"])
                    said.append({"start": own[0]["start"], "end": own[-1]["end"]})
                    words += [word for word in own if word["start"] >= 0 and word["end"] <= end - start]
                truths.append((words, said, []))
            score_take(heard, wavs, truths, given=None, known_starts=False)
            score_take(
                aligned,
                wavs,
                truths,
                given=[" ".join(w["word"] for w in words) for words, _, _ in truths],
                known_starts=False,
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", type=int, nargs="*", default=[0, 1], help="seeds of simulated shoots (default: 0 1)"
    )
    parser.add_argument("--takes", type=int, default=4, help="takes of each (default: 4)")
    parser.add_argument("--real", type=Path, help="script that makes a real shoot, with speech/ beside it")
    parser.add_argument(
        "--real-seeds", type=int, nargs="*", default=[0, 1], help="seeds of the real shoot (default: 0 1)"
    )
    arguments = parser.parse_args()
    print(
        "| takes | words | word error | word start | first of sentence | phoneme start | p b m start | in"
        " silence | x real time |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for seed in arguments.seeds:
        heard, aligned = Scores(), Scores()
        simulated(seed, arguments.takes, heard, aligned)
        print(
            heard.row(f"simulated, seed {seed}"),
            aligned.row(f"simulated, seed {seed}, given"),
            sep="\n",
            flush=True,
        )
    if arguments.real:
        heard, aligned = Scores(), Scores()
        for seed in arguments.real_seeds:
            real(arguments.real, seed, heard, aligned)
        print(heard.row("real shoot"), aligned.row("real shoot, given"), sep="\n", flush=True)


if __name__ == "__main__":
    main()
