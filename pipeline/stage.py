"""What every stage's command line shares: options from its config section, log lines, errors in one line.

A stage is a module with `run(..., options)` on paths and a `main` that calls `execute`. Its options are the
fields of one section of the config, each a flag of the same name: `--block-frames 64`. It may share fields of
other sections, such as `body.joint_map`, and takes its files by themselves or after a flag.

Messages name an option by its key of the config, `body.joint_map`. `execute` says it as the called command
spells it, `--joint-map`; in a job of the workflow the key stays, since the config is where it is set there.
"""

import argparse
import json
import logging
import os
import re
import stat
import sys
import tempfile
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from pipeline.errors import FAILED, InputError
from pipeline.reading import line_of
from pipeline.run_report import warnings_kept

log = logging.getLogger("interact")

IN_WORKFLOW = "INTERACT_WORKFLOW"
"""Variable of the environment that the Snakefile sets for its jobs."""
COMMANDS = {
    "simulate": "pipeline.simulate.take",
    "release_in": "pipeline.release.ingest",
    "sync": "pipeline.capture.sync",
    "body": "pipeline.capture.body",
    "blendshapes": "pipeline.capture.blendshapes",
    "separation": "pipeline.capture.separation",
    "separation_model": "pipeline.capture.train_separation",
    "transcripts": "pipeline.annotate.transcripts",
    "dialogue": "pipeline.annotate.dialogue",
    "actions": "pipeline.annotate.actions",
    "facing": "pipeline.annotate.facing",
    "contacts": "pipeline.annotate.contacts",
    "sync_check": "pipeline.annotate.sync_check",
    "split": "pipeline.annotate.split",
    "features": "pipeline.shards.features",
    "text": "pipeline.shards.text",
    "speech": "pipeline.shards.speech",
    "shards": "pipeline.shards.build",
    "generate": "models.generate",
    "evaluate": "models.evaluate",
}
"""Whose flags the keys of a section are."""


Command = tuple[Callable[..., None], Callable[[argparse.ArgumentParser], None]]
"""What runs a command of a tool, and what adds its flags."""


def flag(name: str) -> str:
    """The command-line spelling of a field: block_frames -> --block-frames."""
    return "--" + name.replace("_", "-")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help whose first lines show what a command needs, and the options of the config by one word.

    They have a section of their own.
    """

    def add_usage(self, usage, actions, groups, prefix=None):
        """The usage with files before flags and without options of the config.

        A flag of many values takes what follows it.
        """
        known = [action for action in actions if action.help is not argparse.SUPPRESS]
        shown = [action for action in known if not action.dest.startswith(("_option_", "_shared_", "_file_"))]
        if usage is None and len(shown) < len(known):
            short = (
                super()._format_usage(None, shown, [], "").strip().removeprefix(self._prog).strip()
            )  # as argparse lays it out
            files = "".join(
                "FILE ... " if action.metavar == "FILES" else "FILE "
                for action in known
                if action.dest.startswith("_file_")
            )
            more = (
                " [options]"
                if any(action.dest.startswith(("_option_", "_shared_")) for action in known)
                else ""
            )
            usage = f"%(prog)s {files}{short.replace('%', '%%')}{more}"
        super().add_usage(usage, shown, groups, prefix)


def _described(field) -> str:
    shown = json.dumps(field.get_default(call_default_factory=True), default=str)
    return f"{field.description or ''} (default: {shown})".replace("%", "%%")


def parser(
    doc: str,
    *,
    section: type[BaseModel] | None = None,
    shared: Mapping[type[BaseModel], tuple[str, ...]] | None = None,
) -> argparse.ArgumentParser:
    """A parser whose help is the module's docstring, with one flag per field of the stage's config section.

    `shared` are fields of other sections that the stage has flags for as well: `run` gets each such section
    under its name.
    """
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    called = f"python -m {main.name}" if main and main.name.split(".")[0] in ("pipeline", "models") else None
    result = argparse.ArgumentParser(prog=called, description=doc, formatter_class=_Help)
    shared = dict(shared or {})
    result.set_defaults(_section=section, _shared=shared, _files=())
    groups = (
        [(section, tuple(section.model_fields), "options (one section of config.yaml)", "_option")]
        if section
        else []
    )
    groups += [
        (other, names, f"options (of section {_name_of(other)})", f"_shared_{_name_of(other)}")
        for other, names in shared.items()
    ]
    for model, names, title, prefix in groups:
        group = result.add_argument_group(title)
        for name in names:
            text = _described(model.model_fields[name])
            group.add_argument(flag(name), dest=f"{prefix}_{name}", metavar="VALUE", default=None, help=text)
    return result


def add_files(
    arguments: argparse.ArgumentParser, name: str, *, help: str, nargs: str | int | None = None
) -> None:
    """The files that a stage works on, which `run` gets as `name`.

    Written by themselves, or after `--name` as rules have it.

    One file where `nargs` is None, else a list. `execute` refuses a command without them.
    """
    arguments.add_argument(
        f"_file_{name}",
        nargs="*",
        type=Path,
        metavar="FILES" if nargs else "FILE",
        help=f"{help}; also after {flag(name)}",
    )
    arguments.add_argument(
        flag(name),
        dest=name,
        nargs=None if nargs is None else "+",
        type=Path,
        default=None,
        help=argparse.SUPPRESS,
    )
    arguments.set_defaults(_files=(*(arguments.get_default("_files") or ()), (name, nargs, help)))


@cache
def _sections() -> dict[str, type[BaseModel]]:
    """Sections of the config by name."""
    from pipeline.config import Config  # which the modules of errors and doors do not need

    found = {name: field.annotation for name, field in Config.model_fields.items()}
    return {
        name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, BaseModel)
    }


def _name_of(section: type[BaseModel]) -> str:
    """A section's key in the config: SyncCheck -> sync_check."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", section.__name__).lower()


