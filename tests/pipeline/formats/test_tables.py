import json
import re
from pathlib import Path

import pytest

from pipeline.files import write_tsv
from pipeline.formats import tables
from pipeline.formats.tables import ACTOR_COLUMNS, TABLES, TAKE_COLUMNS
from pipeline.formats.takes import (
    shoot_takes,
)
from pipeline.simulate import plan

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", TABLES)
def test_the_committed_schemas_do_not_drift(name):
    path = REPOSITORY / "workflow" / "schemas" / f"{name}.schema.json"
    assert path.read_text() == tables.schema(TABLES[name]), (
        "python -m pipeline.formats.tables --schemas workflow/schemas"
    )


def test_the_command_writes_the_schemas_and_prints_the_columns(tmp_path, capsys):
    tables.main(["--schemas", str(tmp_path), "--columns", "actors"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.schema.json" for name in sorted(TABLES)
    ]
    assert all(
        (tmp_path / f"{name}.schema.json").read_text() == tables.schema(kind) for name, kind in TABLES.items()
    )
    assert re.findall(r"^\| `(\w+)` \| .+ \|$", capsys.readouterr().out, re.MULTILINE) == ACTOR_COLUMNS


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_needed_and_described(name):
    schema = json.loads(tables.schema(TABLES[name]))
    assert schema["required"] == list(TABLES[name].model_fields) and schema["additionalProperties"] is False
    assert all(column["description"] for column in schema["properties"].values())


def test_the_simulated_shoot_has_rows_of_these_tables(tmp_path):
    assert (plan.TAKE_COLUMNS, plan.ACTOR_COLUMNS) == (TAKE_COLUMNS, ACTOR_COLUMNS)
    write_tsv(tmp_path / "takes.tsv", TAKE_COLUMNS, plan.plan_takes(300, 0))
    write_tsv(tmp_path / "actors.tsv", ACTOR_COLUMNS, plan.plan_actors(300, 0))
    assert [t.row for t in shoot_takes(tmp_path)] == sorted(
        plan.plan_takes(300, 0), key=lambda row: row["take"]
    )
