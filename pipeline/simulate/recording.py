"""The recorders of the simulated shoot: microphones, face meshes and the clocks that they stamp.

In: voices, weights and start times on the day clock. Out: Broadcast Wave files and mesh streams in the
shoot's layout.
"""

import struct
from pathlib import Path

import numpy as np

from pipeline.files import whole
from pipeline.formats.timecode import format_timecode, parse_timecode
from pipeline.simulate.head import Head
from pipeline.simulate.speech import RATE

BODY_RATE, FACE_RATE, LTC_FPS = 120, 60, 30
SOUND_CM_PER_S = 34_300.0
LONGEST_DROP = 4  # lost frames in a row; the gap stays below 0.1 s
BLOCK_FRAMES = 64
ROOM_S, ROOM_DECAY_S, ROOM_LEVEL = 0.12, 0.025, 0.06


def on_clock(seconds: float, rate: int) -> float:
    """A time that the clock of a stream can write: a multiple of a thousandth of a frame."""
    return round(seconds * rate * 1000) / (rate * 1000)


def kept_frames(num_frames: int, drop_rate: float, rng: np.random.Generator) -> np.ndarray:
    """Indices of the frames that were not lost.

    The first and the last are there, and never more than 4 in a row are lost.
    """
    lost = rng.random(num_frames) < drop_rate
    lost[[0, -1]] = False
    run = 0
    for i in range(num_frames):
        run = run + 1 if lost[i] else 0
        if run > LONGEST_DROP:
            lost[i], run = False, 0
    return np.flatnonzero(~lost)


def face_times(
    start: float, frames: np.ndarray, *, drift_ppm: float = 0.0, jitter_seconds: np.ndarray | None = None
) -> tuple[list[str], np.ndarray]:
    """Timecode of each face frame (N), and the seconds (N,) of day at which it was taken.

    Past midnight: 86,400 and more.

    A recorder that drifts takes its frames faster than FACE_RATE; its stamps are the time, to a thousandth of
    a frame, with jitter (N,).
    """
    if not drift_ppm and jitter_seconds is None:
        codes = [format_timecode(start + frame / FACE_RATE, FACE_RATE) for frame in frames.tolist()]
        days = 86_400.0 * np.floor((start + frames / FACE_RATE) / 86_400.0 + 1e-12)
        return codes, np.array([parse_timecode(code, FACE_RATE) for code in codes]) + days
    seconds = start + frames / (FACE_RATE * (1 + drift_ppm * 1e-6))
    stamps = seconds if jitter_seconds is None else seconds + jitter_seconds
    return [format_timecode(stamp, FACE_RATE) for stamp in stamps.tolist()], seconds


def write_mesh(
    path: Path,
    head: Head,
    weights: np.ndarray,
    codes: list[str],
    *,
    actor: str,
    noise_cm: float,
    rng: np.random.Generator,
) -> None:
    """Write a mesh stream: neutral + weights (N, 51) times deltas + noise, block by block."""
    import h5py

    num_vertices = len(head.neutral)
    flat = head.deltas.reshape(len(head.deltas), -1)
    with whole(path) as temporary, h5py.File(temporary, "w") as f:
        shape = (len(weights), num_vertices, 3)
        vertices = f.create_dataset(
            "vertices", shape, "f4", chunks=(min(8, shape[0]), num_vertices, 3), track_times=False
        )
        for i in range(0, len(weights), BLOCK_FRAMES):
            block = weights[i : i + BLOCK_FRAMES].astype(np.float32) @ flat
            block += np.float32(noise_cm) * rng.standard_normal(block.shape, dtype=np.float32)
            vertices[i : i + BLOCK_FRAMES] = block.reshape(-1, num_vertices, 3) + head.neutral
        f.create_dataset("timecode", data=np.array(codes, dtype="S16"), track_times=False)
        f.attrs.update(
            timecode_rate=float(FACE_RATE), units="cm", topology=f"simulated-{num_vertices}", actor=actor
        )


