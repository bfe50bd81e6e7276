"""Speech features: how fast, in how much memory, and how near to CTranslate2's own encoder.

And the log-mel beside them.

    python benchmarks/features.py
    python benchmarks/features.py --threads 2 --model FOLDER

Speed is a multiple of real time of one voice. Memory is the peak of the process that encodes, above what it
holds with the encoder loaded and the audio made. Voices are modulated noise, whose features cost what those
of speech cost.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from pipeline.motion.clock import AUDIO_RATE, sample_of
from pipeline.shards.features import log_mel


def voice(seconds: float) -> np.ndarray:
    """Modulated noise (S,) at 16 kHz."""
    num_samples = int(sample_of(round(30 * seconds)))
    noise = np.random.default_rng(0).normal(0, 0.05, num_samples)
    return (noise * (1 + np.sin(np.arange(num_samples) / 700))).astype(np.float32)


def peak_mb() -> float:
    """Largest resident size of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(model: str, seconds: float, threads: int) -> dict[str, float]:
    """Seconds and MB of encoding, in this process."""
    import torch

    from models.speech import speech_encoders

    torch.set_num_threads(threads)
    encoder = speech_encoders.load(model)
    audio = voice(seconds)
    num_frames = round(30 * seconds)
    sizes = {"window_seconds": 30.0, "context_seconds": 5.0}
    speech_encoders.on_motion_clock(encoder, audio[: 5 * AUDIO_RATE], 150, **sizes)
    before, start = peak_mb(), time.perf_counter()
    speech_encoders.on_motion_clock(encoder, audio, num_frames, **sizes)
    encoded = time.perf_counter() - start
    memory, start = peak_mb() - before, time.perf_counter()
    log_mel(audio, num_frames)
    return {"speech_s": encoded, "speech_mb": memory, "mel_s": time.perf_counter() - start}


def against_ctranslate2() -> float:
    """Largest difference of the package's encoder in torch from the same weights in CTranslate2.

    float32, over 30 s.
    """
    import ctranslate2
    from transformers import WhisperFeatureExtractor

    from models.speech import speech_encoders
    from pipeline.formats.pretrained import package_folder

    audio = voice(30)
    mel = WhisperFeatureExtractor(feature_size=80)(
        audio, sampling_rate=AUDIO_RATE, return_tensors="np"
    ).input_features
    theirs = ctranslate2.models.Whisper(str(package_folder("speech")), compute_type="float32").encode(
        ctranslate2.StorageView.from_array(mel)
    )
    found = speech_encoders.load().encode(audio)
    return float(np.abs(np.array(theirs)[0] - found[:1500]).max())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="package", help="as speech.model (default: package)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the encoder (default: 1)")
    parser.add_argument("--only", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.model, arguments.only, arguments.threads)))
        return
    for seconds in (90, 600):
        command = [
            sys.executable,
            __file__,
            "--only",
            str(seconds),
            "--model",
            arguments.model,
            "--threads",
            str(arguments.threads),
        ]
        found = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
        print(
            f"{seconds:4d} s of voice: speech encoder {seconds / found['speech_s']:.0f} x real time,"
            f" {found['speech_mb']:.0f} MB more; log-mel {seconds / found['mel_s']:.0f} x real time"
        )
    if arguments.model == "package":
        print(f"largest difference from CTranslate2's encoder (float32): {against_ctranslate2():.1e}")


if __name__ == "__main__":
    main()
