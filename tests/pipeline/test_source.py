"""What a digest of code holds: what runs, and nothing that only reads otherwise."""

import pytest

from pipeline import source

MODEL = '''"""A model."""

from pipeline import errors
from pipeline.low import loss


class Model:
    """With a docstring."""

    def loss(self, x):
        return loss.of(x)

    def sample(self, x):
        """Only generation calls it."""
        from pipeline.low import sampler

        return sampler.draw(x)

    def preview(self, x):
        """Training shows it."""
        from pipeline.low import figure

        return figure.of(x)


def sample(x):
    return x
'''


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A repository of a model, its loss and its sampler."""
    for name, text in {
        "errors.py": "",
        "model.py": MODEL,
        "low/loss.py": "def of(x):\n    return x - 1\n",
        "low/loss.tsv": "a\tb\n",
        "low/sampler.py": "def draw(x):\n    return x + 1\n",
        "low/figure.py": "def of(x):\n    return x\n",
    }.items():
        path = tmp_path / "pipeline" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(source, "REPOSITORY", tmp_path)
    cached = (source.closure, source._imports)
    for function in cached:
        function.cache_clear()
    yield tmp_path / "pipeline"
    for function in cached:
        function.cache_clear()


def names(folder, *modules: str, **options) -> list[str]:
    return [str(path.relative_to(folder)) for path in source.closure(*modules, **options)]


def test_what_only_samples_is_left_out_where_it_is_not_asked_for(small):
    all_of_it = ["low/figure.py", "low/loss.py", "low/loss.tsv", "low/sampler.py", "model.py"]
    assert names(small, "pipeline.model") == all_of_it
    assert names(small, "pipeline.model", sampling=False) == ["low/loss.py", "low/loss.tsv", "model.py"]
    assert names(small, "pipeline.low.loss", "pipeline.low.sampler") == [
        "low/loss.py",
        "low/loss.tsv",
        "low/sampler.py",
    ]


SAME = {
    "comment": ("return loss.of(x)", "return loss.of(x)  # a remark"),
    "docstring": ('"""With a docstring."""', '"""With another."""'),
    "no docstring": ('"""A model."""\n', ""),
    "line break": ("return loss.of(x)", "return loss.of(\n            x,\n        )"),
    "blank line": ("\n\n\nclass Model", "\n\n\n\nclass Model"),
}
OTHER = {
    "another name": ("return loss.of(x)", "return loss.of(self)"),
    "another number": ("return x\n", "return 2 * x\n"),
    "another import": ("from pipeline import errors\n", ""),
    "a text that is used": ("return loss.of(x)", 'return "x"'),
    "a function called sample": ("def sample(x):\n    return x", "def sample(x):\n    return -x"),
    "a line less": ("    def loss(self, x):\n        return loss.of(x)\n\n", ""),
}


@pytest.mark.parametrize("sampling", [True, False])
@pytest.mark.parametrize(
    ("old", "new", "same"),
    [(*edit, True) for edit in SAME.values()] + [(*edit, False) for edit in OTHER.values()],
    ids=[*SAME, *OTHER],
)
def test_a_digest_is_of_what_runs(old, new, same, sampling, small):
    files = source.closure("pipeline.model", sampling=sampling)
    before = source.digest(files, sampling=sampling)
    assert MODEL.count(old) == 1
    (small / "model.py").write_text(MODEL.replace(old, new))
    assert (source.digest(files, sampling=sampling) == before) == same


@pytest.mark.parametrize("edit", [("sampler.draw(x)", "-sampler.draw(x)"), ("figure.of(x)", "-figure.of(x)")])
def test_an_edit_of_a_method_that_samples_changes_what_samples_and_not_what_trains(edit, small):
    files = source.closure("pipeline.model")
    with_it, without = (source.digest(files, sampling=sampling) for sampling in (True, False))
    (small / "model.py").write_text(MODEL.replace(*edit))
    assert source.digest(files) != with_it and source.digest(files, sampling=False) == without


def test_tables_and_names_of_files_are_in_the_digest(small):
    files = source.closure("pipeline.model")
    before = source.digest(files)
    assert source.digest(reversed(files)) == before, "in whatever order"
    (small / "low/loss.tsv").write_text("a\tb # no comment\n")
    changed = source.digest(files)
    assert changed != before and source.digest(files[:-1]) not in (before, changed)
    moved = (small / "model.py").rename(small / "other.py")
    assert source.digest([*files[:-1], moved]) != changed
