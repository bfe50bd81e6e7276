import pytest
from helpers.tiny_shoot import make_tables

from pipeline import ownership
from pipeline.errors import InputError
from pipeline.formats.shoot_check import read_licence
from pipeline.planning.study import open_study
from pipeline.release import write as release


def link(name, target):
    def spoil(folder):
        (folder.parent / "secret").write_text("not to be published")
        (folder / name).symlink_to(target)

    return spoil


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


SPOILT = {
    "one scene, two texts": (
        lambda f: make_tables(f, {"scenario_design": "a"}, {"scenario_design": "b"}),
        "scenario_design of scenario 1 is 'b'",
    ),
    "one scene, two emotions": (
        lambda f: make_tables(f, {"emotion": "Joy"}, {"emotion": ""}),
        "emotion of scenario 1 is ''",
    ),
    "002 beside 0002": (
        lambda f: make_tables(f, {"scenario": "002"}, {"scenario": "0002", "emotion": "Joy"}),
        "emotion of scenario 2 is 'Joy'",
    ),
    "002 beside 0002 on one day": (
        lambda f: make_tables(
            f, {"scenario": "002", "date": "20260101"}, {"scenario": "0002", "date": "20260101"}
        ),
        "its scenario is that of take 20260101_0002, 2, on the same day",
    ),
    "a licence in Latin-1": (
        write("LICENCE", "CC BY 4.0 \xa9 M\xfcller".encode("latin-1")),
        "LICENCE: not a readable text in UTF-8",
    ),
    "a licence that is a program": (
        write("LICENCE", b"\x7fELF\x02\x01\x00" * 99),
        "LICENCE: not a readable text",
    ),
    "a licence of 2 MB": (write("LICENCE", b"x" * (2 << 20)), "LICENCE: has 2,097,152 bytes"),
    "a licence that is a folder": (lambda f: (f / "LICENCE").mkdir(), "LICENCE: is a folder"),
    "a licence that leads out": (link("LICENCE", "../secret"), "which is outside"),
    "a consent that leads out": (link("CONSENT.md", "/etc/hostname"), "which is outside"),
    "a consent that leads nowhere": (link("CONSENT.md", "gone"), "CONSENT.md: no such file"),
    "a consent in a circle": (link("CONSENT.md", "CONSENT.md"), "CONSENT.md"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_a_late_stage_would_refuse_is_said_before_any_job(tmp_path, capsys, name):
    shoot = tmp_path / "shoot"
    make_tables(shoot, {}, {})
    values = {"shoot": str(shoot), "root": str(tmp_path / "out")}
    open_study(values)
    spoil, line = SPOILT[name]
    spoil(shoot)
    with pytest.raises(SystemExit) as stop:
        open_study(values)
    told = capsys.readouterr().err
    assert stop.value.code == 2 and line in told and told.count("\n") == 1


def test_a_licence_inside_the_shoot_may_be_a_link(tmp_path):
    (tmp_path / "terms").mkdir()
    (tmp_path / "terms/x.txt").write_bytes("\ufeff\xa9 all rights\r\n".encode())
    (tmp_path / "LICENCE").symlink_to("terms/x.txt")
    assert read_licence(tmp_path) == "\xa9 all rights"


@pytest.mark.parametrize("place", ["wav/20260101_001_001.wav", "dataset.json", "actors.db", "rigs/001.npz"])
def test_a_file_of_a_dataset_that_is_a_link_to_elsewhere_is_not_published(tmp_path, place):
    data, secret = tmp_path / "dataset", tmp_path / "secret"
    for name in ("wav/20260101_001_001.wav", "scenarios.db", "actors.db", "dataset.json", "rigs/001.npz"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"x")
    assert len(release.files_of(data)) == 5
    secret.write_bytes(b"private")
    (data / place).unlink()
    (data / place).symlink_to(secret)
    with pytest.raises(InputError, match="this link leads to .*secret, which is outside"):
        release.files_of(data)
    assert not ownership.mark_of(tmp_path / "release", beside=True).exists()


def test_a_folder_of_a_dataset_may_lie_on_another_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/20260101_001_001.wav").write_bytes(b"x")
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/wav").symlink_to(tmp_path / "disk")
    for name in release.TABLES:
        (tmp_path / "dataset" / name).write_bytes(b"x")
    assert len(release.files_of(tmp_path / "dataset")) == 4
