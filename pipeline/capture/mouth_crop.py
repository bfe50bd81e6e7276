"""Mouth crops for separation method `visualvoice`, from a video of a face and its landmarks.

In: a video, and 68 landmarks of each of its frames (T, 68, 2), x and y in pixels, in the order of iBUG 300-W,
as face_alignment and dlib give them; no detector comes with this project. Out: an .npz with `data` (N, 96,
96) uint8, grey, at 25 frames per second.

Landmarks are averaged over 12 frames; corners of the eyes and the nose's base are brought to fixed places in
a picture of 256 x 256 by a similarity; 96 x 96 pixels round the mouth are cut out. The published crops were
made with a mean face that is not at hand (20words_mean_face): PLACES stand for it, so that a mouth may lie
some pixels elsewhere than in training.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.array_files import read_npy
from pipeline.reading import open_plain, reading

OUT_FPS, SIZE, SMOOTH_FRAMES = 25, 96, 12
STABLE = (33, 36, 39, 42, 45)
PLACES = np.array([[128.0, 160.0], [72.0, 100.0], [106.0, 102.0], [150.0, 102.0], [184.0, 100.0]])
"""Where the STABLE landmarks come to lie.

Base of the nose, then the corners of the eyes from the picture's left to its right.
"""
MOUTH = slice(48, 68)
VIDEO_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mxf,asf,flv,ogg,h264,hevc,yuv4mpegpipe"
"""What FFmpeg may take a video for: no list of other files, such as a playlist."""


def smoothed(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (T, 68, 2) averaged over the SMOOTH_FRAMES frames round each, fewer at the ends."""
    total = np.concatenate([np.zeros((1, *landmarks.shape[1:])), np.cumsum(landmarks, 0)])
    at = np.arange(len(landmarks))
    low, high = np.maximum(at - SMOOTH_FRAMES // 2, 0), np.minimum(at + SMOOTH_FRAMES // 2, len(landmarks))
    return (total[high] - total[low]) / (high - low)[:, None, None]


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[complex, complex]:
    """(a, b) of z -> a z + b, the least-squares similarity between points (N, 2) taken as complex numbers."""
    z, w = (points @ np.array([1, 1j]) for points in (source, target))
    a = np.vdot(z - z.mean(), w - w.mean()) / np.vdot(z - z.mean(), z - z.mean())
    return a, w.mean() - a * z.mean()


def crop(grey: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The mouth (96, 96) uint8 of a grey frame (H, W) by its landmarks (68, 2)."""
    from scipy.ndimage import map_coordinates

    a, b = similarity(landmarks[list(STABLE)], PLACES)
    middle = a * (landmarks[MOUTH] @ np.array([1, 1j])).mean() + b
    offsets = np.arange(SIZE) - (SIZE - 1) / 2
    back = (middle + offsets[None, :] + 1j * offsets[:, None] - b) / a
    return np.clip(
        np.rint(map_coordinates(grey.astype(np.float32), [back.imag, back.real], order=1, mode="nearest")),
        0,
        255,
    ).astype(np.uint8)


def read_video(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, grey frame (H, W) uint8) of each frame of a video, seconds from the first one."""
    import av

    # opened by us: a name would be an address to FFmpeg, and a list of other files (concat, HLS) would be
    # followed
    with open_plain(path) as f, reading(path, "video", fix="export it again"):
        with av.open(
            f, "r", options={"protocol_whitelist": "none", "format_whitelist": VIDEO_FORMATS}
        ) as container:
            first = None
            for frame in container.decode(video=0):
                first = frame.time if first is None else first
                yield float(frame.time - first), frame.to_ndarray(format="gray")


def run(*, video: Path, landmarks: Path, out: Path) -> None:
    """Write the mouth crops of a video."""
    if not Path(landmarks).exists():
        raise InputError(
            f"{landmarks}: no such file, need landmarks (T, 68, 2) of each frame of {Path(video).name} as"
            " .npy; no detector comes with this project: make them with face_alignment or dlib"
        )
    points = read_npy(landmarks, fix="save landmarks (T, 68, 2) with numpy.save")
    if (
        points.dtype.kind not in "fiu"
        or points.ndim != 3
        or points.shape[1:] != (68, 2)
        or not np.isfinite(points).all()
    ):
        raise InputError(
            f"{landmarks}: {points.shape}, need finite landmarks (T, 68, 2) of each frame; give faces that"
            " were not found too"
        )
    places, count = smoothed(points.astype(float)), 0
    crops: list[np.ndarray] = []
    for seconds, grey in read_video(video):
        if count < len(places):
            found = crop(grey, places[count])
            # each frame stands for the moments of 25 fps up to itself
            crops += [found] * max(0, int(np.floor(seconds * OUT_FPS + 1e-6)) + 1 - len(crops))
        count += 1
    if count != len(points):
        raise InputError(
            f"{landmarks}: landmarks of {len(points)} frames, {Path(video).name} has {count}; make them from"
            " the same video"
        )
    with whole(out) as temporary, open(temporary, "wb") as f:
        np.savez(f, data=np.stack(crops))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--video", type=Path, required=True, help="video of one face")
    parser.add_argument("--landmarks", type=Path, required=True, help=".npy of landmarks (T, 68, 2)")
    parser.add_argument("--out", type=Path, required=True, help=".mouth.npz to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
