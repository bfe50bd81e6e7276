"""Speech from espeak-ng in a process of its own.

In, on standard input: JSON {"library", "data", "voice", "rate", "pitch", "seed", "sentences": [text]}. Out,
on standard output: one JSON line {"rate", "sentences": [{"samples", "phonemes": [[ipa, sample]]}]}, then all
samples as 16-bit PCM. espeak-ng keeps state from one sentence to the next, so that the same sentence sounds
the same only in a fresh process; this file is therefore run as a script, and needs nothing but the standard
library.
"""

import ctypes
import json
import sys

SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: no thread that wakes every 20 ms
OPTIONS = 0x8003  # phoneme events, in IPA; do not exit on an error
END_OF_LIST, PHONEME = 0, 7
UTF8 = 1
RATE, PITCH = 1, 3


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def speak(request: dict) -> tuple[dict, bytes]:
    """Synthesise the request's sentences: the answer (see the module's docstring) and the PCM bytes."""
    library = ctypes.CDLL(request["library"])
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, request["data"].encode(), OPTIONS)
    if rate <= 0:
        sys.exit(f"espeak-ng does not start with the data folder {request['data']}")
    pcm, phonemes = bytearray(), []

    def receive(samples, count, events):
        if samples and count:
            pcm.extend(ctypes.string_at(samples, 2 * count))
        i = 0
        while events[i].type != END_OF_LIST:
            if events[i].type == PHONEME:
                text = bytes(events[i].id).split(b"\0")[0].decode("utf-8", "ignore")
                phonemes.append([text, events[i].sample])
            i += 1
        return 0

    keep = _CALLBACK(receive)  # the library holds no reference of its own
    library.espeak_SetSynthCallback(keep)
    if library.espeak_SetVoiceByName(request["voice"].encode()):
        sys.exit(f"espeak-ng has no voice {request['voice']}")
    library.espeak_SetParameter(RATE, int(request["rate"]), 0)
    library.espeak_SetParameter(PITCH, int(request["pitch"]), 0)
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_ng_SetRandSeed(int(request["seed"]))
    answer, sound = {"rate": rate, "sentences": []}, bytearray()
    for text in request["sentences"]:
        pcm.clear()
        phonemes.clear()
        data = text.encode()
        library.espeak_Synth(data, len(data) + 1, 0, 1, 0, UTF8, None, None)
        library.espeak_Synchronize()
        answer["sentences"].append({"samples": len(pcm) // 2, "phonemes": [list(pair) for pair in phonemes]})
        sound.extend(pcm)
    return answer, bytes(sound)


if __name__ == "__main__":
    result, samples = speak(json.load(sys.stdin))
    sys.stdout.buffer.write(json.dumps(result).encode() + b"\n" + samples)
