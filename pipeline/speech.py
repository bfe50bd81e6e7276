"""Features of a frozen speech encoder for both actors of a take, on the motion clock.

In: the WAVs of the take's two performances, in actor order, and their bodies, whose length tells a WAV with a wrong rate (without
them the longer WAV sets the length). Out: features/{take}.speech.h5 with `speech` (N, 2, E) float16, row f at f / 30 s
(models.speech_encoders); attributes name the encoder and the SHA-256 of its weights.

float16 halves the largest file that training reads; its rounding (2^-11) is far below what the encoder itself changes from one
frame to the next.
"""

import logging
import os
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.bvh import load_bvh
from pipeline.clock import AUDIO_RATE, FPS, sample_of
from pipeline.config import Speech
from pipeline.errors import InputError
from pipeline.features import fit_wav_length, read_wav, resample
from pipeline.files import whole

log = logging.getLogger("interact")


def voices(wav: list[Path], bvh: list[Path] | None = None, *, max_wav_seconds: float = 0.1) -> tuple[list[np.ndarray], int]:
    """Both voices (S,) float32 at 16 kHz, S = round(N * 16000 / 30), and their number of frames N."""
    read = [read_wav(path) for path in wav]
    if bvh:
        lengths = [load_bvh(path, unit="cm").num_frames for path in bvh]
        if lengths[0] != lengths[1]:
            raise InputError(f"{bvh[1]}: got {lengths[1]} frames, need {lengths[0]} as in {bvh[0]}; cut both to the same window")
        num_frames = lengths[0]
    else:
        num_frames = max((2 * FPS * len(audio) + rate) // (2 * rate) for audio, rate in read)
    if not num_frames:
        raise InputError(f"{wav[0]}: got no audio, need a frame of 1/30 s or more; give a longer file")
    fitted = [fit_wav_length(audio, rate, num_frames, path, max_seconds=max_wav_seconds) for (audio, rate), path in zip(read, wav, strict=True)]
    return [resample(audio, rate, int(sample_of(num_frames))) for audio, (_, rate) in zip(fitted, read, strict=True)], num_frames


def encode(audio: list[np.ndarray], num_frames: int, options: Speech) -> tuple[np.ndarray, dict[str, str | float]]:
    """Features (N, 2, E) float16 of two voices (S,) at 16 kHz, and what describes the encoder."""
    import torch

    from models import speech_encoders

    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    encoder = speech_encoders.load(options.model, layer=options.layer)
    sizes = {"window_seconds": options.window_seconds, "context_seconds": options.context_seconds}
    rows = [speech_encoders.on_motion_clock(encoder, voice, num_frames, **sizes) for voice in audio]
    values = np.stack(rows, 1)
    largest = np.abs(values).max(initial=0.0)
    if not largest <= np.finfo(np.float16).max:
        raise InputError(f"speech model {options.model}: its features reach {largest:g}, need finite numbers up to 65504; take another speech.layer")
    return values.astype(np.float16), {"model": options.model, "layer": str(options.layer), "model_sha256": encoder.sha256} | sizes


def run(*, wav: list[Path], bvh: list[Path] | None, out: Path, options: Speech) -> None:
    """Write the speech features of one take."""
    import h5py

    audio, num_frames = voices(wav, bvh, max_wav_seconds=options.max_wav_seconds)
    values, described = encode(audio, num_frames, options)
    log.info("%s: %d frames of %.0f s, %d values a frame", out, num_frames, len(audio[0]) / AUDIO_RATE, values.shape[2])
    with whole(out) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as f:
        f["speech"] = values
        f.attrs["fps"] = FPS
        for key, value in described.items():
            f.attrs[key] = value


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Speech)
    parser.add_argument("--wav", type=Path, nargs=2, required=True, help="voices of the take's two performances, by actor")
    parser.add_argument("--bvh", type=Path, nargs=2, help="bodies of the same performances, which set the number of frames")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
