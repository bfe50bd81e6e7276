"""Models of other people: nothing that their folder holds is run, asked about, downloaded or unpickled."""

import ast
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.tiny_encoders import tiny_bert, tiny_wav2vec

from models.speech import speech_encoders
from pipeline.errors import InputError
from pipeline.formats import pretrained
from pipeline.shards import text

REPOSITORY = Path(__file__).resolve().parents[3]
CODE = """
from pathlib import Path
Path(__file__).with_name("HAS_RUN").write_text("run")
Path("HAS_RUN").write_text("run")
from transformers import PreTrainedConfig, PreTrainedModel
class Config(PreTrainedConfig):
    model_type = "mine"
class Model(PreTrainedModel):
    config_class = Config
class Tokenizer: ...
"""
MAP = {
    "AutoConfig": "code.Config",
    "AutoModel": "code.Model",
    "AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"],
}
MAKE = {"text": tiny_bert, "speech": tiny_wav2vec}
WORDS = [{"word": "abc", "start": 0.0, "end": 0.5}]


def load(kind, folder):
    return text.embed_words(WORDS, model=str(folder)) if kind == "text" else speech_encoders.load(str(folder))


def edit(path, **changes):
    kept = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({key: value for key, value in (kept | changes).items() if value is not ...}))


HARM = {
    "a type of its own": lambda folder: edit(folder / "config.json", model_type="mine", auto_map=MAP),
    "code for a known type": lambda folder: edit(folder / "config.json", auto_map=MAP),
    "no type": lambda folder: edit(folder / "config.json", model_type=..., auto_map=MAP),
    "type without code": lambda folder: edit(folder / "config.json", model_type="mine"),
    "another family": lambda folder: edit(folder / "config.json", model_type="gpt2"),
    "type that is a list": lambda folder: edit(folder / "config.json", model_type=["bert"]),
    "quantised": lambda folder: edit(
        folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}
    ),
    "weights elsewhere": lambda folder: edit(folder / "config.json", transformers_weights="../other.bin"),
    "10^9 layers": lambda folder: edit(folder / "config.json", num_hidden_layers=10**9),
    "width of 10^12": lambda folder: edit(folder / "config.json", hidden_size=10**12),
    "width that is a text": lambda folder: edit(folder / "config.json", hidden_size="12"),
    "description a list": lambda folder: (folder / "config.json").write_text("[]"),
    "description deep": lambda folder: (folder / "config.json").write_text('{"model_type": ' + "[" * 100_000),
    "description with 5,000 digits": (
        lambda folder: (folder / "config.json").write_text('{"model_type": ' + "1" * 5000 + "}")
    ),
    "description a pipe": lambda folder: (
        (folder / "config.json").unlink(),
        os.mkfifo(folder / "config.json"),
    ),
    "weights a pipe": lambda folder: (
        (folder / "model.safetensors").unlink(),
        os.mkfifo(folder / "model.safetensors"),
    ),
    "weights in another folder": lambda folder: (
        (folder / "model.safetensors").rename(folder / "other.safetensors"),
        edit(
            folder / "model.safetensors.index.json", metadata={}, weight_map={"x": "../../other.safetensors"}
        ),
    ),
}