def write_bwf(path: Path, samples: np.ndarray, start_seconds: float, *, date: str) -> None:
    """Write samples (S,) or (S, channels) in [-1, 1] as 24-bit Broadcast Wave at 48 kHz.

    Recorded on `date` (YYYYMMDD).

    bext TimeReference is the start in samples since midnight (EBU Tech 3285).
    """
    pcm = np.clip(np.round(np.asarray(samples, float) * 2**23), -(2**23), 2**23 - 1).astype("<i4")
    raw = pcm.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}".encode()
    channels = 1 if np.ndim(samples) == 1 else np.shape(samples)[1]
    start_seconds %= 86_400.0
    second = int(start_seconds)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}".encode()
    bext = struct.pack(
        "<256s32s32s10s8sQH",
        b"close microphone",
        b"simulated",
        b"",
        day,
        clock,
        round(start_seconds * RATE),
        1,
    )
    bext += b"\0" * (602 - len(bext))
    layout = struct.pack("<HHIIHH", 1, channels, RATE, RATE * 3 * channels, 3 * channels, 24)
    chunks = ((b"bext", bext), (b"fmt ", layout), (b"data", raw))
    size = 4 + sum(8 + len(data) + len(data) % 2 for _, data in chunks)
    with whole(path) as temporary, open(temporary, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", size) + b"WAVE")
        for name, data in chunks:
            f.write(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))


def room(distance_cm: float, rng: np.random.Generator) -> np.ndarray:
    """Impulse response (K,) over a distance, of energy 1: a delay, a direct path, a short decaying tail."""
    size = int(ROOM_S * RATE)
    tail = rng.standard_normal(size) * np.exp(-np.arange(size) / (ROOM_DECAY_S * RATE))
    response = np.concatenate([np.zeros(round(distance_cm / SOUND_CM_PER_S * RATE)), ROOM_LEVEL * tail])
    response[-size] += 1.0
    return response / np.linalg.norm(response)


def convolve(samples: np.ndarray, response: np.ndarray, *, size: int = 1 << 16) -> np.ndarray:
    """Samples (S,) through a response (K,), cut to S samples, float32.

    Overlap-add with transforms of `size` > K samples.
    """
    block = size - len(response) + 1
    spectrum, result = np.fft.rfft(response, size), np.zeros(len(samples) + size, np.float32)
    for i in range(0, len(samples), block):
        part = samples[i : i + block]
        if part.any():
            result[i : i + size] += np.fft.irfft(np.fft.rfft(part, size) * spectrum, size)
    return result[: len(samples)]


def drifted(samples: np.ndarray, drift_ppm: float) -> np.ndarray:
    """Samples (S,) float32 of a recorder that runs `drift_ppm` fast.

    As many, each 1 / (RATE (1 + drift)) after the one before.
    """
    if not drift_ppm:
        return samples
    import soxr

    found = soxr.resample(samples, 1.0, 1 + drift_ppm * 1e-6, quality="VHQ")[: len(samples)]
    return np.pad(found, (0, len(samples) - len(found))).astype(np.float32)


def ltc_channel(start_seconds: float, num_samples: int, drift_ppm: float) -> np.ndarray:
    """The timecode as LTC (S,), as a recorder hears it that starts at `start_seconds` of day and drifts."""
    from pipeline.simulate.ltc import encode_ltc

    return encode_ltc(start_seconds % 86_400.0, LTC_FPS, num_samples, RATE, drift_ppm=drift_ppm)


def microphone(
    voice: np.ndarray,
    other: np.ndarray,
    shift: int,
    *,
    distance_cm: float,
    crosstalk_db: float,
    noise_db: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """What a close microphone records (S,), and the own voice in it (S,), float32.

    voice (S,) and other (R,): dry voices, each on its own recorder's clock; sample i of `voice` is
    simultaneous with sample i + shift of `other`. The other voice comes at crosstalk_db through the room,
    noise at noise_db against the own voice's level while it speaks.
    """
    mic = np.zeros(len(voice), np.float32)
    low, high = max(0, -shift), min(len(voice), len(other) - shift)
    mic[low:high] = other[low + shift : high + shift]
    mic = convolve(mic, room(distance_cm, rng))
    mic *= np.float32(10 ** (crosstalk_db / 20))
    spoken = np.count_nonzero(voice)
    level = np.sqrt(np.square(voice).sum(dtype=float) / spoken) if spoken else 0.1
    mic += np.float32(10 ** (noise_db / 20) * level) * rng.standard_normal(len(voice), dtype=np.float32)
    mic += voice
    gain = np.float32(0.7 / np.abs(mic).max())
    return gain * mic, gain * voice
