"""Options that messages name exist.

Keys of the config are keys, and flags are flags of the command that says them.
"""

import ast
import importlib
import re
from pathlib import Path

import pytest

from models import recipes
from pipeline import stage
from pipeline.config import Config

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = sorted(path for folder in ("pipeline", "models") for path in (REPOSITORY / folder).rglob("*.py"))
FILES = (
    "json",
    "py",
    "h5",
    "tsv",
    "csv",
    "npy",
    "npz",
    "bvh",
    "wav",
    "smk",
    "html",
    "png",
    "md",
    "main",
    "run",
    "txt",
    "safetensors",
    "index",
)
"""What stands behind a dot in names of files and functions."""


def literals(path: Path) -> list[str]:
    """Texts of a module's messages: of what is raised, logged or appended, not of docstrings and help."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in ("InputError", "warning", "info", "fail", "append", "_need_all", "_end"):
                for argument in node.args:
                    found.append(
                        "".join(
                            part.value if isinstance(part, ast.Constant) else "{}"
                            for part in parts(argument)
                            if id(part) not in docs
                        )
                    )
    return found


def parts(node: ast.expr) -> list:
    """Constant and computed parts of a text, in order."""
    if isinstance(node, ast.JoinedStr):
        return node.values
    if isinstance(node, ast.BinOp):
        return parts(node.left) + parts(node.right)
    return [node] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


SECTIONS = stage._sections()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)


def test_keys_in_messages_are_keys_of_the_config():
    named = []
    for path in MODULES:
        for text in literals(path):
            for section, key in re.findall(rf"(?<![\w./-])({'|'.join(SECTIONS)})\.([a-z]\w*)", text):
                if key not in FILES:
                    named.append((path.name, section, key))
    assert len(named) > 12, "the scan finds what it looks for"
    assert not [entry for entry in named if entry[2] not in SECTIONS[entry[1]].model_fields]


def flags_of(module: str) -> set[str]:
    """Flags of a stage's parsers, of all its subcommands; empty where the module is no command."""
    text = (REPOSITORY / (module.replace(".", "/") + ".py")).read_text()
    found = set(re.findall(r'"(--[a-z][\w-]*)"', text))
    found |= {stage.flag(name) for name in re.findall(r'add_files\(\s*\w+,\s*"(\w+)"', text)}
    for name in re.findall(r"section=(?:config\.)?(\w+)", text):
        section = getattr(importlib.import_module("pipeline.config"), name, None)
        sections = [section] if isinstance(section, type) else [Config]
        if module == "models.train":  # a section for each recipe
            sections = [recipes.load(recipe).Options for recipe in recipes.names()]
        found |= {stage.flag(field) for section in sections for field in section.model_fields}
    return found


@pytest.fixture(scope="module")
def every_flag():
    return set().union(*(flags_of(module_name(path)) for path in MODULES))


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_flags_in_messages_are_flags_of_the_command_that_says_them(path, every_flag):
    is_command = "stage.execute(" in path.read_text()
    own = flags_of(module_name(path)) if is_command else every_flag
    for text in literals(path):
        text = re.sub(
            r"(python -m|snakemake|ct2-transformers-converter)[^;,)]*", "", text
        )  # of other programs
        for name in re.findall(r"(?<![\w-])--[a-z][\w-]*", text):
            assert name in own, f"{path.name} names {name}: {text}"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_a_command_with_its_flags(section):
    module = stage.COMMANDS[section]
    text = (REPOSITORY / (module.replace(".", "/") + ".py")).read_text()
    assert "section=" in text or "stage.flag" in text, f"{module} has no flags of section {section}"
