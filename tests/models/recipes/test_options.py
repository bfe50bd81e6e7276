"""Recipes by name: planning reads their options without torch, and they are those that training takes."""

import subprocess
import sys
from pathlib import Path

import pytest

from models import recipe, recipes, train
from models.recipes import body, face
from pipeline.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[3]


def test_a_recipe_is_a_file_of_the_folder():
    assert {"body", "face"} <= set(recipes.names())
    assert recipes.load("face") is face and recipes.load("body") is body


@pytest.mark.parametrize("name", recipes.names())
def test_options_read_from_the_file_are_those_of_the_module(name):
    light, module = recipes.options_of(name), recipes.load(name)
    assert light is not module.Options and issubclass(module.Model, recipe.Model)
    assert light.model_json_schema() == module.Options.model_json_schema()
    light, own = light(), module.Options()
    assert light.model_dump() == own.model_dump()
    for asked in ("streams", "makes", "needs"):
        assert getattr(light, asked) == getattr(own, asked)


@pytest.mark.parametrize("name", ["hands", "../face", "", "__init__", "face.py", None, ["face"]])
def test_a_name_that_no_recipe_has_is_told(name):
    with pytest.raises(InputError, match="runs.x.recipe: no recipe .*; the recipes are .*body"):
        recipes.load(name, "runs.x.recipe")
    if not isinstance(name, list):
        with pytest.raises(InputError, match="runs.x.recipe: no recipe .*; the recipes are .*body"):
            recipes.options_of(name, "runs.x.recipe")


@pytest.mark.parametrize("text", ["", "class Options:\n    x = 1\n", "Options = 3\n"])
def test_a_file_without_options_is_a_fault_of_ours(tmp_path, monkeypatch, text):
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    (tmp_path / "hands.py").write_text(text)
    with pytest.raises(TypeError, match="need a class Options"):
        recipes.options_of("hands")


def test_nothing_but_options_of_a_recipe_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    (tmp_path / "feet.py").write_text(
        "import gone\nfrom torch import nn\nfrom pipeline.config import Training\nraise SystemExit\n\n\n"
        "class Options(Training):\n    toes: int = 10\n\n\nclass Model(nn.Module):\n    1 / 0\n"
    )
    assert recipes.options_of("feet")().toes == 10


def test_options_need_no_torch():
    program = (
        "import sys; from models import recipes; [recipes.options_of(name)() for name in recipes.names()];"
        " print([name for name in ('torch', 'numpy') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"


def test_what_an_option_says_of_another_is_told_as_it_is(capsys):
    with pytest.raises(SystemExit) as left:
        train.main(["face", "--encoder", "trained", "--audio", "mel", "--shards", "x", "--out", "y"])
    assert left.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.endswith(
        "--encoder: got 'trained': encoder is trained, and audio is mel, which needs none; take audio speech"
    )
