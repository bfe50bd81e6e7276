"""Jobs without their start: a process that has imported the libraries forks one job after another.

To import them takes longer than most jobs of a tiny project do after it. A job is `python -m` in all but
that: it has its own process, folder, environment, files and exit status, and imports the project's modules
itself.

The `python` that `start` writes is what the commands of the rules find on the PATH. It hands its arguments,
folder, environment, stdin, stdout and stderr to the process that forks, and ends as the job ends. Run as a
program, this is that process; it listens on the socket whose number it is given.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import socket
import subprocess
import sys
from pathlib import Path

IMPORTED = (
    "h5py", "matplotlib.pyplot", "pydantic", "safetensors.torch", "scipy.interpolate",
    "scipy.optimize", "scipy.signal", "scipy.spatial.transform", "soundfile", "soxr", "torch._dynamo",
    "transformers.models.whisper.modeling_whisper",
)  # fmt: skip
"""What takes time to import and starts no thread; nothing of the project, whose modules tests edit."""
CLIENT = """#!{python} -ISE
import json, os, socket, sys

if sys.argv[1:2] != ["-m"]:
    os.execv("{python}", ["{python}", *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect("{address}")
    socket.send_fds(server, [b"+"], [0, 1, 2])
    server.sendall(json.dumps([os.getcwd(), dict(os.environ), sys.argv[2:]]).encode())
    server.shutdown(socket.SHUT_WR)
    status = int(server.recv(8) or b"1")
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def start(folder: Path) -> subprocess.Popen:
    """Write `python` into a folder and start the process that forks its jobs.

    It ends when its input closes.
    """
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}  # none that a fork loses
    client = folder / "python"
    client.write_text(CLIENT.format(python=sys.executable, address=folder / "jobs"))
    client.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "jobs"))
        listener.listen(64)  # who comes before all is imported waits
        return subprocess.Popen(
            [sys.executable, "-P", __file__, str(listener.fileno())],
            env=os.environ | one_thread,
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )


def _next_job(listener: socket.socket) -> tuple[str, list[str]] | None:
    """Serve until the input closes (None); in the process of a job, its module and arguments."""
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        while _reap():
            pass
        if listener not in ready:
            return None
        client, _ = listener.accept()
        if os.fork() == 0:  # waits for one job
            break
        client.close()
    listener.close()
    _, files, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as told:
        folder, environment, arguments = json.loads(told.read())
    job = os.fork()
    if job:
        for number in files:
            os.close(number)
        client.sendall(str(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])).encode())
        os._exit(0)
    client.close()
    for target, number in enumerate(files):
        os.dup2(number, target)
        os.close(number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, folder)  # as -m does
    return arguments[0], arguments


def _reap() -> bool:
    """Whether a process that waited for a job has ended."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    except ChildProcessError:
        return False


def _leave() -> None:
    """End without the interpreter's own end, which takes apart all that was imported."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    asked = socket.socket(fileno=int(sys.argv[1]))
    select.select([asked, sys.stdin], [], [])  # there may be no job at all
    atexit.register(_leave)  # the first is the last to be called
    for name in IMPORTED:
        importlib.import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1, "a fork loses threads"
    gc.freeze()  # to look for garbage would copy every page
    status, found = 0, _next_job(asked)
    if found is not None:
        module, sys.argv = found
        status = 1
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            raise
