"""A folder of the viewer for tests: a page, two takes of two people, a server, and what take.json says."""

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import soundfile

from helpers.tiny_scene import make_run
from pipeline.files import write_json
from pipeline.view import glb
from pipeline.view.page import FILES, WEB, Carried, app_page
from pipeline.view.scene import Scene
from pipeline.view.sources import open_source

TAKES = ("20260101_001", "20260101_002")
NUM_FRAMES = 150
COLOURS = ("#c2410c", "#1d4ed8")
WORDS = (
    [{"word": "Well,", "start": 0.5, "end": 0.9, "confidence": 0.9},
     {"word": "</script>", "start": 0.95, "end": 1.4, "confidence": None}],
    [{"word": "hello", "start": 2.05, "end": 2.6, "confidence": 0.8},
     {"word": "there.", "start": 2.6, "end": 3.1, "confidence": 0.7}],
)  # fmt: skip


def take_file(scene: Scene) -> dict:
    """take.json of a scene, with the same words, touches and faults for all."""
    characters, shown = glb.characters(scene)
    return {
        "format": 1,
        "take": scene.take,
        "fps": scene.fps,
        "frames": scene.num_frames,
        "seconds": scene.seconds,
        "actors": [
            {"id": person.actor, "colour": colour, "gender": "female", "head": person.rig is not None}
            for person, colour in zip(scene.people, COLOURS)
        ],
        "relationship": "Friends",
        "emotion": "Joy é",
        "scenario": "They look for <b>something</b> that was lost.",
        "split": "test",
        "verdict": "good",
        "glb": "scene.glb",
        "audio": "voices.flac",
        "variants": [
            {
                "key": variant.key,
                "label": variant.label,
                "group": variant.label.split(",")[0],
                "sample": None if variant.key == "captured" else number - 1,
                "characters": list(shown[variant.key]),
                "face": True,
            }
            for number, variant in enumerate(scene.variants)
        ],
        "characters": [
            {"actor": one.person, "joints": list(one.performance.motion.names)} for one in characters
        ],
        "waveforms": {"rate": 50, "peaks": [[i % 256 for i in range(250)], [128] * 250]},
        "words": list(WORDS),
        "actions": [[[0.0, 2.0, "sit"], [2.0, 5.0, "stand"]], [[0.0, 5.0, "walk"]]],
        "facing": [[[0.0, 2.0]], []],
        "contacts": [[3.3, 3.7, "right hand touches the left elbow of 002", 0]],
        "faults": [[4.0, 4.4, "body: left and right hand swapped", 1]],
        "notes": ["a note of the take"],
    }


def row(take: dict) -> dict:
    """A take as the list has it."""
    return {
        name: take[name] for name in ("take", "relationship", "emotion", "seconds", "verdict", "split")
    } | {
        "actors": [actor["id"] for actor in take["actors"]],
        "variants": len(take["variants"]),
        "page": f"{take['take']}.html",
    }


def many(num_takes: int) -> list[dict]:
    """Rows of takes that are not there."""
    return [
        {"take": f"2024{1 + i // 280:02}{1 + i % 28:02}_{i:04}", "actors": ["001", f"{2 + i % 7:03}"],
         "relationship": ("Friends", "Parent / Child", "")[i % 3], "emotion": ("Joy", "Anger")[i % 2],
         "seconds": 20 + i % 170, "verdict": "check" if i % 5 == 0 else "good",
         "split": "test" if i % 4 == 0 else "train", "variants": 1, "page": None}
        for i in range(num_takes)
    ]  # fmt: skip


def make_site(folder: Path) -> dict[str, Scene]:
    """index.html, many.html, web/, takes/ and a page of its own for each take; its scenes by take."""
    make_run(folder / "run", num_frames=NUM_FRAMES, takes=TAKES)
    source = open_source(folder / "run")
    scenes = {take: source.scene(take) for take in TAKES}
    rows = []
    for take, scene in scenes.items():
        place = folder / "takes" / take
        place.mkdir(parents=True)
        glb.write_glb(scene, place / "scene.glb")
        seconds = np.arange(round(scene.seconds * 16_000)) / 16_000
        hum = 0.2 * np.sin(2 * np.pi * 220 * seconds)
        soundfile.write(place / "voices.flac", np.stack([hum, hum], 1), 16_000)
        told = take_file(scene)
        write_json(place / "take.json", told)
        rows.append(row(told))
        carried = Carried(told, (place / "scene.glb").read_bytes(), (place / "voices.flac").read_bytes())
        (folder / f"{take}.html").write_text(app_page(rows[-1:], carried), encoding="utf-8")
    (folder / "index.html").write_text(app_page(rows), encoding="utf-8")
    (folder / "many.html").write_text(app_page(rows + many(2000)), encoding="utf-8")
    (folder / "web").mkdir()
    for name in FILES:
        shutil.copy(WEB / name, folder / "web")
    return scenes


class Handler(SimpleHTTPRequestHandler):
    """A folder, silently; for what is not there a line in plain text."""

    def log_message(self, *_):
        pass

    def send_error(self, code, *_):
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(f"no take here: {self.path}\n".encode())


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def inlined(page: str, name: str) -> object:
    """What a page carries as JSON under a name."""
    start = f'<script type="application/json" id="{name}">'
    return json.loads(page.split(start)[1].split("</script>")[0])
