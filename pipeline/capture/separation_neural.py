"""Separation by networks that see faces beside the microphones: `lips` and `visualvoice`.

They are models.speech.separation_net and models.speech.visualvoice.

Imported by pipeline.capture.separation when one of them is asked for, so that all other methods run without
torch.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.formats.array_files import open_npz, read_npy
from pipeline.reading import MEBIBYTE, open_plain, reading

MOST_PICTURE_BYTES = 64 * MEBIBYTE
"""Bytes of a picture's file: 224 x 224 pixels have 150 kB."""


def read_weights(path: Path, frames: int) -> np.ndarray:
    """Face weights (frames, 51) of a face_arkit file."""
    weights = read_npy(path, fix="run blendshapes again")
    if weights.shape != (frames, 51) or not np.isfinite(weights).all():
        raise InputError(
            f"{path}: face weights {weights.shape}, need finite ones ({frames}, 51); run blendshapes again"
        )
    return weights


def read_mouth(path: Path, skip_seconds: float) -> np.ndarray:
    """Mouth crops (T, 96, 96) uint8 at 25 fps from `skip_seconds` after the video's first frame on."""
    from models.speech import visualvoice

    with open_npz(
        path, fix="make it with python -m pipeline.capture.mouth_crop, or correct the command"
    ) as archive:
        if "data" not in archive:
            raise InputError(
                f"{path}: holds {', '.join(archive.names)}, need `data`; make it with python -m"
                " pipeline.capture.mouth_crop"
            )
        data = archive["data"]
    if data.ndim != 3 or data.shape[1:] != (96, 96) or data.dtype != np.uint8 or not len(data):
        raise InputError(
            f"{path}: data is {data.dtype} {data.shape}, need uint8 (frames, 96, 96); make it with python -m"
            " pipeline.capture.mouth_crop"
        )
    first = round(skip_seconds * visualvoice.FPS)
    return data[np.clip(np.arange(first, max(len(data), first + 1)), 0, len(data) - 1)]


def read_picture(path: Path) -> np.ndarray:
    """A picture of a face, (224, 224, 3) uint8, from .npy or an image file."""
    if Path(path).suffix == ".npy":
        picture = read_npy(path)
    else:
        from PIL import Image

        with (
            open_plain(path, most=MOST_PICTURE_BYTES) as f,
            reading(path, "picture", fix="cut the face out of a frame, 224 x 224, as .npy or .png"),
        ):
            with Image.open(f, formats=("PNG", "JPEG")) as image:
                if image.size != (224, 224):
                    raise ValueError(f"{image.size[0]} x {image.size[1]} pixels, need 224 x 224")
                picture = np.asarray(image.convert("RGB"))
    if picture.shape != (224, 224, 3) or picture.dtype != np.uint8:
        raise InputError(
            f"{path}: {picture.dtype} {picture.shape}, need a picture uint8 (224, 224, 3); cut the face out"
            " of a frame and scale it"
        )
    return picture


def separate_lips(
    mics: np.ndarray, rate: int, *, face: Sequence[Path], weights: Path, frames: int
) -> np.ndarray:
    """Voices of microphones (2, S) with the fitted faces of both actors; see models.speech.separation_net."""
    from models.speech import separation_net

    if len(face) != 2:
        raise InputError(
            f"separation: {len(face)} --face, method lips needs the face_arkit files of both actors; correct"
            " the command"
        )
    network = separation_net.load(weights)
    return separation_net.separate_lips(
        mics, rate, network=network, weights=[read_weights(path, frames) for path in face]
    )


def separate_visualvoice(
    mics: np.ndarray,
    rate: int,
    *,
    mouth: Sequence[Path],
    picture: Sequence[Path],
    skip_seconds: list[float],
    checkpoints: Path,
    hop_seconds: float,
) -> np.ndarray:
    """Voices of microphones (2, S) with mouth crops and pictures of both actors.

    See models.speech.visualvoice.
    """
    from models.speech import visualvoice

    if not len(mouth) == len(picture) == 2:
        raise InputError(
            f"separation: {len(mouth)} --mouth, {len(picture)} --picture, method visualvoice needs those of"
            " both actors; correct the command"
        )
    networks = visualvoice.load(checkpoints)
    mouths = [read_mouth(path, skip) for path, skip in zip(mouth, skip_seconds, strict=True)]
    faces = [read_picture(path) for path in picture]
    return visualvoice.separate_visualvoice(
        mics, rate, networks=networks, mouths=mouths, faces=faces, hop_seconds=hop_seconds
    )
