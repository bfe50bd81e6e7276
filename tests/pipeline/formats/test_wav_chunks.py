import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats import audio

FIELD = Path(os.environ.get("INTERACT_FIELD_DATA", Path(__file__).parents[3] / ".." / "shared" / "field"))
RATE = 48_000
SECONDS = 47_591
FMT = (b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 3 * RATE, 3, 24))
BEXT = (b"bext", bytes(338) + struct.pack("<Q", SECONDS * RATE) + bytes(256))
IXML = (b"iXML", b"<BWFXML><PROJECT>take seven</PROJECT></BWFXML>")
ODD = (b"iXML", b"<BWFXML><PROJECT>take eight.</PROJECT></BWFXML>")
assert len(ODD[1]) % 2 and not len(IXML[1]) % 2


def sound(num_samples: int, *, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, 3 * num_samples, np.uint8).tobytes()


def chunk(name: bytes, content: bytes, *, claims: int | None = None, pad: bytes | None = None) -> bytes:
    """A chunk that claims another length than it has, or one with another pad byte.

    The pad byte follows an odd length.
    """
    behind = b"\0" * (len(content) % 2) if pad is None else pad
    return name + struct.pack("<I", len(content) if claims is None else claims) + content + behind


def wav(path: Path, *chunks: bytes, kind: bytes = b"RIFF") -> Path:
    body = b"".join(chunks)
    path.write_bytes(
        kind + struct.pack("<I", 0xFFFFFFFF if kind != b"RIFF" else 4 + len(body)) + b"WAVE" + body
    )
    return path


def ds64(num_bytes: int) -> bytes:
    return chunk(b"ds64", struct.pack("<QQQI", 0, num_bytes, num_bytes // 3, 0))


def read_all(path: Path) -> tuple[bytes, float | None]:
    """All samples of a file as they stand in it, and its start."""
    stream = audio.open_audio(path)
    values = np.round(audio.read(stream, 0, stream.num_samples).astype(float) * 2**31).astype("<i4")
    return values.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes(), stream.start_seconds


@pytest.mark.parametrize("num_samples", [1000, 1001])
@pytest.mark.parametrize("claims", [65, 1002, 0, 2**32 - 2, None])
def test_the_length_counts_behind_which_the_file_goes_on(tmp_path, caplog, num_samples, claims):
    """RF64 whose 32-bit length is not 0xFFFFFFFF, and whose ds64 is right.

    Or whose ds64 is wrong and whose 32 bits are right.
    """
    data = sound(num_samples)
    true, wrong = len(data), len(data) - 1 if claims is None else claims
    path = wav(
        tmp_path / "x.wav",
        ds64(true),
        chunk(*FMT),
        chunk(b"data", data, claims=wrong),
        chunk(*BEXT),
        kind=b"RF64",
    )
    assert read_all(path) == (data, SECONDS) and ("claims" in caplog.text) == (wrong != 0)
    path = wav(
        tmp_path / "y.wav",
        ds64(wrong),
        chunk(*FMT),
        chunk(b"data", data, claims=true),
        chunk(*BEXT),
        kind=b"BW64",
    )
    assert read_all(path) == (data, SECONDS)
    path = wav(
        tmp_path / "z.wav",
        ds64(true),
        chunk(*FMT),
        chunk(b"data", data, claims=true),
        chunk(*BEXT),
        kind=b"RF64",
    )
    caplog.clear()
    assert read_all(path) == (data, SECONDS) and not caplog.text


@pytest.mark.parametrize("unknown", [0, 2**32 - 1, 2**31])
@pytest.mark.parametrize("behind", [[], [chunk(*IXML)], [chunk(*ODD), chunk(*BEXT)]])
def test_an_unfinished_length_ends_at_the_chunks_behind(tmp_path, caplog, unknown, behind):
    data = sound(5000)
    path = wav(tmp_path / "x.wav", chunk(*BEXT), chunk(*FMT), chunk(b"data", data, claims=unknown), *behind)
    assert read_all(path) == (data, SECONDS) and "x.wav" in caplog.text and "cut off" in caplog.text


@pytest.mark.parametrize("claims", [3, 3000, 3 * 3000])
def test_a_header_that_was_not_brought_up_to_date_loses_no_samples(tmp_path, caplog, claims):
    """Some recorders write the length every few seconds."""
    data = sound(9000)
    assert read_all(
        wav(tmp_path / "x.wav", chunk(*BEXT), chunk(*FMT), chunk(b"data", data, claims=claims))
    ) == (data, SECONDS)
    assert f"claims {claims} bytes of samples and {len(data) - claims} more follow" in caplog.text


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (bytes(100_000), "zeros"),
        (bytes(512), ""),
        (b"TAG" + b"x" * 125, ""),
        (b"\x01" * 40, "bytes that are no chunk"),
    ],
)
def test_what_follows_the_samples_is_told_where_it_may_be_sound(tmp_path, caplog, behind, said):
    data = sound(3000)
    path = wav(tmp_path / "x.wav", chunk(*BEXT), chunk(*FMT), chunk(b"data", data))
    path.write_bytes(path.read_bytes() + behind)
    assert read_all(path) == (data, SECONDS)
    assert said in caplog.text and bool(said) == bool(caplog.text)


