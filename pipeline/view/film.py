"""Films: both actors of a take moving and speaking, as MP4 that every browser plays.

    python -m pipeline.view.film 20240110_007 --source data --out films --variants captured trained_models

In: takes of a run, a dataset, a release, or a folder with bvhs/. Out: one MP4 (H.264 and AAC) for each take:
bodies on the ground, faces large beside or below them, the words that are said; several variants beside each
other. Pictures are drawn without a screen (pipeline.view.picture). The same input gives the same bytes.

Needs the extra `films`: VTK, and PyAV, whose H.264 encoder is x264 (GPL).
"""

import logging
import textwrap
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import ownership, stage
from pipeline.errors import InputError
from pipeline.figures.strips import COLOURS
from pipeline.files import whole
from pipeline.motion.clock import sample_of
from pipeline.reading import inside
from pipeline.view import voices
from pipeline.view.catalogue import Catalogue
from pipeline.view.picture import Pictures, rgb
from pipeline.view.scene import Scene
from pipeline.view.sources import Source, add_source_flags, open_source
from pipeline.view.take_file import words

log = logging.getLogger("interact")

SIZE = (1280, 720)
TITLE_PX, CAPTION_PX, TEXT_PX = 40, 68, 22
"""Heights of the strips above and below the pictures, and of their letters, where a film is 720 high."""
QUALITY = "20"
"""x264's constant rate factor: 18 is hardly told from the picture, 28 is coarse."""
SOUND_RATE = 128_000
AAC_SAMPLES = 1024
BAR_PX = 4
"""Height of the line in an actor's colour above each face."""
PAUSE_SECONDS, LONGEST_PHRASE, LINGER_SECONDS = 0.7, 70, 0.5
"""A caption ends at such a pause or with so many letters, and stays so long after its last word."""
INK, PAPER = "#1c1917", "#fafaf9"


def phrases(said: Sequence[dict]) -> list[tuple[float, float, str]]:
    """Words as captions: (start, end, text), none while the next is said."""
    groups: list[list[dict]] = []
    for word in said:
        text = " ".join(w["word"] for w in groups[-1]) if groups else ""
        if not groups or word["start"] - groups[-1][-1]["end"] > PAUSE_SECONDS or len(text) > LONGEST_PHRASE:
            groups.append([])
        groups[-1].append(word)
    starts = [group[0]["start"] for group in groups] + [np.inf]
    return [
        (group[0]["start"], min(group[-1]["end"] + LINGER_SECONDS, after), " ".join(w["word"] for w in group))
        for group, after in zip(groups, starts[1:])
    ]


def said_at(captions: Sequence[tuple[float, float, str]], seconds: float) -> str:
    """The caption of a moment, empty between two."""
    return next((text for start, end, text in captions if start <= seconds < end), "")


