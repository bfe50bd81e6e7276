"""How right transcripts are: words, their times, phonemes; on simulated takes and on real sentences.

    python benchmarks/transcripts.py --seeds 11 12 --takes 4
    INTERACT_REAL_DATA=... python benchmarks/transcripts.py --real

Makes shoots (the simulated one with each seed; with --real the one that make_shoot.py in INTERACT_REAL_DATA puts together of
real recordings), brings them through sync and separation with Snakemake, transcribes the separated voices in this process and
compares with the truth. `heard` is the recogniser, `given` the true text, aligned. Columns:

word error   (substitutions + deletions + insertions) / true words, pooled; sentences that the window cuts are left out of the
             truth, and so are the words found within them
start        median |error| of word starts, ms, of words that agree; in real sentences of first words only, whose truth is the
             first sound in the clean voice (within 30 dB of the sentence's loudest 10 ms)
silence      words found more than 0.2 s from any speech of the actor
phoneme      median |error| of the starts of phonemes that agree in class, ms; closure: of p, b, m, and the share of them found
x real time  length of the voices over the time that transcribing took
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline import accuracy, transcripts  # noqa: E402
from pipeline.config import Transcripts  # noqa: E402
from pipeline.files import read_json  # noqa: E402
from pipeline.workflow import Study  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[1]
CUT_SECONDS = 0.3
"""How far words may lie outside a sentence that the window cuts and still belong to it."""


def separate(values: dict) -> Study:
    """Bring a shoot through sync and separation."""
    study = Study(values)
    targets = [f"{study.dataset}/wav/{name}.wav" for name in study.performances]
    config = [f"{key}={json.dumps(value) if isinstance(value, dict) else value}" for key, value in values.items()]
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all", "--config", *config, "--", *targets]
    subprocess.run(command, cwd=REPOSITORY, check=True, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stderr=subprocess.DEVNULL)
    return study


def truth_of(study: Study, take, k: int, start: float, length: float) -> tuple[list[dict], list[dict], list[dict] | None, list[dict] | None]:
    """Sentences wholly inside the window, those that it cuts, and where known words and phonemes, all in seconds from frame 0."""
    actor = take.actors[k]
    if study.simulated:
        record = read_json(Path(study.root, "truth", take.name, "truth.json"))
    else:
        record = read_json(Path(study.shoot, "truth/truth.json"))["takes"][take.name]

    def moved(entries):
        return [e | {"start": e["start"] - start, "end": e["end"] - start} for e in entries]

    said = moved(record["said"][actor])
    inside = [s for s in said if s["start"] >= 0 and s["end"] <= length]
    cut = [s for s in said if s not in inside and s["end"] > 0 and s["start"] < length]
    if not study.simulated:
        return inside, cut, None, None
    kept = [moved(record[kind][actor]) for kind in ("words", "phonemes")]
    return inside, cut, *([e for e in entries if any(s["start"] - 0.01 <= e["start"] <= s["end"] for s in inside)] for entries in kept)


def first_sound(voice: np.ndarray, rate: int, sentence: dict) -> float:
    """Time of the first 10 ms of a sentence within 30 dB of its loudest, in a clean voice (S,) that begins at frame 0."""
    hop = rate // 100
    part = voice[int(sentence["start"] * rate) : int(sentence["end"] * rate)]
    power = (part[: len(part) // hop * hop].reshape(-1, hop) ** 2).mean(1)
    return sentence["start"] + float(np.argmax(power > 1e-3 * power.max())) * hop / rate


class Scores:
    """What is pooled over performances."""

    def __init__(self):
        self.errors = self.count = self.silence = 0
        self.starts: list[float] = []
        self.rows: list[dict[str, float]] = []
        self.audio = self.spent = 0.0

    def add(self, record: dict, study: Study, take, k: int, about: dict) -> None:
        """Score one transcript."""
        start, length = about["start_seconds"], about["frames"] / 30
        inside, cut, words, phonemes = truth_of(study, take, k, start, length)
        found = [w for w in record["words"] if not any(w["end"] > s["start"] - CUT_SECONDS and w["start"] < s["end"] + CUT_SECONDS for s in cut)]
        true = words if words is not None else [{"word": w, "start": s["start"]} for s in inside for w in s["text"].split()]
        error, late, count = accuracy.word_scores(found, true)
        self.errors, self.count = self.errors + round(error * count), self.count + count
        self.silence += accuracy.words_in_silence(record["words"], [*inside, *cut])
        if phonemes is not None:
            self.starts.append(1e3 * late)
            self.rows.append(accuracy.phoneme_scores(record["phonemes"], phonemes))
            return
        name = take.performances[k]
        voice, rate = soundfile.read(Path(study.shoot, "truth", f"{name}.wav"), dtype="float32")
        truth = read_json(Path(study.shoot, "truth/truth.json"))["takes"][take.name]
        shift = start - truth["start"][take.actors[k]]["audio"]
        for sentence in inside:
            moved = sentence | {"start": sentence["start"] + shift, "end": sentence["end"] + shift}
            onset = first_sound(voice, rate, moved) - shift
            near = [w for w in found if sentence["start"] - CUT_SECONDS < w["start"] < sentence["end"]]
            first = accuracy.normalise_words(sentence["text"])[0]
            if near and accuracy.normalise_words(near[0]["word"])[:1] == [first]:
                self.starts.append(1e3 * abs(near[0]["start"] - onset))

    def __str__(self) -> str:
        means = {key: np.nanmean([row[key] for row in self.rows]) for key in self.rows[0]} if self.rows else {}
        sounds = f"{means['phoneme_start_ms']:9.0f}{means['closure_ms']:9.0f}{means['closures_found']:8.2f}" if means else f"{'':26}"
        starts = f"{np.median(self.starts):7.0f}{np.max(self.starts):7.0f}"
        return f"{100 * self.errors / self.count:11.1f} %{self.count:7}{starts}{self.silence:9}{sounds}{self.audio / self.spent:12.1f}"


def measure(label: str, study: Study) -> None:
    """Print a row for what is heard, and one for the given text."""
    heard, given = Scores(), Scores()
    with tempfile.TemporaryDirectory() as folder:
        for take in study.takes.values():
            sync = read_json(Path(study.root, "annotations/sync", f"{take.name}.json"))
            wavs = [Path(study.dataset, "wav", f"{name}.wav") for name in take.performances]
            length = sync["frames"] / 30
            texts = []
            for k, name in enumerate(take.performances):
                inside, cut, words, _ = truth_of(study, take, k, sync["start_seconds"], length)
                texts.append(Path(folder, f"{name}.txt"))
                texts[-1].write_text("\n".join(s["text"] for s in sorted([*inside, *cut], key=lambda s: s["start"])))
            for scores, options in ((heard, {}), (given, {"texts": texts})):
                begin = time.perf_counter()
                records = transcripts.records(wavs, Transcripts(), **options)
                scores.spent += time.perf_counter() - begin
                scores.audio += 2 * length
                for k, record in enumerate(records):
                    scores.add(record, study, take, k, sync)
    print(f"{label:14}heard{heard}\n{label:14}given{given}", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[11, 12], help="seeds of simulated shoots (default: 11 12)")
    parser.add_argument("--takes", type=int, default=4, help="takes of each (default: 4)")
    parser.add_argument("--real", action="store_true", help="the real recordings too")
    arguments = parser.parse_args()
    print(f"{'':19}{'word error':>13}{'words':>7}{'start':>7}{'worst':>7}{'silence':>9}{'phoneme':>9}{'closure':>9}{'found':>8}{'x real time':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for seed in arguments.seeds:
            study = separate({"root": f"{folder}/{seed}", "seed": seed, "simulate": {"num_takes": arguments.takes}})
            measure(f"seed {seed}", study)
        if arguments.real:
            real = Path(os.environ["INTERACT_REAL_DATA"])
            subprocess.run([sys.executable, real / "make_shoot.py", f"{folder}/shoot"], check=True, stdout=subprocess.DEVNULL)
            measure("real", separate({"root": f"{folder}/real", "shoot": f"{folder}/shoot"}))


if __name__ == "__main__":
    main()
