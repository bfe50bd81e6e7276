"""CTranslate2's binary model file: names, shapes and numbers, without the library.

In: model.bin of binary version 4 or later, little endian: version, name and revision of the specification,
then per variable name, rank, dimensions, type, bytes, and at the end aliases. A string is its length with the
closing NUL in 16 bits.
"""

import struct
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.reading import plain

TYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}
"""NumPy types by CTranslate2's numbers; bfloat16 (5) has none."""
VERSIONS = (4, 5, 6)


def read_variables(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Name of the specification ("WhisperSpec") and all variables by name.

    They are read-only views of the mapped file.

    Raises InputError for a file that is none, is cut short, or holds a type that NumPy lacks.
    """
    plain(path)
    try:
        data = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as a CTranslate2 model ({' '.join(str(error).split())}); copy the file"
            " again"
        ) from None
    at = 0

    def raw(size: int) -> np.ndarray:
        nonlocal at
        if at + size > len(data):
            raise ValueError(f"{size} bytes are wanted there")
        at += size
        return data[at - size : at]

    def take(kind: str) -> int:
        return struct.unpack(f"<{kind}", bytes(raw(struct.calcsize(f"<{kind}"))))[0]

    def text() -> str:
        return bytes(raw(take("H"))[:-1]).decode()

    variables: dict[str, np.ndarray] = {}
    try:
        version = take("I")
        if version not in VERSIONS:
            raise InputError(
                f"{path}: got version {version} of CTranslate2's format, need one of"
                f" {', '.join(map(str, VERSIONS))}; convert it again"
            )
        spec, _ = text(), take("I")
        for _ in range(take("I")):
            name = text()
            shape = [take("I") for _ in range(take("B"))]
            kind, size = take("B"), take("I")
            if kind not in TYPES:
                raise InputError(
                    f"{path}: {name} has type {kind}, need float32, float16 or an integer; convert the model"
                    " again with another type"
                )
            variables[name] = raw(size).view(TYPES[kind]).reshape(shape)
        for _ in range(take("I")):
            alias = text()
            variables[alias] = variables[text()]
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{path}: no whole CTranslate2 model, it breaks off at byte {at} ({error}); copy the file again"
        ) from None
    return spec, variables
