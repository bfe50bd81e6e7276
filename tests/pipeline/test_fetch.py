"""The command that fetches, against a stand-in of the hub on this machine."""

import ast
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.hub import Hub, files_in, served
from helpers.tiny_encoders import tiny_bert, tiny_wav2vec
from helpers.tiny_release import make_release

from pipeline import fetch
from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.fetch import SOURCES
from pipeline.formats.pretrained import TOKENIZER_FILES
from pipeline.release.check import inspect

REPOSITORY = Path(__file__).resolve().parents[2]
RELEASE, COMMIT = "datasets/leohocs/interact", SOURCES["release"].revision
TOKENIZER_SETTINGS = b'{"do_lower_case": true, "model_max_length": 512}'
"""All of the published BERT's tokenizer_config.json."""
TOKEN = "hf_nobodymayreadthis"
CALL = "import time; time.sleep = lambda seconds: None; from pipeline import fetch\n{before}\nfetch.main()"
"""The command without huggingface_hub's pauses between attempts."""


@pytest.fixture
def hub():
    with served() as hub:
        yield hub


def environment(hub: Hub, home: Path) -> dict[str, str]:
    keep = {key: value for key, value in os.environ.items() if not key.upper().startswith(("HF_", "HUGGING"))}
    return keep | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_TOKEN": TOKEN,
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": str(REPOSITORY),
    }


