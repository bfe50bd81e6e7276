"""Features of a frozen speech encoder for both actors of takes, on the motion clock.

In: the WAVs of both performances of each take, in actor order, and their bodies, whose length tells a WAV
with a wrong rate (without them the longer WAV sets the length); as many takes as the shard that the features
lie beside. Out: the shard's sidecar, shards/speech-{hash}/{shard}.h5, with `speech` (N, 2, E) float16, row f
of a take at f / 30 s (models.speech.speech_encoders); attributes name the encoder and the SHA-256 of its
weights. pipeline.shards.speech_stats writes the moments of a folder of them.

float16 halves the largest file that training reads; its rounding (2^-11) is far below what the encoder itself
changes from one frame to the next.
"""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.config import Speech
from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh
from pipeline.formats.shard_file import Shard, write_sidecar
from pipeline.formats.takes import in_pairs
from pipeline.formats.voice_file import read_wav
from pipeline.motion.clock import FPS, sample_of
from pipeline.shards.features import fit_wav_length
from pipeline.signals.resampling import resample
from pipeline.signals.sliced import Sliced


def length(wav: Sequence[Path], bvh: Sequence[Path] | None = None) -> int:
    """Number of frames of a take, by its bodies, or by the longer of its voices."""
    if bvh:
        lengths = [load_bvh(path, unit="cm").num_frames for path in bvh]
        if lengths[0] != lengths[1]:
            raise InputError(
                f"{bvh[1]}: got {lengths[1]} frames, need {lengths[0]} as in {bvh[0]}; cut both to the same"
                " window"
            )
        return lengths[0]
    read = [read_wav(path) for path in wav]
    num_frames = max((2 * FPS * len(audio) + rate) // (2 * rate) for audio, rate in read)
    if not num_frames:
        raise InputError(f"{wav[0]}: got no audio, need a frame of 1/30 s or more; give a longer file")
    return num_frames


def voices(wav: Sequence[Path], num_frames: int, *, max_wav_seconds: float = 0.1) -> list[np.ndarray]:
    """Both voices (S,) float32 at 16 kHz of a take of N frames, S = round(N * 16000 / 30)."""
    result = []
    for path in wav:
        audio, rate = read_wav(path)
        audio = fit_wav_length(audio, rate, num_frames, path, max_seconds=max_wav_seconds)
        result.append(resample(audio, rate, int(sample_of(num_frames))))
    return result


@lru_cache(maxsize=1)
def _load(model: str, layer: int | str):
    """The encoder, one at a time."""
    from models.speech import speech_encoders

    return speech_encoders.load(model, layer=layer)


def encode(
    audio: list[np.ndarray], num_frames: int, options: Speech
) -> tuple[np.ndarray, dict[str, str | float]]:
    """Features (N, 2, E) float16 of two voices (S,) at 16 kHz, and what describes the encoder."""
    rows = [np.concatenate([*stretches(voice, num_frames, options)]) for voice in audio]
    return np.stack(rows, 1), described(options)


def stretches(audio: Sliced, num_frames: int, options: Speech) -> Iterator[np.ndarray]:
    """Features (n, E) float16 of one voice (S,) at 16 kHz, a window after the other."""
    from models.speech import speech_encoders

    encoder = _load(options.model, options.layer)
    sizes = {"window_seconds": options.window_seconds, "context_seconds": options.context_seconds}
    for _, values in speech_encoders.stretches(encoder, audio, num_frames, **sizes):
        largest = np.abs(values).max(initial=0.0)
        if not largest <= np.finfo(np.float16).max:
            raise InputError(
                f"speech model {options.model}: its features reach {largest:g}, need finite numbers up to"
                " 65504; take another speech.layer"
            )
        yield values.astype(np.float16)


def described(options: Speech) -> dict[str, str | float]:
    """What describes the encoder of these options."""
    return {
        "model": options.model,
        "layer": str(options.layer),
        "model_sha256": _load(options.model, options.layer).sha256,
        "window_seconds": options.window_seconds,
        "context_seconds": options.context_seconds,
    }


def width(options: Speech) -> int:
    """Features of a frame, E."""
    return _load(options.model, options.layer).width


def run(
    *,
    wav: list[Path] | None = None,
    bvh: list[Path] | None = None,
    takes: list[str] | None = None,
    shard: Path | None = None,
    out: Path,
    options: Speech,
) -> None:
    """Write the speech features of takes, of WAVs or of a shard's own audio, one take in memory at a time."""
    import torch

    if (shard is None) == (wav is None or takes is None):
        raise InputError(
            "speech: got neither or both of --shard and --wav with --takes, need one; name the voices"
        )

    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if shard:
        source = Shard(shard)
        spans = {span.take: span for span in source.takes}
        lengths = {take: span.stop_frame - span.start_frame for take, span in spans.items()}

        def heard(take: str) -> list[np.ndarray]:
            audio = np.asarray(source["audio"][spans[take].start_sample : spans[take].stop_sample])
            return [np.ascontiguousarray(audio[:, k]) for k in range(2)]

    else:
        pairs, bodies = in_pairs(wav or [], takes or []), in_pairs(bvh, takes or []) if bvh else {}
        lengths = {take: length(pair, bodies.get(take)) for take, pair in pairs.items()}

        def heard(take: str) -> list[np.ndarray]:
            return voices(pairs[take], lengths[take], max_wav_seconds=options.max_wav_seconds)

    def features() -> Iterator[tuple[np.ndarray, dict[str, str | float]]]:
        for take, num_frames in stage.progress(lengths.items(), label=out.name):
            yield encode(heard(take), num_frames, options)

    write_sidecar(out, "speech", lengths, features())


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Speech)
    parser.add_argument(
        "--wav", type=Path, nargs="+", help="voices of each take's two performances, by actor"
    )
    parser.add_argument(
        "--bvh", type=Path, nargs="+", help="bodies of the same performances, which set the numbers of frames"
    )
    parser.add_argument("--takes", nargs="+", help="names of the takes, in the same order")
    parser.add_argument("--shard", type=Path, help="shard whose own audio is heard, in place of these")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
