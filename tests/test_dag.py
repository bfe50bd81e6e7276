"""docs/dag.md shows the rules as they are."""

import shutil

from helpers.workflow_project import REPOSITORY, make_project, snakemake

from pipeline.report import dag as report_dag


def test_the_page_shows_the_workflow(tmp_path):
    project = make_project(tmp_path)
    shutil.copy(REPOSITORY / "config.yaml", project)
    result = snakemake(project, "all", "--rulegraph", "dot")
    assert result.returncode == 0, result.stdout + result.stderr
    edges = report_dag.edges_of(result.stdout)
    assert ("sync", "body") in edges and ("simulate_take", "sync") in edges
    page = (REPOSITORY / "docs" / "dag.md").read_text()
    assert page == report_dag.page(result.stdout), (
        "docs/dag.md is not what the rules say; run: snakemake all --rulegraph dot | python -m"
        " pipeline.report.dag --out docs/dag.md"
    )