def call(hub: Hub, folder: Path, *words, before: str = "") -> subprocess.CompletedProcess:
    """`python -m pipeline.fetch` in a folder; no word of the token or of a signature is said."""
    done = subprocess.run(
        [sys.executable, "-c", CALL.format(before=before), *map(str, words)],
        cwd=folder, env=environment(hub, folder / "home"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert TOKEN not in done.stdout + done.stderr and "verysecret" not in done.stdout + done.stderr
    return done


def good(*given, **named) -> str:
    done = call(*given, **named)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*given, **named) -> str:
    """The one line of a call that must fail."""
    done = call(*given, **named)
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and lines[-1].startswith("error: "), done.stderr
    assert all(line.startswith("INFO ") for line in lines[:-1]), "only what the command says itself"
    return lines[-1]


def files_of(folder: Path) -> dict[str, bytes]:
    """What was fetched into a folder, without what the command keeps for itself."""
    return {name: content for name, content in files_in(folder).items() if name not in (fetch.LOCK, ".lock")}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Files of a made-up release, with more than a run needs."""
    folder = tmp_path_factory.mktemp("hub") / "interact"
    make_release(folder, num_takes=2, seconds=1.0)
    (folder / "bvhs_retarget").mkdir()
    for name in ("README.md", ".gitattributes", "quickstart.ipynb", "bvhs_retarget/20231101_003_001.bvh"):
        (folder / name).write_text(f"{name} of nobody\n")
    return files_in(folder)


def small(number: int = 3) -> dict[str, bytes]:
    """A release of a few small files."""
    return {f"wav/2023110{k}_001_00{k}.wav": b"voice %d" % k * 50 for k in range(1, number + 1)} | {
        "actors.db": b"tables",
        "scenarios.db": b"tables",
    }


def test_a_release_is_fetched_at_its_revision_and_passes_the_check(hub, release, tmp_path):
    hub.add(RELEASE, COMMIT, release)
    hub.add(RELEASE, "b" * 40, {"bvhs/newer.bvh": b"newer"})
    said = good(hub, tmp_path, "release", "--agree")
    assert "CC-BY-NC-SA-4.0" in said and "no commercial use" in said and COMMIT in said
    folder = tmp_path / SOURCES["release"].out
    left = {".gitattributes", "quickstart.ipynb", "bvhs_retarget/20231101_003_001.bvh"}
    assert files_of(folder) == {name: release[name] for name in release.keys() - left}
    assert not (folder / fetch.PARTS).exists()
    lock = json.loads((folder / fetch.LOCK).read_text())
    assert (lock["repo"], lock["revision"], lock["licence"]) == (
        "leohocs/interact",
        COMMIT,
        "CC-BY-NC-SA-4.0",
    )
    assert lock["files"].keys() == release.keys() and not lock["found"]
    voice = next(name for name in release if name.startswith("wav/"))
    assert lock["files"][voice]["sha256"] == hashlib.sha256(release[voice]).hexdigest()
    assert lock["files"]["actors.db"]["git_sha1"] and not lock["files"]["actors.db"]["sha256"]
    assert not [finding for finding in inspect(folder, ReleaseIn()) if finding.kind]
    contents = [asked for asked in hub.contents() if asked.server == "hub"]
    assert len({asked.path for asked in contents}) == len(contents) == len(release) - len(left)

    hub.asked.clear()
    assert "nothing to do" in good(hub, tmp_path, "release")
    assert not hub.asked, "a complete folder asks the hub for nothing"


def test_the_token_is_for_the_hub_and_not_for_the_store_of_large_files(hub, tmp_path):
    hub.add(RELEASE, COMMIT, small())
    good(hub, tmp_path, "release", "--agree", "--out", "there")
    told = {(asked.server, asked.authorization) for asked in hub.asked}
    assert told == {("hub", f"Bearer {TOKEN}"), ("store", "")}


def test_parts_come_with_the_tables_and_others_can_follow(hub, release, tmp_path):
    hub.add(RELEASE, COMMIT, release)
    tables = {"README.md", "actors.db", "scenarios.db"}
    good(hub, tmp_path, "release", "--agree", "--out", "there", "--only", "bvhs", "wav/*_003_001.wav")
    have = files_of(tmp_path / "there")
    assert {name for name in have if name.startswith("bvhs/")} == {
        n for n in release if n.startswith("bvhs/")
    }
    rest = {name for name in have if not name.startswith("bvhs/")}
    assert rest == tables | {n for n in release if re.fullmatch(r"wav/.*_003_001\.wav", n)}
    hub.asked.clear()
    good(hub, tmp_path, "release", "--out", "there", "--only", "bvhs_retarget")
    assert [asked.path.split("/")[-1] for asked in hub.asked if asked.server == "hub"] == [
        "20231101_003_001.bvh"
    ]
    line = refused(hub, tmp_path, "release", "--out", "there", "--only", "bodies")
    assert "has no 'bodies'" in line and "bvhs, bvhs_retarget, face_arkit" in line
    line = refused(hub, tmp_path, "bert", "--agree", "--only", "config.json")
    assert "--only is for the release" in line and not (tmp_path / "pretrained").exists()


@pytest.mark.parametrize("name", SOURCES)
def test_without_agreement_nothing_is_asked_or_written(hub, tmp_path, name):
    line = refused(hub, tmp_path, name)
    licence = SOURCES[name].licence
    assert licence.name in line and licence.text in line and "--agree" in line
    assert not hub.asked and not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize(("answer", "agreed"), [("yes", True), (" Yes ", True), ("", False), ("no", False)])
def test_yes_at_a_terminal_agrees(monkeypatch, answer, agreed):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if agreed:
        fetch.need_agreement(SOURCES["bert"])
    else:
        with pytest.raises(InputError, match="not agreed to"):
            fetch.need_agreement(SOURCES["bert"])


def part_of(folder: Path, name: str, content: bytes) -> Path:
    return fetch.part_of(folder, name, fetch.File(len(content), hashlib.sha256(content).hexdigest()))


BIG = "wav/20231101_001_001.wav"


@pytest.fixture(scope="module")
def with_a_big_file():
    """Files that come before and after one of 36 MB, of which huggingface_hub writes 10 MB at once."""
    content = np.random.default_rng(0).integers(0, 256, 36 << 20, np.uint8).tobytes()
    return {"bvhs/20231101_001_001.bvh": b"body", BIG: content, "wav/20231101_002_001.wav": b"after"}


def test_a_killed_fetch_goes_on_where_it_stopped(hub, with_a_big_file, tmp_path):
    hub.add(RELEASE, COMMIT, with_a_big_file)
    hub.stall[BIG] = 25 << 20
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.fetch", "release", "--agree"], cwd=tmp_path,
        env=environment(hub, tmp_path / "home"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    folder = tmp_path / SOURCES["release"].out
    part = part_of(folder, BIG, with_a_big_file[BIG])
    end = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size >= 20 << 20):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = part.stat().st_size
    assert not (folder / BIG).exists() and (folder / "bvhs/20231101_001_001.bvh").exists()
    hub.stall.clear()
    hub.going_on.set()
    hub.asked.clear()
    good(hub, tmp_path, "release")  # the licence was agreed to
    assert files_of(folder) == with_a_big_file
    assert [asked.begin for asked in hub.contents() if asked.server == "store"] == [begun, 0]
    assert len([asked for asked in hub.asked if asked.server == "hub"]) == 2, (
        "what was whole is not sent again"
    )


def test_a_connection_that_ends_is_taken_up_again(hub, with_a_big_file, tmp_path):
    hub.add(RELEASE, COMMIT, with_a_big_file)
    hub.cut[BIG] = 15 << 20
    good(hub, tmp_path, "release", "--agree", "--out", "there")
    assert files_of(tmp_path / "there") == with_a_big_file
    assert [asked.begin for asked in hub.contents() if asked.server == "store"] == [0, 0, 10 << 20, 0]


def test_what_the_hub_sends_wrong_gets_no_name(hub, tmp_path):
    files = small()
    hub.add(RELEASE, COMMIT, files)
    second = sorted(name for name in files if name.startswith("wav/"))[1]
    hub.sent[second] = files[second].swapcase()
    line = refused(hub, tmp_path, "release", "--agree", "--out", "there")
    need, got = (hashlib.sha256(content).hexdigest() for content in (files[second], hub.sent[second]))
    assert second in line and f"got SHA-256 {got}, need {need}" in line
    hub.sent[second] = files[second] + b"more"
    assert f"got {len(files[second]) + 4:,} bytes, need {len(files[second]):,}" in refused(
        hub, tmp_path, "release", "--out", "there"
    )
    assert not (tmp_path / "there" / second).exists() and not list(
        (tmp_path / "there" / fetch.PARTS).iterdir()
    )
    hub.sent.clear()
    good(hub, tmp_path, "release", "--out", "there")
    assert files_of(tmp_path / "there") == files


def test_of_many_files_some_come_at_once_and_one_fault_ends_it(hub, tmp_path):
    files = {f"wav/{k:03d}.wav": b"silence" * 1000 for k in range(60)} | {"actors.db": b"tables"}
    hub.add(RELEASE, COMMIT, files)
    hub.sent["wav/030.wav"] = b"noise"
    line = refused(hub, tmp_path, "release", "--agree", "--out", "there")
    assert "wav/030.wav" in line and "got 5 bytes, need 7,000" in line
    have = files_of(tmp_path / "there")
    assert "wav/030.wav" not in have and have == {name: files[name] for name in have}
    hub.sent.clear()
    hub.asked.clear()
    good(hub, tmp_path, "release", "--out", "there")
    assert files_of(tmp_path / "there") == files
    assert len([asked for asked in hub.asked if asked.server == "hub"]) == len(files) - len(have)


def test_the_git_hash_of_small_files_is_checked_too(hub, tmp_path):
    hub.add(RELEASE, COMMIT, small())
    hub.sent["actors.db"] = b"TABLES"
    line = refused(hub, tmp_path, "release", "--agree")
    assert "actors.db" in line and "git hash" in line


def test_a_damaged_beginning_is_not_gone_on_with(hub, tmp_path):
    files = small()
    hub.add(RELEASE, COMMIT, files)
    first = min(name for name in files if name.startswith("wav/"))
    part = part_of(tmp_path / "there", first, files[first])
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 100)
    good(hub, tmp_path, "release", "--agree", "--out", "there")
    assert files_of(tmp_path / "there") == files
    begins = [a.begin for a in hub.contents() if a.server == "store"]
    assert begins[:2] == [100, 0] and not any(begins[2:])


def test_a_damaged_file_is_told_and_repaired_on_demand(hub, tmp_path):
    files = small()
    hub.add(RELEASE, COMMIT, files)
    good(hub, tmp_path, "release", "--agree", "--out", "there")
    names = sorted(name for name in files if name.startswith("wav/"))[:2]
    for name in names:
        (tmp_path / "there" / name).write_bytes(b"x")
    hub.asked.clear()
    line = refused(hub, tmp_path, "release", "--out", "there")
    assert names[0] in line and "got 1 bytes, need" in line and "and 1 more" in line and "--repair" in line
    assert not hub.asked and (tmp_path / "there" / names[0]).read_bytes() == b"x"
    good(hub, tmp_path, "release", "--out", "there", "--repair")
    assert files_of(tmp_path / "there") == files
    assert len([asked for asked in hub.asked if asked.server == "store"]) == 2


def test_files_of_another_hand_are_used_where_right_and_never_replaced(hub, tmp_path):
    files = small()
    hub.add(RELEASE, COMMIT, files)
    right, wrong, rest = sorted(name for name in files if name.startswith("wav/"))
    for name, content in ((right, files[right]), (wrong, b"mine"), ("notes.txt", b"mine")):
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for repair in ((), ("--repair",)):
        line = refused(hub, tmp_path, "release", "--agree", "--out", "there", *repair)
        assert wrong in line and "was there before" in line and "move it away" in line
    assert (tmp_path / "there" / wrong).read_bytes() == b"mine" and not (tmp_path / "there" / rest).exists()
    (tmp_path / "there" / wrong).unlink()
    hub.asked.clear()
    good(hub, tmp_path, "release", "--agree", "--out", "there")
    assert files_of(tmp_path / "there") == files | {"notes.txt": b"mine"}
    assert not [asked for asked in hub.asked if asked.path.endswith(right)]
    (tmp_path / "there" / right).write_bytes(b"mine")
    assert "was there before" in refused(hub, tmp_path, "release", "--out", "there", "--repair")
    (tmp_path / "there" / wrong).write_bytes(b"?")
    (tmp_path / "there" / right).write_bytes(files[right])
    good(hub, tmp_path, "release", "--out", "there", "--repair")  # that one was fetched


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wav/../../out.wav", "leads out of the folder"),
        ("wav//out.wav", "leads out of the folder"),
        ("wav/./out.wav", "leads out of the folder"),
        ("wav/..\\out.wav", "is no name"),
        ("wav/c:out.wav", "is no name"),
        ("wav/a\nb.wav", "is no name"),
        (f"wav/{'x' * 300}", "is no name"),
        ("wav/features.pkl", "is a pickle"),
        ("/etc/out", "leads out of the folder"),
        ("../out", "leads out of the folder"),
        (".fetching/x", "uses itself"),
        ("fetched.json", "uses itself"),
        (".lock/x", "uses itself"),
    ],
)
def test_names_of_the_hub_lead_nowhere_else(name, said):
    files = {key: fetch.File(1, "0" * 64) for key in (*small(), name)}
    with pytest.raises(InputError, match=said):
        fetch.choose(SOURCES["release"], files, ["*"])


def test_nothing_is_fetched_from_a_list_with_such_a_name(hub, tmp_path):
    hub.add(RELEASE, COMMIT, small())
    hub.listed["wav/../../out.wav"] = b"evil"
    line = refused(hub, tmp_path, "release", "--agree", "--out", "there")
    assert "leads out of the folder; nothing is fetched" in line
    assert not hub.contents() and not (tmp_path / "there").exists()


def test_a_link_in_the_folder_leads_nowhere_else(hub, tmp_path):
    hub.add(RELEASE, COMMIT, small())
    (tmp_path / "there").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "there" / "wav").symlink_to(tmp_path / "elsewhere")
    assert "outside there" in refused(hub, tmp_path, "release", "--agree", "--out", "there")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("bert", (401, "GatedRepo"), "HTTP 401"),
        ("bert", (404, "RevisionNotFound"), "--revision"),
        ("bert", (429, ""), "too many requests"),
        ("bert", (500, ""), "the hub failed (HTTP 500)"),
        ("release", (401, ""), "HF_TOKEN"),
        ("release", (403, "GatedRepo"), "ask for access"),
        ("release", (404, "RepoNotFound"), "no such thing"),
        ("release", (503, ""), "call again later"),
    ],
)
def test_what_the_hub_says_is_one_line(hub, tmp_path, name, status, said):
    hub.status = status
    line = refused(hub, tmp_path, name, "--agree")
    assert said in line and SOURCES[name].repo in line and hub.url in line
    assert not any(files_of(tmp_path / SOURCES[name].out).values())


@pytest.mark.parametrize("name", ["bert", "release"])
def test_a_hub_that_is_down_is_one_line(hub, tmp_path, name):
    hub.url = "http://127.0.0.1:9"
    line = refused(hub, tmp_path, name, "--agree")
    assert "no answer (" in line and "check the network" in line and hub.url in line
    before = "import os; os.environ['HF_HUB_OFFLINE'] = '1'"
    assert "HF_HUB_OFFLINE" in refused(hub, tmp_path, name, "--agree", before=before)


def test_a_full_disk_is_told_before(hub, tmp_path):
    hub.add(RELEASE, COMMIT, small())
    few = "import shutil; shutil.disk_usage = lambda path: shutil._ntuple_diskusage(10, 1, 9)"
    line = refused(hub, tmp_path, "release", "--agree", before=few)
    assert "got 0.0 MB free" in line and "--only" in line and not hub.contents()


def test_a_disk_that_fills_is_one_line(hub, tmp_path):
    hub.add(RELEASE, COMMIT, small())
    full = """
from huggingface_hub import file_download
def http_get(*given, **named): raise OSError(28, "No space left on device")
file_download.http_get = http_get
"""
    line = refused(hub, tmp_path, "release", "--agree", before=full)
    assert "cannot be written (No space left on device)" in line and "goes on from here" in line


def as_published(folder: Path, head: str, renamed: dict[str, str]) -> dict[str, bytes]:
    """Files of a tiny model with the names that weights have in the published ones: `head` before each."""
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    for ours, theirs in renamed.items():
        assert any(re.search(ours, name) for name in state)
        state = {re.sub(ours, theirs, name): value for name, value in state.items()}
    state = {f"{head}.{name}": value for name, value in state.items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return files_in(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Tiny models under the names of the published ones, with pickles beside them."""
    folder = tmp_path_factory.mktemp("models")
    speech = as_published(
        tiny_wav2vec(folder / "wav2vec2"),
        "wav2vec2",
        {
            r"parametrizations\.weight\.original0": "weight_g",
            r"parametrizations\.weight\.original1": "weight_v",
        },
    )
    bert = tiny_bert(folder / "bert")
    (bert / "tokenizer_config.json").write_bytes(TOKENIZER_SETTINGS)
    vocabulary = json.loads((bert / "tokenizer.json").read_text())["model"]["vocab"]
    (bert / "vocab.txt").write_text("".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.get)))
    text = as_published(
        bert,
        "bert",
        {r"LayerNorm\.weight": "LayerNorm.gamma", r"LayerNorm\.bias": "LayerNorm.beta"},
    )
    return {
        "wav2vec2": speech | {"pytorch_model.bin": b"pickle"},
        "bert": text | {"pytorch_model.bin": b"pickle"},
    }