class Strips:
    """Strips of text above and below a film's pictures, drawn anew only where they change."""

    def __init__(self, size: tuple[int, int]):
        from matplotlib import font_manager
        from PIL import ImageFont

        self.width, height = size
        scale = height / SIZE[1]
        self.title_px, self.caption_px = (2 * round(px * scale / 2) for px in (TITLE_PX, CAPTION_PX))
        path = font_manager.findfont("DejaVu Sans")
        self.font = ImageFont.truetype(path, max(round(TEXT_PX * scale), 8))
        self.small = ImageFont.truetype(path, max(round(TEXT_PX * scale * 0.8), 7))
        self.title = lru_cache(8)(self._title)
        self.caption = lru_cache(8)(self._caption)

    def _sheet(self, height: int) -> tuple[Any, Any]:
        from PIL import Image, ImageDraw

        sheet = Image.new("RGB", (self.width, height), PAPER)
        return sheet, ImageDraw.Draw(sheet)

    def _title(self, take: str, labels: tuple[str, ...], second: int) -> np.ndarray:
        """The take, what each of the pictures shows, and the time."""
        sheet, draw = self._sheet(self.title_px)
        middle, clock = self.title_px // 2, f"{second // 60}:{second % 60:02}"
        draw.text((12, middle), take, INK, font=self.font, anchor="lm")
        draw.text((self.width - 12, middle), clock, INK, font=self.font, anchor="rm")
        for k, label in enumerate(labels):
            at = (self.width * (2 * k + 1) // (2 * len(labels)), middle)
            draw.text(at, label, INK, font=self.font, anchor="mm")
        return np.asarray(sheet)

    def _caption(self, lines: tuple[tuple[str, str], ...]) -> np.ndarray:
        """What each actor says: (actor, text), a line each in the actor's colour."""
        sheet, draw = self._sheet(self.caption_px)
        for k, (actor, text) in enumerate(lines):
            at = (12, self.caption_px * (2 * k + 1) // (2 * len(lines)))
            colour = tuple(round(255 * part) for part in rgb(COLOURS[k % len(COLOURS)]))
            room = textwrap.shorten(
                text, max(int(self.width / self.small.getlength("n")) - 12, 20), placeholder=" …"
            )
            draw.text(at, f"{actor}   {room}", colour, font=self.small, anchor="lm")
        return np.asarray(sheet)


def frames(
    scene: Scene,
    keys: Sequence[str],
    said: Sequence[Sequence[dict]],
    size: tuple[int, int],
    span: range,
    *,
    threads: int,
) -> Iterator[np.ndarray]:
    """Pictures (height, width, 3) uint8 of the frames of a film."""
    strips = Strips(size)
    captions = [phrases(own) for own in said]
    spoken = any(captions)
    below = strips.caption_px if spoken else 0
    inner = (size[0], size[1] - strips.title_px - below)
    pictures = Pictures(scene, keys, inner, threads=threads)
    bars: list[tuple[int, int, int, list[int]]] = []
    for _, faces in pictures.tiles:
        for k, (left, _, right, top) in zip(pictures.faced, faces):
            colour = [round(255 * part) for part in rgb(COLOURS[k % len(COLOURS)])]
            bars.append(
                (round(left * inner[0]), round((1 - top) * inner[1]), round(right * inner[0]), colour)
            )
    labels = tuple(scene.variant(key).label for key in keys)
    actors = [person.actor for person in scene.people]
    picture = np.empty((size[1], size[0], 3), np.uint8)
    for frame in span:
        seconds = frame / scene.fps
        picture[: strips.title_px] = strips.title(scene.take, labels, int(seconds))
        shown = picture[strips.title_px : size[1] - below]
        shown[:] = pictures.frame(frame)
        for left, top, right, colour in bars:
            shown[top : top + BAR_PX, left + 1 : right - 1] = colour
        if spoken:
            lines = tuple((actor, said_at(own, seconds)) for actor, own in zip(actors, captions))
            picture[size[1] - below :] = strips.caption(lines)
        yield picture


def sound(scene: Scene, span: range) -> Iterator[np.ndarray]:
    """Both voices over the frames of a film, (AAC_SAMPLES or fewer, 2) float32 at voices.RATE."""
    first, stop = (int(sample_of(frame, voices.RATE)) for frame in (span.start, span.stop))
    kept, at = np.zeros((0, 2), np.float32), 0
    people = [person.voice for person in scene.people]
    for block in voices.mixed(people, int(sample_of(scene.num_frames, voices.RATE))):
        own = block[max(first - at, 0) : max(stop - at, 0)]
        at += len(block)
        kept = np.concatenate([kept, np.clip(own, -1, 1)])
        while len(kept) >= AAC_SAMPLES:
            yield kept[:AAC_SAMPLES]
            kept = kept[AAC_SAMPLES:]
    if len(kept):
        yield kept


def write_film(
    scene: Scene,
    keys: Sequence[str],
    said: Sequence[Sequence[dict]],
    out: Path,
    *,
    size: tuple[int, int] = SIZE,
    span: range | None = None,
    threads: int = 1,
) -> None:
    """Write a film of a scene's variants, whole or not at all; InputError where the extra is missing."""
    try:
        import av
    except ImportError as error:
        raise InputError(f"films: {error}; install the extra with pip install -e '.[films]'") from None
    span = span or range(scene.num_frames)
    heard = any(person.voice for person in scene.people)
    with whole(out) as temporary:
        # bitexact: no name of a program and no date
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", format="mp4", container_options=options) as film:
            video: Any = film.add_stream("libx264", rate=round(scene.fps))
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            video.options = {"crf": QUALITY, "preset": "medium"}
            video.codec_context.thread_count = 1  # more threads cut the picture elsewhere
            video.codec_context.flags |= av.codec.context.Flags.bitexact
            samples: Iterator[np.ndarray] = iter(())
            audio: Any = None
            if heard:
                audio = film.add_stream("aac", rate=voices.RATE)
                audio.layout, audio.bit_rate = "stereo", SOUND_RATE
                audio.codec_context.flags |= av.codec.context.Flags.bitexact
                samples = sound(scene, span)
            written = 0
            for number, picture in enumerate(frames(scene, keys, said, size, span, threads=threads)):
                shown = av.VideoFrame.from_ndarray(picture, format="rgb24")
                shown.pts = number
                film.mux(video.encode(shown))
                until = int(sample_of(number + 1, voices.RATE))
                while audio is not None and written < until:  # sound goes beside the picture that it is of
                    block = next(samples, None)
                    if block is None:
                        break
                    heard_now = av.AudioFrame.from_ndarray(
                        np.ascontiguousarray(block.T), format="fltp", layout="stereo"
                    )
                    heard_now.sample_rate, heard_now.pts = voices.RATE, written
                    film.mux(audio.encode(heard_now))
                    written += len(block)
            film.mux(video.encode(None))
            if audio is not None:
                film.mux(audio.encode(None))


def chosen_variants(source: Source, take: str, variants: Sequence[str] | None) -> list[str]:
    """Keys of what a film of a take shows: those that are named, else the first that there is."""
    there = source.keys(take)
    if variants is None:
        return there[:1]
    missing = next((key for key in variants if key not in there), None)
    if missing is not None:
        raise InputError(
            f"take {take}: no variant {missing!r}, there are: {', '.join(there) or 'none'}; correct"
            " --variants"
        )
    return list(variants)


def span_of(scene: Scene, start: float, stop: float | None) -> range:
    """Frames between two moments in seconds; InputError where there are none."""
    first = round(start * scene.fps)
    last = scene.num_frames if stop is None else min(round(stop * scene.fps), scene.num_frames)
    if not 0 <= first < last:
        raise InputError(
            f"take {scene.take}: got --start {start:g}{'' if stop is None else f' --stop {stop:g}'}, need"
            f" moments within its {scene.seconds:.1f} s, the first before the last; correct the command"
        )
    return range(first, last)


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of `1280x720`; InputError for what no film can have."""
    width, x, height = text.partition("x")
    fine = x and width.isdecimal() and height.isdecimal()
    size = (int(width), int(height)) if fine and len(text) < 12 else (0, 0)
    if not all(120 <= side <= 4096 and side % 2 == 0 for side in size):
        raise InputError(f"--size: got {text!r}, need even numbers from 120 to 4096 such as 1280x720")
    return size


def run(
    *,
    takes: Sequence[str],
    source: Path,
    out: Path,
    variants: Sequence[str] | None,
    generated: Sequence[Path],
    rigs: Path | None,
    size: str,
    start: float,
    stop: float | None,
    threads: int,
) -> None:
    """Write a film for each take."""
    found = open_source(source, generated=generated, rigs=rigs)
    pixels = parse_size(size)
    takes = list(takes) or found.takes
    plans = {take: chosen_variants(found, take, variants) for take in takes}
    targets = {take: inside(out, out / f"{take}.mp4", what=f"{source}: take {take}") for take in takes}
    ownership.take_folder(out, "filmed", targets.values())
    catalogue = Catalogue(found)
    for take in stage.progress(takes, label="film"):
        scene = found.scene(take, plans[take])
        write_film(
            scene,
            plans[take],
            words(catalogue, scene),
            targets[take],
            size=pixels,
            span=span_of(scene, start, stop),
            threads=threads,
        )
        log.info("%s: %s", targets[take], ", ".join(variant.label for variant in scene.variants))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("takes", nargs="*", metavar="TAKE", help="takes to film; all by default")
    add_source_flags(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write <take>.mp4 into")
    parser.add_argument(
        "--variants",
        nargs="+",
        help="keys of what is shown beside each other, such as captured trained_models; by default the first",
    )
    parser.add_argument("--size", default="1280x720", help="width and height in pixels (default: 1280x720)")
    parser.add_argument("--start", type=float, default=0.0, help="where to begin, seconds (default: 0)")
    parser.add_argument("--stop", type=float, help="where to end, seconds; the take's end by default")
    parser.add_argument("--threads", type=int, default=1, help="threads that draw (default: 1)")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
