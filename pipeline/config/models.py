"""Runs, rows and what all trainings share; options of sampling and of the table."""

from typing import Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from pipeline.config.section import Section


class Training(Section):
    """What every model's training shares."""

    steps: int = Field(default=500, ge=1, description="optimiser steps")
    batch_size: int = Field(
        default=8,
        ge=1,
        description="windows of two people in a batch; the face model sees the two one at a time",
    )
    window_frames: int = Field(
        default=90, ge=8, description="frames in a training window; the paper's is 150"
    )
    stride_frames: int = Field(default=5, ge=1, description="frames between window starts")
    learning_rate: float = Field(default=1e-3, gt=0, description="Adam's learning rate after warm-up")
    warmup_steps: int = Field(default=20, ge=0, description="steps of linear warm-up")
    decay: Literal["none", "linear", "cosine", "exponential"] = Field(
        default="none", description="how the learning rate falls after the warm-up, down to final_rate"
    )
    final_rate: float = Field(
        default=0.1, gt=0, le=1, description="learning rate of the last step, as a share of learning_rate"
    )
    weight_decay: float = Field(
        default=0.0, ge=0, description="decay of the weights, apart from the gradient (AdamW); 0 is Adam"
    )
    checkpoint_steps: int = Field(default=100, ge=1, description="steps between checkpoints")
    clip_norm: float = Field(
        default=25.0, gt=0, description="largest norm of the gradient; longer ones are scaled down"
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="dropout in the network; the published code has 0.1"
    )
    average: float = Field(
        default=0.99,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights that is kept (EMA); 0 keeps the last weights",
    )
    held_out_steps: int = Field(
        default=100,
        ge=0,
        description="steps between measurements on takes that are not learned from; 0: at the end only",
    )
    validation_share: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of the train takes that is not learned from: the weights that do best on them are"
        " kept; 0 learns from all and keeps the last weights",
    )
    seed: int = Field(default=0, ge=0, description="seed of weights, windows and noise")
    device: str = Field(default="auto", description="torch device; auto takes a GPU where there is one")
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        default="float32",
        description="type of the arithmetic in training; on GPUs tf32 multiplies matrices faster with 10 bits"
        " of fraction, bfloat16 computes faster still with 7",
    )
    pieces: int = Field(
        default=1,
        ge=1,
        description="parts in which a batch is computed where it does not fit into memory at once (gradient"
        " accumulation)",
    )
    compile: bool = Field(
        default=False,
        description="compile the network (torch.compile), which needs a C++ compiler: slow at first, then"
        " faster on GPUs",
    )
    tensorboard: bool = Field(
        default=False,
        description="write losses, speed and a sample for TensorBoard too, into tensorboard/ of the run"
        " (needs the extra tensorboard)",
    )
    workers: int = Field(
        default=0, ge=0, description="threads that read windows ahead; 0 reads between the steps"
    )
    threads: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="threads that compute on a CPU; another number gives other weights, by rounding",
    )
    keep_checkpoints: bool = Field(
        default=False,
        description="go on from checkpoints that other code has written, with a warning in the log and the"
        " card; options and data must be the same",
    )

    @property
    def streams(self) -> tuple[str, ...]:
        """What a run's model reads of shards: names of models.data.read."""
        raise NotImplementedError

    @property
    def makes(self) -> tuple[str, ...]:
        """What its samples hold: face, body and relative, or a part that other runs of a row are told."""
        raise NotImplementedError

    @property
    def needs(self) -> tuple[str, ...]:
        """What earlier runs of a row must have made for it."""
        return ()

    @property
    def trains_encoder(self) -> bool:
        """Whether a speech encoder is a part of the model and learns along."""
        return False

    @property
    def on_rigs(self) -> bool:
        """Whether training and sampling read the actors' rigs."""
        return False


