"""Peak memory and time of generating from voices of 1, 10 and 30 minutes.

    python benchmarks/long_voices.py data                        # the root of a run whose face is trained
    python benchmarks/long_voices.py data --runs face body_lower body_upper --minutes 1 10 --voices 2

A voice of the run's dataset is said again and again until the file is long enough (48 kHz, 24 bits), and
python -m models.generate --audio is called on one such file, or on two. Printed, as Markdown: the largest
resident memory of that process, and what a minute more adds to it; its processor seconds, and those as a
share of the time that is made.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

REPOSITORY = Path(__file__).resolve().parents[1]
RATE = 48_000


def write(path: Path, source: Path, minutes: float) -> None:
    """Say what is in `source` again and again, at 48 kHz, written in blocks."""
    import soxr

    from pipeline.formats.voice_file import read_voice
    from pipeline.signals.resampling import resample

    samples, rate = read_voice(source)
    voice = soxr.resample(resample(samples, rate), 16_000, RATE)
    left = round(minutes * 60 * RATE)
    with soundfile.SoundFile(path, "w", samplerate=RATE, channels=1, subtype="PCM_24") as f:
        while left:
            f.write(voice[:left])
            left -= min(left, len(voice))


def measured(command: list[str]) -> tuple[float, float]:
    """Peak resident memory (MB) and processor seconds of a command that must succeed."""
    child = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(said)
    return used.ru_maxrss / 1000, used.ru_utime + used.ru_stime


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path, help="root of a run")
    parser.add_argument("--runs", nargs="+", default=["face"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 10, 30])
    parser.add_argument("--voices", type=int, choices=(1, 2), default=1)
    given = parser.parse_args()
    project = given.project.resolve()
    sources = sorted((project / "dataset" / "wav").glob("*.wav"))[: given.voices]
    print("| minutes | peak memory, MB | MB a minute more | processor s | processor s a second made |")
    print("| --- | --- | --- | --- | --- |")
    before: tuple[float, float] | None = None
    for minutes in given.minutes:
        with tempfile.TemporaryDirectory(prefix="interact-") as name:
            folder = Path(name)
            audio, words = [], []
            for k, source in enumerate(sources):
                audio.append(folder / f"{k}.wav")
                words.append(folder / f"{k}.json")
                write(audio[k], source, minutes)
                words[k].write_text('{"words": []}', encoding="utf-8")
            runs = [project / "runs" / run for run in given.runs]
            command = [sys.executable, "-m", "models.generate", "--runs", *runs, "--audio", *audio]
            command += ["--transcripts", *words, "--out", folder / "out"]
            peak, seconds = measured([str(word) for word in command])
            made = [
                np.load(path, mmap_mode="r") for path in sorted((folder / "out").glob("face_arkit/*.npy"))
            ]
            assert all(len(face) == round(minutes * 60 * 30) for face in made)
        more = f"{(peak - before[1]) / (minutes - before[0]):.1f}" if before else ""
        share = seconds / (60 * minutes)
        print(f"| {minutes:g} | {peak:.0f} | {more} | {seconds:.0f} | {share:.3f} |", flush=True)
        before = minutes, peak


if __name__ == "__main__":
    main()
