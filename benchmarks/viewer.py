"""How fast the viewer in the browser is, and whether it gives back what a take held.

    python benchmarks/viewer.py --seconds 90 --takes 20

Makes takes of two simulated bodies with the ICT head of the folder that INTERACT_REAL_DATA names, twice,
moved by its real curves; without that folder, with simulated heads of 24,049 vertices. Opens them in a
headless browser of 1440 x 900 that draws in 3-D on the processor (SwiftShader), and prints

- the time from a click in the list of takes to the first picture, of the first take and of later ones;
- pictures a second while it plays with sound: one variant, and two beside each other;
- the heap of JavaScript, and geometries and textures on the graphics card, after the first take and after the
  last, with rubbish collected.

A graphics card is many times as fast; --flag gives the browser other flags, such as --flag=--use-angle=gl.
"""

import argparse
import functools
import os
import shutil
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import soundfile
from blendshapes import real_head, simulated_head
from labels import play

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.files import write_json
from pipeline.formats.rig_file import Rig
from pipeline.motion.clock import FPS
from pipeline.view import glb
from pipeline.view.page import FILES, WEB, app_page
from pipeline.view.scene import CAPTURED, Performance, Person, Scene, Variant

FLAGS = [
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-compositing", "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required", "--enable-precise-memory-info", "--js-flags=--expose-gc",
]  # fmt: skip
COLOURS = ("#c2410c", "#1d4ed8")
OPEN = """name => new Promise(done => {
  const pictures = viewer.state().pictures, start = performance.now();
  const look = () => {
    const { ready, take, pictures: now } = viewer.state();
    if (ready && take === name && now > pictures) done(performance.now() - start);
    else requestAnimationFrame(look);
  };
  document.querySelector(`a.take[href="#take=${name}"]`).click();
  requestAnimationFrame(look);
})"""
"""Milliseconds from a click to a picture."""
PLAYED = """seconds => new Promise(done => {
  const at = performance.now(), before = viewer.state().pictures;
  const rate = () => (viewer.state().pictures - before) / (performance.now() - at) * 1000;
  setTimeout(() => done(rate()), seconds * 1000);
})"""
"""Pictures a second over the next seconds."""


def variant(key: str, seed: int, seconds: float, curves: np.ndarray) -> Variant:
    """Two simulated bodies with 51 weights a frame out of `curves`."""
    performances = []
    for k, motion in enumerate(play(seed, seconds).every(4).motions):
        rows = np.arange(motion.num_frames) + 400 * (k + 2 * seed)
        performances.append(Performance(motion, curves[rows % len(curves)].astype(np.float32)))
    return Variant(key, key.replace("_", " "), tuple(performances))