class Denoising(Training):
    """What the trainings of diffusion models share."""

    diffusion_steps: int = Field(default=1000, ge=2, description="steps of the diffusion")
    schedule: Literal["linear", "scaled_linear", "cosine"] = Field(
        default="cosine",
        description=(
            "how noise grows over the steps; linear is that of the paper's base for bodies, scaled_linear for"
            " faces: with clean prediction much of the first is pure noise, which teaches to answer from what"
            " is told alone"
        ),
    )
    prediction: Literal["noise", "clean", "v"] = Field(
        default="clean",
        description=(
            "what the network predicts; noise and v need a network that is wider than the predicted channels"
        ),
    )
    sampler: Literal["ddim", "dpm++", "ddpm", "legacy_ddim"] = Field(
        default="ddim",
        description="how samples are drawn: in sample_steps steps of first or second order (ddim, dpm++), in"
        " all steps with noise (ddpm), or as DiffSpeaker's code did (legacy_ddim)",
    )
    skip: Literal["none", "smoothed"] = Field(
        default="smoothed",
        validate_default=True,
        description=(
            "smoothed: the noisy input, smoothed over time as the step asks, is added to the output,"
            " which needs clean prediction; none: the output alone, as in the paper"
        ),
    )
    smooth_output: bool = Field(
        default=False, description="smooth the network's output with the same window, if skip is smoothed"
    )
    velocity_weight: float = Field(
        default=0.0, ge=0, description="weight of the error of frame-to-frame differences in the loss"
    )
    condition_dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description=(
            "share of training items that are told nothing; more than 0 allows guidance at generation"
        ),
    )
    part_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of training items that are not told one condition, drawn for each condition by"
        " itself; more than 0 allows generate.guidance_of",
    )
    told: tuple[Literal["relationship", "emotion"], ...] = Field(
        default=(),
        description="labels of the take that the model is told as well, such as [relationship, emotion]; a"
        " take without one, or with one that training has not seen, is told a learned null",
    )
    untold: Literal["learned", "mean"] = Field(
        default="learned",
        description="what stands for a condition that is not told: learned numbers, or its mean",
    )
    min_scale: float = Field(
        default=0.01,
        ge=0,
        description="least number that a channel is divided by, radians or weight, so that noise of channels"
        " that hardly move is not learned; 0 divides by the deviation, whatever it is",
    )
    min_std: float = Field(
        default=0.003,
        ge=0,
        description="channels that vary less over the train split are left out and get their mean, radians or"
        " weight",
    )

    @field_validator("told")
    @classmethod
    def _once(cls, told: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(told)) < len(told):
            raise ValueError(f"told is {', '.join(told)}, need each label once; take one out")
        return told

    @field_validator("skip")
    @classmethod
    def _adds_to_clean(cls, skip: str, info: ValidationInfo) -> str:
        if skip != "none" and info.data.get("prediction") in ("noise", "v"):
            raise ValueError(f"skip is {skip}, which needs prediction clean; take skip none")
        return skip


class Run(Section):
    """A training: a recipe with its options. Keys other than these are options of the recipe."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, protected_namespaces=())

    recipe: str = Field(description="what is trained: a file of models/recipes, by its name")
    given: tuple[str, ...] = Field(
        default=(), description="runs whose trained models this one is built on; they are trained first"
    )
    start: str | None = Field(
        default=None, description="run of the same recipe and sizes whose weights this one begins with"
    )
    data: Literal["takes", "lip_acc"] = Field(
        default="takes",
        description="what it learns from: the train takes, or the lip-accurate set, which needs `start`",
    )
    swap: str | None = Field(
        default=None,
        description="run, fine-tuned from `start`, whose denoiser's layer takes the place of that of `start`;"
        " such a run is not trained and has the options of `start`",
    )
    mem_mb: int = Field(
        default=3000, ge=1, description="memory that a scheduler gives each process of the job, MB"
    )
    runtime_minutes: int = Field(
        default=2880, ge=1, description="time that a scheduler gives the job, minutes"
    )
    processes: int = Field(
        default=1,
        ge=1,
        description="processes on a machine that train it together, one for each GPU; they share each batch",
    )
    nodes: int = Field(
        default=1,
        ge=1,
        description="machines of a Slurm job that train it together, with so many processes each",
    )

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Runs that are made before it."""
        return (*self.given, *(name for name in (self.start, self.swap) if name))


class Row(Section):
    """A row of the table: runs whose samples together are two moving people.

    A list of runs is short for `runs`.
    """

    runs: tuple[str, ...] = Field(
        min_length=1,
        description="runs in the order in which they sample; each is told what the ones before made",
    )
    num_samples: int | None = Field(
        default=None, ge=1, description="samples per test take; null takes generate.num_samples"
    )
    mem_mb: int = Field(default=3000, ge=1, description="memory that a scheduler gives the job, MB")
    runtime_minutes: int = Field(
        default=240, ge=1, description="time that a scheduler gives the job, minutes"
    )