def test_fetched_models_are_used(hub, models, tmp_path):
    from models.speech import speech_encoders
    from pipeline.shards import text

    for name, files in models.items():
        hub.add(SOURCES[name].repo, "c" * 40, files)
        said = good(hub, tmp_path, name, "--agree", "--revision", "main")
        folder = tmp_path / SOURCES[name].out
        assert "c" * 40 in said and f"{{model: {SOURCES[name].out}}}" in said
        assert files_of(folder) == {key: files[key] for key in files.keys() & SOURCES[name].files.keys()}
        hub.add(SOURCES[name].repo, "d" * 40, {})
        hub.asked.clear()
        assert "nothing to do" in good(hub, tmp_path, name, "--revision", "main"), "main stays what it was"
        assert not hub.asked
    voice = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    encoder = speech_encoders.load(str(tmp_path / SOURCES["wav2vec2"].out))
    rows = speech_encoders.on_motion_clock(encoder, voice, 30, window_seconds=6, context_seconds=1)
    assert rows.shape == (30, 12) and np.isfinite(rows).all() and rows.std() > 0
    spoken = [{"word": "ABC", "start": 0.0, "end": 0.2, "confidence": 1.0}]
    rows = text.embed_words(spoken, model=str(tmp_path / SOURCES["bert"].out))
    assert rows.shape == (1, 16) and np.isfinite(rows).all()


