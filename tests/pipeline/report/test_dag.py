from pipeline.report import dag


def test_edges_are_folded_and_reduced():
    names = ["all", "simulate_take_001_002", "simulate_take_001_003", "sync", "body"]
    dot = (
        "\n".join(f'{i}[label = "{name}", color = "0 1 1"];' for i, name in enumerate(names))
        + "\n1 -> 3\n2 -> 3\n2 -> 4\n3 -> 4\n4 -> 0\n3 -> 0\n"
    )
    edges = dag.edges_of(dot)
    assert edges == {
        ("simulate_take", "sync"),
        ("simulate_take", "body"),
        ("sync", "body"),
        ("body", "all"),
        ("sync", "all"),
    }
    assert dag.reduced(edges) == {("simulate_take", "sync"), ("sync", "body"), ("body", "all")}
    assert "  sync --> body\n" in dag.page(dot)
