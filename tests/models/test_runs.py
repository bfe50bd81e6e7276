"""Weights belong to the code and the data that made them.

Edited code trains afresh, and the old code gets its old weights back. What changes no weight leaves them.
"""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from helpers.tiny_shards import RUNS, meta
from helpers.workflow_project import REPOSITORY, make_project

from models import recipes, train
from models.data import shards_of
from pipeline import source

STEPS = 3
FLAGS = (
    f"--steps {STEPS} --batch-size 2 --window-frames 24 --channels 16 --blocks 1 --heads 2 --device cpu"
).split()
FILES = sorted(
    {
        (recipe, str(path.relative_to(REPOSITORY)))
        for recipe in recipes.names()
        for path in source.closure("models.train", f"models.recipes.{recipe}", sampling=False)
    }
)
"""Recipes and the files that training them runs."""


def trained_by(project: Path, shards: Path, out: Path) -> tuple[bytes, str]:
    """Weights and log of `python -m models.train` with the code of a copy of the repository."""
    command = [sys.executable, "-m", "models.train", "body", "--shards", str(shards), "--out", str(out)]
    command += FLAGS
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-4000:]
    return (out / "model.safetensors").read_bytes(), result.stderr


def test_an_edited_model_file_never_yields_old_weights(shards, tmp_path):
    project, out = make_project(tmp_path), tmp_path / "run"
    module = project / "models" / "diffusion.py"
    text = module.read_text()
    edited = text.replace("offset: float = 0.008", "offset: float = 0.02")
    assert edited != text
    first, log = trained_by(project, shards, out)
    assert "goes on" not in log
    module.write_text(edited)
    second, log = trained_by(project, shards, out)
    assert "goes on" not in log, "it resumed what other code had trained"
    assert second != first
    module.write_text(text + "\n# a remark\n")
    third, log = trained_by(project, shards, out)
    assert third == first
    assert f"goes on from step {STEPS} of {STEPS}" in log and len(list((out / "checkpoints").iterdir())) == 2


def hashed_with(monkeypatch, name: str, edit: Callable[[bytes], bytes], recipe: str) -> str:
    """The hash of the code where a file of the repository is an edited one."""
    read = Path.read_bytes

    def edited(path: Path) -> bytes:
        content = read(path)
        return edit(content) if path == REPOSITORY / name else content

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", edited)
        return train.code_hash(recipe)


HASHES = {recipe: train.code_hash(recipe) for recipe in recipes.names()}


@pytest.mark.parametrize(("recipe", "name"), FILES)
def test_every_file_that_training_runs_is_in_the_hash(recipe, name, monkeypatch):
    assert (
        hashed_with(monkeypatch, name, lambda content: content + b"\nedited = 1\n", recipe) != HASHES[recipe]
    )


@pytest.mark.parametrize(("recipe", "name"), [row for row in FILES if row[1].endswith(".py")])
def test_what_runs_no_other_way_is_not_in_the_hash(recipe, name, monkeypatch):
    """Comments, docstrings and line breaks are not in the hash.

    Written anew from its syntax tree, a file has no comment and other lines.
    """

    def rewritten(content: bytes) -> bytes:
        tree = ast.parse(content)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node):
                first = node.body[0]
                assert isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                first.value.value = "Said otherwise."
        return b"# a remark\n" + ast.unparse(tree).encode() + b'\n"""A text that stands alone."""\n'

    assert rewritten((REPOSITORY / name).read_bytes()) != (REPOSITORY / name).read_bytes()
    assert hashed_with(monkeypatch, name, rewritten, recipe) == HASHES[recipe]


def in_function(name: str) -> Callable[[bytes], bytes]:
    """An edit that lets a function do something else at its end."""

    def edit(content: bytes) -> bytes:
        tree = ast.parse(content)
        (found,) = (
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name
        )
        found.body[-1:] = [*ast.parse("raise SystemExit").body, found.body[-1]]
        return ast.unparse(ast.fix_missing_locations(tree)).encode()

    return edit


@pytest.mark.parametrize("recipe", recipes.names())
def test_what_only_generation_runs_is_not_in_the_hash(recipe, monkeypatch):
    own = f"models/recipes/{recipe}.py"
    assert hashed_with(monkeypatch, own, in_function("sample"), recipe) == HASHES[recipe]
    for name in ("loss" if recipe == "faceformer" else "condition", "target", "streams"):
        assert hashed_with(monkeypatch, own, in_function(name), recipe) != HASHES[recipe]
    trained = source.closure("models.train", f"models.recipes.{recipe}", sampling=False)
    sampled = source.closure("models.generate", f"models.recipes.{recipe}")
    by_diffusion = recipe != "faceformer"
    assert (REPOSITORY / "models/sampling.py" in set(sampled) - set(trained)) == by_diffusion
    assert REPOSITORY / own in set(sampled) & set(trained)
    generating = source.digest(sampled)
    with monkeypatch.context() as patch:
        read = Path.read_bytes
        edit = in_function("sample")
        patch.setattr(
            Path, "read_bytes", lambda path: edit(read(path)) if path == REPOSITORY / own else read(path)
        )
        assert source.digest(sampled) != generating


