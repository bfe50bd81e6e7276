"""What every stage's command line shares: options from its config section, log lines, errors in one line.

A stage is a module with `run(..., options)` on paths and a `main` that calls `execute`. Its options are the fields
of one section of the config, each a flag of the same name: `--block-frames 64`.
"""

import argparse
import contextlib
import json
import logging
import os
import stat
import sys
import tempfile
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator, Sized

from pydantic import BaseModel, ValidationError

from pipeline.errors import FAILED, InputError
from pipeline.reading import line_of

log = logging.getLogger("interact")


def flag(name: str) -> str:
    """The command-line spelling of a field: block_frames -> --block-frames."""
    return "--" + name.replace("_", "-")


def parser(doc: str, *, section: type[BaseModel] | None = None) -> argparse.ArgumentParser:
    """A parser whose help is the module's docstring, with one flag per field of the stage's config section."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.set_defaults(_section=section)
    if section:
        group = result.add_argument_group("options (one section of config.yaml)")
        for name, field in section.model_fields.items():
            shown = json.dumps(field.get_default(call_default_factory=True), default=str)
            text = f"{field.description or ''} (default: {shown})".replace("%", "%%")
            group.add_argument(flag(name), dest=f"_option_{name}", metavar="VALUE", default=None, help=text)
    return result


def _value(text: str, annotation):
    """The Python value of a flag's text: plain text stays text, everything else is read as JSON."""
    if annotation is str or text in typing.get_args(annotation):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def execute(arguments: argparse.ArgumentParser, run: Callable, argv: list[str] | None = None) -> None:
    """Parse `argv` and call `run` with the paths and the validated options; whatever goes wrong ends in one line.

    Exit code 2 for what the user can mend, 1 for a fault that nothing here foresaw: its traceback goes to the log.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    values = vars(arguments.parse_args(argv))
    section = values.pop("_section")
    given = {k.removeprefix("_option_"): values.pop(k) for k in list(values) if k.startswith("_option_")}
    try:
        if section:
            fields = {k: _value(v, section.model_fields[k].annotation) for k, v in given.items() if v is not None}
            values["options"] = section(**fields)
        run(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        sys.exit(_report(f"option {flag(name)}: got {first['input']!r}: {first['msg']}"))
    except InputError as error:
        sys.exit(_report(str(error)))
    except BrokenPipeError:  # whoever read our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.filename is None:  # not of a file that has a name
            sys.exit(_fault(arguments.prog, error))
        sys.exit(_report(f"{error.filename!s:.300}: {error.strerror}; check the path, who may read and write there, and the room on the disk"))
    except MemoryError as error:
        sys.exit(_fault(arguments.prog, error, hint="give the job more memory, or the stage a smaller input"))
    except Exception as error:  # the net under all stages: what is caught here belongs into an InputError or is a bug
        sys.exit(_fault(arguments.prog, error))


def _fault(command: str, error: Exception, *, hint: str = "report it with that traceback") -> int:
    """Print a fault of the program in one line, and its traceback into the log, or where there is none into a file of its own."""
    text = traceback.format_exc()
    place = "above"
    if _is_file(sys.stderr):  # a log
        print(text, file=sys.stderr)
    else:
        with tempfile.NamedTemporaryFile("w", prefix="interact-", suffix=".log", delete=False, encoding="utf-8", errors="replace") as f:
            f.write(text)
        place = f"in {f.name}"
    print(f"error: {command}: {FAILED}: {type(error).__name__} ({line_of(error)}), traceback {place}; {hint}", file=sys.stderr)
    return 1


def _is_file(stream: typing.TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # no stream of the system's
        return False


def _report(line: str) -> int:
    print(f"error: {line}", file=sys.stderr)
    return 2


class _Kept(logging.Handler):
    """Keeps the text of warnings."""

    def __init__(self, kept: list[str]):
        super().__init__(logging.WARNING)
        self.kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(" ".join(record.getMessage().split()))


@contextlib.contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """The list into which every warning goes that is logged inside the `with`, in order, for a stage's report."""
    kept: list[str] = []
    handler = _Kept(kept)
    log.addHandler(handler)
    try:
        yield kept
    finally:
        log.removeHandler(handler)


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