@pytest.mark.parametrize("kind", ["text", "speech"])
@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_folder_that_asks_for_more_than_weights_is_one_line(harm, kind, tmp_path, monkeypatch):
    folder = MAKE[kind](tmp_path / "model")
    (folder / "code.py").write_text(CODE)
    (tmp_path / "HAS_NOT").mkdir()
    monkeypatch.chdir(tmp_path / "HAS_NOT")
    harm(folder)
    with pytest.raises(InputError) as caught:
        load(kind, folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 800
    assert list(tmp_path.rglob("HAS_RUN")) == []


def test_a_tokenizer_with_code_or_of_another_kind_is_refused(tmp_path):
    folder = tiny_bert(tmp_path)
    (folder / "code.py").write_text(CODE)
    for changes in ({"auto_map": MAP}, {"tokenizer_class": "RagTokenizer"}, {"tokenizer_class": ["x"]}):
        edit(folder / "tokenizer_config.json", auto_map=..., tokenizer_class="BertTokenizer")
        edit(folder / "tokenizer_config.json", **changes)
        with pytest.raises(InputError, match="tokenizer_config.json: names"):
            load("text", folder)


@pytest.mark.parametrize("kind", ["text", "speech"])
def test_an_answer_on_standard_input_changes_nothing(kind, tmp_path):
    """A terminal at which `y` is typed, and `yes |`: the question is not asked."""
    folder = MAKE[kind](tmp_path / "model")
    edit(folder / "config.json", model_type="mine", auto_map=MAP)
    edit(folder / "tokenizer_config.json", auto_map=MAP)
    (folder / "code.py").write_text(CODE)
    calls = {
        "text": f"from pipeline.shards import text; text.embed_words({WORDS!r}, model={str(folder)!r})",
        "speech": f"from models.speech import speech_encoders; speech_encoders.load({str(folder)!r})",
    }
    caches = {name: str(tmp_path / "cache") for name in ("HF_HOME", "HF_MODULES_CACHE")}
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)} | caches
    result = subprocess.run(
        [sys.executable, "-c", calls[kind]],
        input="y\n" * 100,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1 and "names code of its own (auto_map)" in result.stderr
    assert list(tmp_path.rglob("HAS_RUN")) == [] and "y/N" not in result.stdout + result.stderr


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of a pickle has run')",)


def test_what_lies_beside_the_weights_is_never_looked_at(tmp_path):
    """Adapters that lead to another model, pickles, code: the same words have the same rows."""
    folder = tiny_bert(tmp_path / "model")
    before = load("text", folder)
    (folder / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "/nowhere", "peft_type": "LORA", "auto_mapping": MAP})
    )
    (folder / "generation_config.json").write_text("[")
    for name in ("pytorch_model.bin", "adapter_model.bin"):
        (folder / name).write_bytes(pickle.dumps(Harmful()))
    (folder / "modeling.py").write_text("raise SystemExit('code has run')")
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text("raise SystemExit('code has run')")
    edit(
        folder / "config.json",
        attn_implementation="somebody/kernels",
        _attn_implementation="somebody/kernels",
        use_kernels=True,
        dtype="os.system",
    )
    text._load.cache_clear()
    assert (load("text", folder) == before).all()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    for kind, make in MAKE.items():
        folder = make(tmp_path / kind)
        state = load_file(folder / "model.safetensors")
        next(value for value in state.values() if value.is_floating_point())[...] = float("nan")
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(InputError, match="is not finite"):
            load(kind, folder)


CALLS = {"from_pretrained", "trust_remote_code", "hub_load_state_dict_from_url"}
"""What lets a library load, or run, what a folder or a name asks for."""
PICKLES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SOURCES = sorted(
    path for folder in ("pipeline", "models", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")
)


def doors(tree: ast.AST) -> set[str]:
    """What a module does that only this door's module may, or that none may."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            found |= {name} & CALLS
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names} | {
                (getattr(node, "module", "") or "").split(".")[0]
            }
            found |= names & PICKLES
        if isinstance(node, ast.Constant) and node.value in CALLS:  # getattr
            found.add(str(node.value))
        if isinstance(node, ast.keyword) and node.arg in (
            "trust_remote_code",
            "weights_only",
            "allow_pickle",
            "local_files_only",
        ):
            right = node.arg in ("weights_only", "local_files_only")
            if not (isinstance(node.value, ast.Constant) and node.value.value is right):
                found.add(f"{node.arg} is not {right}")
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            called = f"{node.func.value.id}.{node.func.attr}"
            given = {keyword.arg for keyword in node.keywords}
            if called == "torch.load" and "weights_only" not in given:
                found.add("torch.load without weights_only")
            if called == "torch.hub" or (called.startswith("Auto") and "trust_remote_code" not in given):
                found.add(f"{called} without trust_remote_code")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_one_module_alone_lets_a_library_load_models(path):
    the_door = path == Path(pretrained.__file__)
    expected = {"from_pretrained"} if the_door else set()
    assert doors(ast.parse(path.read_text(encoding="utf-8"))) == expected


@pytest.mark.parametrize(
    "source",
    [
        "AutoModel.from_pretrained(x, trust_remote_code=False)",
        "getattr(AutoModel, 'from_pretrained')(x)",
        "load = Model.from_pretrained",
        "import pickle",
        "from joblib import load",
        "np.load(x, allow_pickle=True)",
        "torch.load(x)",
        "torch.load(x, weights_only=False)",
    ],
)
def test_the_scan_sees_a_second_door(source):
    assert doors(ast.parse(source))


def test_the_library_is_told_at_every_call_not_to_trust():
    tree = ast.parse(Path(pretrained.__file__).read_text(encoding="utf-8"))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "from_pretrained"
    ]
    assert len(calls) == 2
    for call in calls:
        assert {"trust_remote_code", "local_files_only"} <= {keyword.arg for keyword in call.keywords}
