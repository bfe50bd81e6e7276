"""take.json: what a viewer shows of a take beside its bodies and faces.

In: a source and a scene of it. Out: people, variants, waveforms, words, labels, touches and faults, all in
seconds from frame 0 (docs/view.md). What is not there is empty or null; NaN, and labels that do not belong to
the take, are errors.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.figures.strips import ACTIONS, COLOURS
from pipeline.files import whole
from pipeline.formats import database
from pipeline.formats.array_files import read_npy
from pipeline.formats.words import read_words
from pipeline.motion.clock import FPS
from pipeline.motion.stretches import runs
from pipeline.reading import read_json
from pipeline.view import voices
from pipeline.view.catalogue import Catalogue
from pipeline.view.glb import characters
from pipeline.view.scene import CAPTURED, Scene

FORMAT = 1
GLB, AUDIO, TAKE_FILE = "scene.glb", "voices.flac", "take.json"
"""Files of a take."""
FAULTS = {
    "nan": "no values",
    "swap": "change places",
    "side_swap": "left and right change places",
    "limit": "beyond its limit",
    "flicker": "spike",
    "jump": "jump",
    "freeze": "frozen",
    "slide": "slides on the ground",
}
"""Kinds of faults of a body (pipeline.capture.body_faults) in words."""
WHOLE_BODY = "whole body"
UNITS = {"deg": "°", "cm": " cm", "s": " s"}

Stretch = tuple[float, float, str, int]
"""Start and stop in seconds, what it is, and whose: the number of the actor."""


def plain_name(joint: str) -> str:
    """A joint or a part of a body in words: LeftForeArm -> left fore arm, whole body as it is."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", joint)).lower() or joint


def seconds_of(first: int, stop: int) -> list[float]:
    """Start and stop in seconds of frames first..stop-1."""
    return [round(first / FPS, 4), round(stop / FPS, 4)]


def _labels(catalogue: Catalogue, scene: Scene, kind: str, names: tuple[str, ...]) -> list[np.ndarray | None]:
    """Labels (T,) of each person, cut to the scene; InputError where they are not the take's."""
    need = catalogue.num_frames(scene.take)
    found: list[np.ndarray | None] = []
    for name in catalogue.source.performances[scene.take]:
        path = catalogue.annotation(kind, f"{name}.npy")
        values = None if path is None else read_npy(path)
        if values is not None:
            if values.ndim != 1 or values.dtype.kind not in "uib" or len(values) != need:
                raise InputError(
                    f"{path}: got {values.dtype} {values.shape}, need a label for each of the {need} frames"
                    f" of take {scene.take}; label the take again"
                )
            if len(values) and not 0 <= int(values.min()) <= int(values.max()) < len(names):
                raise InputError(
                    f"{path}: got labels {values.min()} to {values.max()}, need 0 to {len(names) - 1}"
                    f" ({', '.join(names)}); label the take again"
                )
            values = values[: scene.num_frames].astype(int)
        found.append(values)
    return found


def actions(catalogue: Catalogue, scene: Scene) -> list[list[list]]:
    """Stretches of each person's action: [start, stop, name]."""
    found = []
    for values in _labels(catalogue, scene, "actions", ACTIONS):
        stretches: list[list] = []
        if values is not None and len(values):
            edges = [0, *(np.flatnonzero(np.diff(values)) + 1), len(values)]
            stretches = [[*seconds_of(int(a), int(b)), ACTIONS[values[a]]] for a, b in zip(edges, edges[1:])]
        found.append(stretches)
    return found


def facing(catalogue: Catalogue, scene: Scene) -> list[list[list[float]]]:
    """Stretches in which each person faces the other: [start, stop]."""
    return [
        [] if values is None else [seconds_of(a, b) for a, b in runs(values > 0)]
        for values in _labels(catalogue, scene, "facing", ("faces elsewhere", "faces the other"))
    ]


def words(catalogue: Catalogue, scene: Scene) -> list[list[dict]]:
    """Words of each person, those that begin within the take."""
    found = []
    for name in catalogue.source.performances[scene.take]:
        path = catalogue.annotation("transcripts", f"{name}.json")
        found.append(
            [
                {
                    "word": word["word"].strip(),
                    "start": round(word["start"], 4),
                    "end": round(word["end"], 4),
                    "confidence": word.get("confidence"),
                }
                for word in ([] if path is None else read_words(path))
                if word["start"] < scene.seconds
            ]
        )
    return found


def contacts(catalogue: Catalogue, scene: Scene) -> list[Stretch]:
    """Touches in words, by time."""
    path = catalogue.annotation("contacts", f"{scene.take}.json")
    if path is None:
        return []
    actors = [person.actor for person in scene.people]
    found = []
    for number, touch in enumerate(read_json(path, kind=dict).get("contacts", [])):
        try:
            actor, of = actors.index(touch["actor"]), actors.index(touch["of"])
            start, stop = seconds_of(touch["start"], touch["stop"])
            hand, part = plain_name(touch["hand"]), plain_name(touch["part"])
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f'{path}, contact {number}: got {touch!r:.200}, need "actor" and "of" of {", ".join(actors)},'
                ' "hand", "part", and "start" and "stop" in frames; run the stage contacts again'
            ) from None
        whose = "own" if actor == of else f"{actors[of]}'s"
        found.append((start, stop, f"{hand} touches {whose} {part}", actor))
    return _within(found, scene.seconds)


