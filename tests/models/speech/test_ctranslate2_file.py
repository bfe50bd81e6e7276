import struct

import numpy as np
import pytest

from models.speech.ctranslate2_file import read_variables
from pipeline.errors import InputError


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def variable(name: str, array: np.ndarray, kind: int) -> bytes:
    shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    return text(name) + shape + struct.pack("<BI", kind, array.nbytes) + array.tobytes()


WEIGHT = np.arange(6, dtype="<f2").reshape(2, 3)
VARIABLES = [
    variable("odd", np.array(3, np.int8), 1),
    variable("weight", WEIGHT, 0 + 4),
    variable("bias", np.ones(3, "<f4"), 0),
]


def model(version: int = 6, variables: list[bytes] = VARIABLES) -> bytes:
    head = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    return head + b"".join(variables) + struct.pack("<I", 1) + text("same") + text("weight")


def test_variables_types_and_aliases_are_read(tmp_path):
    (tmp_path / "model.bin").write_bytes(model())
    spec, found = read_variables(tmp_path / "model.bin")
    assert spec == "WhisperSpec" and list(found) == ["odd", "weight", "bias", "same"]
    assert found["odd"] == 3 and found["weight"].dtype == np.float16
    for name in ("weight", "same"):
        np.testing.assert_array_equal(found[name], WEIGHT)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "cannot be read as a CTranslate2 model"),
        (model(version=2), "got version 2 of CTranslate2's format"),
        (model(variables=[variable("half", np.ones(2, "<f2"), 5)]), "half has type 5, need float32"),
        (model()[:60], "no whole CTranslate2 model, it breaks off at byte"),
        (model()[:-3], "no whole CTranslate2 model, it breaks off at byte"),
        (b"PK\3\4" * 20, "got version"),
    ],
)
def test_a_file_that_is_no_whole_ctranslate2_model(tmp_path, data, message):
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_variables(tmp_path / "model.bin")


def test_every_cut_of_a_model_is_refused(tmp_path):
    whole = model()
    for length in range(1, len(whole)):
        (tmp_path / "model.bin").write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_variables(tmp_path / "model.bin")
