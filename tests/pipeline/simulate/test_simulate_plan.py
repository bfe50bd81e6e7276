"""The plan of the simulated shoot."""

import subprocess
import sys

from pipeline.simulate import plan


def test_plan_is_deterministic_and_grows_at_the_end():
    assert plan.plan_takes(9, 3) == plan.plan_takes(9, 3)
    assert plan.plan_takes(40, 3)[:9] == plan.plan_takes(9, 3)
    assert plan.plan_takes(9, 3) != plan.plan_takes(9, 4)


def test_rows_have_the_columns_and_known_values():
    rows = plan.plan_takes(300, 0)
    assert len({row["take"] for row in rows}) == 300
    for row in rows:
        assert list(row) == plan.TAKE_COLUMNS
        assert row["take"] == f"{row['date']}_{row['scenario']}" and row["actor_a"] < row["actor_b"]
        assert (
            row["relationship"] in plan.RELATIONSHIPS
            and row["emotion"] in plan.EMOTIONS
            and row["split"] == ""
        )
        assert {plan.GENDERS[row["actor_a"]], plan.GENDERS[row["actor_b"]]} == {"male", "female"}
    assert len({row["relationship"] for row in rows}) == 23 and len({row["emotion"] for row in rows}) == 26


def test_a_day_has_one_pair_and_takes_that_do_not_overlap():
    days: dict[str, list] = {}
    for row in plan.plan_takes(300, 0):
        days.setdefault(row["date"], []).append(row)
    for rows in days.values():
        assert len({(row["actor_a"], row["actor_b"]) for row in rows}) == 1
        starts = [plan.seconds_of_day(row, 600.0) for row in rows]
        assert (
            all(b - a >= 660 for a, b in zip(starts, starts[1:], strict=False)) and starts[-1] + 700 < 86_400
        )


def test_actors_are_those_of_the_takes():
    assert plan.plan_actors(1, 0) == [
        {"actor": "001", "gender": "male"},
        {"actor": "002", "gender": "female"},
    ]
    assert [row["actor"] for row in plan.plan_actors(8, 0)] == ["001", "002", "003", "005"]


def test_plan_needs_only_the_standard_library():
    code = "import sys, pipeline.simulate.plan; sys.exit('numpy' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
