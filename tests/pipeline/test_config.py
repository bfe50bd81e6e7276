import ast
import subprocess
import sys
from pathlib import Path

import pytest

from models import recipes
from pipeline import config, stage
from pipeline.errors import InputError
from pipeline.planning import config_page

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "path",
    sorted([REPOSITORY / "config.yaml", *REPOSITORY.glob("config/*.yaml")]),
    ids=lambda path: path.name,
)
def test_configs_of_the_repository_are_valid(path):
    assert isinstance(config.load(path), config.Config)


def test_the_empty_config_is_the_default(tmp_path):
    (tmp_path / "c.yaml").write_text("")
    assert config.load(tmp_path / "c.yaml") == config.Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simulat: {}", "config key simulat: unknown; did you mean simulate?"),
        ("blendshapes: {metod: lsqr}", "config key blendshapes.metod: unknown; did you mean method?"),
        (
            "body: {xyzzy: 1}",
            "config key body.xyzzy: unknown; known keys: unit, up, joints, joint_map, max_gap_seconds",
        ),
        ("simulate: {num_takes: 0}", "config key simulate.num_takes: got 0"),
        ("fps: 25", "config key fps: got 25"),
        ("sync: {min_seconds: .nan}", "config key sync.min_seconds: got nan"),
        ("body: 5", "config key body: got 5"),
        ("body: {joints: [1]}", "config key body.joints"),
        ("5: 6", "config key 5: unknown"),
        ("[1, 2]", "got list, need a mapping"),
        ("a: [", "YAML"),
        ("root: \xe9".encode("latin-1"), "YAML"),
        (b"\xff\xfe\x00\x01", "YAML"),
    ],
)
def test_mistakes_are_one_line(tmp_path, text, message):
    (tmp_path / "c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as error:
        config.load(tmp_path / "c.yaml")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.yaml: no such file"):
        config.load(tmp_path / "gone.yaml")


def test_sections_cannot_be_changed():
    with pytest.raises(ValueError):
        config.Config().body.unit = "m"


def sections() -> list[type[config.Section]]:
    kinds = (field.annotation for field in config.Config.model_fields.values())
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, config.Section)]


OPTIONS = {name: recipes.options_of(name) for name in recipes.names()}
"""Options of recipes by name."""


@pytest.mark.parametrize(
    "section",
    [*sections(), *OPTIONS.values()],
    ids=lambda section: f"{section.__module__}.{section.__name__}",
)
def test_every_key_is_described_valid_and_a_flag(section):
    assert section.__doc__
    for name, field in section.model_fields.items():
        assert field.description, name
    section.model_validate(section().model_dump())  # defaults obey their own limits
    shown = stage.parser("Doc.", section=section).format_help()
    assert all(stage.flag(name) in shown for name in section.model_fields)


def test_page_and_schema_name_every_key(tmp_path):
    config_page.main(["--page", str(tmp_path / "p.md"), "--schema", str(tmp_path / "s.json")])
    page, schema = (tmp_path / "p.md").read_text(), (tmp_path / "s.json").read_text()
    for section in [config.Config, config.Run, config.Row, *sections(), *OPTIONS.values()]:
        assert all(
            f'"{name}"' in schema and (f"`{name}`" in page or f"## {name}" in page)
            for name in section.model_fields
        )
    for name, options in OPTIONS.items():
        own = page.partition(f"## recipes.{name}\n")[2].partition("\n## ")[0]
        assert all(f"| `{key}` | " in own for key in options.model_fields)


def test_the_committed_page_and_schema_do_not_drift(tmp_path):
    config_page.main(["--page", str(tmp_path / "p.md"), "--schema", str(tmp_path / "s.json")])
    for made, kept in (
        (tmp_path / "p.md", "docs/config.md"),
        (tmp_path / "s.json", "workflow/schemas/config.schema.json"),
    ):
        command = (
            "python -m pipeline.planning.config_page --page docs/config.md --schema"
            " workflow/schemas/config.schema.json"
        )
        assert made.read_text() == (REPOSITORY / kept).read_text(), (
            f"{kept} is not that of the code: {command}"
        )


def test_names_of_the_package_are_told_from_their_files():
    tree = ast.parse(Path(config.__file__).read_text())
    told = {
        alias.name: node.module.removeprefix("pipeline.config.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("pipeline.config.")
        for alias in node.names
    }
    assert {name: file for file, names in config._FILES.items() for name in names.split()} == told
    for name in told:
        assert getattr(config, name) is not None
    with pytest.raises(AttributeError, match="Bdy"):
        getattr(config, "Bd" + "y")


def test_a_section_has_the_name_of_its_class():
    for name, section in stage._sections().items():
        assert stage._name_of(section) == name


def test_a_stage_loads_the_sections_of_its_room_alone():
    code = "import sys, pipeline.capture.body; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    sections = {name for name in loaded.stdout.split() if name.startswith("pipeline.config.")}
    assert sections == {"pipeline.config.section", "pipeline.config.capture"}
