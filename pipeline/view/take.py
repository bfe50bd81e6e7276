"""A take as a page that opens straight from disk, and the files of which a web server shows it.

    python -m pipeline.view.take 20240110_007 --source data --out viewer

In: a run, a dataset, a release, or a folder with bvhs/. Out, in the folder --out: `<take>.html`, which holds
all that it shows, and `takes/<take>/`: take.json (docs/view.md), scene.glb with all variants, and voices.flac
where there are voices.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import stage
from pipeline.files import whole
from pipeline.reading import inside, read_bytes, read_json
from pipeline.view import voices
from pipeline.view.catalogue import Catalogue, address, row_of
from pipeline.view.glb import write_glb
from pipeline.view.scene import CAPTURED
from pipeline.view.sources import Source, open_source
from pipeline.view.take_file import AUDIO, GLB, TAKE_FILE, take_file, write_take_file

log = logging.getLogger("interact")


def write_files(catalogue: Catalogue, take: str, folder: Path) -> None:
    """Write the files of a take into a folder of its own; InputError where one of its files is wrong.

    take.json is written last: where it is, the others are whole.
    """
    scene = catalogue.source.scene(take)
    content = take_file(catalogue, scene)  # before what takes longer: labels may be wrong
    if content["audio"]:
        voices.write_voices([person.voice for person in scene.people], scene.num_frames, folder / AUDIO)
    write_glb(scene, folder / GLB)
    write_take_file(content, folder / TAKE_FILE)


def write_page(folder: Path, out: Path) -> None:
    """Write the self-contained page of a take whose files lie in a folder."""
    from pipeline.view.page import Carried, app_page

    content = read_json(folder / TAKE_FILE, kind=dict)
    audio = read_bytes(folder / AUDIO) if content["audio"] else None
    text = app_page(
        [row_of(content, page=address(content["take"]))], Carried(content, read_bytes(folder / GLB), audio)
    )
    with whole(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def with_rows(source: Source, generated: Sequence[Path]) -> Source:
    """The source with what was captured, and of generated motion only what lies in these folders."""
    folders = [path.resolve() for path in generated]
    kept = [
        stream
        for stream in source.streams
        if stream.key == CAPTURED or any(stream.folder.resolve().is_relative_to(folder) for folder in folders)
    ]
    return replace(source, streams=tuple(kept))


def run(*, take: str, source: Path, out: Path, generated: list[Path] | None, rigs: Path | None) -> None:
    """Write a take's files and its page."""
    found = open_source(source, rigs=rigs)
    if generated is not None:
        found = with_rows(found, generated)
    found.need_take(take)
    folder = inside(out, out / "takes" / take, what=f"{source}: take {take}")
    write_files(Catalogue(found), take, folder)
    page = out / f"{take}.html"
    write_page(folder, page)
    log.info("%s: %.1f MB", page, page.stat().st_size / 1e6)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("take", metavar="TAKE", help="the take")
    parser.add_argument(
        "--source",
        type=Path,
        default=Path("data"),
        help="root of a run, dataset, release, or folder with bvhs/ (default: data)",
    )
    parser.add_argument(
        "--generated",
        type=Path,
        nargs="*",
        help="folders of rows of generated motion to show, none after the flag alone (default: all of a run)",
    )
    parser.add_argument(
        "--rigs", type=Path, help="folder of <actor>.npz, or one .npz for all; the source's own by default"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
