"""How long one core needs for ten seconds of film, and what a picture by matplotlib would need.

    python benchmarks/films.py data 20240110_007                   # a run and one of its takes
    python benchmarks/films.py data 20240110_007 --variants captured trained_models

Prints processor seconds of ten seconds of film (300 frames of 1280 x 720, drawn by one thread), of that what
vertices, drawing and encoding take, and the same for film strips' bodies and faces drawn by matplotlib, one
frame of which is measured.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.figures.figure import pyplot
from pipeline.figures.strips import COLOURS, common_limits, draw_bodies, draw_face, scene_of
from pipeline.view.catalogue import Catalogue
from pipeline.view.film import SIZE, write_film
from pipeline.view.picture import Pictures
from pipeline.view.sources import open_source
from pipeline.view.take_file import words

SECONDS = 10


def drawn_by_matplotlib(scene, frame: int) -> float:
    """Processor seconds of one picture of the first variant."""
    begin = time.process_time()
    performances = scene.variants[0].performances
    bodies = scene_of([p.motion.frames(slice(frame, frame + 1)) for p in performances])
    fig = pyplot().figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100)
    draw_bodies(fig.add_axes((0, 0, 0.7, 1)), bodies, 0, common_limits([bodies]))
    for k, (person, performance) in enumerate(zip(scene.people, performances)):
        if person.rig is not None and performance.face is not None:
            draw_face(
                fig.add_axes((0.7, 0.5 - 0.5 * k, 0.3, 0.5)), person.rig, performance.face[frame], COLOURS[k]
            )
    fig.canvas.draw()
    pyplot().close(fig)
    return time.process_time() - begin


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="root of a run, or another source of takes")
    parser.add_argument("take", help="take to film, of ten seconds or more")
    parser.add_argument("--variants", nargs="+", help="variants beside each other; the first by default")
    arguments = parser.parse_args()
    source = open_source(arguments.source)
    keys = arguments.variants or source.keys(arguments.take)[:1]
    scene = source.scene(arguments.take, keys)
    num_frames = min(round(SECONDS * scene.fps), scene.num_frames)
    sizes = ", ".join(str(len(p.rig.neutral)) for p in scene.people if p.rig is not None) or "none"
    print(f"{arguments.take}, {len(keys)} variants, {num_frames} frames, vertices of heads: {sizes}")

    begin = time.process_time()
    pictures = Pictures(scene, keys, SIZE)
    ready = time.process_time()
    for frame in range(num_frames):
        for row in pictures.shown:
            for one in row:
                one.set(frame)
    vertices = time.process_time() - ready
    for frame in range(num_frames):
        pictures.frame(frame)
    both = time.process_time() - ready - vertices
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        said = words(Catalogue(source), scene)
        write_film(scene, keys, said, Path(folder, "x.mp4"), span=range(num_frames))
        whole = time.process_time() - start
        size = Path(folder, "x.mp4").stat().st_size
    plain = np.mean([drawn_by_matplotlib(scene, frame) for frame in (0, num_frames // 2)])
    for name, value in (
        ("film, all in all", whole),
        ("  beginning", ready - begin),
        ("  vertices", vertices),
        ("  drawing", both - vertices),
        ("  text, encoding, sound", whole - both - (ready - begin)),
        ("matplotlib, bodies as sticks", plain * num_frames),
    ):
        print(f"{name:30} {value:8.1f} s of one core")
    print(f"{'size':30} {size / 1e6:8.2f} MB")


if __name__ == "__main__":
    main()
