from pipeline.formats.meta_groups import meta_groups
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import Take
from pipeline.statistics.groups import GROUPINGS, genders_of, group_order, performance_groups


def take(relationship: str, emotion: str) -> Take:
    labels = dict.fromkeys(TAKE_COLUMNS, "") | {"relationship": relationship, "emotion": emotion}
    return Take("20260101_001", "20260101", "001", ("001", "002"), labels)


def test_a_performance_is_in_the_groups_of_its_actor_and_of_its_take():
    found = performance_groups(take("Pen Pals", "Joy"), "002", {"001": "male", "002": "female"})
    assert set(found) == set(GROUPINGS)
    assert [found[key] for key in ("all", "actor", "gender", "meta-relationship", "meta-emotion")] == [
        "all",
        "002",
        "female",
        "other",
        "Primitive (Positive)",
    ]
    assert set(performance_groups(take("", ""), "001", {"001": "male"})) == {"all", "actor", "gender"}


def test_meta_groups_stand_as_in_the_paper_and_others_by_name():
    paper = meta_groups("relationship")
    assert group_order("meta-relationship", sorted(paper)) == paper and paper != sorted(paper)
    assert group_order("actor", {"010", "002"}) == ["002", "010"]


def test_a_dataset_without_genders_has_unknown_ones(tmp_path, caplog):
    assert genders_of(tmp_path, [take("", "")]) == {"001": "unknown", "002": "unknown"}
    assert "no gender for 2 of 2 actors, such as 001" in caplog.text