RUNS: dict[str, dict] = {
    "face": {"recipe": "face"},
    "body_lower": {"recipe": "body", "joints": "lower"},
    "body_upper": {"recipe": "body", "joints": "upper"},
    "finetune_face": {
        "recipe": "face",
        "start": "face",
        "data": "lip_acc",
        "loss_on": "lips",
        "steps": 150,
        "window_frames": 60,
        "learning_rate": 2e-4,
    },
    "swap_face": {"recipe": "face", "start": "face", "swap": "finetune_face"},
}
"""The runs that are built in; the config changes them and adds to them."""

ROWS: dict[str, list[str]] = {
    "trained models": ["face", "body_lower", "body_upper"],
    "fine-tuned on lips": ["finetune_face"],
    "fine-tuned, swapped": ["swap_face"],
}
"""The rows that are built in. Those of runs on a lip-accurate set are there where such a set is."""

TAKEN = ("body", "run", "separation", "swap_run")
"""Names that no run can have: train_body, train_run, train_separation and swap_run are other rules."""


SHORTEST_WINDOW = 16
"""Frames that a network sees at once, at least."""


class Generate(Section):
    """Sampling."""

    seed: int = Field(default=0, ge=0, description="seed of the noise")
    num_samples: int = Field(default=5, ge=1, description="samples per test take, for the metrics")
    voices: Literal["own", "another"] = Field(
        default="own",
        description=(
            "what test takes are told: what is said, done and faced in them, or in another take;"
            " what the scores lose by it is what the voices add"
        ),
    )
    guidance: float = Field(
        default=1.0,
        ge=0,
        description="scale of classifier-free guidance; 1 is none, others need condition_dropout in training",
    )
    guidance_of: dict[str, float] = Field(
        default={},
        description="guidance of single conditions by name, such as audio, style, text or emotion: 1 changes"
        " nothing, 0 takes it away, 2 doubles what it adds; needs part_dropout in training",
    )
    sampler: Literal["own", "ddim", "dpm++", "ddpm", "legacy_ddim"] = Field(
        default="own", description="sampler in place of the models' own"
    )
    sample_steps: int = Field(
        default=0, ge=0, description="network calls in place of the models' own number; 0 takes theirs"
    )
    window_frames: int = Field(
        default=300,
        ge=0,
        description="longest stretch that a network sees at once; longer takes go in overlapping windows; 0"
        " shows it the whole take, in memory that grows with the square of its length",
    )
    overlap_frames: int = Field(default=60, ge=0, description="frames that neighbouring windows share")
    feet: Literal["held", "free"] = Field(
        default="held",
        description="held: the root follows from the legs, and feet stay where they are down; free: root and"
        " legs are written as the models make them, as in the paper",
    )
    threads: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="threads that compute on a CPU; another number gives other samples, by rounding",
    )
    device: str = Field(default="auto", description="torch device; auto takes a GPU where there is one")

    @field_validator("window_frames")
    @classmethod
    def _long_or_whole(cls, window_frames: int) -> int:
        if 0 < window_frames < SHORTEST_WINDOW:
            raise ValueError(f"need {SHORTEST_WINDOW} frames or more, or 0 for whole takes")
        return window_frames


class Evaluate(Section):
    """Metrics."""

    window_frames: int = Field(default=300, ge=8, description="frames in a test window of the body metrics")
    actors: tuple[str, ...] = Field(
        default=(), description="actors whose faces are measured, such as split.test_actors; none: all"
    )
    num_pairs: int = Field(default=10_000, ge=1, description="random pairs of the diversity metric")
    seed: int = Field(default=0, ge=0, description="seed of the pairs")
    body_values: Literal["radians", "standardised", "features"] = Field(
        default="radians",
        description="what the body metrics are of: joints in radians, joints by their deviations over the"
        " train split, or these with the relative root",
    )
    body_rows: Literal["pair", "person"] = Field(
        default="pair", description="whether a row of the body metrics is both actors or each of them"
    )
    body_rates: Literal["frame", "second"] = Field(
        default="frame", description="whether differences of the body metrics are per frame or per second"
    )
    body_pairs: Literal["pooled", "window"] = Field(
        default="pooled",
        description="whether rows are paired at random from all windows and samples, or within each window",
    )
    div_k: Literal["variance", "deviation", "distance"] = Field(
        default="variance",
        description="Div_k: variance over time, its root, or the distance of pairs of differences",
    )
    div_sample: Literal["variance", "deviation", "distance"] = Field(
        default="variance",
        description="Div_sample: variance over a take's samples, its root, or the distance of two samples",
    )
