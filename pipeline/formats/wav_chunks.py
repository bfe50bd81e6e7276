"""Chunks of a WAV as recorders leave it: where its samples lie, and `fmt `, `bext` and `iXML`.

The latter are given as bytes.

A RIFF, RF64 or BW64 file is a row of chunks, each a name, a length of 32 bits and as many bytes, with a pad
byte after an odd length. What recorders and editors do otherwise is mended where the file itself shows what
is right, and told:

- the length of the samples stands twice in RF64 and BW64 (in `ds64`, and in the data chunk, where 0xFFFFFFFF
  means "see ds64"): of two that disagree, the one counts after which a chunk or the end of the file follows;
- a length of 0 or 0xFFFFFFFF, one that goes beyond the file, or one after which neither a chunk nor the end
  follows is that of a recorder that lost power: the samples last up to the next chunks that reach to the end
  of the file, else up to the end;
- a missing pad byte is seen by the name of the next chunk;
- a wrong length of another chunk before the samples: the next chunk that is known is looked for.

Fewer samples than the file has are never taken without a warning.
"""

import itertools
import logging
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import InputError

log = logging.getLogger("interact")
LARGEST_CHUNK = 1 << 24
"""Bytes of a chunk other than the samples that are read, and over which a lost chunk is looked for."""
UNKNOWN = 0xFFFFFFFF
"""A 32-bit length that says nothing: it stands in ds64, or was never written."""
KNOWN = (
    b"fmt ", b"data", b"bext", b"iXML", b"LIST", b"JUNK", b"junk", b"fact", b"axml", b"chna", b"cue ",
    b"_PMX", b"id3 ", b"ID3 ", b"FLLR", b"elm1", b"regn", b"umid", b"PAD ", b"PEAK", b"cart", b"smpl",
    b"inst", b"link", b"ds64", b"afsp", b"DISP", b"minf", b"qlty", b"levl", b"plst", b"SyLp",
)  # fmt: skip
"""Names of chunks that are met in recordings.

Others are believed where the chunks after them reach to the end of the file.
"""
MOST_CHUNKS, MOST_LOST, MOST_TRIED = 1000, 16, 1000
"""Bounds of the work on a file that is made to lead astray.

Chunks walked, chunks looked for, and places at which one is looked for.
"""
TAGS = (b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN")
"""What players write behind a file: no samples."""
LEAST_MORE, MOST_BLANK = 4096, 1 << 16
"""Bytes behind the samples from which on they are samples too, and zeros that earn no warning.

Recorders fill up with zeros.
"""
_ANY_KNOWN = re.compile(b"|".join(re.escape(name) for name in KNOWN))


@dataclass(frozen=True)
class _File:
    """An open WAV of `size` bytes."""

    f: BinaryIO
    size: int
    path: Path

    def at(self, position: int, count: int) -> bytes:
        self.f.seek(position)
        return self.f.read(count)

    def header(self, position: int) -> tuple[bytes, int] | None:
        """Name and length of a chunk at a position.

        None where there can be none: its name is no text, or too little follows.
        """
        content = self.at(position, 8) if 0 <= position <= self.size - 8 else b""
        if len(content) < 8 or not all(0x20 <= byte < 0x7F for byte in content[:4]):
            return None
        return content[:4], struct.unpack("<I", content[4:])[0]

    def is_known(self, position: int) -> bool:
        """Whether a chunk with a known name, whose bytes are all there, begins at a position."""
        found = self.header(position)
        return (
            found is not None
            and found[0] in KNOWN
            and (found[0] == b"data" or position + 8 + found[1] <= self.size)
        )

    def is_end(self, position: int) -> bool:
        """Whether the file ends at a position, but for a pad byte that is too many or missing."""
        return self.size - 1 <= position <= self.size + 1

    def reaches_end(self, position: int) -> bool:
        """Whether chunks follow one another from a position to the end of the file.

        Or to one with a known name.
        """
        for _ in range(64):
            if self.is_end(position) or self.is_known(position):
                return True
            found = self.header(position)
            if found is None or position + 8 + found[1] > self.size:
                return False
            position = self.after(position + 8, found[1])
        return False

    def after(self, begin: int, length: int) -> int:
        """Where the chunk after one of `length` bytes from `begin` starts.

        Behind its pad byte, unless that is missing.
        """
        stop = begin + length
        if length % 2 == 0:
            return stop
        if self.is_known(stop + 1) or self.at(stop, 1) in (b"", b"\0"):
            return stop + 1
        found = self.header(stop)
        if found is None:
            return stop + 1
        following = stop + 8 + found[1] + found[1] % 2
        return stop if self.is_known(stop) or self.is_end(following) or self.is_known(following) else stop + 1


def walk(f: BinaryIO, size: int, path: Path) -> dict[str, Any]:
    """Chunks that matter of an open WAV of `size` bytes, of which all are there.

    `fmt `, `bext`, `iXML` as bytes, `data` as (offset, length).
    """
    file = _File(f, size, path)
    head = file.at(0, 12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        raise InputError(
            f"{path}: not a readable WAV (it begins with {head[:4]!r}, need RIFF, RF64 or BW64); export it"
            " again as WAV"
        )
    chunks: dict[str, Any] = {}
    long: dict[bytes, int] = {}
    position = last = 12
    lost = 0
    for _ in range(MOST_CHUNKS):
        found = file.header(position)
        beyond = found is not None and found[0] != b"data" and position + 8 + _length(*found, long) > size
        if (
            (found is None or beyond)
            and "data" not in chunks
            and lost < MOST_LOST
            and (again := _found_again(file, last)) is not None
        ):
            log.warning(
                "%s: the length of the chunk at byte %d leads astray; the chunk at byte %d is taken for the"
                " next",
                path,
                last,
                again,
            )
            position, lost = again, lost + 1
            found = file.header(position)
        if found is None:
            break
        name, length = found[0], _length(*found, long)
        at = position + 8
        if name == b"ds64" and not long:
            long = _long_lengths(file.at(at, min(length, 4096)))
        elif name == b"data":
            if "data" in chunks:
                log.warning(
                    "%s: %d bytes of samples stand in a second data chunk, which is not read; was the file"
                    " joined from two?",
                    path,
                    length,
                )
            else:
                length = _samples(file, at, found[1], long.get(b"data"), first_is_long=head[:4] != b"RIFF")
                chunks["data"] = (at, length)
        elif name in (b"fmt ", b"bext", b"iXML") and name.decode() not in chunks:
            chunks[name.decode()] = file.at(at, min(length, LARGEST_CHUNK))
        last, position = position, file.after(at, length)
    for key, what in (("fmt ", "format"), ("data", "samples")):
        if key not in chunks:
            raise InputError(
                f"{path}: not a readable WAV (no {what}: the chunk {key!r} is missing); export it again"
            )
    return chunks


def _length(name: bytes, length: int, long: dict[bytes, int]) -> int:
    """The length of a chunk, out of ds64 where its own says to look there."""
    return long.get(name, length) if length == UNKNOWN else length


def _long_lengths(content: bytes) -> dict[bytes, int]:
    """Lengths of chunks by name in a ds64 chunk: that of the samples, and those of its table."""
    if len(content) < 16:
        return {}
    found = {
        content[i : i + 4]: struct.unpack("<Q", content[i + 4 : i + 12])[0]
        for i in range(28, len(content) - 11, 12)
    }
    return {name: length for name, length in found.items() if name.strip(b"\0")} | {
        b"data": struct.unpack("<Q", content[8:16])[0]
    }


def _found_again(file: _File, last: int) -> int | None:
    """Where a known chunk begins behind the head of the one at `last`, whose length is wrong."""
    content = file.at(last + 8, LARGEST_CHUNK)
    for match in itertools.islice(_ANY_KNOWN.finditer(content), MOST_TRIED):
        position = last + 8 + match.start()
        found = file.header(position)
        if found and (position + 8 + found[1] <= file.size or (found[0] == b"data" and found[1] == UNKNOWN)):
            return position
    return None


def _samples(file: _File, at: int, length: int, long: int | None, *, first_is_long: bool) -> int:
    """How many bytes of samples there are from `at` on.

    By the lengths that the file claims and by what it holds.
    """
    claims = [
        claim
        for claim in ([long, length] if first_is_long or length == UNKNOWN else [length, long])
        if claim and claim != UNKNOWN
    ]
    ends_well = [
        claim for claim in claims if at + claim <= file.size and file.reaches_end(file.after(at, claim))
    ]
    if ends_well:
        taken = max(ends_well)  # two that differ by a pad byte both end well
        if odd := [
            claim for claim in claims if claim != taken and not (long and claim == length == long & UNKNOWN)
        ]:
            log.warning(
                "%s: its header claims %d and %d bytes of samples;"
                " %d are taken, behind which the file goes on as it should",
                file.path,
                odd[0],
                taken,
                taken,
            )
        return taken
    if length == 0 and not long and file.reaches_end(at):  # an empty chunk, and others behind it
        return 0
    stop = _start_of_last_chunks(file, at)
    there = stop - at
    claim = claims[0] if claims else None
    if claim is not None and claim < there:
        return _continued(file, at, claim, there)
    said = "an unfinished header" if claim is None else f"a header of {claim} bytes of samples"
    log.warning("%s: %s, %d are there and are taken; the recording was cut off", file.path, said, there)
    return there


def _start_of_last_chunks(file: _File, at: int) -> int:
    """Where the samples from `at` on end.

    At known chunks that reach to the end of the file exactly, else at that end.
    """
    first = max(at, file.size - LARGEST_CHUNK)
    content = file.at(first, LARGEST_CHUNK)
    for match in itertools.islice(_ANY_KNOWN.finditer(content), MOST_TRIED):
        position = first + match.start()
        for _ in range(64):
            found = file.header(position)
            if found is None or position + 8 + found[1] > file.size:
                break
            position = file.after(position + 8, found[1])
            if file.is_end(position):
                return first + match.start()
    return file.size


def _continued(file: _File, at: int, claim: int, there: int) -> int:
    """Bytes of samples where the header claims fewer than there are, and no chunk follows them."""
    rest = there - claim
    first = file.at(at + claim, 16)
    blank = not first.strip(b"\0") and all(
        not file.at(i, 1 << 20).strip(b"\0") for i in range(at + claim, at + there, 1 << 20)
    )
    tag = first.lstrip(b"\0").startswith(TAGS)
    if blank or tag or rest < LEAST_MORE:
        what = "zeros" if blank else "bytes of a tag" if tag else "bytes that are no chunk"
        level = logging.INFO if tag or (blank and rest < MOST_BLANK) else logging.WARNING
        log.log(
            level,
            "%s: %d %s follow its %d bytes of samples and are not taken for sound",
            file.path,
            rest,
            what,
            claim,
        )
        return claim
    log.warning(
        "%s: its header claims %d bytes of samples and %d more follow, which are taken too;"
        " the recording was cut off, or its header is wrong",
        file.path,
        claim,
        rest,
    )
    return there
