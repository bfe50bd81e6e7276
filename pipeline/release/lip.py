"""Release lip: one performance of a download's lip-accurate set, brought to the dataset's clock beside it.

In: the face and voice of a performance, in the download's lip_acc. Out: ARKit weights (N, 51) and the voice,
of one length, and a JSON that tells what was done. The rules are those of takes (pipeline.release.ingest),
but that there is no body and no partner.
"""

from pathlib import Path

from pipeline import stage
from pipeline.config import ReleaseIn
from pipeline.files import write_json
from pipeline.release.ingest import face_frames, voice_frames, write_face, write_voice
from pipeline.release.streams import cut_frames


def run(
    *, face: Path, wav: Path, out_face: Path, out_wav: Path, out_report: Path, options: ReleaseIn
) -> None:
    """Write both streams, cut to what both have."""
    lengths = {"face": face_frames(face), "wav": voice_frames(wav)}
    num_frames = cut_frames(lengths, options.max_trim_seconds, str(face))
    write_face(face, out_face, num_frames)
    write_voice(wav, out_wav, num_frames)
    trimmed = {key: frames - num_frames for key, frames in lengths.items()}
    made = face.parent.name == "face_ict"
    write_json(
        out_report,
        {"performance": face.stem, "frames": num_frames, "trimmed_frames": trimmed, "face_from_ict": made},
    )


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=ReleaseIn)
    parser.add_argument(
        "--face", type=Path, required=True, help="weights, from a folder face_arkit or face_ict"
    )
    parser.add_argument("--wav", type=Path, required=True, help="voice")
    for name, what in (("face", "ARKit weights"), ("wav", "voice"), ("report", "JSON on what was done")):
        parser.add_argument(f"--out-{name}", type=Path, required=True, help=f"{what} to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
