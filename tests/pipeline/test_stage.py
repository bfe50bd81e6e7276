import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from helpers.commands import refused
from pydantic import Field

from pipeline import config, stage
from pipeline.errors import InputError

STAGES = [
    "capture.sync",
    "capture.body",
    "capture.blendshapes",
    "capture.separation",
    "capture.dataset",
    "figures.strips",
    "report.accuracy",
]


class Options(config.Section):
    """Made up."""

    block_frames: int = Field(64, ge=1, description="frames, 100 % of them")
    method: Literal["normal", "lsqr"] = Field("normal", description="method")
    joints: list[str] | None = Field(None, description="joints")
    model: str = Field("package", description="plain text")


def call(*argv: str) -> dict:
    """What `run` receives for a command line."""
    received = {}
    parser = stage.parser("Doc.", section=Options)
    parser.add_argument("--out", type=Path)
    stage.execute(parser, lambda **values: received.update(values), list(argv))
    return received


def test_run_gets_paths_and_validated_options():
    assert call("--out", "x", "--block-frames", "8") == {"out": Path("x"), "options": Options(block_frames=8)}
    assert call()["options"] == Options()
    assert call("--joints", '["Hips", "Spine"]')["options"].joints == ["Hips", "Spine"]
    assert call("--joints", "null")["options"].joints is None
    assert call("--model", "123")["options"].model == "123"


@pytest.mark.parametrize(
    "argv",
    [
        ("--block-frames", "0"),
        ("--block-frames", "many"),
        ("--method", "qr"),
        ("--joints", "Hips"),
        ("--block-frames", "1.5"),
    ],
)
def test_a_wrong_option_is_one_line(capsys, argv):
    line = refused(call_list, argv, capsys, f"option {argv[0]}")
    assert argv[1] in line


def call_list(argv: list[str]) -> None:
    call(*argv)


def test_unknown_flag_exits_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        call("--blocks", "8")
    assert stop.value.code == 2 and "unrecognized arguments: --blocks" in capsys.readouterr().err


def test_input_error_is_one_line(capsys):
    def main(argv):
        def run(**values):
            raise InputError("take 1: bad; mend it")

        stage.execute(stage.parser("Doc."), run, argv)

    assert refused(main, [], capsys) == "error: take 1: bad; mend it"


def said(capsys, message: str, *argv: str) -> str:
    """What a stage of the section `separation` prints that warns of `message` and then stops with it.

    It shares the joint map of `body`.
    """
    capsys.readouterr()

    def main(argv):
        def run(*, options, body):
            assert isinstance(options, config.Separation) and isinstance(body, config.Body)
            logging.getLogger("interact").warning("%s", message)
            raise InputError(message)

        stage.execute(
            stage.parser("Doc.", section=config.Separation, shared={config.Body: ("joint_map",)}), run, argv
        )

    return refused(main, argv, capsys).removeprefix("error: ")


MESSAGE = (
    "separation.method lips at x/separation.method/body.unit needs body.joint_map, body.joints,"
    " generate.num_samples; see body.json"
)


def test_messages_name_the_flags_of_the_called_command(capsys, caplog):
    spelt = (
        "--method lips at x/separation.method/body.unit needs --joint-map, --joints of python -m"
        " pipeline.capture.body, --num-samples of python -m models.generate; see body.json"
    )
    assert said(capsys, MESSAGE, "--joint-map", "mixamo") == spelt
    assert caplog.messages == [spelt]
    logging.getLogger("interact").warning(MESSAGE)
    assert caplog.messages[-1] == MESSAGE, "as soon as the stage has ended, nothing is changed"


def test_messages_name_keys_of_the_config_in_the_workflow(capsys, caplog, monkeypatch):
    monkeypatch.setenv(stage.IN_WORKFLOW, "1")
    assert said(capsys, MESSAGE) == MESSAGE and caplog.messages == [MESSAGE]


def test_the_workflow_says_that_its_jobs_are_in_it():
    snakefile = (Path(__file__).resolve().parents[2] / "workflow" / "Snakefile").read_text()
    assert re.search(r"shell\.prefix\([^)]*export \{IN_WORKFLOW\}=1", snakefile)


def test_files_stand_by_themselves_or_after_their_flag(capsys):
    def main(argv):
        received = {}
        parser = stage.parser("Doc.")
        stage.add_files(parser, "bvh", nargs=many, help="bodies (.bvh)")
        stage.execute(parser, lambda **values: received.update(values), argv)
        return received["bvh"]

    for count in ("+", 2):
        many = count
        assert (
            main(["--bvh", "a", "b"])
            == main(["a", "b"])
            == main(["a", "--bvh", "b"])
            == [Path("a"), Path("b")]
        )
        refused(main, [], capsys, "got 0 files, need bodies (.bvh); name them before the flags")
    refused(main, ["a"], capsys, "got 1 files, need bodies")
    many = None
    assert main(["--bvh", "a"]) == main(["a"]) == Path("a")
    refused(main, ["a", "b"], capsys, "got 2 files, need bodies")


SCRIPT = """
import os, sys
from pipeline import stage

def run():
    {}

stage.execute(stage.parser("Doc."), run, [])
"""


