"""Accuracy: how close the pipeline came to the simulated shoot's truth. The only stage that reads truth.

In: shoot, truth, dataset and annotations of all takes. Out: accuracy.csv, one row per take, actor and measure:

start_error_ms      frame 0 of the dataset against the true start of the common window
sync_first_ms       largest |error| of the time of the first frame or sample among the three streams; sync_last_ms of the last
drops_missed        lost face frames that sync did not find, and drops_invented: those that it found and that were not lost
body_error_cm       hips of the dataset against the recorded ones at the true time of each frame, root mean square
audio_lag_ms        lag of the dataset's voice behind the true voice, by cross-correlation
face_weight_rms     ARKit weights against the true ones at each frame's true time
si_sdr_raw_db       the actor's microphone against the true voice, and
si_sdr_db           the separated voice against it (scale-invariant SDR; Le Roux et al. 2019)
action_accuracy     share of frames with the true label; the same for facing_accuracy
word_error          (substitutions + deletions + insertions) / true words, on lower-case words without punctuation
word_start_ms       median |error| of the starts of words that were recognised
words_in_silence    words found more than 0.2 s from every word that the actor says
phoneme_start_ms    median |error| of the starts of phonemes that agree in class (vowel, lips, tongue tip, ...) with the true ones
closure_ms          the same of p, b and m, for which the lips close; closures_found: the share of them that was found
"""

import csv
import logging
import re
from pathlib import Path

import numpy as np

from pipeline import audio, stage
from pipeline.bvh import load_bvh
from pipeline.files import read_json, whole
from pipeline.rotations import slerp
from pipeline.separation import OUT_RATE
from pipeline.simulate import visemes
from pipeline.takes import Take, read_takes

log = logging.getLogger("interact")


