"""Commands of the README and the docs on one stage alone run as they are written.

On tiny files of the names that they use.
"""

import importlib
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.live_link import live_link_csv, ramp
from helpers.mixtures import mixture
from helpers.pages import PAGES, README, commands
from helpers.tiny_shoot import AUDIO_RATE, make_rig, write_mesh

from pipeline.formats.timecode import format_timecode

HERE = Path(__file__).parent
ALONE = {
    *("capture.blendshapes", "capture.separation", "capture.body"),
    *("annotate.body_labels", "annotate.actions", "annotate.facing", "annotate.contacts"),
}
"""Stages that work on files without a take."""
EXAMPLES = [
    (page, line) for page, line in commands("python -m pipeline.", PAGES)
    if line.split()[2].removeprefix("pipeline.") in ALONE and not re.search("--sync|--help|data/", line)
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with every file that the examples name."""
    made = tmp_path_factory.mktemp("examples")
    recording = (HERE / "recordings" / "cmu_01_03.bvh").read_text()
    head, rows = recording.split("MOTION")
    lines = rows.strip().splitlines()
    short = f"{head}MOTION\nFrames: 90\n{lines[1]}\n" + "\n".join(lines[2:92]) + "\n"
    for name in ("A", "B"):
        (made / f"{name}.bvh").write_text(short)
    (made / "walk.bvh").write_text(re.sub(r"(ROOT|JOINT) ", r"\1 mixamorig:", short))
    mics = mixture(1.5)[0]
    for name, mic in (("A", mics[0]), ("B", mics[1]), ("recorder", mics.T)):
        soundfile.write(made / f"{name}.wav", mic, AUDIO_RATE, subtype="PCM_16")
    codes = [format_timecode(40_000 + k / 60, 60) for k in range(150)]
    live_link_csv(made / "take.csv", codes, ramp(150))
    rng = np.random.default_rng(0)
    neutral, deltas = make_rig(made / "rig.npz", rng)
    vertices = (neutral + np.tensordot(rng.uniform(0, 1, (12, len(deltas))), deltas, 1)).astype(np.float32)
    write_mesh(made / "take.mesh.h5", vertices, codes[:12])
    (made / "frames").mkdir()
    for k, frame in enumerate(vertices):
        (made / "frames" / f"{k:03}.obj").write_text(
            "".join(f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in frame) + "f 1 2 3\n"
        )
    return made


@pytest.mark.parametrize("command", sorted({line for _, line in EXAMPLES}))
def test_the_command_runs_as_written(folder, tmp_path, monkeypatch, command):
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    module, *argv = shlex.split(command)[2:]
    importlib.import_module(module).main(argv)
    out = [Path(word) for flag, word in zip(argv, argv[1:]) if flag.startswith("--out")]
    assert out and all(path.exists() and (path.is_file() or any(path.iterdir())) for path in out)
    assert all(path.read_bytes() == content for path, content in before.items()), "an input was changed"


def test_the_readme_has_an_example_of_each_kind():
    named = [line.split()[2].removeprefix("pipeline.") for page, line in EXAMPLES if page == "README.md"]
    assert {"capture.blendshapes", "capture.separation", "annotate.body_labels"} <= set(named) and len(
        named
    ) >= 6
    assert {line.split()[2].removeprefix("pipeline.") for _, line in EXAMPLES} == ALONE


def test_the_script_of_the_readme_reads_what_its_commands_write(folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    for command in (
        "capture.blendshapes take.csv --out face.npy",
        "annotate.body_labels walk.bvh --joint-map mixamo --out labels",
    ):
        line = next(
            line
            for page, line in EXAMPLES
            if page == "README.md" and line.startswith(f"python -m pipeline.{command}")
        )
        module, *argv = shlex.split(line)[2:]
        importlib.import_module(module).main(argv)
    (script,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(script, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert re.fullmatch(r"jaw open in \d+% of the frames, walking in \d+%\n", said), said
