"""dataset.json: what a dataset says of itself.

The one module that reads it; pipeline.capture.dataset writes it.

Light: nothing heavier than pydantic is imported here.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import InputError
from pipeline.ids import check_ids
from pipeline.reading import read_json

FORMAT_VERSION = 1
_FIX = "it is not as this pipeline writes it: run the stage dataset again"
Name = Annotated[str, Field(min_length=1, max_length=200)]


FIX_DOWNLOAD = (
    "it is not as this pipeline writes it: download it again, or have it made by the pipeline's stage dataset"
)


class _Checked(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True, defer_build=True)


class Units(_Checked):
    """Units of the streams."""

    length: str
    bvh_rotation: str
    audio_rate: Annotated[int, Field(gt=0, le=768_000)]


class TakeAbout(_Checked):
    """When a take begins, in seconds of the day, and its frames."""

    start_seconds: Annotated[float, Field(allow_inf_nan=False)]
    frames: Annotated[int, Field(gt=0, le=100_000_000)]


class About(_Checked):
    """What dataset.json holds."""

    format_version: int
    fps: Annotated[int, Field(gt=0, le=1000)]
    joint_names: list[Name]
    arkit_names: list[Name]
    ict_names: list[Name] | None
    units: Units
    licence: str
    rig_sha256: dict[str, str]
    source_sha256: dict[str, str]
    takes: dict[str, TakeAbout]


def read_about(path: Path, *, fix: str = _FIX) -> dict[str, Any]:
    """What a dataset.json holds, as plain values.

    InputError names the first key that is missing or not what it must be.

    `fix`: what mends it, which for a download is not to run a stage.
    """
    value = read_json(path, kind=dict, fix=fix)
    version = value.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: format version {str(version)!r:.40}, this code reads {FORMAT_VERSION}; {fix}"
        )
    try:
        About(**value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: {key:.100}: got {str(first['input'])!r:.60}: {first['msg']}; {fix}"
        ) from None
    check_ids(value["takes"], "take", path, fix=fix)
    check_ids(value["rig_sha256"], "actor", path, fix=fix)
    return value
