"""Snakemake without its start: a process that has imported it forks one run after another.

To import Snakemake takes as long as most dry runs do after it. A run is `python -m snakemake` in all but
that: it has its own process, folder, environment and output, and imports the project's modules itself. So it
is with the jobs of a run (helpers.jobs).

Run as a program, this reads a request a line: the interpreter of the jobs, folder, environment, arguments,
files for stdout and stderr. It answers each with the exit status of the run.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

TIMEOUT = 3600
"""Seconds after which a run is killed."""


@cache
def _jobs() -> tuple[tempfile.TemporaryDirectory, subprocess.Popen]:
    """Folder of the `python` of jobs, and the process that forks them; both last as long as this process."""
    from helpers import jobs  # which the process that forks does not find

    folder = tempfile.TemporaryDirectory(prefix="jobs-")
    return folder, jobs.start(Path(folder.name))


@cache
def _server() -> subprocess.Popen:
    """It ends when its input closes, which is when the process ends that runs the tests."""
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}  # none that a fork loses
    return subprocess.Popen(
        [sys.executable, "-P", __file__],
        env=os.environ | one_thread,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
    """`python -m snakemake` with these arguments in this folder, output captured."""
    server = _server()
    with tempfile.TemporaryDirectory() as kept:
        out, err = Path(kept) / "out", Path(kept) / "err"
        python = f"{_jobs()[0].name}/python"
        print(
            json.dumps([python, str(folder), environment, arguments, str(out), str(err)]),
            file=server.stdin,
            flush=True,
        )
        status = int(server.stdout.readline())
        told = [path.read_text(encoding="utf-8") for path in (out, err)]
        return subprocess.CompletedProcess(["snakemake", *arguments], status, *told)


def _next_run() -> list[str] | None:
    """Serve until there is no request more (None); in the process of a run, its arguments."""
    for line in iter(sys.stdin.readline, ""):
        sys.executable, folder, environment, arguments, out, err = json.loads(line)
        pid = os.fork()
        if pid:
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
            continue
        signal.alarm(TIMEOUT)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        for target, path, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, out, os.O_WRONLY | os.O_CREAT),
            (2, err, os.O_WRONLY | os.O_CREAT),
        ):
            opened = os.open(path, flags, 0o600)
            os.dup2(opened, target)
            os.close(opened)
        sys.path.insert(0, folder)  # as -m does
        return arguments
    return None


if __name__ == "__main__":
    import snakemake.cli
    import snakemake.report.html_reporter  # what a run imports once it has read its arguments
    import snakemake.storage

    found = _next_run()
    if found is not None:
        sys.argv = ["snakemake", *found]
        snakemake.cli.main()
