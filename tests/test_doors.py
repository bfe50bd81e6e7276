"""Every place that opens a file, a process or foreign bytes by itself stands in DOORS with a reason.

No other place does.

A file of an input, a download or a model is opened by pipeline.reading or pipeline.formats.array_files, or by
a reader that checks it first. Who adds a place is asked by this test to use one of those, or to say here why
the place is safe.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("pipeline", "models", "workflow")

RAW = re.compile(
    r"""(open|io\.open|eval|exec|load_file|safe_open|ZipFile|SoundFile)$
    |.*\.(open|read_text|read_bytes|from_pretrained|from_file|memmap|open_memmap|fromfile|loadtxt|genfromtxt|extractall|urlopen|mmap|iterdump)$
    |(np|numpy|torch|json|pickle|joblib|yaml|marshal|onnx|librosa|torchaudio)\.(load|loads|safe_load|load_all|unsafe_load|full_load)$
    |(h5py\.File|zipfile\.ZipFile|tarfile\.\w+|sqlite3\.connect|mmap\.mmap|runpy\.\w+|importlib\.\w+)$
    |(soundfile|sf|wavfile|wave)\.(read|info|blocks|SoundFile|open)$
    |(csv\.(reader|DictReader|read_csv)|(pd|pandas|pq|pa|pyarrow|feather)\.(read_\w+|ParquetFile|ParquetDataset|memory_map|OSFile))$
    |(ElementTree|ET|minidom)\.(parse|fromstring|iterparse|XML)$
    |(subprocess\.\w+|os\.(system|popen|open|exec\w*|spawn\w*|startfile))$""",
    re.VERBOSE,
)
"""Calls that open something, by the name with which they are called.