def take_file(scene: Scene, name: str) -> dict:
    """take.json with three words a second."""
    characters, shown = glb.characters(scene)
    seconds = scene.seconds
    words = [
        [{"word": "word", "start": t / 3 + 0.1, "end": t / 3 + 0.4, "confidence": 0.9}
         for t in range(int(3 * seconds) - 1) if (t // 12 + k) % 2]
        for k in range(2)
    ]  # fmt: skip
    return {
        "format": 1, "take": name, "fps": scene.fps, "frames": scene.num_frames, "seconds": seconds,
        "actors": [{"id": p.actor, "colour": c, "gender": "", "head": True}
                   for p, c in zip(scene.people, COLOURS)],
        "relationship": "friends", "emotion": "joy", "scenario": "", "split": "test", "verdict": "good",
        "glb": "scene.glb", "audio": "voices.flac",
        "variants": [{"key": v.key, "label": v.label, "group": v.label, "sample": None,
                      "characters": list(shown[v.key]), "face": True} for v in scene.variants],
        "characters": [{"actor": c.person, "joints": list(c.performance.motion.names)} for c in characters],
        "waveforms": {"rate": 50, "peaks": [[i % 200 for i in range(int(50 * seconds))]] * 2},
        "words": words, "actions": [[[0.0, seconds, "stand"]]] * 2, "facing": [[[0.0, seconds / 2]]] * 2,
        "contacts": [], "faults": [], "notes": [],
    }  # fmt: skip


def make_site(folder: Path, seconds: float, num_takes: int, rig: Rig, curves: np.ndarray) -> list[str]:
    """index.html, web/ and as many takes, which share their files; their names."""
    people = tuple(Person(actor, rig, None) for actor in ("001", "002"))
    variants = (variant(CAPTURED, 0, seconds, curves), variant("another", 1, seconds, curves))
    num_frames = variants[0].performances[0].motion.num_frames
    scene = Scene("20260101_001", float(FPS), num_frames, people, variants)
    glb.write_glb(scene, folder / "scene.glb")
    times = np.arange(int(scene.seconds * 48_000)) / 48_000
    soundfile.write(folder / "voices.flac", np.repeat(0.1 * np.sin(1400 * times)[:, None], 2, 1), 48_000)
    names, rows = [f"20260101_{i + 1:03}" for i in range(num_takes)], []
    listed = ("take", "relationship", "emotion", "seconds", "verdict", "split")
    for name in names:
        place = folder / "takes" / name
        place.mkdir(parents=True)
        for file in ("scene.glb", "voices.flac"):
            os.link(folder / file, place / file)
        told = take_file(scene, name)
        write_json(place / "take.json", told)
        rows.append({key: told[key] for key in listed}
                    | {"actors": ["001", "002"], "variants": 2, "page": None})  # fmt: skip
    (folder / "index.html").write_text(app_page(rows), encoding="utf-8")
    (folder / "web").mkdir()
    for file in FILES:
        shutil.copy(WEB / file, folder / "web")
    return names


class Quiet(SimpleHTTPRequestHandler):
    """A folder, silently."""

    def log_message(self, *_):
        pass


def measure(folder: Path, names: list[str], flags: list[str], program: str, seconds: float) -> None:
    """Open and play the takes, and print what was seen."""
    from playwright.sync_api import sync_playwright

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        clicks, held = [], []
        for i, name in enumerate(names):
            clicks.append(page.evaluate(OPEN, name))
            page.evaluate("gc()")
            page.wait_for_timeout(200)
            held.append(page.evaluate("(gc(), viewer.memory())"))
            if i == 0:
                print(f"draws: {held[0]['renderer']}, on {os.cpu_count()} cores; {browser.version}")
                for label, keys in (("one variant", ""), ("two side by side", "g")):
                    if keys:
                        page.keyboard.press(keys)
                    page.keyboard.press(" ")
                    page.wait_for_timeout(2000)  # until it has found the pixels that it keeps up with
                    rate = page.evaluate(PLAYED, seconds)
                    page.keyboard.press(" ")
                    print(f"pictures a second, {label}: {rate:.1f}")
                page.keyboard.press("g")
        print(f"click to first picture: {clicks[0] / 1000:.2f} s, later {np.median(clicks[1:]) / 1000:.2f} s")
        print(
            "| takes opened | heap (MB) | geometries | textures | sounds |\n| --- | --- | --- | --- | --- |"
        )
        for i in sorted({0, 1, len(names) // 2, len(names) - 1}):
            memory = held[i]
            print(f"| {i + 1} | {memory['heap'] / 1e6:.1f} | {memory['geometries']} | {memory['textures']} |"
                  f" {memory['sounds']} |")  # fmt: skip
        browser.close()
    server.shutdown()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=90, help="length of a take")
    parser.add_argument("--takes", type=int, default=20, help="how many are opened one after another")
    parser.add_argument("--play", type=float, default=10, help="seconds over which pictures are counted")
    parser.add_argument(
        "--flag", action="append", help="a flag of the browser, in place of those for a processor"
    )
    parser.add_argument("--browser", default=shutil.which("chromium"), help="its program")
    arguments = parser.parse_args()
    if arguments.browser is None:
        parser.error("no chromium found; name a browser's program with --browser")
    real = os.environ.get("INTERACT_REAL_DATA")
    rig, curves = real_head(Path(real)) if real else simulated_head()
    print(f"two heads of {len(rig.neutral)} vertices, {arguments.seconds:g} s")
    with tempfile.TemporaryDirectory() as folder:
        names = make_site(Path(folder), arguments.seconds, arguments.takes, rig, curves)
        print(f"scene.glb of two variants: {(Path(folder) / 'scene.glb').stat().st_size / 1e6:.1f} MB")
        measure(Path(folder), names, arguments.flag or FLAGS, arguments.browser, arguments.play)


if __name__ == "__main__":
    main()
