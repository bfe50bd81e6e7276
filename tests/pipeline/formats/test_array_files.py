import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats.array_files import attribute, attributes, open_hdf5, open_npz, read_npy
from pipeline.formats.hdf5_heap import fault_of_texts


def message(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def npy(header: str, values: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An .npy whose header says what it likes."""
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + values


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(4, 3), (0, 51), (), (2, 1, 3)])
def test_arrays_come_back(tmp_path, mapped, order, shape):
    value = np.asarray(np.random.default_rng(0).normal(size=shape), order=order)
    np.save(tmp_path / "x.npy", value)
    found = read_npy(tmp_path / "x.npy", mapped=mapped)
    assert (
        found.dtype == value.dtype
        and np.array_equal(found, value)
        and found.flags.f_contiguous == np.asarray(value).flags.f_contiguous
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 51), }", b"1234"),
            "4 bytes of values, need 204000000000000",
        ),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 51), }"), "shape (-1, 51)"),
        (
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", b"123456789"),
            "9 bytes of values, need 8",
        ),
        (
            npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"12345678"),
            "values of type object",
        ),
        (npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", b"1234"), "need numbers"),
        (npy("{'descr': " + "(" * 3000 + ")" * 3000 + "}"), "not a readable .npy"),
        (b"\x80\x04K\x01.", "not a readable .npy"),
        (b"PK\x03\x04", "not a readable .npy"),
        (b"", "not a readable .npy"),
    ],
)
def test_arrays_that_are_none(tmp_path, content, why):
    (tmp_path / "x.npy").write_bytes(content)
    for mapped in (False, True):
        assert why in message(read_npy, tmp_path / "x.npy", mapped=mapped)


def test_an_archive_of_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3), b=np.array(["x", "yy"]))
    with open_npz(tmp_path / "x.npz") as arrays:
        assert arrays.names == ["a", "b"] and "a" in arrays and "c" not in arrays
        assert arrays["a"].tolist() == [0, 1, 2] and arrays["b"].tolist() == ["x", "yy"]
        assert "no array 'c', it has a, b" in message(arrays.__getitem__, "c")


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in members.items():
            z.writestr(f"{name}.npy", content)
    return path


def test_an_archive_that_claims_more_than_it_has(tmp_path):
    path = archive(
        tmp_path / "x.npz",
        a=npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }", b"1234"),
    )
    with open_npz(path) as arrays:
        assert "array a (4 bytes of values, need" in message(arrays.__getitem__, "a")


def test_an_archive_that_unpacks_without_end(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.npy", b"x")
    content = bytearray((tmp_path / "x.npz").read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (0xFFFFFFF0).to_bytes(
        4, "little"
    )  # uncompressed size in the directory
    (tmp_path / "y.npz").write_bytes(content)
    assert "array a" in message(open_first, tmp_path / "y.npz")
    with zipfile.ZipFile(tmp_path / "z.npz", "w", zipfile.ZIP_DEFLATED) as z:
        for i in range(5):
            z.writestr(f"{i}.npy", b"x")
    content = (tmp_path / "z.npz").read_bytes()
    parts = [bytearray(part) for part in content.split(b"PK\x01\x02")]
    for part in parts[1:]:
        part[20:24] = (0xFFFFFFF0).to_bytes(4, "little")
    (tmp_path / "z.npz").write_bytes(b"PK\x01\x02".join(parts))
    assert "it unpacks to 21,474,836,400 bytes" in message(open_first, tmp_path / "z.npz")


def open_first(path: Path) -> np.ndarray:
    with open_npz(path) as arrays:
        return arrays[arrays.names[0]]


def test_archives_that_are_none(tmp_path):
    (tmp_path / "text.npz").write_bytes(b"no archive")
    assert "not a readable .npz" in message(lambda: open_first(tmp_path / "text.npz"))
    with zipfile.ZipFile(tmp_path / "script.npz", "w") as z:
        z.writestr("run.py", "x")
    assert "it holds 'run.py', need arrays only" in message(lambda: open_first(tmp_path / "script.npz"))
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as z:
        for i in range(1001):
            z.writestr(f"{i}.npy", b"")
    assert "1001 arrays, need at most 1000" in message(lambda: open_first(tmp_path / "many.npz"))
    os.mkfifo(tmp_path / "pipe.npz")
    assert "is a pipe or device" in message(lambda: open_first(tmp_path / "pipe.npz"))


def read(path: Path, name: str = "x"):
    with open_hdf5(path) as f:
        return f[name][()]


def test_hdf5_that_leads_to_other_files(tmp_path):
    (tmp_path / "secret").write_bytes(b"12345678")
    with h5py.File(tmp_path / "good.h5", "w") as f:
        f["x"] = np.arange(4)
    assert read(tmp_path / "good.h5").tolist() == [0, 1, 2, 3]
    with h5py.File(tmp_path / "external.h5", "w") as f:
        f.create_dataset("x", (8,), "u1", external=[(str(tmp_path / "secret"), 0, 8)])
    with h5py.File(tmp_path / "link.h5", "w") as f:
        f.create_group("deep")["x"] = h5py.ExternalLink("good.h5", "x")
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource(tmp_path / "good.h5", "x", (4,))
    with h5py.File(tmp_path / "virtual.h5", "w") as f:
        f.create_virtual_dataset("x", layout)
    for name in ("external", "virtual"):
        assert "the values of 'x' lie in another file" in message(read, tmp_path / f"{name}.h5")
    assert "is a link into another file" in message(read, tmp_path / "link.h5")


def test_hdf5_that_claims_more_than_it_has(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as f:
        f.create_dataset("x", (10**12, 3), "f4", chunks=(1024, 3))
    with h5py.File(tmp_path / "bytes.h5", "w") as f:
        f.create_dataset("x", (10**9, 3), "f4", chunks=(1024, 3))
    assert "has 1,000,000,000,000 rows" in message(read, tmp_path / "rows.h5")
    assert "claims 12,000,000,000 bytes and has 0" in message(read, tmp_path / "bytes.h5")


def test_packed_zeros_are_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f.create_dataset("x", data=np.zeros((1_000_000, 4), "f4"), compression="gzip", compression_opts=9)
    assert read(tmp_path / "x.h5").shape == (1_000_000, 4)


def test_hdf5_that_is_none_or_lacks_something(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f["x"] = np.arange(4)
    assert "not a readable HDF5 file" in message(read, tmp_path / "x.h5", "y")
    content = (tmp_path / "x.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    assert "not a readable HDF5 file" in message(read, tmp_path / "cut.h5")
    with pytest.raises(FileNotFoundError), open_hdf5(tmp_path / "x.h5"):
        open(tmp_path / "gone")  # another file's fault is not this one's


def test_text_that_no_character_has(tmp_path):
    for code in (0x110000, 0xFFFFFFFF, 0xD800):
        np.save(tmp_path / "x.npy", np.array([code], "u4").view("U1"))
        np.savez(tmp_path / "x.npz", a=np.array([code], "u4").view("U1"))
        assert "text with characters that there are not" in message(read_npy, tmp_path / "x.npy")
        assert "text with characters that there are not" in message(open_first, tmp_path / "x.npz")


def test_a_damaged_heap_of_texts_does_not_hang(tmp_path):
    """HDF5 follows an object of no bytes without end.

    Every field of the heap is broken, each in a process of its own.
    """
    path = tmp_path / "x.h5"
    for chunks in (None, (3,)):
        with h5py.File(path, "w") as f:
            f.create_dataset(
                "x",
                data=[b"10:00:00:00", b"", b"longer than the others" * 9] * 3,
                dtype=h5py.string_dtype(),
                chunks=chunks,
            )
        assert [len(value) for value in read(path)] == [11, 0, 198] * 3
        good = path.read_bytes()
        place = good.index(b"GCOL")
        for at, value in ((8, 2**63), (8, 8), (24, 2**64 - 8), (24, 2**64 - 17), (24, 2**40), (16, 0)):
            path.write_bytes(good[: place + at] + value.to_bytes(8, "little") + good[place + at + 8 :])
            assert "'x': " in message(read, path)
    assert fault_of_texts(path, h5py.File(path)["x"]) is not None


def test_values_that_lie_behind_the_end(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f["x"] = np.zeros(100_000)
    content = (tmp_path / "x.h5").read_bytes()
    for claimed in (10**9, 10**12):  # rows of the shape and bytes of the storage, as the header has them
        changed = content.replace((100_000).to_bytes(8, "little"), claimed.to_bytes(8, "little"))
        (tmp_path / "y.h5").write_bytes(
            changed.replace((800_000).to_bytes(8, "little"), (8 * claimed).to_bytes(8, "little"))
        )
        assert "not a readable HDF5 file" in message(read, tmp_path / "y.h5")


def test_plain_values_of_attributes(tmp_path):
    given = {
        "fixed": np.bytes_(b"cm\0\0"),
        "padded": np.bytes_(b"cm  "),
        "one": np.array([b"cm"]),
        "text": "cm",
        "deep": np.array([[60.0]]),
        "number": np.int16(3),
        "names": np.array([b"a", b"bc"]),
        "vlen": ["a", "bc"],
        "parents": np.arange(3),
        "empty": h5py.Empty("f4"),
    }
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f.attrs.update(given)
        assert attributes(f) == {
            "fixed": "cm", "padded": "cm", "one": "cm", "text": "cm", "deep": 60.0, "number": 3,
            "names": ["a", "bc"], "vlen": ["a", "bc"], "parents": [0, 1, 2], "empty": None,
        }  # fmt: skip
        assert attribute(f, "gone", "m") == "m" and attribute(f, "empty", 7) == 7
