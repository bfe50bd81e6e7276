"""Options of the stages from a shoot, or a download, to the dataset."""

from typing import Literal

from pydantic import Field

from pipeline.config.section import Section

Up = Literal["auto", "x", "y", "z", "x-down", "y-down", "z-down"]
"""Which way is up in a body's file: along an axis, against one that points down, or as the body tells."""


class ReleaseIn(Section):
    """A downloaded release to the dataset's clock: bodies at 30 fps, one length for all streams of a take."""

    max_trim_seconds: float = Field(
        default=0.2,
        ge=0,
        le=10,
        description=(
            "how much longer than the shortest a stream of a take may be;"
            " so much is trimmed, more is a fault, seconds"
        ),
    )
    body_fps: float | None = Field(
        default=None,
        gt=0,
        description="frames per second of the bodies where their headers say something else",
    )
    up: Up = Field(
        default="auto",
        description=(
            "which way is up in the download's bodies; auto judges it by the body and turns what is not y"
        ),
    )


class Sync(Section):
    """Timecode of every stream to one common window."""

    min_seconds: float = Field(
        default=1.0, ge=0.1, description="shortest common window that is worth a take, seconds"
    )
    max_residual_ms: float = Field(
        default=33.3,
        gt=0,
        description=(
            "how far stretches of a stream's timecodes may leave their own straight line, ms;"
            " half a frame (16.7) warns"
        ),
    )
    max_step_frames: float = Field(
        default=0.25,
        gt=0,
        description=(
            "how far the timecode of a face, or LTC, may jump by other than whole frames, in its frames (0.5"
            " at most); 0.1 warns"
        ),
    )
    without_timecode: Literal["refuse", "voice"] = Field(
        default="refuse",
        description=(
            "a face or voice without timecode:"
            " refuse it, or place it by mouth and voice, where they agree clearly"
        ),
    )


class Body(Section):
    """BVH of the shoot to BVH of the dataset."""

    unit: Literal["auto", "cm", "m", "mm", "in/0.45", "in", "ft"] = Field(
        default="auto", description="unit of length of the shoot's BVH files; auto judges it by the bones"
    )
    up: Up = Field(
        default="auto",
        description=(
            "which way is up in the shoot's BVH files; auto judges it by the body and turns what is not y"
        ),
    )
    joints: list[str] | None = Field(
        default=None,
        description=(
            "joints of the dataset, in order;"
            " null takes the release's 60 where a file has them all, else the file's own"
        ),
    )
    joint_map: str | None = Field(
        default=None,
        description=(
            "joint names of another skeleton: one of pipeline/motion/joint_maps (mixamo, cmu, xsens, ...), or"
            " a table of theirs and ours; null takes the names as they are"
        ),
    )
    max_gap_seconds: float = Field(
        default=0.1, ge=0, description="longest run of NaN rows that is interpolated, seconds"
    )
    mend_flicker: bool = Field(
        default=True, description="replace spikes of a single frame by the middle of the frames beside them"
    )
    flicker_deg: float = Field(
        default=8.0, gt=0, description="smallest spike of a joint that is reported as flicker, degrees"
    )
    freeze_seconds: float = Field(
        default=0.25,
        gt=0,
        description="longest stretch of a joint without any change that is not reported, seconds",
    )
    slide_cm_s: float = Field(
        default=15.0,
        gt=0,
        description="speed of a standing foot along the ground above which it slides, cm/s",
    )


class Blendshapes(Section):
    """Face meshes to ARKit weights."""

    method: Literal["normal", "lsqr", "bounded"] = Field(
        default="normal",
        description=(
            "normal: one factorisation for all frames; lsqr: scipy, frame by frame, as in the paper; bounded:"
            " weights in [0, 1]"
        ),
    )
    temporal: float = Field(
        default=0.0,
        ge=0,
        description=(
            "weight of changes from frame to frame,"
            " as a share of the mean squared length of a shape; 0 is none"
        ),
    )
    region_weights: dict[str, float] = Field(
        default={},
        description=(
            "how much the squared error of a region (lips, eyes, brows, upper_face) counts; 1 for all others"
        ),
    )
    stabilise: Literal["auto", "none", "rigid", "similarity"] = Field(
        default="auto",
        description=(
            "take the head's movement off the stream; auto does so, rigidly, where the head moves at all"
        ),
    )
    block_frames: int = Field(default=64, ge=1, description="mesh frames in memory at a time")
    max_gap_seconds: float = Field(
        default=0.1,
        ge=0,
        description="longest gap (lost frames, or frames with NaN vertices) that is interpolated, seconds",
    )


class Separation(Section):
    """Each actor's voice out of what both microphones picked up."""

    method: Literal["mask", "ilrma", "lips", "visualvoice", "none"] = Field(
        default="mask",
        description=(
            "mask: cross-microphone power-ratio mask; ilrma: independent low-rank matrix analysis; lips: a"
            " network that is trained on the shoot and sees the fitted faces; visualvoice: the paper's"
            " network, which sees videos; none: the microphones as they are"
        ),
    )
    weights: str | None = Field(
        default=None,
        description=(
            "model.safetensors of method lips;"
            " null: runs/separation under root, which rule train_separation makes"
        ),
    )
    checkpoints: str | None = Field(
        default=None,
        description=(
            "folder of VisualVoice's published weights"
            " as python -m models.speech.visualvoice convert writes them"
        ),
    )
    hop_seconds: float = Field(
        default=1.275,
        gt=0,
        le=2.55,
        description="seconds between the windows of 2.55 s of visualvoice; the public code's default is 0.04",
    )
    max_clipped_share: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="share of a microphone's samples in clips above which the take is refused",
    )


class SeparationModel(Section):
    """The network of separation method `lips`."""

    steps: int = Field(default=300, ge=1, description="optimiser steps")
    batch_size: int = Field(
        default=2, ge=1, description="mixtures of two voices in a batch, each told from both sides"
    )
    width: int = Field(
        default=8, ge=4, description="channels of the first layer of the U-Net; VisualVoice's is 64"
    )
    widest: int = Field(
        default=32, ge=4, description="most channels of a layer of the U-Net; VisualVoice's is 512"
    )
    lip_width: int = Field(default=16, ge=4, description="channels that the lips of one actor become")
    learning_rate: float = Field(
        default=1e-3,
        gt=0,
        description="Adam's learning rate after warm-up; it falls to nothing along half a cosine",
    )
    warmup_steps: int = Field(default=20, ge=0, description="steps of linear warm-up")
    clip_norm: float = Field(
        default=1.0, gt=0, description="largest norm of the gradient; longer ones are scaled down"
    )
    checkpoint_steps: int = Field(default=50, ge=1, description="steps between checkpoints")
    seed: int = Field(default=0, ge=0, description="seed of weights and mixtures")
    threads: int = Field(
        default=2,
        ge=1,
        le=1024,
        description="threads that compute on a CPU; another number gives other weights, by rounding",
    )
