import pytest
from helpers.tiny_release import make_release

from pipeline import listing
from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.formats.takes import dataset_takes, download_lip_acc
from pipeline.release.check import inspect

LEFT = ["._{}", ".DS_Store", "Thumbs.db", "desktop.ini", ".{}.icloud"]
"""What a Mac, Windows and a cloud leave beside a file."""


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    folder = tmp_path_factory.mktemp("download") / "interact"
    make_release(folder, num_takes=1, seconds=1.0)
    return folder


def test_what_systems_leave_in_a_download_changes_nothing_and_is_told_once(download):
    takes, lips = dataset_takes(download), download_lip_acc(download)
    before = [str(finding) for finding in inspect(download, ReleaseIn())]
    made = []
    for path in [path for path in download.rglob("*") if path.is_file()]:
        made += [path.with_name(pattern.format(path.name)) for pattern in LEFT]
    for path in made:
        path.write_bytes(b"\x00\x05\x16\x07")
    try:
        assert dataset_takes(download) == takes and download_lip_acc(download) == lips and lips
        told = [str(finding) for finding in inspect(download, ReleaseIn())]
        (new,) = [line for line in told if line not in before]
        assert (
            set(told) - {new} == set(before)
            and "hidden files, and files that a system left" in new
            and new.startswith("note:")
        )
    finally:
        for path in set(made):
            path.unlink()


def test_a_body_whose_ending_is_in_capitals_is_told(tmp_path):
    (tmp_path / "bvhs").mkdir()
    for actor in ("003", "005"):
        (tmp_path / "bvhs" / f"20231101_{actor}_001.bvh").write_text("")
        (tmp_path / "bvhs" / f"20231101_{actor}_002.BVH").write_text("")
    with pytest.raises(InputError, match=r"20231101_003_002.BVH: name is not"):
        dataset_takes(tmp_path)


def test_files_of_a_folder_that_cannot_be_listed(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop: cannot be listed"):
        listing.files_in(tmp_path / "loop")
    assert listing.files_in(tmp_path / "gone") == []


def test_files_below_are_files_alone(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/x.npz").write_bytes(b"")
    (tmp_path / "a/__MACOSX").mkdir()
    (tmp_path / "a/__MACOSX/y").write_bytes(b"")
    (tmp_path / "a/round").symlink_to(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in listing.files_below(tmp_path)] == ["a/b/x.npz"]
