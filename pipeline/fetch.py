"""Brings what a run at the paper's scale needs from the Hugging Face hub, when it is called and never else.

    python -m pipeline.fetch release     the public InterAct release, into interact/
    python -m pipeline.fetch wav2vec2    the speech encoder wav2vec2-base-960h, 378 MB, into pretrained/
    python -m pipeline.fetch bert        the text model bert-base-uncased, 441 MB, into pretrained/

The licence is shown and must be agreed to: type yes, or give --agree. The revision is written down here, and
so are the hashes of the models' files; the hashes of the release are those that the hub has for that
revision. They are kept beside the files, in fetched.json. Every file is checked before it gets its name.

The same command goes on where a killed one stopped. On a folder that is complete it checks every file, asks
the hub for nothing and says so. A file that was there before is never changed; --repair fetches those again
that this command wrote and that are damaged now.

A token, where the hub wants one, is taken as huggingface_hub takes it: HF_TOKEN, or `hf auth login`.
"""

import hashlib
import logging
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import alone_in, need_file, write_json
from pipeline.reading import MEBIBYTE, inside, line_of, open_plain, read_json, reading

log = logging.getLogger("interact")
LOCK = "fetched.json"
"""What was fetched, from where, and the hashes; in the folder itself."""
PARTS = ".fetching"
"""Folder for what has not arrived whole, in the folder itself."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
COMMIT = re.compile(r"[0-9a-f]{40}")
SHOWN_FILES = 20
"""Up to so many files come one after the other, and each has a line of its own."""
AT_ONCE = 4
"""So many of more files come at once: most of the release's are small."""


@dataclass(frozen=True)
class File:
    """A file as the hub has it: `size` in bytes, and its SHA-256.

    Of small files a listing has no SHA-256 but git's own hash, the SHA-1 of a header and the content.
    """

    size: int
    sha256: str = ""
    git_sha1: str = ""

    @property
    def hash(self) -> str:
        return self.sha256 or self.git_sha1

    def is_told(self) -> bool:
        """Whether the size is one, and the hash as well."""
        return self.size >= 0 and re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", self.hash) is not None


@dataclass(frozen=True)
class Licence:
    """A licence: its name, where its text is, and in short what it asks for."""

    name: str
    text: str
    sense: str


@dataclass(frozen=True)
class Source:
    """Something that can be fetched.

    out: default folder. files: those of `revision`; where there are none, the hub's list of that revision is
    taken. wanted: names, folders and patterns that are fetched unless others are asked for; always: what
    comes with any part.
    """

    repo: str
    kind: str
    revision: str
    licence: Licence
    out: str
    use: str
    wanted: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)

    @property
    def page(self) -> str:
        return f"{'datasets/' if self.kind == 'dataset' else ''}{self.repo}"


