"""Accuracy: how close the pipeline came to the simulated shoot's truth. The only stage that reads truth.

In: shoot, truth, dataset and annotations of all takes. Out: accuracy.csv, one row per take, actor and
measure:

start_error_ms      frame 0 of the dataset against the true start of the common window
sync_first_ms       largest |error| of the time of the first frame or sample among the three streams;
                    sync_last_ms of the last
drops_missed        lost face frames that sync did not find, and drops_invented: those that it found and that
                    were not lost
body_error_cm       hips of the dataset against the recorded ones at the true time of each frame, root mean
                    square
audio_lag_ms        lag of the dataset's voice behind the true voice, by cross-correlation
face_weight_rms     ARKit weights against the true ones at each frame's true time
si_sdr_raw_db       the actor's microphone against the true voice, and
si_sdr_db           the separated voice against it (scale-invariant SDR; Le Roux et al. 2019)
action_accuracy     share of frames with the true label; the same for facing_accuracy
contact_recall      share of the actor's true touches at whose time a contact of the same hand and part is
                    found; absent without touches
contact_start_ms    median |error| of where those begin, and contact_stop_ms of where they end
contacts_other      contacts that are found where no touch is scripted: hands that meet by chance
word_error          (substitutions + deletions + insertions) / true words, on lower-case words without
                    punctuation
word_start_ms       median |error| of the starts of words that were recognised
words_in_silence    words of the transcript of which less than half lies in a true sentence of the actor
phoneme_start_ms    median |error| of the starts of phonemes of words that were recognised, by pairs of the
                    same kind (vowel, p b m, other)
closure_ms          the same of p, b and m alone: when the lips shut
"""

import logging
import re
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.annotate.forced_alignment import BILABIALS, VOWELS
from pipeline.capture.separation import OUT_RATE
from pipeline.files import write_csv
from pipeline.formats import audio
from pipeline.formats.array_files import read_npy
from pipeline.formats.bvh import load_bvh
from pipeline.formats.dataset_file import read_about
from pipeline.formats.takes import Take, read_takes
from pipeline.motion.rotations import angle_deg, slerp
from pipeline.reading import read_json

log = logging.getLogger("interact")


