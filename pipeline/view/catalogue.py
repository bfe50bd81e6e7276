"""The list of takes: who plays, what is played, how long, and what was found, without reading a body.

In: a source. Out: a row for each take, as the viewer's list shows it (docs/view.md). What a folder does not
say is empty.
"""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from pipeline.errors import InputError
from pipeline.formats.bvh import read_header
from pipeline.formats.dataset_file import read_about
from pipeline.formats.split_file import read_split
from pipeline.motion.clock import FPS
from pipeline.reading import read_json
from pipeline.view.sources import Source, actor_in

log = logging.getLogger("interact")

LABELS = ("relationship", "emotion", "scenario_design")
"""Columns of takes.tsv that are shown."""


@dataclass(frozen=True)
class Catalogue:
    """What tables and headers say of a source's takes; each table is read once."""

    source: Source

    @cached_property
    def _lengths(self) -> dict[str, int]:
        """Frames by take, as dataset.json has them."""
        path = None if self.source.dataset is None else self.source.dataset / "dataset.json"
        if path is None or not path.exists():
            return {}
        return {take: about["frames"] for take, about in read_about(path)["takes"].items()}

    @cached_property
    def _split(self) -> dict[str, str]:
        """train or test by take, as the run's split.tsv has it."""
        path = None if self.source.annotations is None else self.source.annotations / "split.tsv"
        return read_split(path) if path is not None and path.exists() else {}

    def annotation(self, kind: str, name: str) -> Path | None:
        """A file of the annotations, None where it is not there: annotation("quality", "<take>.json")."""
        path = None if self.source.annotations is None else self.source.annotations / kind / name
        return path if path is not None and path.exists() else None

    def files(self, take: str) -> list[Path]:
        """Files that what is shown of a take is made of, in a fixed order, those that are there."""
        files = self.source.files(take)
        names = self.source.performances[take]
        kinds = (("actions", "npy"), ("facing", "npy"), ("transcripts", "json"))
        own = [self.annotation(kind, f"{name}.{ending}") for kind, ending in kinds for name in names]
        own += [self.annotation(kind, f"{take}.json") for kind in ("contacts", "quality")]
        return files + [path for path in own if path is not None]

    def num_frames(self, take: str) -> int | None:
        """Frames of 1/30 s that a take has, None where it has no body.

        dataset.json says so, or else the shortest of what headers claim, of what was captured where that is
        there.
        """
        if take in self._lengths:
            return self._lengths[take]
        for stream in self.source.streams:
            bodies = [body for name in self.source.performances[take] if (body := stream.body(name))]
            if bodies:
                return min(_at_fps(*read_header(body)) for body in bodies)
        return None

    def said(self, take: str) -> dict[str, str]:
        """Relationship, emotion, scenario and split of a take, each empty where nothing says it."""
        row = self.source.listed[take].row if take in self.source.listed else {}
        relationship, emotion, scenario = (row.get(column, "") for column in LABELS)
        return {
            "relationship": relationship,
            "emotion": emotion,
            "scenario": scenario,
            "split": self._split.get(take, row.get("split", "")),
        }

    def quality(self, take: str) -> dict:
        """What the stage quality found in a take; empty where it has not looked."""
        path = self.annotation("quality", f"{take}.json")
        return {} if path is None else read_json(path, kind=dict, fix="run the stage quality again")

    def row(self, take: str, *, page: str | None = None) -> dict:
        """A row of the list. A file that cannot be read is told, and the row does without it."""
        said = self.said(take)
        try:
            verdict, num_frames = str(self.quality(take).get("verdict", "")), self.num_frames(take)
        except InputError as error:
            log.warning("%s", error)
            verdict, num_frames = "", self._lengths.get(take)
        return {
            "take": take,
            "actors": [actor_in(name) for name in self.source.performances[take]],
            "relationship": said["relationship"],
            "emotion": said["emotion"],
            "seconds": None if num_frames is None else round(num_frames / FPS, 2),
            "verdict": verdict,
            "split": said["split"],
            "variants": len(self.source.keys(take)),
            "page": page,
        }

    def rows(self) -> list[dict]:
        """A row for each take, in name order."""
        return [self.row(take) for take in self.source.takes]


def address(take: str) -> str:
    """The address of a take's page from the list of takes."""
    return f"{quote(take)}.html"


def row_of(take_file: dict, *, page: str | None) -> dict:
    """The row of a take whose take.json is there."""
    kept = ("take", "relationship", "emotion", "seconds", "verdict", "split")
    return {key: take_file[key] for key in kept} | {
        "actors": [actor["id"] for actor in take_file["actors"]],
        "seconds": round(take_file["seconds"], 2),
        "variants": len(take_file["variants"]),
        "page": page,
    }


def _at_fps(num_frames: int, fps: float) -> int:
    return max(int((num_frames - 1) * FPS / fps + 1e-6) + 1, 0)
