"""The lip-accurate set: what makes the folder of one actor's read sentences like that of the public release.

In: the shoot's lip_acc/lip_acc.tsv and actors.tsv, or the lip_acc of a download. Out, beside the set's
face_arkit/ and wav/: lip_acc_sentences.txt, whose line n is the sentence of scenario n, empty where no
performance has that number; face_ict/ of actors whose rig has the topology of the ICT kit. Of a download the
sentences alone are written: its face_ict stays where it is.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline import ownership, stage
from pipeline.capture.dataset import write_face_ict
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.ict import is_ict_rig
from pipeline.formats.tables import LipRow
from pipeline.formats.takes import download_lip_acc, shoot_lip_acc

log = logging.getLogger("interact")


def sentence_lines(rows: Iterable[LipRow]) -> list[str]:
    """The sentence of each scenario from 1 to the largest, empty where there is none."""
    sentences = {int(row.scenario): row.sentence for row in rows}
    return [sentences.get(number, "") for number in range(1, max(sentences) + 1)]


def run(
    *,
    shoot: Path | None = None,
    download: Path | None = None,
    exclude: Sequence[str] = (),
    reports: Path,
    out: Path,
) -> None:
    """Write the sentences of a lip-accurate set whose streams are in place.

    Streams that are not of it any more are removed.
    """
    source = shoot or download
    if source is None or (shoot and download):
        raise InputError(
            "lip_acc: got neither or both of --shoot and --download, need one; name the folder that the"
            " streams come from"
        )
    rows = shoot_lip_acc(source) if shoot else download_lip_acc(source, exclude=exclude)
    if not rows:
        raise InputError(
            f"{source / 'lip_acc'}: no such folder, need the recordings of a lip-accurate set; check the path"
        )
    ownership.remove_recorded(out, reports, rows, table="lip_acc.tsv" if shoot else "the download's lip_acc")
    if shoot:
        write_face_ict(
            out, [name for name, row in rows.items() if is_ict_rig(shoot / "rigs" / f"{row.actor}.npz")]
        )
    with whole(out / "lip_acc_sentences.txt") as temporary:
        temporary.write_text("".join(f"{line}\n" for line in sentence_lines(rows.values())), encoding="utf-8")
    log.info("lip-accurate set of %d performances in %s", len(rows), out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--shoot", type=Path, help="folder of the shoot")
    parser.add_argument("--download", type=Path, help="folder of the download, instead of a shoot")
    parser.add_argument(
        "--exclude",
        nargs="*",
        action="extend",
        default=[],
        help="performances of the download that are left out",
    )
    parser.add_argument(
        "--reports",
        type=Path,
        required=True,
        help="folder of the reports of the stages that wrote the streams",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the set in the dataset, with its streams in place"
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
