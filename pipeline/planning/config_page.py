"""The reference page and the JSON schema of the config, out of its types and those of the recipes' options.

python -m pipeline.planning.config_page --page docs/config.md --schema workflow/schemas/config.schema.json
"""

import argparse
import json
from pathlib import Path

from models import recipes
from pipeline.config.page import reference_page, schema
from pipeline.files import whole


def run(*, page: Path | None, schema_file: Path | None) -> None:
    """Write what is asked for."""
    known = {name: recipes.options_of(name) for name in recipes.names()}
    if page:
        with whole(page) as temporary:
            temporary.write_text(reference_page(known), encoding="utf-8")
    if schema_file:
        with whole(schema_file) as temporary:
            text = json.dumps(schema(known), indent=1, sort_keys=True)
            temporary.write_text(text + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path, help="Markdown page to write")
    parser.add_argument("--schema", type=Path, help="JSON schema to write")
    arguments = parser.parse_args(argv)
    run(page=arguments.page, schema_file=arguments.schema)


if __name__ == "__main__":
    main()