@cache
def _key_pattern() -> re.Pattern[str]:
    keys = (f"{name}\\.(?:{'|'.join(kind.model_fields)})" for name, kind in _sections().items())
    return re.compile(rf"(?<![\w./-])(?:{'|'.join(keys)})(?![\w/]|\.\w)")


def as_called(text: str, arguments: argparse.ArgumentParser) -> str:
    """A message with keys of the config as the called command spells them: `body.joint_map` -> `--joint-map`.

    A key that the command has no flag for is named with the command that has it. In a job of the workflow,
    keys stay.
    """
    if os.environ.get(IN_WORKFLOW):
        return text
    section, shared = arguments.get_default("_section"), arguments.get_default("_shared") or {}

    def spelt(match: re.Match[str]) -> str:
        name, field = match[0].split(".")
        kind = _sections()[name]
        if kind is section or field in shared.get(kind, ()):
            return flag(field)
        return f"{flag(field)} of python -m {COMMANDS[name]}"

    return _key_pattern().sub(spelt, text)


def _value(text: str, annotation):
    """The Python value of a flag's text: plain text stays text, everything else is read as JSON."""
    if annotation is str or text in typing.get_args(annotation):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def execute(arguments: argparse.ArgumentParser, run: Callable, argv: list[str] | None = None) -> None:
    """Parse `argv` and call `run` with the paths and the validated options.

    Whatever goes wrong ends in one line.

    Exit code 2 for what the user can mend, 1 for a fault that nothing here foresaw: its traceback goes to the
    log.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    values = vars(arguments.parse_args(argv))
    section, shared, files = (values.pop(name) for name in ("_section", "_shared", "_files"))

    def options_of(model: type[BaseModel], prefix: str) -> BaseModel:
        given = {key.removeprefix(prefix): values.pop(key) for key in list(values) if key.startswith(prefix)}
        return model(
            **{
                key: _value(text, model.model_fields[key].annotation)
                for key, text in given.items()
                if text is not None
            }
        )

    def spell(record: logging.LogRecord) -> bool:
        record.msg, record.args = as_called(record.getMessage(), arguments), ()
        return True

    log.addFilter(spell)
    try:
        for name, nargs, what in files:
            bare, after_flag = values.pop(f"_file_{name}"), values[name]
            found = [
                *bare,
                *(after_flag if isinstance(after_flag, list) else [after_flag] if after_flag else []),
            ]
            if (
                not found
                or (nargs is None and len(found) > 1)
                or (isinstance(nargs, int) and len(found) != nargs)
            ):
                raise InputError(
                    f"{arguments.prog}: got {len(found)} files, need {what}; name them before the flags"
                )
            values[name] = found[0] if nargs is None else found
        if section:
            values["options"] = options_of(section, "_option_")
        for other in shared:
            values[_name_of(other)] = options_of(other, f"_shared_{_name_of(other)}_")
        _need_apart(values, arguments)
        with warnings_kept():
            run(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        sys.exit(
            _report(
                f"option {flag(name)}: got {first['input']!r}: {first['msg'].removeprefix('Value error, ')}"
            )
        )
    except InputError as error:
        sys.exit(_report(as_called(str(error), arguments)))
    except BrokenPipeError:  # whoever read our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.filename is None:  # not of a file that has a name
            sys.exit(_fault(arguments.prog, error))
        sys.exit(
            _report(
                f"{error.filename!s:.300}: {error.strerror}; check the path, who may read and write there,"
                " and the room on the disk"
            )
        )
    except MemoryError as error:
        sys.exit(_fault(arguments.prog, error, hint="give the job more memory, or the stage a smaller input"))
    except (
        Exception
    ) as error:  # the net under all stages: what is caught here belongs into an InputError or is a bug
        sys.exit(_fault(arguments.prog, error))
    finally:
        log.removeFilter(spell)


def execute_one_of(
    commands: Mapping[str, Command],
    argv: list[str] | None = None,
    *,
    doc: str,
    called: str,
) -> None:
    """The command line of a tool whose first word says what to do: `python -m pipeline.shards inspect`.

    `commands` gives, by that word, what runs and what adds its flags. `called` is the module that is run.
    """
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(doc)
        return
    if name not in commands:
        *others, last = commands
        sys.exit(f"error: unknown command {name!r}; need {', '.join(others)} or {last}")
    run, add_flags = commands[name]
    arguments = parser(doc)
    arguments.prog = f"python -m {called} {name}"
    add_flags(arguments)
    execute(arguments, run, rest)


def _need_apart(values: dict[str, object], arguments: argparse.ArgumentParser) -> None:
    """InputError where a file to write is one that the same command reads, or writes under another flag."""

    def files(value: object) -> list[Path]:
        return [path for path in (value if isinstance(value, list) else [value]) if isinstance(path, Path)]

    read: dict[Path, str] = {}
    given = [
        (name, path.resolve())
        for name in sorted(values, key=lambda name: name.startswith("out"))
        for path in files(values[name])
    ]
    for name, path in given:
        if not name.startswith("out"):
            read.setdefault(path, name)
        elif path in read and not path.is_dir():
            raise InputError(
                f"{arguments.prog}: {flag(name)} would replace {path}, which is {flag(read[path])} too; give"
                " another name to write"
            )
        else:
            read[path] = name


def _fault(command: str, error: Exception, *, hint: str = "report it with that traceback") -> int:
    """Print a fault of the program in one line, and its traceback into the log.

    Where there is no log, into a file of its own.
    """
    text = traceback.format_exc()
    place = "above"
    if _is_file(sys.stderr):  # a log
        print(text, file=sys.stderr)
    else:
        with tempfile.NamedTemporaryFile(
            "w", prefix="interact-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
        ) as f:
            f.write(text)
        place = f"in {f.name}"
    print(
        f"error: {command}: {FAILED}: {type(error).__name__} ({line_of(error)}), traceback {place}; {hint}",
        file=sys.stderr,
    )
    return 1


def _is_file(stream: typing.TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # no stream of the system's
        return False


def _report(line: str) -> int:
    print(f"error: {line}", file=sys.stderr)
    return 2


def progress(items: Iterable, *, label: str, total: int | None = None) -> Iterator:
    """Iterate with a progress bar at a terminal, and with a log line about every tenth of the way otherwise.

    Items that have no length need a `total`.
    """
    if total is None:
        if not isinstance(items, Sized):
            raise TypeError(f"progress of {label}: {type(items).__name__} has no length; give total")
        total = len(items)
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=label, total=total, file=sys.stderr)
        return
    step = max(1, total // 10)
    for i, item in enumerate(items, 1):
        yield item
        if i % step == 0 or i == total:
            log.info("%s: %d of %d", label, i, total)
