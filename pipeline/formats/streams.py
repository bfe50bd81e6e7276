"""Where the raw face of a performance is, and which files beside it belong to it.

Light: this module is imported while the Snakefile is read.
"""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.reading import read_json

OBJ_FOLDERS = (".obj", "_obj")
"""What follows the performance in the name of a folder of OBJ files."""
OBJ_TIMECODES = ("timecode.txt", "timecode.csv")


def find_face(stem: Path) -> Path | None:
    """The face of `<take>/<performance>`: the first there is of its forms.

    `.mesh.h5`, `.csv`, `.npy` and a folder of OBJ files.

    A folder of OBJ files, `<performance>.obj` or `<performance>_obj`, is named by its `stream.json`, which
    must be there: a rule's input is a file. None where the performance has no face.
    """
    for suffix in (".mesh.h5", ".csv", ".npy"):
        path = Path(f"{stem}{suffix}")
        if path.is_file():
            return path
    for suffix in OBJ_FOLDERS:
        if Path(f"{stem}{suffix}").is_dir():
            return Path(f"{stem}{suffix}", "stream.json")
    return None


def raw_file(stem: str, kind: str) -> str:
    """Path of a raw stream of `<take>/<performance>`.

    Kind bvh, wav, or face (the form that is there, else .mesh.h5).
    """
    if kind == "face":
        return str(find_face(Path(stem)) or f"{stem}.mesh.h5")
    return f"{stem}.{kind}"


def beside_face(path: Path) -> list[Path]:
    """Files that are read along with a face that `find_face` found and are there: description and timecode.

    The OBJ files themselves are not among them (a folder has thousands): whoever replaces some touches
    `stream.json`.
    """
    path = Path(path)
    if path.suffix == ".npy":
        files = [path.with_suffix(".stream.json"), path.with_suffix(".timecode.txt")]
    elif path.name == "stream.json":
        files = [path.with_name(name) for name in OBJ_TIMECODES]
    else:
        files = []
    return [file for file in files if file.exists()]


def named_ltc(timecode: Path) -> list[Path]:
    """WAVs beside a timecode.json that it names as LTC and that are there.

    None where it is not there or not as it should be: sync says why.
    """
    timecode = Path(timecode)
    try:
        voices = read_json(timecode, kind=dict).get("audio") if timecode.is_file() else None
    except InputError:
        return []
    entries = voices.values() if isinstance(voices, dict) else []
    names = {
        entry["ltc"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("ltc"), str)
    }
    return [
        timecode.with_name(name)
        for name in sorted(names)
        if name and Path(name).name == name and timecode.with_name(name).is_file()
    ]
