"""How tests call a stage's command line."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.files import write_json
from pipeline.reading import read_json


def refused(main: Callable, arguments: Sequence, capsys, *needles: str, outputs: Sequence[Path] = ()) -> str:
    """Call `main`, which must stop with exit code 2 and one line that holds every needle.

    It must not leave an output.
    """
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2, lines
    assert len([line for line in lines if line.startswith("error: ")]) == 1 and lines[-1].startswith(
        "error: "
    ), lines
    for needle in needles:
        assert needle in lines[-1], lines[-1]
    for path in outputs:
        assert not path.exists(), f"{path} was written"
        assert not path.parent.exists() or not list(path.parent.glob(f".{path.stem}*")), (
            "a temporary file stays behind"
        )
    return lines[-1]


def without_marks(source: Path, path: Path) -> Path:
    """A copy of a sync JSON that does not know its files again.

    As of files that are spoilt before sync and pass it.
    """
    take = read_json(source)
    for performance in take["performances"]:
        for kind in ("body", "face", "audio"):
            for key in ("fingerprint", "beside", "sha256"):
                performance[kind].pop(key, None)
    write_json(path, take)
    return path