@pytest.mark.parametrize("pad", [b"", b"\0", b"\x7f"])
@pytest.mark.parametrize("num_samples", [1001, 1000])
def test_a_missing_pad_byte_is_seen(tmp_path, caplog, pad, num_samples):
    data = sound(num_samples)
    pads = {"pad": pad} if num_samples % 2 else {}
    path = wav(tmp_path / "x.wav", chunk(*FMT), chunk(b"data", data, **pads), chunk(*BEXT))
    assert read_all(path) == (data, SECONDS)
    for name, content in (ODD, (b"odd ", b"a"), (b"odd ", b"abcde")):
        path = wav(
            tmp_path / "y.wav",
            chunk(name, content, pad=pad),
            chunk(*FMT),
            chunk(*BEXT),
            chunk(b"data", data, **pads),
            chunk(*IXML),
        )
        assert read_all(path) == (data, SECONDS)
    assert not caplog.text


@pytest.mark.parametrize("claims", [0, 40, 603, 700, 5000, 2**31, 2**32 - 1])
def test_a_wrong_length_before_the_samples_is_walked_round(tmp_path, caplog, claims):
    data = sound(1000)
    path = wav(
        tmp_path / "x.wav", chunk(*FMT), chunk(*BEXT), chunk(*IXML, claims=claims), chunk(b"data", data)
    )
    assert read_all(path)[0] == data and "leads astray" in caplog.text


def test_a_second_data_chunk_is_told(tmp_path, caplog):
    data = sound(100)
    assert (
        read_all(wav(tmp_path / "x.wav", chunk(*FMT), chunk(b"data", data), chunk(b"data", data)))[0] == data
    )
    assert "second data chunk" in caplog.text


def test_a_length_in_the_table_of_ds64_is_used(tmp_path):
    data, note = sound(100), bytes(600)
    table = chunk(b"ds64", struct.pack("<QQQI4sQ", 0, len(data), 100, 1, b"note", len(note)))
    path = wav(
        tmp_path / "x.wav",
        table,
        chunk(*FMT),
        chunk(b"note", note, claims=2**32 - 1),
        chunk(*BEXT),
        chunk(b"data", data),
        kind=b"RF64",
    )
    assert read_all(path) == (data, SECONDS)


def test_a_file_made_to_lead_astray_ends_soon(tmp_path):
    for name, content in {
        "a": b"fact\0\0\0\0" * 500_000,
        "b": b"bext" * 1_000_000,
        "c": b"data\x01\0\0\0" * 500_000,
    }.items():
        begin = time.monotonic()
        path = wav(tmp_path / f"{name}.wav", chunk(b"fmt ", b""), chunk(b"data", content, claims=7))
        with pytest.raises(InputError):
            audio.open_audio(path)
        path = wav(tmp_path / f"{name}.wav", content)
        with pytest.raises(InputError):
            audio.open_audio(path)
        assert time.monotonic() - begin < 5


@pytest.mark.skipif(not FIELD.is_dir(), reason=f"{FIELD} is not there")
@pytest.mark.parametrize(
    ("name", "num_samples"),
    [
        ("rf64-ds64/x.wav", 48_000),
        ("wav-no-pad/bext_after_data.wav", 48_001),
        ("wav-no-pad/ixml_before_data.wav", 48_000),
    ],
)
def test_files_from_the_field(name, num_samples):
    stream = audio.open_audio(FIELD / name)
    assert (stream.num_samples, stream.start_seconds) == (num_samples, 47_591.0)
