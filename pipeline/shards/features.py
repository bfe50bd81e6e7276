"""Per-take features: log-mel spectrogram, body pose, root and 16 kHz waveform of both actors.

In: the dataset's BVH (30 fps) and WAV of the two performances of a take, in actor order. Out:
features/{take}.h5 with `body` (N, 2, 3 J) radians and `root` (N, 2, 4) cm and radians (pipeline.motion.pose),
`mel` (N, 2, M) natural log of mel power, `audio` (S, 2) at 16 kHz with S = round(N * 16000 / 30), and the
skeletons in `skeletons/{performance}`.
"""

import logging
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.config import Features
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.bvh import load_bvh
from pipeline.formats.voice_file import read_wav
from pipeline.motion import pose
from pipeline.motion.clock import AUDIO_RATE, FPS, sample_of
from pipeline.motion.motion import Motion
from pipeline.signals.resampling import resample

log = logging.getLogger("interact")
BLOCK_FRAMES = 1024
"""Frames of a spectrogram in memory at a time: 30 MB at a window of 1024 samples, however long the take."""
MEL_FLOOR = 1e-5
"""Mel power below which everything is silence: -11.5 in the log, about 90 dB under a loud voice."""


def mel_filters(num_mels: int, mel_fft: int, mel_fmax: float) -> np.ndarray:
    """Triangular filters (num_mels, mel_fft / 2 + 1) float32 of a spectrum at 16 kHz, as librosa has them.

    Slaney's scale (Auditory Toolbox, 1998): linear up to 1 kHz at 200/3 Hz a mel, then 27 mels for each
    factor of 6.4. Filters have an area of 1 (a height of 2 by their width in Hz).
    """
    hz_a_mel, knee, growth = 200 / 3, 1000.0, np.log(6.4) / 27
    top = mel_fmax / hz_a_mel if mel_fmax < knee else knee / hz_a_mel + np.log(mel_fmax / knee) / growth
    mels = np.linspace(0.0, top, num_mels + 2)
    above = mels >= knee / hz_a_mel
    edges = hz_a_mel * mels
    edges[above] = knee * np.exp(growth * (mels[above] - knee / hz_a_mel))
    away = edges[:, None] - np.fft.rfftfreq(mel_fft, 1 / AUDIO_RATE)
    widths = np.diff(edges)[:, None]
    triangles = np.maximum(0, np.minimum(-away[:-2] / widths[:-1], away[2:] / widths[1:])).astype(np.float32)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


def log_mel(
    audio: np.ndarray, num_frames: int, *, num_mels: int = 80, mel_fft: int = 1024, mel_fmax: float = 8000.0
) -> np.ndarray:
    """Log-mel spectrogram (num_frames, num_mels) float32 of 16 kHz audio (S,), one row per frame of 1/30 s.

    The Hann window of row f (`mel_fft` samples) has its middle on sample round(f * 16000 / 30): a constant
    hop would drift, since 16000 / 30 is no integer. Beyond its ends the audio counts as silence. Power is
    |FFT|^2 of the windowed samples, the filters are `mel_filters` from 0 to `mel_fmax` Hz, and the result is
    the natural log of max(power, MEL_FLOOR).
    """
    audio = np.asarray(audio, np.float32)
    filters = mel_filters(num_mels, mel_fft, mel_fmax).T
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(mel_fft) / mel_fft)).astype(np.float32)
    first = sample_of(np.arange(num_frames)) - mel_fft // 2
    result = np.empty((num_frames, num_mels), np.float32)
    for i in range(0, num_frames, BLOCK_FRAMES):
        begins = first[i : i + BLOCK_FRAMES]
        low, high = int(begins[0]), int(begins[-1]) + mel_fft
        part = np.pad(audio[max(low, 0) : high], (max(-low, 0), 0))
        part = np.pad(part, (0, high - low - len(part)))
        power = np.abs(np.fft.rfft(part[begins[:, None] - low + np.arange(mel_fft)] * window, axis=1)) ** 2
        result[i : i + BLOCK_FRAMES] = np.log(np.maximum(power @ filters, MEL_FLOOR))
    return result