def ended(body: str, log: Path | None = None) -> tuple[int, str]:
    """Exit code and what a stage says whose work is `body`; into `log` where there is one, as a rule does."""
    command = [sys.executable, "-c", SCRIPT.format(body)]
    if log is None:
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stderr
    with open(log, "w") as f:
        return subprocess.run(command, stderr=f).returncode, log.read_text()


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("{}['a']", 1, "the program itself failed: KeyError ('a'), traceback "),
        ("1 / 0", 1, "the program itself failed: ZeroDivisionError (division by zero), traceback "),
        ("raise MemoryError", 1, "give the job more memory"),
        ("(lambda f: f(f))(lambda f: f(f))", 1, "RecursionError"),
        ("open('gone/x', 'w')", 2, "gone/x: No such file or directory; check the path"),
        ("open('x' * 300)", 2, "xxx: File name too long"),
    ],
)
def test_what_no_stage_foresaw_is_one_line_and_its_traceback_is_kept(tmp_path, body, code, message):
    rc, said = ended(body)
    assert rc == code and said.count("\n") == 1 and said.startswith("error: ") and message in said
    rc, said = ended(body, tmp_path / "log")
    *above, last = said.splitlines()
    assert rc == code and last.startswith("error: ") and message in last
    assert bool(above) == (code == 1), (
        "the log has the traceback of a fault, and nothing beside the line of an input"
    )
    if code == 1:
        assert above[0].startswith("Traceback") and "traceback above" in last


def test_the_traceback_of_a_fault_lies_where_the_line_says():
    _, said = ended("{}['a']")
    place = Path(said.partition("traceback in ")[2].partition(";")[0])
    assert "KeyError: 'a'" in place.read_text()
    place.unlink()


def test_help_shows_flags_defaults_and_percent_signs(capsys):
    with pytest.raises(SystemExit) as stop:
        call("--help")
    shown = capsys.readouterr().out
    assert (
        stop.value.code == 0 and "--block-frames" in shown and "(default: 64)" in shown and "100 %" in shown
    )


def test_the_usage_has_files_first_and_options_of_the_config_in_a_word(capsys):
    parser = stage.parser("Doc.", section=Options, shared={config.Body: ("joint_map",)})
    stage.add_files(parser, "bvh", nargs="+", help="bodies")
    parser.add_argument("--out", nargs="+", required=True)
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    assert (
        usage.endswith("FILE ... [-h] --out OUT [OUT ...] [options]")
        and "--block-frames" in rest
        and "--joint-map" in rest
    )
    assert "--bvh BVH" not in rest


def test_progress_yields_everything(caplog):
    with caplog.at_level("INFO"):
        assert list(stage.progress(range(25), label="frames")) == list(range(25))
    assert "frames: 25 of 25" in caplog.text and len(caplog.records) <= 13
    assert list(stage.progress(iter("ab"), label="x", total=2)) == ["a", "b"]
    with pytest.raises(TypeError, match="has no length; give total"):
        list(stage.progress(iter("ab"), label="x"))


def test_a_real_command_line_prints_no_traceback(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pipeline.capture.dataset",
        "--shoot",
        str(tmp_path),
        "--sync",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2])
    assert result.returncode == 2 and result.stdout == ""
    assert (
        result.stderr.startswith("error: ")
        and result.stderr.count("\n") == 1
        and "actors.tsv: no such file" in result.stderr
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_has_help(name, capsys):
    import importlib

    with pytest.raises(SystemExit) as stop:
        importlib.import_module(f"pipeline.{name}").main(["--help"])
    assert stop.value.code == 0 and "--out" in capsys.readouterr().out


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    code = (
        "from pipeline import stage\nstage.execute(stage.parser('Doc.'), lambda: [print('line ' + 'x' * 100,"
        " flush=True) for _ in range(10**5)], [])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() == 0


def write(*argv: str) -> None:
    """A stage that writes its outputs over whatever they are."""

    def run(*, wav: list[Path], rig: Path | None, out: list[Path], out_report: Path | None) -> None:
        for path in [*out, *([out_report] if out_report else [])]:
            path.write_text("written")

    parser = stage.parser("Doc.")
    parser.add_argument("--wav", type=Path, nargs="+")
    parser.add_argument("--rig", type=Path)
    parser.add_argument("--out", type=Path, nargs="+")
    parser.add_argument("--out-report", type=Path)
    stage.execute(parser, run, list(argv))


@pytest.mark.parametrize(
    "argv",
    [
        "--wav a b --out b c",
        "--wav a --out sub/../a",
        "--wav a --rig link --out link",
        "--wav link --out a",
        "--wav a --rig b --out c --out-report b",
        "--wav a --out c --out-report c",
        "--wav a --out c c",
    ],
)
def test_no_command_writes_over_what_it_reads_or_twice(argv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path(name).write_text(name)
    Path("sub").mkdir()
    Path("link").symlink_to("a")
    with pytest.raises(SystemExit) as stop:
        write(*argv.split())
    assert stop.value.code == 2 and "give another name to write" in capsys.readouterr().err
    assert [Path(name).read_text() for name in "ab"] == ["a", "b"] and not Path("c").exists()
    write("--wav", "a", "--out", "c")
    write("--wav", "a", "--out", "c")  # its own output of before
