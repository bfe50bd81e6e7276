"""The streams of a dataset by their public names: what each holds, and how it is read.

In: shards that are open, and names of STREAMS. Out: arrays of the types and shapes of that table.
"""

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from pipeline.formats.shard_file import Shard, TakeSpan
from pipeline.motion.clock import sample_of
from pipeline.shards.windows import Memory, Place, num_samples, stream


@dataclass(frozen=True)
class Stream:
    """What a stream holds. T frames, S samples, J joints; the axis of 2 is the actors in id order."""

    shape: str
    dtype: str
    unit: str
    what: str


STREAMS = {
    "body": Stream(
        "(T, 2, 3 J)", "float32", "rad", "exponential map of each joint; the hips' has no heading"
    ),
    "root": Stream(
        "(T, 2, 4)", "float32", "cm, cm, cm, rad", "x, y, z and heading: 0 looks along +z, pi/2 along +x"
    ),
    "relative": Stream("(T, 2, 4)", "float32", "cm, cm, rad, cm", "dx, dz in the own heading, turn, y"),
    "relation": Stream(
        "(T, 2, 4)",
        "float32",
        "cm, cm, , ",
        "the partner's x (left) and z (ahead), sine and cosine of heading",
    ),
    "face": Stream("(T, 2, 51)", "float32", "", "ARKit weights, columns in the order of `arkit_names`"),
    "mel": Stream("(T, 2, M)", "float32", "ln power", "log-mel of the actor's own voice"),
    "action": Stream("(T, 2)", "uint8", "", "0 sit, 1 walk, 2 stand"),
    "facing": Stream("(T, 2)", "uint8", "", "1 where the actor faces the partner, else 0"),
    "text": Stream("(T, 2, D)", "float32", "", "embedding of the word that the actor says, or zeros"),
    "spoken": Stream("(T, 2)", "bool", "", "whether the actor says a word"),
    "audio": Stream("(S, 2)", "float32", "full scale", "the actor's own voice, 16000 samples a second"),
    "speech": Stream("(T, 2, E)", "float32", "", "features of a frozen speech encoder, in sidecars"),
}
"""Streams by name, at 30 frames a second but for audio."""
STORED = {"relative": "root", "relation": "root", "spoken": "text_index"}
"""What a shard calls a stream that is made of another."""
DERIVED = ("relative", "relation", "text", "spoken")
"""Streams that do not lie in a shard frame by frame."""


def stream_table() -> str:
    """The streams as a Markdown table."""
    rows = [
        f"| `{name}` | {about.shape} | {about.dtype} | {about.unit} | {about.what} |"
        for name, about in STREAMS.items()
    ]
    return "\n".join(["| name | shape | dtype | unit | what |", "| --- | --- | --- | --- | --- |", *rows])


def chosen(names: Sequence[str] | None, *, with_speech: bool) -> tuple[str, ...]:
    """Names of streams, all where none are told; InputError names those that there are."""
    if names is None:
        return tuple(name for name in STREAMS if with_speech or name != "speech")
    if isinstance(names, str):
        raise InputError(
            f"streams: got the text {names!r:.60}, need a list of names, such as [{names!r:.60}]"
        )
    for name in names:
        if name not in STREAMS:
            near = difflib.get_close_matches(str(name), STREAMS, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"streams: no stream {name!r:.60}; there are {', '.join(STREAMS)}{hint}")
    if not names or len(set(names)) < len(names):
        raise InputError(f"streams: got {list(names)}, need one name or more, each once")
    return tuple(names)


def row_shape(shard: Shard, name: str) -> tuple[int, ...]:
    """Shape of a frame, or sample, of a stream."""
    row = shard.stream(STORED.get(name, name)).shape[1:]
    return (2, *row) if name == "text" else row


def frame_bytes(shard: Shard, name: str) -> int:
    """Bytes of a stream in a frame, rounded up."""
    rows = num_samples(1) + 1 if name == "audio" else 1
    return rows * math.prod(row_shape(shard, name)) * np.dtype(STREAMS[name].dtype).itemsize


def windows(
    places: list[Place], names: Sequence[str], num_frames: int, memory: Memory
) -> dict[str, np.ndarray]:
    """Streams (B, T, ...) of windows of takes, copied into `memory`."""
    found: dict[str, np.ndarray] = {}
    for name in names:
        if name == "spoken" and name not in found:
            found[name] = stream(places, "text_index", num_frames, memory)["text_index"] >= 0
        elif name not in found:
            found |= stream(places, name, num_frames, memory)
    return {name: found[name] for name in names}


def frames(
    shard: Shard, span: TakeSpan, names: Sequence[str], first: int, stop: int
) -> dict[str, np.ndarray]:
    """Frames first .. stop - 1 of a take, (N, ...), and all samples that lie in them, (S, 2).

    What lies in the file as it is given is not copied, and not to be written to.
    """
    found = {}
    for name in names:
        if name == "audio":
            a, b = (span.start_sample + int(sample_of(frame)) for frame in (first, stop))
            found[name] = shard[name][a:b]
        elif name in DERIVED or shard.stream(name).dtype != STREAMS[name].dtype:
            found[name] = windows([(shard, span, first)], (name,), stop - first, Memory())[name][0]
        else:
            found[name] = shard[name][span.start_frame + first : span.start_frame + stop]
    return found
