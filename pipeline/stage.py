"""What every stage's command line shares: options from its config section, log lines, errors in one line.

A stage is a module with `run(..., options)` on paths and a `main` that calls `execute`. Its options are the fields
of one section of the config, each a flag of the same name: `--block-frames 64`.
"""

import argparse
import json
import logging
import os
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Sized

from pydantic import BaseModel, ValidationError

from pipeline.errors import InputError

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
    except json.JSONDecodeError:
        return text


def execute(arguments: argparse.ArgumentParser, run: Callable, argv: list[str] | None = None) -> None:
    """Parse `argv`, call `run` with the paths and the validated options, and turn InputError into one line and exit 2."""
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