APACHE = Licence(
    "Apache-2.0",
    "https://www.apache.org/licenses/LICENSE-2.0",
    "Free use and sharing, also commercial; keep the notices and say what you changed.",
)
NON_COMMERCIAL = Licence(
    "CC-BY-NC-SA-4.0",
    "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "Name the authors, no commercial use, share what you derive under the same terms. The files hold voices"
    "\nand faces of people.",
)
WAV2VEC2 = {
    "config.json": File(1596, "d3ec255c063d9f95057b553b19c20135b259875834a4fe9deb218a6be25b4cf3"),
    "model.safetensors": File(
        377_607_901, "8aa76ab2243c81747a1f832954586bc566090c83a0ac167df6f31f0fa917d74a"
    ),
    "preprocessor_config.json": File(159, "b225d617c025463b9e157e06afea8b90dc7078fc70b013c533328423e0486b4a"),
    "special_tokens_map.json": File(85, "bb7068de1150661a10b55f9e4b12a0e77af8bf91f5e45e1b58afaf1d0e17f675"),
    "tokenizer_config.json": File(163, "dc790594f5bc351a4311c6624f40acd95850d4aaf2a5cb3c656c9b610720b608"),
    "vocab.json": File(291, "19727f8944fe6459fc3f240ae2c198395b740f6a029bd23e06656266b83bcf64"),
}
BERT = {
    "LICENSE": File(11_356, "43070e2d4e532684de521b885f385d0841030efa2b1a20bafb76133a5e1379c1"),
    "config.json": File(570, "7160e1553ad2ca51d8c1cb066be533db31826e12d173824c1bb0cb1a4f187d20"),
    "model.safetensors": File(
        440_449_768, "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3"
    ),
    "tokenizer.json": File(466_062, "ce64fce797c24f68df90b40a3f74f579b336a493db14bd583fd520ea0d8c9a98"),
    "tokenizer_config.json": File(48, "a025160ef0431f1a392f6f050c1310f4c5d9fb6f275932dbccba73c4d214bf10"),
    "vocab.txt": File(231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
}
RELEASE_PARTS = ("bvhs", "face_arkit", "face_ict", "face_ict_templates", "wav", "lip_acc")
SOURCES = {
    "release": Source(
        repo="leohocs/interact",
        kind="dataset",
        revision="152ba832f379c465f5b1e10c67166d646014d675",
        licence=NON_COMMERCIAL,
        out="interact",
        use="snakemake --cores 8 all --configfile config/release.yaml"
        " --config dataset={out} rig=/path/to/rig.npz",
        wanted=RELEASE_PARTS,
        always=("README.md", "LICEN[CS]E*", "*.db", "lip_acc_sentences.txt"),
    ),
    "wav2vec2": Source(
        repo="facebook/wav2vec2-base-960h",
        kind="model",
        revision="22aad52d435eb6dbaf354bdad9b0da84ce7d6156",
        licence=APACHE,
        out="pretrained/wav2vec2-base-960h",
        use="--config 'speech={{model: {out}}}'",
        wanted=tuple(WAV2VEC2),
        files=WAV2VEC2,
    ),
    "bert": Source(
        repo="google-bert/bert-base-uncased",
        kind="model",
        revision="86b5e0934494bd15c9632b12f734a8a67f723594",
        licence=APACHE,
        out="pretrained/bert-base-uncased",
        use="--config 'text={{model: {out}}}'",
        wanted=tuple(BERT),
        files=BERT,
    ),
}
"""What can be fetched, by the word of the command line."""


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def show_licence(source: Source) -> None:
    """Print whose files these are and on what terms."""
    licence = source.licence
    print(f"{source.repo}, {licence.name}: {licence.text}\n{licence.sense}", flush=True)


def need_agreement(source: Source) -> None:
    """Ask at a terminal whether the licence is agreed to; InputError where it is not."""
    answer = ""
    if sys.stdin is not None and sys.stdin.isatty():
        try:
            answer = input("Type yes to agree: ")
        except EOFError:
            pass
    if answer.strip().lower() != "yes":
        raise InputError(
            f"{source.repo}: its licence {source.licence.name} is not agreed to, and nothing was fetched;"
            f" read {source.licence.text} and call again with --agree"
        )


@contextmanager
def own_lines() -> Iterator[None]:
    """Only our own lines in the log: those of the network library show addresses, signatures and all."""
    root, ours = logging.getLogger(), log.level
    theirs = root.level
    log.setLevel(log.getEffectiveLevel())
    root.setLevel(logging.CRITICAL)
    os.environ.setdefault("HF_HUB_VERBOSITY", "critical")
    try:
        yield
    finally:
        log.setLevel(ours)
        root.setLevel(theirs)


@contextmanager
def talking(source: Source, what: str) -> Iterator[None]:
    """What goes wrong while the hub is asked becomes an InputError that says what to do.

    No address of a file and no token stands in it.
    """
    from huggingface_hub import constants, errors, get_token

    where = f"{what} of {source.repo} at {constants.ENDPOINT}"
    try:
        yield
    except (InputError, MemoryError):
        raise
    except errors.OfflineModeIsEnabled:
        raise InputError(f"{where}: got HF_HUB_OFFLINE, need the hub; unset it and call again") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if isinstance(error, errors.RevisionNotFoundError):
            said = "the hub has no such revision; look at its page and name one with --revision"
        elif isinstance(error, errors.GatedRepoError) or status in (401, 403):
            said = (
                f"the hub wants to know who asks (HTTP {status}); ask for access at"
                f" {constants.ENDPOINT}/{source.page}, set HF_TOKEN to a token of yours and call again"
            )
        elif status == 404:
            said = "the hub has no such thing (HTTP 404); look at its page and name what it has"
        elif status == 429:
            said = "too many requests (HTTP 429); call again in some minutes, it goes on from here"
        else:
            said = f"the hub failed (HTTP {status}); call again later, it goes on from here"
        raise InputError(f"{where}: {said}") from None
    except Exception as error:  # of the network library, whichever that is
        remote = isinstance(error, ConnectionError | TimeoutError)
        if isinstance(error, OSError) and error.errno and not remote:
            raise InputError(
                f"{where}: cannot be written ({os.strerror(error.errno)}); mend that and call again, it goes"
                " on from here"
            ) from None
        text = re.sub(r"(https?://[^\s?'\"]*)\?[^\s'\"]*", r"\1", line_of(error))
        if token := get_token():
            text = text.replace(token, "(token)")
        raise InputError(
            f"{where}: no answer ({text}); check the network, proxies and HF_ENDPOINT and call again, it goes"
            " on from here"
        ) from None


def commit_of(source: Source, revision: str) -> str:
    """The commit that a branch or tag stands for now; a commit stands for itself."""
    if COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi

    with talking(source, f"revision {revision!r:.60}"):
        found = HfApi().repo_info(source.repo, repo_type=source.kind, revision=revision).sha
    if not isinstance(found, str) or not COMMIT.fullmatch(found):
        raise InputError(f"{source.repo}: the hub gives {revision!r:.60} no commit; name one with --revision")
    log.info("%s: %s is commit %s now", source.repo, revision, found)
    return found


def files_of(source: Source, commit: str) -> dict[str, File]:
    """All files of a commit with their sizes and hashes: those written down here, else the hub's list."""
    if source.files and commit == source.revision:
        return dict(source.files)
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    log.info("%s: asking for the list of files", source.repo)
    found: dict[str, File] = {}
    with talking(source, f"the list of files at {commit[:12]}"):
        for entry in HfApi().list_repo_tree(
            source.repo, repo_type=source.kind, revision=commit, recursive=True
        ):
            if isinstance(entry, RepoFile):
                sha256 = entry.lfs.sha256 if entry.lfs else ""
                found[entry.path] = File(int(entry.size), sha256, "" if sha256 else entry.blob_id)
    for name, file in found.items():
        if not file.is_told():
            raise InputError(
                f"{source.repo}: the hub's list has no size and hash of {name!r:.100}; call again later"
            )
    return found


def matching(names: Iterable[str], part: str) -> list[str]:
    """Names that a part means: a file, all of a folder, or a pattern as shells have it."""
    folder = part.rstrip("/") + "/"
    return [name for name in names if name == part or name.startswith(folder) or fnmatchcase(name, part)]


def choose(source: Source, files: Mapping[str, File], only: list[str] | None) -> dict[str, File]:
    """The files that are to be fetched, sorted by name.

    InputError where a part has none, where weights come as pickles alone, and for names that lead elsewhere.
    """
    chosen: set[str] = set()
    for part in only or ():
        found = matching(files, part)
        if not found:
            tops = sorted({name.split("/")[0] for name in files if not name.startswith(".")})
            raise InputError(
                f"{source.repo}: has no {part!r:.60}, need of --only one of {', '.join(tops)}, or a pattern"
            )
        chosen.update(found)
    for part in (*source.always, *(() if only else source.wanted)):
        chosen.update(matching(files, part))
    if source.kind == "model" and not any(name.endswith(".safetensors") for name in chosen):
        pickles = sorted(name for name in files if name.endswith(PICKLES))
        got = f"{pickles[0]} only, and nothing is unpickled" if pickles else "no weights"
        raise InputError(
            f"{source.repo}: this revision has {got}; need model.safetensors: leave out --revision, whose"
            " default has it, or write the weights with save_pretrained where you trust them"
        )
    if not chosen:
        raise InputError(f"{source.repo}: this revision has none of {', '.join(source.wanted)}; name another")
    for name in sorted(chosen):
        check_name(source, name)
    return {name: files[name] for name in sorted(chosen)}


def check_name(source: Source, name: str) -> None:
    """InputError for a name of the hub's that leads out of the folder or into what this command keeps.

    So it is for a pickle.
    """
    segments = name.split("/")
    odd = "leads out of the folder" if {"", ".", ".."} & set(segments) else ""
    if not name.isprintable() or "\\" in name or ":" in name or any(len(s.encode()) > 255 for s in segments):
        odd = "is no name of a file"
    if segments[0].lower() in (LOCK, PARTS, ".lock"):
        odd = "is a name that this command uses itself"
    if name.lower().endswith(PICKLES):
        odd = "is a pickle, which runs code when it is read"
    if odd:
        raise InputError(
            f"{source.repo}: {name!r:.100} of the hub's list {odd}; nothing is fetched: choose others with"
            " --only, or another --revision"
        )


def digest(path: Path, file: File) -> str:
    """Hash of a file on the disk, of the kind that the hub has of it."""
    with open_plain(path) as f:
        if file.sha256:
            return hashlib.file_digest(f, "sha256").hexdigest()
        found = hashlib.sha1(b"blob %d\0" % os.fstat(f.fileno()).st_size, usedforsecurity=False)
        while block := f.read(MEBIBYTE):
            found.update(block)
        return found.hexdigest()


def fault_of(path: Path, file: File) -> str:
    """`got ..., need ...` of a file that is not the hub's; "" where it is."""
    with open_plain(path) as f:
        size = os.fstat(f.fileno()).st_size
    if size != file.size:
        return f"got {size:,} bytes, need {file.size:,}"
    got = digest(path, file)
    kind = "SHA-256" if file.sha256 else "git hash"
    return "" if got == file.hash else f"got {kind} {got}, need {file.hash}"


@dataclass
class Lock:
    """What fetched.json of a folder says.

    asked: revision as it was asked for. files: all of the commit. found: names that were in the folder
    before, and are not this command's to change.
    """

    repo: str
    kind: str
    asked: str
    revision: str
    licence: str
    files: dict[str, File]
    chosen: list[str]
    found: list[str]


def read_lock(folder: Path) -> Lock | None:
    """The lock of a folder; None where there is none."""
    path = folder / LOCK
    if not path.exists():
        return None
    fix = "move it away; files that are right are kept"
    value = read_json(path, kind=dict, fix=fix)
    with reading(path, "list of what was fetched", fix=fix):
        value["files"] = {name: File(**entry) for name, entry in value["files"].items()}
        lock = Lock(**value)
        if not COMMIT.fullmatch(lock.revision):
            raise ValueError("its revision is no commit")
        if odd := next((name for name, file in lock.files.items() if not file.is_told()), None):
            raise ValueError(f"no size and hash of {odd!r:.100}")
    return lock


def check_lock(source: Source, revision: str, folder: Path, lock: Lock) -> None:
    """InputError where a folder holds something else, or another revision of it."""
    if (lock.repo, lock.kind) != (source.repo, source.kind):
        raise InputError(f"{folder}: holds {lock.repo}, need a folder for {source.repo}; name another --out")
    if revision not in (lock.asked, lock.revision):
        raise InputError(
            f"{folder}: holds revision {lock.revision}, asked is {revision!r:.60}; name another --out, or"
            f" --revision {lock.revision}"
        )


def some(names: Iterable[str], *, label: str) -> Iterable[str]:
    """The names, with the progress told where they are many."""
    names = list(names)
    return names if len(names) <= SHOWN_FILES else stage.progress(names, label=label)


def look(
    source: Source, folder: Path, wanted: Mapping[str, File], found: Collection[str], *, repair: bool
) -> list[str]:
    """Names that are to be fetched, after every file that is there has been checked.

    With `repair`, damaged ones of our own are among them; else one is an InputError.
    """
    paths = {name: inside(folder, folder / name, what=f"{source.repo}: {name}") for name in wanted}
    there = [name for name, path in paths.items() if os.path.lexists(path)]
    damaged: dict[str, str] = {}
    for name in some(there, label=f"{folder}: checking"):
        if fault := fault_of(paths[name], wanted[name]):
            if name in found:
                raise InputError(
                    f"{paths[name]}: {fault}; it was there before and is not replaced: move it away, or name"
                    " another --out"
                )
            damaged[name] = fault
    if damaged and not repair:
        name = next(iter(damaged))
        more = f", and {len(damaged) - 1} more files like it" if len(damaged) > 1 else ""
        raise InputError(f"{paths[name]}: {damaged[name]}{more}; fetch again what is damaged with --repair")
    for name, fault in damaged.items():
        log.info("%s: %s; it is fetched again", paths[name], fault)
    return [name for name in wanted if name in damaged or name not in there]


def part_of(folder: Path, name: str, file: File) -> Path:
    """Where a file grows, by its hash and its name's: nothing else is gone on with, and no two share it."""
    return folder / PARTS / f"{file.hash}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def need_room(source: Source, folder: Path, files: Mapping[str, File]) -> None:
    """InputError where the disk has not the room for what is still to come."""
    there = folder
    while not there.exists():
        there = there.parent
    parts = [part_of(folder, name, file) for name, file in files.items()]
    begun = sum(part.stat().st_size for part in parts if part.exists())
    need, free = sum(file.size for file in files.values()) - begun, shutil.disk_usage(there).free
    if need > free:
        raise InputError(
            f"{source.repo}: got {megabytes(free)} free on the disk of {folder}, need {megabytes(need)}; free"
            " some, name another --out, or a part of the release with --only"
        )


def fetch_file(source: Source, commit: str, name: str, file: File, folder: Path) -> None:
    """Fetch a file, from where an earlier attempt stopped, and give it its name once its hash is right."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    target, part = folder / name, part_of(folder, name, file)
    need_file(target)
    begun = part.stat().st_size if part.exists() else 0
    if begun > file.size:
        part.unlink()
        begun = 0
    url = hf_hub_url(source.repo, name, repo_type=source.kind, revision=commit)
    fault = ""
    for start in (begun, 0) if begun else (0,):  # what was begun may be damaged: then from its beginning
        with open(part, "ab") as f, talking(source, f"file {name}"):
            try:
                http_get(
                    url,
                    f,
                    resume_size=start,
                    expected_size=file.size,
                    headers=build_hf_headers() | {"Accept-Encoding": "identity"},
                    displayed_filename=name,
                )
            except OSError as error:
                if not str(error).startswith("Consistency check failed"):  # another size: told below
                    raise
        fault = fault_of(part, file)
        if not fault:
            break
        part.unlink()
    if fault:
        raise InputError(
            f"{source.repo}: what the hub sent for {name} is not what is written down: {fault}; nothing is"
            " kept of it: call again, and if it comes the same again, report it"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, inside(folder, target, what=f"{source.repo}: {name}"))


def fetch_files(source: Source, commit: str, wanted: Mapping[str, File], folder: Path) -> None:
    """Fetch files; one that cannot be had ends it, once those that are on their way are there."""
    from huggingface_hub.utils import disable_progress_bars

    few = len(wanted) <= SHOWN_FILES
    if not few or not sys.stderr.isatty():
        disable_progress_bars()
    (folder / PARTS).mkdir(exist_ok=True)
    if few:
        for name, file in wanted.items():
            log.info("%s: %s, %s", folder, name, megabytes(file.size))
            fetch_file(source, commit, name, file, folder)
    else:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            coming = [pool.submit(fetch_file, source, commit, *item, folder) for item in wanted.items()]
            try:
                for come in stage.progress(
                    as_completed(coming), label=f"{folder}: fetching", total=len(coming)
                ):
                    come.result()
            finally:
                pool.shutdown(cancel_futures=True)
    if not any((folder / PARTS).iterdir()):
        (folder / PARTS).rmdir()


def held(folder: Path) -> AbstractContextManager[None]:
    """Hold a folder for this process; one that may only be read needs no holding."""
    return nullcontext() if folder.is_dir() and not os.access(folder, os.W_OK) else alone_in(folder, log)


def run(
    name: str,
    *,
    out: Path | None = None,
    only: list[str] | None = None,
    revision: str | None = None,
    agree: bool = False,
    repair: bool = False,
) -> None:
    """Fetch a source into a folder, as far as it is not there."""
    source = SOURCES[name]
    folder = out or Path(source.out)
    if only and source.kind == "model":
        raise InputError(f"{source.repo}: --only is for the release; a model is fetched whole")
    need_file(folder / LOCK)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # the library asks for files and for nothing else
    show_licence(source)
    lock = read_lock(folder)
    if not agree and (lock is None or lock.licence != source.licence.name):
        need_agreement(source)
    asked = revision or source.revision
    try:
        with own_lines():
            if lock:
                check_lock(source, asked, folder, lock)
                asked, commit, files = lock.asked, lock.revision, lock.files
            else:
                commit = commit_of(source, asked)
                files = files_of(source, commit)
            if source.files and commit == source.revision:
                files = dict(source.files)  # what is written down here, whatever stands in the folder
            wanted = choose(source, files, only)
            with held(folder):
                missing = bring(source, asked, commit, files, wanted, folder, repair=repair)
    except KeyboardInterrupt:
        raise InputError(f"{source.repo}: stopped; the same command goes on from here") from None
    size = megabytes(sum(file.size for file in wanted.values()))
    print(f"{folder}: {len(wanted)} files, {size}, of {source.repo} at {commit}: all there and right", end="")
    print(f"\nTo use it: {source.use.format(out=folder)}" if missing else ", nothing to do")


def bring(
    source: Source,
    asked: str,
    commit: str,
    files: dict[str, File],
    wanted: Mapping[str, File],
    folder: Path,
    *,
    repair: bool,
) -> list[str]:
    """Check what is in a folder that is held, write down what is to be there, and fetch what is missing.

    Gives the names of what was fetched.
    """
    lock = read_lock(folder)  # again: another process may have been at work
    if lock:
        check_lock(source, commit, folder, lock)
    known = set(lock.chosen) if lock else set()
    found = {name for name in wanted if name not in known} | set(lock.found if lock else ())
    found = {name for name in found if os.path.lexists(folder / name)}
    missing = look(source, folder, wanted, found, repair=repair)
    need_room(source, folder, {name: wanted[name] for name in missing})
    new = Lock(
        repo=source.repo,
        kind=source.kind,
        asked=asked,
        revision=commit,
        licence=source.licence.name,
        files=files,
        chosen=sorted(known | set(wanted)),
        found=sorted(found),
    )
    if new != lock:
        write_json(folder / LOCK, asdict(new), durable=True)
    if missing:
        fetch_files(source, commit, {name: wanted[name] for name in missing}, folder)
    return missing


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.usage = f"%(prog)s {'|'.join(SOURCES)} [options]"
    parser.add_argument("name", choices=SOURCES, help="what to fetch")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help=f"where to; default: {', '.join(source.out for source in SOURCES.values())}",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PART",
        help="parts of the release, which have its tables with them; default: "
        + ", ".join(RELEASE_PARTS)
        + ";"
        " others are bvhs_retarget and body_renders, and patterns such as 'wav/20231119_*'",
    )
    parser.add_argument(
        "--revision",
        metavar="COMMIT",
        help="another commit, branch or tag of the hub's than the one that is written down",
    )
    parser.add_argument("--agree", action="store_true", help="agree to the licence without being asked")
    parser.add_argument("--repair", action="store_true", help="fetch files again that are damaged")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
