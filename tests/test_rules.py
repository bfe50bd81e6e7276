"""A rule, its module, its log and its timings have one name; the rule stands in its module's room."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.planning.code import code

REPOSITORY = Path(__file__).resolve().parents[1]
FILES = sorted((REPOSITORY / "rules").glob("*.smk"))
WIDTH = 110
OTHER_ROOMS = {"strips": "figures"}
"""Rules that stand in another file than that of their module's room: the report shows what figures draws."""
OTHER_NAMES = {"release": "pipeline.release.write", "lip_speech": "pipeline.shards.speech"}
"""Rules that are named as the target that users call, not as their module."""
LIP_RULES = {"lip_sync", "lip_blendshapes", "lip_separation", "lip_shards_stats", "lip_speech_stats"}
"""Rules that run a stage of capture on the lip-accurate set."""


@dataclass(frozen=True)
class Rule:
    """What a rules file says of one rule; `base` is the rule that it is made of by `use rule`."""

    file: str
    name: str
    base: str
    text: str

    @property
    def module(self) -> str:
        """The module that its command runs."""
        found = re.findall(r'"python -m ([\w.]+)', self.text)
        assert len(found) == 1, f"{self.file}: rule {self.name} runs {found}, need one command"
        return found[0]

    @property
    def codes(self) -> list[str]:
        """Modules whose code is an input."""
        return re.findall(r'\bcode\("([\w.]+)"\)', self.text)


def rules_of(path: Path) -> list[Rule]:
    """The rules of a file that run a module of pipeline, in order."""
    heads = r"^ *(?:use rule (\w+) as (\w+) with|rule ?(\w*)):\n"
    _, *pieces = re.split(heads, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = []
    for base, used, name, text in zip(*(pieces[i::4] for i in range(4)), strict=True):
        named = re.search(
            r'name:\s+(?:f?"(\w+?)(?:_\{[\w.]+\})*"|study\.runs\[run\]\.(target))', text
        )  # a rule for each pair of actors, run or row, in a loop
        own = (named[1] or named[2]) if named else ""
        rule = Rule(path.name, used or name or own, base or "", text)
        assert rule.name, f"{path.name}: a rule without a name: {text[:80]}"
        if base or "python -m pipeline." in text:
            found.append(rule)
    return found


RULES = [rule for path in FILES for rule in rules_of(path)]
STAGES = [rule for rule in RULES if not rule.base]


def test_the_rules_are_found():
    assert len(STAGES) > 40 and {rule.name for rule in RULES if rule.base} == LIP_RULES
    written = sum(path.read_text(encoding="utf-8").count('"python -m pipeline.') for path in FILES)
    assert written == len(STAGES)


@pytest.mark.parametrize("rule", STAGES, ids=lambda rule: rule.name)
def test_a_rule_is_named_as_its_module_and_stands_in_its_room(rule):
    package, room, module = rule.module.split(".")
    assert (REPOSITORY / package / room / f"{module}.py").is_file()
    if rule.name in OTHER_NAMES:
        assert OTHER_NAMES[rule.name] == rule.module
    else:
        assert rule.name in (module, f"{room}_{module}")
    assert rule.file == f"{room}.smk" or OTHER_ROOMS.get(rule.name) == room
    assert rule.codes == [rule.module] and code(rule.module)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.base], ids=lambda rule: rule.name)
def test_a_lip_rule_is_that_of_a_take_by_another_name(rule):
    (base,) = (other for other in STAGES if other.name == rule.base)
    assert rule.name == f"lip_{base.name}" and rule.file == base.file and rule.codes == [base.module]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_log_and_timings_have_the_name_of_the_rule(rule):
    for kind, folder, suffix in (("log", "logs", "log"), ("benchmark", "timings", "tsv")):
        (path,) = re.findall(rf'^ +{kind}:\n +f"([^"]*)",?$', rule.text, flags=re.MULTILINE)
        start = rf"\{{ROOT\}}/{folder}/{rule.name}"
        assert re.fullmatch(rf"{start}(/(\{{\{{\w+\}}\}}_?)+)?\.{suffix}", path), path


def test_names_are_told_once():
    names = [rule.name for rule in RULES if rule.name != "lip_acc"]  # of a shoot, or of a download
    assert len(names) == len(set(names))
    assert {*OTHER_ROOMS, *OTHER_NAMES} <= set(names)


@pytest.mark.parametrize("path", [*FILES, REPOSITORY / "workflow" / "Snakefile"], ids=lambda path: path.name)
def test_lines_fit_the_width(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    long = [i for i, line in enumerate(lines, 1) if len(line) > WIDTH]
    assert not long, f"{path.name}: lines {long} are longer than {WIDTH}"
