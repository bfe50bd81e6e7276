"""The lip-accurate set as a shard: one actor who reads, and a partner who is not there.

    python -m pipeline.shards.lips --dataset D --performances P... --out lip_shards/shard-000.h5

In: the folder dataset, of whose lip_acc/ the faces and voices of the performances are read. Out: a shard like
any other, whose takes are the readings, all of them train. Of the two actors the first is absent
(pipeline.ids.ABSENT): silent, its mel that of silence, its face zeros. Nobody faces anybody, nobody's words
are told, and bodies, which are not recorded, are one joint that does not move.

Trainings take the moments of what they start from, so what is absent changes none.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stage
from pipeline.config import Features
from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.formats.array_files import read_npy
from pipeline.formats.takes import Take
from pipeline.formats.voice_file import read_wav
from pipeline.ids import ABSENT, check_id
from pipeline.motion.clock import sample_of
from pipeline.motion.pose import Skeleton
from pipeline.shards.build import Header, build
from pipeline.shards.features import fit_wav_length, log_mel, skeleton_arrays
from pipeline.signals.resampling import resample

STILL = Skeleton(["Hips"], np.array([-1]), np.zeros((1, 3)), {}, ["zxy"])
"""The body of a reading: one joint."""
NO_TEXT = "none"
"""Text model of shards in which no words are told."""


@dataclass(frozen=True)
class Reading:
    """One performance of the set as a take of a shard."""

    take: Take
    face: Path
    wav: Path
    options: Features

    @property
    def named(self) -> dict[str, Path]:
        """Its files by the names under which a shard lists them."""
        return {f"dataset/lip_acc/{path.parent.name}/{path.name}": path for path in (self.face, self.wav)}

    def _face(self) -> np.ndarray:
        """The reader's weights (N, 51)."""
        face = read_npy(self.face)
        if face.ndim != 2 or face.shape[1] != len(arkit.NAMES) or not len(face):
            raise InputError(
                f"{self.face}: got shape {face.shape}, need (frames, {len(arkit.NAMES)}); write it again"
            )
        if not np.isfinite(face).all():
            bad = int(np.argmin(np.isfinite(face).all(1)))
            raise InputError(f"{self.face}, frame {bad}: got NaN, need weights; write it again")
        return face

    def header(self) -> Header:
        """What a shard says of it beside its rows."""
        attributes: dict[str, Any] = {"joint_names": STILL.names, "parents": STILL.parents.tolist()}
        attributes |= {"mel_fft": self.options.mel_fft, "mel_fmax": self.options.mel_fmax}
        attributes |= {"text_model": NO_TEXT, "text_model_sha256": NO_TEXT}
        rows = {
            "body": (2, 3),
            "root": (2, 4),
            "mel": (2, self.options.num_mels),
            "audio": (2,),
            "text": (1,),
        }
        frames = len(self._face())
        return attributes, rows, (frames, int(sample_of(frames)), 0)

    def load(self) -> dict[str, np.ndarray]:
        """Every dataset of it: the absent partner first, who has the lower id."""
        face = self._face()
        frames, samples = len(face), int(sample_of(len(face)))
        audio, rate = read_wav(self.wav)
        audio = fit_wav_length(audio, rate, frames, self.wav, max_seconds=self.options.max_wav_seconds)
        voices = [np.zeros(samples, np.float32), resample(audio, rate, samples)]
        sizes = {key: getattr(self.options, key) for key in ("num_mels", "mel_fft", "mel_fmax")}
        own = {
            "body": np.zeros((frames, 2, 3), np.float32),
            "root": np.zeros((frames, 2, 4), np.float32),
            "face": np.stack([np.zeros_like(face), face], 1),
            "mel": np.stack([log_mel(voice, frames, **sizes) for voice in voices], 1),
            "audio": np.stack(voices, 1),
            "text": np.zeros((0, 1), np.float32),
        }
        labels = {"action": (2, np.uint8), "facing": (0, np.uint8), "text_index": (-1, np.int32)}
        return own | {name: np.full((frames, 2), value, kind) for name, (value, kind) in labels.items()}

    def copy_skeletons(self, group: Any) -> None:
        """A joint for each of the two."""
        for name in self.take.performances:
            for key, values in skeleton_arrays(STILL).items():
                group[f"{name}/{key}"] = values
            group[name].attrs["orders"] = STILL.orders


def readings(dataset: Path, performances: Sequence[str], options: Features) -> list[Reading]:
    """The performances of dataset/lip_acc as takes `<date>_<scenario>`.

    Where several actors read a sentence on one day, `<date>_<scenario>-<actor>`. InputError names what is
    missing.
    """
    parts = [check_id(name, "performance", "--performances").split("_") for name in performances]
    count = Counter((date, scenario) for date, _, scenario in parts)
    found = []
    for name, (date, actor, scenario) in zip(performances, parts, strict=True):
        own = scenario if count[date, scenario] == 1 else f"{scenario}-{actor}"
        take = Take(f"{date}_{own}", date, own, (ABSENT, actor), {})
        face, wav = (dataset / "lip_acc" / f"face_arkit/{name}.npy", dataset / "lip_acc" / f"wav/{name}.wav")
        for path in (face, wav):
            if not path.exists():
                raise InputError(f"{path}: is missing; run the stage that writes it, or leave {name} out")
        found.append(Reading(take, face, wav, options))
    return found


def run(*, dataset: Path, performances: list[str], out: Path, options: Features) -> None:
    """Write the set as one shard, a reading in memory at a time."""
    parts = readings(dataset, performances, options)
    build(parts, ["train"] * len(parts), out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Features)
    parser.add_argument("--dataset", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--performances", nargs="+", required=True, help="performances of its lip_acc")
    parser.add_argument("--out", type=Path, required=True, help="shard to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