def si_sdr(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB of equally long signals (S,)."""
    target = np.dot(estimate, reference) / np.dot(reference, reference) * reference
    return float(10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2)))


def lag_seconds(signal: np.ndarray, reference: np.ndarray, rate: int, *, max_seconds: float = 0.2) -> float:
    """How far `signal` lags behind `reference`, by the peak of their correlation within +-max_seconds."""
    size = 2 ** int(np.ceil(np.log2(len(signal) + len(reference))))
    correlation = np.fft.irfft(np.fft.rfft(signal, size) * np.conj(np.fft.rfft(reference, size)), size)
    reach = int(max_seconds * rate)
    window = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    return (int(np.argmax(window)) - reach) / rate


def normalise_words(text: str) -> list[str]:
    """Lower-case words without punctuation; apostrophes stay."""
    return re.findall(r"[a-z0-9']+", text.lower())


def word_scores(found: list[dict], true: list[dict]) -> tuple[float, float, int]:
    """Word error rate, median start error of the words found, number of true words.

    The error is absolute, in seconds, NaN if no word is found.
    """
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
            pairs = zip(
                range(chunk.ref_start_idx, chunk.ref_end_idx), range(chunk.hyp_start_idx, chunk.hyp_end_idx)
            )
            errors += [abs(hypothesis[h][1] - starts[r]) for r, h in pairs]
    return float(result.wer), float(np.median(errors)) if errors else float("nan"), len(reference)


def words_in_silence(found: list[dict], sentences: list[dict]) -> int:
    """How many words lie less than half in the true sentences."""
    silent = 0
    for word in found:
        inside = sum(max(min(word["end"], s["end"]) - max(word["start"], s["start"]), 0.0) for s in sentences)
        silent += inside < 0.5 * (word["end"] - word["start"])
    return silent


def phoneme_kind(name: str) -> str:
    """vowel, lips (p, b, m) or other, of an ARPAbet name (upper case) or an IPA text."""
    from pipeline.simulate.visemes import CLASS_OF, PHONES, phones

    if name.isupper() and name.isascii():
        return "vowel" if name in VOWELS else "lips" if name in BILABIALS else "other"
    first = CLASS_OF[phones(name)[0]]
    return (
        "lips"
        if first == "lips"
        else "vowel"
        if list(PHONES).index(first) >= list(PHONES).index("ah")
        else "other"
    )


def phoneme_pairs(found: dict, words: list[dict], phonemes: list[dict]) -> list[tuple[dict, dict]]:
    """Pairs (true, found) of phonemes of the same kind in words that are found.

    `phonemes` are true ones with indices of the true `words`.

    In each found word the kinds (see `phoneme_kind`) of true and found phonemes are matched in order.
    """
    from difflib import SequenceMatcher

    texts = [["".join(normalise_words(word["word"])) for word in part] for part in (words, found["words"])]
    pairs = []
    for block in SequenceMatcher(None, texts[0], texts[1], autojunk=False).get_matching_blocks():
        for i in range(block.size):
            true = [p for p in phonemes if p["word"] == block.a + i]
            own = [p for p in found.get("phonemes", []) if p["word"] == block.b + i]
            kinds = [[phoneme_kind(p["phoneme"]) for p in part] for part in (true, own)]
            for same in SequenceMatcher(None, kinds[0], kinds[1], autojunk=False).get_matching_blocks():
                pairs += [(true[same.a + j], own[same.b + j]) for j in range(same.size)]
    return pairs


def phoneme_scores(found: dict, words: list[dict], phonemes: list[dict]) -> dict[str, float]:
    """Median start error in ms of paired phonemes, and of p, b and m alone.

    NaN where there is no pair (see `phoneme_pairs`).
    """
    pairs = phoneme_pairs(found, words, phonemes)
    every = [abs(own["start"] - true["start"]) for true, own in pairs]
    lips = [
        error
        for error, (true, _) in zip(every, pairs, strict=True)
        if phoneme_kind(true["phoneme"]) == "lips"
    ]
    return {
        name: 1e3 * float(np.median(part)) if part else float("nan")
        for name, part in (("phoneme_start_ms", every), ("closure_ms", lips))
    }


def sync_errors(
    found: dict, start: dict[str, float], rate: dict[str, float], face_seconds: np.ndarray
) -> dict[str, float]:
    """Errors of an actor's streams on the clock.

    From the take's sync JSON, true starts (seconds of day), true rates and face times (N,).
    """
    first, last = [], []
    for kind in ("body", "face", "audio"):
        stream = found[kind]
        count = (
            stream["samples"]
            if kind == "audio"
            else stream["frames"] + stream.get("dropped", 0) - stream.get("duplicates", 0)
        )
        first.append(stream["start"] - start[kind])
        last.append(stream["start"] + (count - 1) / stream["rate"] - start[kind] - (count - 1) / rate[kind])
    index = np.round((face_seconds - start["face"]) * rate["face"]).astype(int)
    lost, missing = set(range(index[0], index[-1])) - set(index.tolist()), set(found["face"]["missing"])
    errors = {"sync_first_ms": 1e3 * max(map(abs, first)), "sync_last_ms": 1e3 * max(map(abs, last))}
    return errors | {"drops_missed": float(len(lost - missing)), "drops_invented": float(len(missing - lost))}


def transcript_scores(
    transcript: dict, record: dict, actor: str, start: float, end: float
) -> dict[str, float]:
    """Measures of a transcript against a take's truth; the dataset shows `start` to `end`, seconds of day."""
    kept = [i for i, w in enumerate(record["words"][actor]) if start <= w["start"] and w["end"] <= end]
    index = {old: new for new, old in enumerate(kept)}

    def shown(entries: list[dict]) -> list[dict]:
        return [{**entry, "start": entry["start"] - start, "end": entry["end"] - start} for entry in entries]

    words = shown([record["words"][actor][i] for i in kept])
    phonemes = shown(
        [p | {"word": index[p["word"]]} for p in record["phonemes"][actor] if p["word"] in index]
    )
    error, late, _ = word_scores(transcript["words"], words)
    scores = {"word_error": error, "word_start_ms": 1e3 * late}
    scores["words_in_silence"] = float(words_in_silence(transcript["words"], shown(record["said"][actor])))
    return scores | phoneme_scores(transcript, words, phonemes)


def contact_scores(
    found: list[dict], touches: list[dict], actor: str, start: float, end: float
) -> dict[str, float]:
    """Measures of an actor's contacts (frames) against the true touches (seconds of day).

    The dataset shows `start` to `end`.
    """
    keys = ("type", "of", "hand", "part")
    own = [
        (*(contact[key] for key in keys), contact["start"] / 30, contact["stop"] / 30)
        for contact in found
        if contact["actor"] == actor
    ]
    errors, matched, missed = [], set(), 0
    for touch in touches:
        begin, stop = touch["start"] - start, touch["stop"] - start
        if touch["actor"] != actor or begin < 0 or stop > end - start:
            continue
        hits = [c for c in own if c[:4] == tuple(touch[key] for key in keys) and c[4] < stop and begin < c[5]]
        missed += not hits
        if hits:
            matched |= set(hits)
            errors.append((abs(hits[0][4] - begin), abs(hits[-1][5] - stop)))
    scores = {"contacts_other": float(len(set(own) - matched))}
    if errors:
        first, last = 1e3 * np.median(errors, axis=0)
        scores |= {"contact_start_ms": float(first), "contact_stop_ms": float(last)}
    if errors or missed:
        scores["contact_recall"] = len(errors) / (len(errors) + missed)
    return scores


def _voices(
    shoot: Path, truth: Path, dataset: Path, take: Take, k: int, start: float, record: dict, num_samples: int
) -> dict[str, float]:
    """Audio measures of one performance; the true voice has the microphone file's own start."""
    import soundfile

    name = take.performances[k]
    begin, rate = record["start"][take.actors[k]]["audio"], record["rate"][take.actors[k]]["audio"]
    raw, true = (
        audio.resample_span(
            audio.open_audio(path, channel=1), start - begin, num_samples, true_rate=rate, out_rate=OUT_RATE
        ).astype(float)
        for path in (shoot / take.name / f"{name}.wav", truth / take.name / f"{name}.wav")
    )
    voice = soundfile.read(dataset / "wav" / f"{name}.wav", dtype="float64")[0]
    n = min(len(raw), len(true), len(voice))
    scores = {"audio_lag_ms": 1e3 * lag_seconds(voice[:n], true[:n], OUT_RATE)}
    return scores | {"si_sdr_raw_db": si_sdr(raw[:n], true[:n]), "si_sdr_db": si_sdr(voice[:n], true[:n])}


def score_performance(
    shoot: Path, truth: Path, dataset: Path, annotations: Path, take: Take, k: int, about: dict
) -> dict[str, float]:
    """All measures of one performance; `about` is the take's entry of dataset.json."""
    name, actor = take.performances[k], take.actors[k]
    record = read_json(truth / take.name / "truth.json")
    start, num_frames = about["start_seconds"], about["frames"]
    times = start + np.arange(num_frames) / 30
    scores = {"start_error_ms": 1e3 * (start - record["window"][0])}
    synced = {p["actor"]: p for p in read_json(annotations / "sync" / f"{take.name}.json")["performances"]}[
        actor
    ]
    weights, seconds = (
        read_npy(truth / take.name / f"{name}.arkit.npy"),
        read_npy(truth / take.name / f"{name}.seconds.npy"),
    )
    scores |= sync_errors(synced, record["start"][actor], record["rate"][actor], seconds)
    recorded, kept = load_bvh(shoot / take.name / f"{name}.bvh"), load_bvh(dataset / "bvhs" / f"{name}.bvh")
    at = (times - record["start"][actor]["body"]) * recorded.fps
    low = np.clip(at.astype(int), 0, recorded.num_frames - 2)
    hips = (
        recorded.positions_cm[low, 0] * (1 - (at - low))[:, None]
        + recorded.positions_cm[low + 1, 0] * (at - low)[:, None]
    )
    scores["body_error_cm"] = float(np.sqrt(np.mean(np.sum((kept.positions_cm[:, 0] - hips) ** 2, -1))))
    turned = angle_deg(slerp(recorded.rotations[:, 0], at), kept.rotations[:, 0])
    scores["body_error_deg"] = float(turned.mean())
    scores |= _voices(shoot, truth, dataset, take, k, start, record, round(num_frames * OUT_RATE / 30))
    true = np.stack([np.interp(times, seconds, column) for column in weights.T], 1)
    scores["face_weight_rms"] = float(
        np.sqrt(np.mean((read_npy(dataset / "face_arkit" / f"{name}.npy") - true) ** 2))
    )
    for kind in ("actions", "facing"):
        labels, given = (
            read_npy(truth / take.name / f"{name}.{kind}.npy"),
            read_npy(annotations / kind / f"{name}.npy"),
        )
        index = np.round((times - record["window"][0]) * 30).astype(int).clip(0, len(labels) - 1)
        scores[f"{kind.removesuffix('s')}_accuracy"] = float(np.mean(labels[index] == given))
    end = start + num_frames / 30
    scores |= contact_scores(
        read_json(annotations / "contacts" / f"{take.name}.json")["contacts"],
        record["touches"],
        actor,
        start,
        end,
    )
    transcript = read_json(annotations / "transcripts" / f"{name}.json")
    return scores | transcript_scores(transcript, record, actor, start, end)


def run(*, shoot: Path, truth: Path, dataset: Path, annotations: Path, out: Path) -> None:
    """Score all takes of the dataset and write the table, with a last block of means."""
    takes = read_takes(dataset / "takes.tsv")
    about = read_about(dataset / "dataset.json")["takes"]
    rows: list[list[str]] = []
    pooled: dict[str, list[float]] = {}
    for take in stage.progress(takes, label="accuracy"):
        for k, actor in enumerate(take.actors):
            for measure, value in score_performance(
                shoot, truth, dataset, annotations, take, k, about[take.name]
            ).items():
                rows.append([take.name, actor, measure, f"{value:.6g}"])
                pooled.setdefault(measure, []).append(value)
    for measure, values in pooled.items():
        mean = float(np.nanmean(values))
        rows.append(["mean", "", measure, f"{mean:.6g}"])
        log.info("%-18s mean %.4g, worst %.4g .. %.4g", measure, mean, np.nanmin(values), np.nanmax(values))
    columns = ["take", "actor", "measure", "value"]
    write_csv(out, columns, [dict(zip(columns, row, strict=True)) for row in rows])


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    for name in ("shoot", "truth", "dataset", "annotations"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"the {name} folder")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