def faults(catalogue: Catalogue, scene: Scene) -> list[Stretch]:
    """What the stage quality found at a time, by time: faults of bodies, and streams that are frozen.

    The frames of a body's fault count in the recording, at its rate; its seconds are the take's, as the
    stage body has found them by the sync.
    """
    quality = catalogue.quality(scene.take)
    bodies = quality.get("parts", {}).get("body", {})
    found: list[Stretch] = []
    try:
        for actor, name in enumerate(catalogue.source.performances[scene.take]):
            listed = bodies.get(name, {}).get("quality", {}).get("faults", [])
            for fault in listed:
                start = fault["start_seconds"]
                found.append((start, start + fault["seconds"], f"body: {_fault(fault)}", actor))
            frozen = quality.get("performances", {}).get(name, {}).get("frozen", {})
            for stream, stretches in frozen.items():
                for start, length in stretches:
                    found.append((start, start + length, f"{stream}: frozen", actor))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"{catalogue.annotation('quality', f'{scene.take}.json')}: faults of another form than the stage"
            " quality writes; run it again"
        ) from None
    return _within(found, scene.seconds)


def _fault(fault: dict) -> str:
    """A fault of a body in words: `right hand: jump of 31.5° (limit 20°)`."""
    joint = fault["joint"] if fault["joint"] == WHOLE_BODY else plain_name(fault["joint"])
    unit = UNITS.get(fault["unit"], f" {fault['unit']}")
    size = f", {fault['value']:g}{unit}" + (f" (limit {fault['limit']:g}{unit})" if fault["limit"] else "")
    note = f": {fault['note']}" if fault.get("note") else ""
    mended = ", mended" if fault.get("mended") else ""
    return f"{joint}: {FAULTS.get(fault['kind'], fault['kind'])}{size}{note}{mended}"


def _within(found: list[Stretch], seconds: float) -> list[Stretch]:
    """Stretches cut to the take, by time; those outside it are left out."""
    cut = [
        (round(max(float(start), 0.0), 4), round(min(float(stop), seconds), 4), what, actor)
        for start, stop, what, actor in found
        if start < seconds and stop > 0
    ]
    return sorted(cut, key=lambda stretch: (stretch[0], stretch[3], stretch[2]))


def _notes(catalogue: Catalogue, scene: Scene) -> Iterator[str]:
    yield from scene.notes
    for reason in catalogue.quality(scene.take).get("reasons", []):
        yield f"look at this: {reason}"


def take_file(catalogue: Catalogue, scene: Scene) -> dict[str, Any]:
    """What take.json holds."""
    there, shown = characters(scene)
    source = catalogue.source
    ids = [person.actor for person in scene.people]
    genders = {} if source.dataset is None else database.genders(source.dataset, ids)
    said = catalogue.said(scene.take)
    heard = [person.voice is not None for person in scene.people]
    return {
        "format": FORMAT,
        "take": scene.take,
        "fps": int(scene.fps),
        "frames": scene.num_frames,
        "seconds": round(scene.seconds, 4),
        "actors": [
            {
                "id": person.actor,
                "colour": COLOURS[number % len(COLOURS)],
                "gender": genders.get(person.actor),
                "head": any(c.person == number and c.faced(scene.people) is not None for c in there),
            }
            for number, person in enumerate(scene.people)
        ],
        **said,
        "verdict": catalogue.quality(scene.take).get("verdict", ""),
        "glb": GLB,
        "audio": AUDIO if any(heard) else None,
        "variants": [
            {
                "key": variant.key,
                "label": variant.label,
                "group": variant.label.partition(", sample ")[0],
                "sample": None if variant.key == CAPTURED else _sample(variant.key),
                "characters": list(shown[variant.key]),
                "face": any(p.face is not None for p in variant.performances),
            }
            for variant in scene.variants
        ],
        "characters": [{"actor": c.person, "joints": list(c.performance.motion.names)} for c in there],
        "waveforms": {
            "rate": voices.PEAKS_PER_SECOND,
            "peaks": [
                [] if person.voice is None else voices.peaks(person.voice, scene.seconds)
                for person in scene.people
            ],
        },
        "words": words(catalogue, scene),
        "actions": actions(catalogue, scene),
        "facing": facing(catalogue, scene),
        "contacts": contacts(catalogue, scene),
        "faults": faults(catalogue, scene),
        "notes": list(_notes(catalogue, scene)),
    }


def _sample(key: str) -> int:
    """The number of a sample by its variant's key: 0 of `row`, 2 of `row/sample-02`."""
    digits = re.search(r"/sample-(\d+)$", key)
    return int(digits[1]) if digits else 0


def write_take_file(content: dict[str, Any], out: Path) -> None:
    """Write a take.json, whole or not at all: on one line, since a browser reads it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    with whole(out) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
