"""Transcripts: what each actor of a take says, word by word and phoneme by phoneme, with times.

In: the WAVs of the take's two performances, in actor order (or a single WAV); the text of each, where it is
known. Out: a JSON each, {"words": [{"word", "start", "end", "confidence"}], "phonemes": [{"phoneme", "start",
"end", "word"}]}, seconds from the start of the file, sorted by start. A phoneme is ARPAbet without stress,
its `word` an index of `words`; English has phonemes only.

A close microphone hears the partner too, and a recogniser writes down whatever it hears
(pipeline.annotate.recognisers). So of its words only those are kept that are louder in their owner's file
than in the partner's, and where a detector of speech finds their owner's voice
(pipeline.annotate.own_speech). (Muting the partner's stretches beforehand was tried: it costs more words at
the edges than it saves.) Where a word starts is then found by forced alignment, utterance by utterance, and
by the first sound after a pause (pipeline.annotate.word_times).
"""

import logging
import re
from pathlib import Path

import numpy as np

from pipeline import reading, stage
from pipeline.annotate import forced_alignment
from pipeline.annotate.own_speech import QUIET_DB, own_words, speech_activity, spoken_share
from pipeline.annotate.recognisers import (
    BACKENDS,
    Recogniser,
    believed,
    other_language,
    seems_foreign,
    tidy,
)
from pipeline.annotate.word_times import align_words, clip_ends, given_words, snap_starts, squeezed, trim
from pipeline.config import Transcripts
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats.voice_file import read_voice
from pipeline.motion.clock import AUDIO_RATE
from pipeline.signals.resampling import resample

log = logging.getLogger("interact")
SPEECHLESS_SECONDS = 3.0


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
        raise other_language(
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
