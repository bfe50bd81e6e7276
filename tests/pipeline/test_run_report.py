import json
import logging

import pytest

from pipeline import run_report, stage

log = logging.getLogger("interact")


def test_warnings_are_kept_in_order_and_only_inside():
    with run_report.warnings_kept() as kept:
        log.warning("take %s:\n late", "1")
        log.info("no warning")
    log.warning("later")
    assert kept == ["take 1: late"]


@pytest.mark.parametrize("said", [[], ["a", "b"]])
def test_a_report_has_the_warnings_of_its_own_run(tmp_path, said):
    def run() -> None:
        for text in said:
            log.warning(text)
        run_report.write_report(tmp_path / "report.json", {"frames": 3})

    log.warning("of nobody's run")
    stage.execute(stage.parser("A stage.\n"), run, [])
    assert json.loads((tmp_path / "report.json").read_text()) == {"frames": 3, "warnings": said}
