"""What a rule asks a scheduler for: memory and time of a job that Slurm or another engine starts."""

import math
import os
from collections.abc import Callable
from typing import Any

ENGINE_MB = 500
"""The two Snakemakes beside the stage in a job of Slurm: the one that starts a step, and the one in it.

Each held 170 MB in a job of the tiny project.
"""


def memory(stage_mb: int | Callable[[Any], int], *, grows: bool = True) -> Callable[..., int]:
    """`mem_mb` of a rule, MB: what its stage needs, and Snakemake itself; twice as much when tried again.

    stage_mb: a number, or a function of the wildcards. grows: not where a stage that is tried again goes on,
    as after its time was up.
    """

    def asked(wildcards: Any, attempt: int) -> int:
        own = stage_mb(wildcards) if callable(stage_mb) else stage_mb
        return (own + ENGINE_MB) * (attempt if grows else 1)

    return asked


def minutes(stage_minutes: int, *, mb_a_minute: float | None = None) -> Callable[..., int]:
    """`runtime` of a rule that begins anew when it runs again, minutes: then twice as long.

    mb_a_minute: what its stage reads of its inputs in a minute at least, MB, where their size tells its time.
    """

    def asked(wildcards: Any, input: Any, attempt: int) -> int:
        mb = sum(os.path.getsize(path) for path in input if os.path.isfile(path)) / 1e6 if mb_a_minute else 0
        return (stage_minutes + math.ceil(mb / (mb_a_minute or 1))) * attempt

    return asked