What comes from our own packages does not count.
"""

DOORS: dict[str, tuple[str, str]] = {
    "pipeline.reading:open_plain": ("open", "a door: plain files only"),
    "pipeline.reading:open_text": ("open", "a door: plain files only, inside `reading`"),
    "pipeline.reading:parse_json": ("json.loads", "a door: inside `reading`, keys once, numbers that end"),
    "pipeline.reading:rows_of": ("sqlite3.connect", "a door: plain files, read only, no view, bounded"),
    "pipeline.formats.array_files:read_npy": (
        "np.memmap open",
        "a door: the header is checked against the file's length",
    ),
    "pipeline.formats.array_files:Arrays.__getitem__": (
        "self._archive.open",
        "a door: a member's header is checked against its length",
    ),
    "pipeline.formats.array_files:open_npz": (
        "zipfile.ZipFile",
        "a door: plain files, bounded before anything is unpacked",
    ),
    "pipeline.formats.array_files:open_hdf5": (
        "h5py.File",
        "a door: plain files; links, storage and texts are checked before they are followed",
    ),
    "pipeline.formats.hdf5_heap:fault_of_texts": (
        "open",
        "part of the door for HDF5: bytes of a file that open_hdf5 found plain",
    ),
    "pipeline.formats.shoot_check:check_rig": (
        "zipfile.ZipFile",
        "plain files, inside `reading`; the archive's list alone, nothing is unpacked",
    ),
    "pipeline.formats.ict:is_ict_rig": (
        "archive.open zipfile.ZipFile",
        "plain files, a header of 4096 bytes; any fault means no",
    ),
    "pipeline.formats.audio:read": (
        "open",
        "a stream that open_audio found plain, from where its chunk begins",
    ),
    "pipeline.formats.bvh_text:_columns": (
        "csv.read_csv",
        "bytes in memory that reading.read_bytes read; what Arrow refuses goes to the slow reader",
    ),
    "pipeline.formats.live_link:_csv_rows": (
        "csv.reader",
        "rows of reading.open_text, strict, no quotation over lines",
    ),
    "pipeline.formats.voice_file:_decoded_blocks": (
        "soundfile.SoundFile",
        "libsndfile, on a file that open_plain opened, in bounded blocks",
    ),
    "pipeline.formats.voice_file:_mpeg4_blocks": (
        "av.open",
        "libavformat's MPEG-4 reader alone, on a file that open_plain opened, in bounded blocks",
    ),
    "pipeline.release.ingest:voice_frames": (
        "soundfile.info",
        "libsndfile's header, of a file that is plain",
    ),
    "pipeline.release.ingest:write_voice": (
        "soundfile.info",
        "libsndfile's header, of a file that voice_frames and read_wav read before",
    ),
    "pipeline.view.server:Shelf._open": ("open", "a file that we have just written"),
    "pipeline.view.__main__:run": ("webbrowser.open", "the address of our own server"),
    "pipeline.report.take:draw_voices": ("soundfile.read", "a voice that our separation wrote"),
    "pipeline.report.accuracy:_voices": ("soundfile.read", "a voice of a dataset that our capture wrote"),
    "pipeline.capture.mouth_crop:read_video": (
        "av.open",
        "FFmpeg, on a file that we opened; formats by name, no protocols",
    ),
    "pipeline.capture.separation_neural:read_picture": (
        "Image.open",
        "Pillow, on a file that we opened; PNG and JPEG only, size before pixels",
    ),
    "pipeline.formats.timecode:ixml_speed": (
        "ElementTree.fromstring",
        "text of a chunk; expat opens no other file and bounds entities",
    ),
    "pipeline.config.__init__:__getattr__": (
        "importlib.import_module",
        "no file: one of the package's own modules, by a name of its table",
    ),
    "pipeline.config.whole:load": (
        "yaml.safe_load",
        "text of reading.read_text, safe loader, at most 1 MiB",
    ),
    "pipeline.planning.status:run": (
        "yaml.safe_load",
        "text of reading.read_text and of the command line, safe loader",
    ),
    "pipeline.stage:_value": ("json.loads", "text of the command line"),
    "pipeline.stage:execute": ("os.open", "the null device"),
    "pipeline.capture.separation:_separate_seeing": (
        "importlib.import_module",
        "a module of ours by its name, imported late",
    ),
    "pipeline.formats.pretrained:load_network": (
        "family.from_pretrained",
        "the door for models: family by name, safetensors, no code, no network",
    ),
    "pipeline.formats.pretrained:load_tokenizer": (
        "AutoTokenizer.from_pretrained",
        "the door for models: no code, no network",
    ),
    "models.weights:read_tensors": ("load_file", "safetensors: plain files, inside `reading`, no code"),
    "models.weights:check_sizes": ("safe_open", "safetensors' header: plain files, inside `reading`"),
    "models.speech.visualvoice:convert": ("torch.load", "weights_only: no code is run"),
    "models.speech.ctranslate2_file:read_variables": (
        "np.memmap",
        "a model of our package list by its fixed name; offsets are checked against the length",
    ),
    "pipeline.formats.shard_file:Shard.__getitem__": (
        "np.memmap",
        "place, type and shape that hdf5_layout checked",
    ),
    "pipeline.formats.shard_index:read_index": (
        "pq.ParquetFile",
        "an index, plain and with the columns and types that are asked for",
    ),
    "pipeline.capture.dataset:_database": ("sqlite3.connect", "makes a database under a temporary name"),
    "pipeline.files:_sync": ("os.open", "a folder or file that we have just written"),
    "pipeline.planning.run_hooks:Run._hold": ("open", "our lock in the root"),
    "pipeline.report.losses:lines_of": ("json.loads path.read_text", "log that our trainer wrote"),
    "pipeline.report.accuracy_page:run": (
        "csv.DictReader",
        "rows of a door, of a table that our accuracy wrote",
    ),
    "pipeline.planning.overview:_rows": (
        "csv.DictReader open",
        "tables that our evaluation wrote; any fault means none",
    ),
    "pipeline.planning.overview:takes_text": (
        "json.loads read_text",
        "reports that our quality wrote; any fault means none",
    ),
    "pipeline.planning.status:Step.error": ("self.log.read_text", "log of our stage"),
    "pipeline.planning.status:Step.warnings": ("self.log.read_text", "log of our stage"),
    "pipeline.source:_imports": ("path.read_bytes", "a module of ours"),
    "pipeline.source:digest": ("path.read_bytes", "modules of ours"),
    "models.stored:Rows.__getitem__": (
        "open np.fromfile",
        "numbers that this process wrote, in a temporary folder of its own",
    ),
    "models.recipes.__init__:options_of": (
        "exec path.read_text",
        "the class Options of a recipe of ours, found by its name in our folder",
    ),
    "models.recipes.__init__:load": (
        "importlib.import_module",
        "a recipe of ours, by a name that our folder has",
    ),
    "pipeline.planning.code:content": ("file.read_bytes", "a module of ours"),
    "models.speech.separation_train:run_hash": ("path.read_bytes", "modules of ours"),
    "models.checkpoints:State.save": ("live_log.read_text", "log that this run wrote"),
    "models.checkpoints:losses": ("live_log.read_text", "log that our trainer wrote"),
    "pipeline.simulate.dialogue:sentences": ("read_text", "a text of our package"),
    "pipeline.simulate.passages:plan_lips": ("read_text", "a text of our package"),
    "pipeline.simulate.espeak:-": ("json.load", "our own process writes it"),
    "pipeline.simulate.speech:_espeak": (
        "json.loads subprocess.run",
        "this Python on a module of ours, arguments as a list, what it prints",
    ),
}
"""By module and function: the calls in it, and why they are safe."""


def dotted(node: ast.expr) -> str:
    """The name by which something is called, `().read_text` for a method of what is no name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "()"


