"""A trained model as a folder: model.safetensors (weights), model.json (all that is needed to rebuild and to
decode).

model.json: format_version, package_version, model (face, body_lower, body_upper), options (its config
section), feature_names (what it predicts), joint_names and parents of the dataset, actors (known identities,
in the order of their embeddings), stats (mean and std per channel of the train split, as lists), skeletons
(one per actor: offsets_cm, ends_cm by joint number, orders), text_model, speech_encoder (of a face that hears
one: model, layer, windows, SHA-256 of its weights; else null), features (options of the log-mel), fps, hash.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models import diffusion
from models.body import BodyDenoiser
from models.description import FIX, check_options, read_description
from models.diffusion import Diffusion
from models.face import FaceDenoiser
from models.representation import Representation
from models.weights import check_sizes, fit, read_tensors
from pipeline import config
from pipeline.errors import InputError
from pipeline.motion.pose import Skeleton

FORMAT_VERSION = 1
Options = config.FaceModel | config.BodyModel


def section_of(model: str) -> type[config.FaceModel] | type[config.BodyModel]:
    """The config section of a model."""
    return config.FaceModel if model == "face" else config.BodyModel


def represent(
    model: str, options: Options, stats: dict, joint_names: list[str], actors: list[str]
) -> Representation:
    """The channels of a model with these options."""
    return Representation(
        model, stats=stats, joint_names=joint_names, actors=actors, audio=getattr(options, "audio", "mel")
    )


def build(representation: Representation, options: Options) -> tuple[nn.Module, Diffusion]:
    """An untrained network (torch's global generator draws its weights) and its diffusion.

    Faces: DiffSpeaker's schedule, x_0 predicted. Bodies: the schedule of Listen, Denoise, Action!, noise or
    x_0.
    """
    features, condition = len(representation.feature_names), representation.condition_size
    if isinstance(options, config.FaceModel):
        if options.dim % (2 * options.heads):
            raise InputError(
                f"face_model.dim: got {options.dim}, need a multiple of twice heads ({2 * options.heads});"
                " change one of them"
            )
        network = FaceDenoiser(
            features, condition, len(representation.actors), dim=options.dim, heads=options.heads, feedforward=options.feedforward,
            period=options.period, dropout=options.dropout,
        )  # fmt: skip
        return network, Diffusion(diffusion.scaled_linear_betas(options.diffusion_steps), prediction="clean")
    if options.channels % options.heads:
        raise InputError(
            f"body_model.channels: got {options.channels}, need a multiple of heads ({options.heads}); change"
            " one of them"
        )
    body = BodyDenoiser(
        features,
        condition,
        channels=options.channels,
        blocks=options.blocks,
        heads=options.heads,
        window=options.window_frames,
        dropout=options.dropout,
    )
    return body, Diffusion(diffusion.linear_betas(options.diffusion_steps), prediction=options.prediction)


def skeleton_json(skeleton: Skeleton) -> dict:
    """What differs between the actors' skeletons, as JSON."""
    ends = {str(j): np.asarray(end).tolist() for j, end in sorted(skeleton.ends_cm.items())}
    return {
        "offsets_cm": np.asarray(skeleton.offsets_cm).tolist(),
        "ends_cm": ends,
        "orders": list(skeleton.orders),
    }


@dataclass(frozen=True)
class Run:
    """A trained model: its network in evaluation mode, its diffusion, its channels, and its description."""

    network: nn.Module
    diffusion: Diffusion
    representation: Representation
    options: Options
    description: dict

    def skeleton(self, actor: str) -> Skeleton:
        """The skeleton that an actor had in the train split."""
        own = self.description["skeletons"][actor]
        ends = {int(j): np.array(end) for j, end in own["ends_cm"].items()}
        return Skeleton(
            list(self.description["joint_names"]),
            np.array(self.description["parents"]),
            np.array(own["offsets_cm"]),
            ends,
            list(own["orders"]),
        )

    def sample(
        self,
        condition: tuple[Tensor, ...],
        generator: torch.Generator,
        *,
        options: config.Generate,
        report=iter,
    ) -> Tensor:
        """A standardised sample (B, T, D) for a condition (see Representation.condition) of any length.

        Takes longer than `window_frames` are denoised in overlapping windows that agree on one sample.
        """
        if options.guidance != 1 and not self.options.condition_dropout:
            raise InputError(
                f"guidance {options.guidance}: {self.representation.model} was trained without"
                " condition_dropout; take guidance 1, or train it again"
            )
        if options.overlap_frames >= options.window_frames:
            raise InputError(
                f"overlap_frames: got {options.overlap_frames}, need less than window_frames"
                f" ({options.window_frames})"
            )
        without = self.representation.unconditional(condition)

        def network(told: tuple[Tensor, ...], x: Tensor, step: Tensor, a: int, b: int) -> Tensor:
            return self.network(x, step, *(value[:, a:b] if value.ndim == 3 else value for value in told))

        sizes = {
            "window": options.window_frames,
            "overlap": options.overlap_frames,
            "multiple": getattr(self.options, "period", 1),
        }
        told, untold = (diffusion.windowed(partial(network, what), **sizes) for what in (condition, without))
        shape = (*condition[0].shape[:2], len(self.representation.feature_names))
        device = next(self.network.parameters()).device
        guided = diffusion.guided(told, untold, options.guidance)
        return self.diffusion.sample(
            guided, shape, generator, num_steps=self.options.sample_steps, device=device, report=report
        )


def load(folder: Path, *, device: str = "cpu") -> Run:
    """Read a run's folder; InputError where it is missing, of another format version, or its weights do not
    fit.
    """
    folder = Path(folder)
    if not (folder / "model.json").exists():
        raise InputError(
            f"{folder}: no model.json; train the model first (python -m models.train {folder.name} --out"
            f" {folder} ...)"
        )
    where = folder / "model.json"
    description = read_description(where, version=FORMAT_VERSION)
    model = description["model"]
    heard = {"audio": "mel"} if model == "face" else {}  # what a face heard before there was a choice
    options = check_options(section_of(model), heard | description["options"], where)
    representation = represent(
        model, options, description["stats"], description["joint_names"], description["actors"]
    )
    if representation.feature_names != description["feature_names"]:
        raise InputError(f"{where}: feature_names are not those of {model} on its joints; {FIX}")
    weights, fix = folder / "model.safetensors", "train the model again"
    with torch.device("meta"):  # sizes without memory: what the file does not have is never asked for
        check_sizes(build(representation, options)[0], weights, to="model.json", fix=fix)
    network, engine = build(representation, options)
    fit(network, read_tensors(weights, fix=fix), weights, to="model.json", fix=fix)
    return Run(network.to(device).eval(), engine, representation, options, description)


def pick_device(name: str) -> str:
    """A torch device by name; `auto` takes a GPU where there is one."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
