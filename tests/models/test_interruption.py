"""A training that a signal asks to stop writes its checkpoint, ends, and goes on bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.tiny_shards import TINY

from models import recipes, train
from models.checkpoints import NEWEST, read_record
from models.interruption import AGAIN, SIGNALS, WAIT_SECONDS
from models.processes import Processes
from pipeline import stage

SIZES = TINY | {"steps": 12, "checkpoint_steps": 100, "dim": 16, "feedforward": 16, "dropout": 0.2}


@pytest.fixture(autouse=True)
def no_job(monkeypatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def go(shards: Path, out: Path, **changes) -> dict[str, bytes]:
    options = recipes.load("face").Options(audio="mel", **SIZES | changes)
    train.run(recipe="face", shards=shards, out=out, options=options)
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


def signal_at(monkeypatch, step: int, number: signal.Signals, times: int = 1) -> None:
    """Let the next training get a signal while it does a step."""
    whole = stage.progress

    def progress(items, **told):
        for i, item in enumerate(whole(items, **told), 1):
            if i == step:
                for _ in range(times):
                    os.kill(os.getpid(), number)
            yield item

    monkeypatch.setattr(stage, "progress", progress)


def newest(out: Path) -> int:
    [folder] = (out / "checkpoints").iterdir()
    return read_record(folder / NEWEST)["step"]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_stops_after_the_step_and_the_rest_follows(number, shards, tmp_path, monkeypatch, capsys):
    handlers = [signal.getsignal(each) for each in SIGNALS]
    whole, out = go(shards, tmp_path / "whole" / "face"), tmp_path / "stopped" / "face"
    for step, times in ((3, 1), (4, 2)):
        before = newest(out) if out.exists() else 0
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
            signal_at(patch, step, number, times)
            go(shards, out)
        assert stop.value.code == AGAIN
        assert newest(out) == before + step
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("stopped by")]
        assert lines == [
            f"stopped by {number.name} after step {before + step} of 12, whose checkpoint is written;"
            " run it again, and it goes on from there"
        ]
        assert not (out / "model.safetensors").exists()
    assert [signal.getsignal(each) for each in SIGNALS] == handlers
    assert go(shards, out) == whole


@pytest.mark.parametrize(("number", "waits"), [(signal.SIGTERM, [WAIT_SECONDS]), (signal.SIGUSR1, [])])
def test_in_a_job_of_slurm_it_waits_to_be_killed(number, waits, shards, tmp_path, monkeypatch, capsys):
    slept: list[float] = []
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(time, "sleep", lambda seconds: slept.append(seconds) or capsys.readouterr())
    signal_at(monkeypatch, 3, number)
    with pytest.raises(SystemExit) as stop:
        go(shards, tmp_path / "face")
    assert stop.value.code == AGAIN and slept == waits and newest(tmp_path / "face") == 3
    told = capsys.readouterr().err
    assert ("stopped by" in told) == (not waits), "the line is there before it waits"


def test_a_signal_in_the_last_step_changes_nothing(shards, tmp_path, monkeypatch):
    whole = go(shards, tmp_path / "whole" / "face")
    signal_at(monkeypatch, 12, signal.SIGTERM)
    assert go(shards, tmp_path / "told" / "face") == whole


@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_stop_after_the_same_step_whichever_is_asked(rank, shards, tmp_path):
    script, out = tmp_path / "two.py", tmp_path / "run" / "face"
    script.write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from models import recipes, train\n"
        "from pipeline import stage\n"
        "whole = stage.progress\n"
        "def progress(items, **told):\n"
        "    for i, item in enumerate(whole(items, **told), 1):\n"
        f"        if i == 3 and os.environ['RANK'] == '{rank}':\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "        yield item\n"
        "stage.progress = progress\n"
        f"options = recipes.load('face').Options(audio='mel', **{SIZES | {'steps': 30}!r})\n"
        f"train.run(recipe='face', shards=Path({str(shards)!r}), out=Path({str(out)!r}), options=options)\n"
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--standalone",
        str(script),
    ]
    run = subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode != 0
    assert run.stderr.count("stopped by ") == 1, run.stderr[-3000:]
    assert newest(out) == 10 and not (out / "model.safetensors").exists()


def test_one_process_asks_nobody():
    assert Processes().any(True) and not Processes().any(False)
