"""The configuration: one typed source for defaults, command-line flags and documentation.

Every stage takes one section and sees nothing else. Keys that are not declared are errors that suggest the
nearest one. Sections stand here, by rooms, and not beside the stages that read them: planning and every rule
read all of them, and must not wait for what stages import. Options of a recipe stand in its file
(models.recipes).

Names are imported from here. Each is read out of its file when it is first asked for: a stage starts
without the sections of other rooms, which take longer to load than its own code.
"""

# ruff: noqa: F401
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names as in _FILES, with their types
    from pipeline.config.annotate import Actions, Contacts, Dialogue, Facing, Split, SyncCheck, Transcripts
    from pipeline.config.capture import Blendshapes, Body, ReleaseIn, Separation, SeparationModel, Sync, Up
    from pipeline.config.models import ROWS, RUNS, TAKEN, Denoising, Evaluate, Generate, Row, Run, Training
    from pipeline.config.section import Section
    from pipeline.config.shards import Features, Shards, Speech, Text
    from pipeline.config.simulate import Simulate
    from pipeline.config.whole import Config, load, parse, said

_FILES = {
    "annotate": "Actions Contacts Dialogue Facing Split SyncCheck Transcripts",
    "capture": "Blendshapes Body ReleaseIn Separation SeparationModel Sync Up",
    "models": "ROWS RUNS TAKEN Denoising Evaluate Generate Row Run Training",
    "section": "Section",
    "shards": "Features Shards Speech Text",
    "simulate": "Simulate",
    "whole": "Config load parse said",
}
"""Names by the file that has them."""


def __getattr__(name: str) -> object:
    """A name of this package, out of its file (PEP 562)."""
    for file, names in _FILES.items():
        if name in names.split():
            return getattr(importlib.import_module(f"{__name__}.{file}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