def writes(call: ast.Call) -> bool:
    """Whether a call opens to write only: its mode, a constant, says so."""
    place = 0 if dotted(call.func).startswith("().") else 1  # Path(...).open has its mode first
    modes = [
        argument.value for argument in call.args[place : place + 1] if isinstance(argument, ast.Constant)
    ]
    modes += [
        keyword.value.value
        for keyword in call.keywords
        if keyword.arg == "mode" and isinstance(keyword.value, ast.Constant)
    ]
    return any(isinstance(mode, str) and re.fullmatch(r"[wax]b?t?", mode) for mode in modes)


def places(text: str, module: str) -> dict[str, set[str]]:
    """Raw calls by `module:function`, `Class.method` for methods.

    Functions within a function are their outer one.
    """
    tree = ast.parse(text)
    ours = {
        alias.asname or alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).split(".")[0] in OURS
    }
    found: dict[str, set[str]] = defaultdict(set)

    def visit(node: ast.AST, where: str, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not inside:
                visit(
                    child,
                    f"{where}.{child.name}" if where else child.name,
                    not isinstance(child, ast.ClassDef),
                )
                continue
            if isinstance(child, ast.Call):
                name = dotted(child.func)
                if RAW.match(name) and name.split(".")[0] not in ours and not writes(child):
                    found[f"{module}:{where or '-'}"].add(
                        name.rpartition("().")[2] if name.startswith("()") else name
                    )
            visit(child, where, inside)

    visit(tree, "", False)
    return found


def all_places() -> dict[str, set[str]]:
    """Raw calls of every Python file of our packages."""
    found: dict[str, set[str]] = {}
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found |= places(path.read_text(encoding="utf-8"), module)
    return found


def test_every_place_that_opens_something_has_a_reason():
    found = all_places()
    new = {
        place: sorted(calls)
        for place, calls in found.items()
        if set(DOORS.get(place, ("", ""))[0].split()) != calls
    }
    assert not [place for place in new if place not in DOORS], (
        f"{new}: open it through pipeline.reading (open_plain, open_text, read_text, read_json, rows_of) or"
        " pipeline.formats.array_files (read_npy, open_npz, open_hdf5); where that cannot be, add the place"
        " to DOORS with the reason why it is safe"
    )
    assert not new, f"{new}: calls other than DOORS has; check the place again and correct its row"


def test_no_row_outlives_its_place():
    gone = sorted(DOORS.keys() - all_places().keys())
    assert not gone, f"{gone}: no longer there; remove them from DOORS"
    assert all(len(reason) > 10 for _, reason in DOORS.values()), "every row says why"


def test_rules_open_nothing():
    for path in [*sorted((ROOT / "rules").rglob("*.smk")), ROOT / "workflow" / "Snakefile"]:
        code = re.sub(r'"""(?s:.*?)"""|"[^"\n]*"|#.*', "", path.read_text(encoding="utf-8"))
        calls = [name for name in re.findall(r"([\w.]+)\(", code) if RAW.match(name)]
        assert not calls, (
            f"{path.name}: {calls}; rules only wire, let a stage or pipeline.planning.study open it"
        )


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("def f(p):\n return open(p)", {"m:f": {"open"}}),
        ("def f(p):\n return open(p, 'w'), open(p, mode='ab')", {}),
        ("def f(p):\n return open(p, 'r+')", {"m:f": {"open"}}),
        (
            "class A:\n def f(self, p):\n  def g():\n   return Path(p).read_text()\n  return g()",
            {"m:A.f": {"read_text"}},
        ),
        ("import numpy as np\nx = np.load('x')", {"m:-": {"np.load"}}),
        (
            (
                "from pipeline import reading\nfrom pipeline.reading import read_text\ndef f(p):\n return"
                " reading.read_text(p), read_text(p)"
            ),
            {},
        ),
        (
            "def f(p):\n return torch.load(p), json.loads(p), sqlite3.connect(p)",
            {"m:f": {"torch.load", "json.loads", "sqlite3.connect"}},
        ),
        ("def f(p):\n return [h5py.File(p, 'w'), h5py.File(p)]", {"m:f": {"h5py.File"}}),
        ("def f(p):\n return AutoModel.from_pretrained(p)", {"m:f": {"AutoModel.from_pretrained"}}),
        (
            "def f(p):\n return subprocess.run(p), os.system(p), eval(p)",
            {"m:f": {"subprocess.run", "os.system", "eval"}},
        ),
        ("def f(p):\n return load_network(p), p.reader(), re.compile(p), f.read()", {}),
    ],
)
def test_raw_calls_are_found(text, calls):
    assert places(text, "m") == calls