def si_sdr(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB of equally long signals (S,)."""
    target = np.dot(estimate, reference) / np.dot(reference, reference) * reference
    return float(10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2)))


def lag_seconds(signal: np.ndarray, reference: np.ndarray, rate: int, *, max_seconds: float = 0.2) -> float:
    """How far `signal` lags behind `reference`, by the peak of their cross-correlation within +-max_seconds."""
    size = 2 ** int(np.ceil(np.log2(len(signal) + len(reference))))
    correlation = np.fft.irfft(np.fft.rfft(signal, size) * np.conj(np.fft.rfft(reference, size)), size)
    reach = int(max_seconds * rate)
    window = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    return (int(np.argmax(window)) - reach) / rate


def normalise_words(text: str) -> list[str]:
    """Lower-case words without punctuation; apostrophes stay."""
    return re.findall(r"[a-z0-9']+", text.lower())


def word_scores(found: list[dict], true: list[dict]) -> tuple[float, float, int]:
    """Word error rate, median absolute start error in seconds of the words found (NaN if none), number of true words."""
    import jiwer

    reference = [word for entry in true for word in normalise_words(entry["word"])]
    starts = [entry["start"] for entry in true for _ in normalise_words(entry["word"])]
    hypothesis = [(word, entry["start"]) for entry in found for word in normalise_words(entry["word"])]
    if not reference:
        return float(len(hypothesis) > 0), float("nan"), 0
    if not hypothesis:
        return 1.0, float("nan"), len(reference)
    result = jiwer.process_words(" ".join(reference), " ".join(word for word, _ in hypothesis))
    errors = []
    for chunk in result.alignments[0]:
        if chunk.type == "equal":
            pairs = zip(range(chunk.ref_start_idx, chunk.ref_end_idx), range(chunk.hyp_start_idx, chunk.hyp_end_idx))
            errors += [abs(hypothesis[h][1] - starts[r]) for r, h in pairs]
    return float(result.wer), float(np.median(errors)) if errors else float("nan"), len(reference)


ARPABET_CLASSES = {
    "lips": "P B M", "teeth_on_lip": "F V", "tongue_on_teeth": "TH DH", "tongue_tip": "T D N L", "hiss": "S Z", "hush": "SH ZH CH JH",
    "back": "K G NG HH", "r": "R", "w": "W", "j": "Y", "vowel": "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW",
}  # fmt: skip
"""Classes in which phonemes of both alphabets are compared; in IPA they are those of the simulated mouths, vowels as one."""
_CLASS_OF_ARPABET = {name: kind for kind, names in ARPABET_CLASSES.items() for name in names.split()}


def true_classes(phonemes: list[dict]) -> list[tuple[str, float]]:
    """Class and start of each sound of the simulated truth: a diphthong is one vowel, an affricate one hush."""
    result: list[tuple[str, float]] = []
    for phoneme in phonemes:
        kinds = [visemes.CLASS_OF[phone].replace(" ", "_") for phone in visemes.phones(phoneme["phoneme"])]
        kinds = [kind if kind in ARPABET_CLASSES else "vowel" for kind in kinds]
        kinds = kinds[1:] if kinds[:2] == ["tongue_tip", "hush"] else kinds
        times = np.linspace(phoneme["start"], phoneme["end"], len(kinds), endpoint=False)  # of "əl", l begins half-way
        result += [(kind, float(time)) for i, (kind, time) in enumerate(zip(kinds, times, strict=True)) if not i or kind != kinds[i - 1]]
    return result


def phoneme_scores(found: list[dict], true: list[dict]) -> dict[str, float]:
    """Errors of phonemes found (ARPAbet) against true ones (IPA), as rows of the table; NaN where there is nothing to compare.

    Both sequences of classes are aligned by least edits; where they agree, starts are compared.
    """
    import jiwer

    theirs = true_classes(true)
    ours = [(_CLASS_OF_ARPABET[phoneme["phoneme"]], phoneme["start"]) for phoneme in found]
    errors: list[tuple[str, float]] = []
    if theirs and ours:
        result = jiwer.process_words(" ".join(kind for kind, _ in theirs), " ".join(kind for kind, _ in ours))
        for chunk in result.alignments[0]:
            if chunk.type == "equal":
                pairs = zip(range(chunk.ref_start_idx, chunk.ref_end_idx), range(chunk.hyp_start_idx, chunk.hyp_end_idx), strict=True)
                errors += [(theirs[r][0], 1e3 * abs(ours[h][1] - theirs[r][1])) for r, h in pairs]
    closures, count = [error for kind, error in errors if kind == "lips"], sum(kind == "lips" for kind, _ in theirs)
    return {
        "phoneme_start_ms": float(np.median([error for _, error in errors])) if errors else float("nan"),
        "closure_ms": float(np.median(closures)) if closures else float("nan"),
        "closures_found": len(closures) / count if count else float("nan"),
    }


def words_in_silence(found: list[dict], true: list[dict], *, margin_seconds: float = 0.2) -> int:
    """How many of the words found lie farther than `margin_seconds` from every stretch [start, end] in which the actor truly speaks."""
    return sum(all(w["end"] < t["start"] - margin_seconds or w["start"] > t["end"] + margin_seconds for t in true) for w in found)


def sync_errors(found: dict, start: dict[str, float], rate: dict[str, float], face_seconds: np.ndarray) -> dict[str, float]:
    """Errors of an actor's streams on the clock, from the take's sync JSON, true starts (seconds of day), true rates and face times (N,)."""
    first, last = [], []
    for kind in ("body", "face", "audio"):
        stream = found[kind]
        count = stream["samples"] if kind == "audio" else stream["frames"] + stream.get("dropped", 0) - stream.get("duplicates", 0)
        first.append(stream["start"] - start[kind])
        last.append(stream["start"] + (count - 1) / stream["rate"] - start[kind] - (count - 1) / rate[kind])
    index = np.round((face_seconds - start["face"]) * rate["face"]).astype(int)
    lost, missing = set(range(index[0], index[-1])) - set(index.tolist()), set(found["face"]["missing"])
    errors = {"sync_first_ms": 1e3 * max(map(abs, first)), "sync_last_ms": 1e3 * max(map(abs, last))}
    return errors | {"drops_missed": float(len(lost - missing)), "drops_invented": float(len(missing - lost))}


def _voices(shoot: Path, truth: Path, dataset: Path, take: Take, k: int, start: float, record: dict, num_samples: int) -> dict[str, float]:
    """Audio measures of one performance; the true voice has the microphone file's own start."""
    import soundfile

    name = take.performances[k]
    begin, rate = record["start"][take.actors[k]]["audio"], record["rate"][take.actors[k]]["audio"]
    raw, true = (
        audio.resample_span(audio.open_audio(path, channel=1), start - begin, num_samples, true_rate=rate, out_rate=OUT_RATE).astype(float)
        for path in (shoot / take.name / f"{name}.wav", truth / take.name / f"{name}.wav")
    )
    voice = soundfile.read(dataset / "wav" / f"{name}.wav", dtype="float64")[0]
    n = min(len(raw), len(true), len(voice))
    scores = {"audio_lag_ms": 1e3 * lag_seconds(voice[:n], true[:n], OUT_RATE)}
    return scores | {"si_sdr_raw_db": si_sdr(raw[:n], true[:n]), "si_sdr_db": si_sdr(voice[:n], true[:n])}


def score_performance(shoot: Path, truth: Path, dataset: Path, annotations: Path, take: Take, k: int, about: dict) -> dict[str, float]:
    """All measures of one performance; `about` is the take's entry of dataset.json."""
    name, actor = take.performances[k], take.actors[k]
    record = read_json(truth / take.name / "truth.json")
    start, num_frames = about["start_seconds"], about["frames"]
    times = start + np.arange(num_frames) / 30
    scores = {"start_error_ms": 1e3 * (start - record["window"][0])}
    synced = {p["actor"]: p for p in read_json(annotations / "sync" / f"{take.name}.json")["performances"]}[actor]
    weights, seconds = np.load(truth / take.name / f"{name}.arkit.npy"), np.load(truth / take.name / f"{name}.seconds.npy")
    scores |= sync_errors(synced, record["start"][actor], record["rate"][actor], seconds)
    recorded, kept = load_bvh(shoot / take.name / f"{name}.bvh"), load_bvh(dataset / "bvhs" / f"{name}.bvh")
    at = (times - record["start"][actor]["body"]) * recorded.fps
    low = np.clip(at.astype(int), 0, recorded.num_frames - 2)
    hips = recorded.positions_cm[low, 0] * (1 - (at - low))[:, None] + recorded.positions_cm[low + 1, 0] * (at - low)[:, None]
    scores["body_error_cm"] = float(np.sqrt(np.mean(np.sum((kept.positions_cm[:, 0] - hips) ** 2, -1))))
    turned = np.abs(np.sum(slerp(recorded.rotations[:, 0], at) * kept.rotations[:, 0], -1)).clip(0, 1)
    scores["body_error_deg"] = float(np.rad2deg(2 * np.arccos(turned)).mean())
    scores |= _voices(shoot, truth, dataset, take, k, start, record, round(num_frames * OUT_RATE / 30))
    true = np.stack([np.interp(times, seconds, column) for column in weights.T], 1)
    scores["face_weight_rms"] = float(np.sqrt(np.mean((np.load(dataset / "face_arkit" / f"{name}.npy") - true) ** 2)))
    for kind in ("actions", "facing"):
        labels, given = np.load(truth / take.name / f"{name}.{kind}.npy"), np.load(annotations / kind / f"{name}.npy")
        index = np.round((times - record["window"][0]) * 30).astype(int).clip(0, len(labels) - 1)
        scores[f"{kind.removesuffix('s')}_accuracy"] = float(np.mean(labels[index] == given))
    end = start + num_frames / 30

    def inside(entries: list[dict]) -> list[dict]:
        return [e | {"start": e["start"] - start, "end": e["end"] - start} for e in entries if start <= e["start"] and e["end"] <= end]

    transcript = read_json(annotations / "transcripts" / f"{name}.json")
    error, late, _ = word_scores(transcript["words"], inside(record["words"][actor]))
    said = [{"start": w["start"] - start, "end": w["end"] - start} for w in record["words"][actor]]  # those that the window cuts count as speech
    scores |= {"word_error": error, "word_start_ms": 1e3 * late, "words_in_silence": float(words_in_silence(transcript["words"], said))}
    return scores | phoneme_scores(transcript.get("phonemes", []), inside(record["phonemes"][actor]))


def run(*, shoot: Path, truth: Path, dataset: Path, annotations: Path, out: Path) -> None:
    """Score all takes of the dataset and write the table, with a last block of means."""
    takes = read_takes(dataset / "takes.tsv")
    about = read_json(dataset / "dataset.json")["takes"]
    rows: list[list[str]] = []
    pooled: dict[str, list[float]] = {}
    for take in stage.progress(takes, label="accuracy"):
        for k, actor in enumerate(take.actors):
            for measure, value in score_performance(shoot, truth, dataset, annotations, take, k, about[take.name]).items():
                rows.append([take.name, actor, measure, f"{value:.6g}"])
                pooled.setdefault(measure, []).append(value)
    for measure, values in pooled.items():
        known = [value for value in values if not np.isnan(value)] or [float("nan")]
        mean = float(np.mean(known))
        rows.append(["mean", "", measure, f"{mean:.6g}"])
        log.info("%-18s mean %.4g, worst %.4g .. %.4g", measure, mean, min(known), max(known))
    with whole(out) as temporary, open(temporary, "w", newline="") as f:
        csv.writer(f, lineterminator="\n").writerows([["take", "actor", "measure", "value"], *rows])


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    for name in ("shoot", "truth", "dataset", "annotations"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"the {name} folder")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