WRITTEN = """
import dataclasses, hashlib, pathlib
def told(path): return fetch.File(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
names = ("config.json", "model.safetensors", "tokenizer.json")
files = {{name: told(pathlib.Path({folder!r}, name)) for name in names}}
fetch.SOURCES["bert"] = dataclasses.replace(fetch.SOURCES["bert"], files=files, wanted=names)
"""


def test_hashes_that_are_written_down_need_no_list(hub, models, tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(models["bert"][name])
    before = WRITTEN.format(folder=str(tmp_path))
    hub.add(SOURCES["bert"].repo, SOURCES["bert"].revision, models["bert"])
    good(hub, tmp_path, "bert", "--agree", before=before)
    assert len(files_of(tmp_path / SOURCES["bert"].out)) == 3
    assert not [asked for asked in hub.asked if "/api/" in asked.path]
    lock = tmp_path / SOURCES["bert"].out / fetch.LOCK
    lock.write_text(
        lock.read_text().replace(hashlib.sha256(models["bert"]["config.json"]).hexdigest(), "0" * 64)
    )
    good(hub, tmp_path, "bert", before=before)  # what a folder says of itself does not count
    hub.add(SOURCES["bert"].repo, SOURCES["bert"].revision, {"LICENSE": b"of another kind"})
    assert "got 15 bytes, need 11,356" in refused(hub, tmp_path, "bert", "--agree", "--out", "real")


def test_weights_that_are_pickles_alone_are_refused(hub, models, tmp_path):
    files = {name: content for name, content in models["wav2vec2"].items() if "safetensors" not in name}
    hub.add(SOURCES["wav2vec2"].repo, "c" * 40, files)
    line = refused(hub, tmp_path, "wav2vec2", "--agree", "--revision", "main")
    assert "pytorch_model.bin only" in line and "nothing is unpickled" in line and "save_pretrained" in line
    assert not (tmp_path / "pretrained").exists()


def test_a_folder_holds_one_revision_of_one_thing(hub, models, tmp_path):
    hub.add(SOURCES["bert"].repo, "c" * 40, models["bert"])
    good(hub, tmp_path, "bert", "--agree", "--revision", "c" * 40, "--out", "there")
    line = refused(hub, tmp_path, "bert", "--out", "there")
    assert f"holds revision {'c' * 40}" in line and SOURCES["bert"].revision in line and "--out" in line
    line = refused(hub, tmp_path, "wav2vec2", "--agree", "--out", "there")
    assert "holds google-bert/bert-base-uncased, need a folder for facebook/wav2vec2-base-960h" in line
    (tmp_path / "there" / fetch.LOCK).write_text('{"repo": "x", "files": {}}')
    line = refused(hub, tmp_path, "bert", "--agree", "--out", "there")
    assert "not a readable list of what was fetched" in line and "move it away" in line


def test_another_process_is_waited_for(hub, with_a_big_file, tmp_path):
    hub.add(RELEASE, COMMIT, with_a_big_file)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "pipeline.fetch", "release", "--agree"], cwd=tmp_path,
            env=environment(hub, tmp_path / "home"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.communicate(timeout=120) and process.returncode == 0
    assert files_of(tmp_path / SOURCES["release"].out) == with_a_big_file
    assert len([asked for asked in hub.contents() if asked.server == "store"]) == 3


def test_what_is_written_down_has_the_form_of_hashes():
    for source in SOURCES.values():
        assert re.fullmatch(r"[0-9a-f]{40}", source.revision)
        assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) and file.size for file in source.files.values())
    written = [file.sha256 for source in SOURCES.values() for file in source.files.values()]
    assert len(set(written)) == len(written)
    file = SOURCES["bert"].files["tokenizer_config.json"]
    digest = hashlib.sha256(TOKENIZER_SETTINGS).hexdigest()
    assert (file.size, file.sha256) == (len(TOKENIZER_SETTINGS), digest)
    assert {"config.json", "model.safetensors"} <= SOURCES["wav2vec2"].files.keys() & SOURCES[
        "bert"
    ].files.keys()
    assert {"tokenizer.json", "vocab.txt"} <= SOURCES["bert"].files.keys() & set(TOKENIZER_FILES)


def test_default_folders_are_no_part_of_the_repository():
    ignored = (REPOSITORY / ".gitignore").read_text().split()
    assert {f"/{Path(source.out).parts[0]}/" for source in SOURCES.values()} <= set(ignored)
    overlay = yaml.safe_load((REPOSITORY / "config" / "release.yaml").read_text())
    assert overlay["dataset"] == SOURCES["release"].out


def test_nothing_fetches_by_itself():
    sources = [path for part in ("pipeline", "models") for path in (REPOSITORY / part).rglob("*.py")]
    using = set()
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in getattr(node, "names", ())
                     if isinstance(alias, ast.alias))]  # fmt: skip
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "fetch" not in names and "pipeline.fetch" not in names, path
                if any(name.split(".")[0] == "huggingface_hub" for name in names):
                    using.add(path.name)
    assert using == {"fetch.py", "pretrained.py"}
    for path in [
        REPOSITORY / "Makefile",
        *REPOSITORY.glob("rules/*.smk"),
        REPOSITORY / "workflow" / "Snakefile",
    ]:
        assert "pipeline.fetch" not in path.read_text(), path