def fit_wav_length(
    audio: np.ndarray, rate: int, num_frames: int, path: Path, *, max_seconds: float = 0.1
) -> np.ndarray:
    """Audio (S,) cut or padded with silence to the length of its body, round(num_frames * rate / 30) samples.

    Released files may be off by a few frames: up to `max_seconds` is mended with a warning, more is an
    InputError.
    """
    need = int(sample_of(num_frames, rate))
    off = (len(audio) - need) / rate
    if abs(off) > max_seconds:
        raise InputError(
            f"{path}: got {len(audio)} samples ({len(audio) / rate:.3f} s), need {need} for {num_frames}"
            f" frames of 1/30 s (up to {max_seconds:g} s of difference is mended); cut both to the same"
            " window"
        )
    if len(audio) != need:
        log.warning(
            "%s: %.3f s %s than its body; %s",
            path,
            abs(off),
            *(("longer", "cut") if off > 0 else ("shorter", "silence is added")),
        )
    return np.pad(audio[:need], (0, max(need - len(audio), 0)))


def skeleton_arrays(skeleton: pose.Skeleton) -> dict[str, np.ndarray]:
    """A skeleton's offsets and ends as arrays (J, 3) float64, ends NaN where a joint has none."""
    ends = np.full((len(skeleton.names), 3), np.nan)
    for j, end in skeleton.ends_cm.items():
        ends[j] = end
    return {"offsets_cm": np.asarray(skeleton.offsets_cm, float), "ends_cm": ends}


def _check(motions: list[Motion], bvh: list[Path]) -> None:
    """InputError unless the two bodies of a take have one joint list, one length, 30 fps and no NaN."""
    for motion, path in zip(motions, bvh, strict=True):
        if abs(motion.fps - FPS) > 1e-3:
            raise InputError(
                f"{path}: got {motion.fps:g} fps, need 30; bring it to the dataset's rate first (python -m"
                " pipeline.capture.body)"
            )
        bad = ~np.isfinite(motion.rotations).all((1, 2)) | ~np.isfinite(motion.positions_cm).all((1, 2))
        if bad.any():
            raise InputError(
                f"{path}, frame {int(np.argmax(bad))}: got {bad.sum()} frames with NaN, need none; mend the"
                " file"
            )
    first, second = motions
    if first.names != second.names or list(first.parents) != list(second.parents):
        raise InputError(
            f"{bvh[1]}: its joints differ from those of {bvh[0]}; a dataset has one joint list, set"
            " body.joints"
        )
    if first.num_frames != second.num_frames:
        raise InputError(
            f"{bvh[1]}: got {second.num_frames} frames, need {first.num_frames} as in {bvh[0]}; cut both to"
            " the same window"
        )


def run(*, bvh: list[Path], wav: list[Path], out: Path, options: Features) -> None:
    """Write the features of one take."""
    import h5py

    motions = [load_bvh(path, unit="cm") for path in bvh]
    _check(motions, bvh)
    num_frames = motions[0].num_frames
    num_samples = int(sample_of(num_frames))
    voices = []
    for path in wav:
        audio, rate = read_wav(path)
        audio = fit_wav_length(audio, rate, num_frames, path, max_seconds=options.max_wav_seconds)
        voices.append(resample(audio, rate, num_samples))
    bodies, roots = zip(*(pose.encode(motion) for motion in motions), strict=True)
    mels = [
        log_mel(
            voice, num_frames, num_mels=options.num_mels, mel_fft=options.mel_fft, mel_fmax=options.mel_fmax
        )
        for voice in voices
    ]
    with whole(out) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as f:
        f["body"] = np.stack(bodies, 1).astype(np.float32)
        f["root"] = np.stack(roots, 1).astype(np.float32)
        f["mel"] = np.stack(mels, 1)
        f["audio"] = np.stack(voices, 1)
        f.attrs["joint_names"] = motions[0].names
        f.attrs["parents"] = motions[0].parents
        f.attrs["fps"] = FPS
        f.attrs["mel_fft"], f.attrs["mel_fmax"] = options.mel_fft, options.mel_fmax
        for motion, path in zip(motions, bvh, strict=True):
            skeleton = pose.skeleton_of(motion)
            group = f.create_group(f"skeletons/{path.stem}")
            for name, values in skeleton_arrays(skeleton).items():
                group[name] = values
            group.attrs["orders"] = skeleton.orders


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Features)
    parser.add_argument(
        "--bvh", type=Path, nargs=2, required=True, help="bodies of the take's two performances, by actor"
    )
    parser.add_argument("--wav", type=Path, nargs=2, required=True, help="voices of the same performances")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