def test_a_recipe_is_not_in_the_hash_of_another():
    for recipe in recipes.names():
        names = {name for other, name in FILES if other == recipe and name.startswith("models/recipes/")}
        assert names == {f"models/recipes/{recipe}.py"}
    assert len(set(HASHES.values())) == len(HASHES)


NOT_IN_THE_HASH = {"pipeline/run_report.py"}
"""The command line tells with it what a run said: nothing of that reaches weights."""
LOADED = """
import sys
from pathlib import Path
from models import train

train.main(sys.argv[1:])
for module in sys.modules.values():
    path = getattr(module, "__file__", None)
    if path and Path(path).is_relative_to(Path.cwd()) and Path(path).name != "__init__.py":
        print(Path(path).relative_to(Path.cwd()))
"""


@pytest.mark.parametrize("recipe", ["body", "face"])
def test_the_hash_has_all_that_a_training_loads(recipe, shards, tmp_path):
    flags = "--steps 1 --batch-size 2 --window-frames 24 --heads 2 --device cpu".split()
    flags += ["--audio", "mel"] if recipe == "face" else ["--channels", "16"]
    command = [sys.executable, "-c", LOADED, recipe, "--shards", str(shards), "--out", str(tmp_path / "run")]
    told = subprocess.run([*command, *flags], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    own = {name for name in told.stdout.split() if name.startswith(("models/", "pipeline/"))}
    hashed = {name for other, name in FILES if other == recipe}
    assert {"models/train.py", "models/diffusion.py"} <= own
    left_out = {name for name in own - hashed if not source.changes_nothing(name[:-3].replace("/", "."))}
    assert left_out == NOT_IN_THE_HASH


READ = {
    "features/20240101_001.h5": {"face", "body_lower", "body_upper"},
    "features/20240101_004.h5": set(),
    "features/shard-000.text.h5": {"body_lower", "body_upper"},
    "dataset/face_arkit/20240101_001_001.npy": {"face"},
    "annotations/facing/20240101_002_001.npy": {"face"},
    "annotations/actions/20240101_001_001.npy": {"body_lower", "body_upper"},
    "annotations/actions/20240101_002_004.npy": set(),
}
"""Which models learn from a file; take 004 is held out."""


def hash_of(name: str, shards: Path, **changes) -> str:
    """What the weights of a tiny run depend on but for the code."""
    recipe, options = RUNS[name]
    options = options.model_copy(update=changes)
    return train.run_hash(recipe, options, meta(shards, options), shards_of(shards)[0])


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("model", list(RUNS))
def test_a_model_starts_afresh_where_what_it_reads_has_changed(shards, tmp_path, model, name):
    """A corrected word trains bodies again and leaves the face as it is."""
    changed = Path(shutil.copytree(shards, tmp_path / "shards"))
    for path in changed.glob("*.h5"):
        with h5py.File(path, "r+") as f:
            table = f["sources"][()]
            table["sha256"][table["file"] == name.encode()] = b"0" * 64
            f["sources"][...] = table
            f.attrs["source_sha256"] = "another"
    assert (hash_of(model, changed) != hash_of(model, shards)) == (model in READ[name])


def test_statistics_that_a_model_does_not_read_leave_it(shards, tmp_path):
    changed = Path(shutil.copytree(shards, tmp_path / "shards"))
    stats = json.loads((changed / "stats.json").read_text())
    stats["text"]["mean"][0] += 1
    (changed / "stats.json").write_text(json.dumps(stats))
    assert hash_of("face", shards) == hash_of("face", changed)
    assert hash_of("body_lower", shards) != hash_of("body_lower", changed)


CHOICES = {
    "joints": "all",
    "people": "one",
    "representation": "paper",
    "lower_joints": ("Hips",),
    "upper_joints": ("Head",),
    "root_values": ("dx",),
    "prediction": "noise",
    "schedule": "linear",
    "skip": "none",
    "untold": "mean",
    "precision": "bfloat16",
    "decay": "cosine",
    "sampler": "dpm++",
    "device": "cuda",
    "told": ("emotion",),
    "noise_on": "latent",
    "loss_on": "lips",
    "facing": "token",
    "styles": "merged",
}
"""Another choice than the default of each option that has choices."""


@pytest.mark.parametrize("name", RUNS)
def test_options_are_in_the_hash_but_for_those_without_effect(name, shards):
    recipe, options = RUNS[name]
    given = {"model.json": "x", "hash": "0"}
    own = train.run_hash(recipe, options, meta(shards, options), shards_of(shards)[0])
    for key, value in options.model_dump().items():
        if key in ("audio", "encoder"):  # another stream, which these shards do not have
            continue
        other = (
            CHOICES[key]
            if isinstance(value, str | tuple)
            else value + 1
            if not isinstance(value, bool)
            else not value
        )
        assert (hash_of(name, shards, **{key: other}) != own) == (key not in train.NO_EFFECT), key
    told = meta(shards, options)
    assert train.run_hash(recipe, options, told, shards_of(shards)[0], start="0") != own
    told.given["x"] = given
    assert train.run_hash(recipe, options, told, shards_of(shards)[0]) != own
