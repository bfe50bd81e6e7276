"""What is generated from the config's types: the reference page and the JSON schema."""

import json
from inspect import getdoc
from typing import Any

from pydantic import BaseModel

from pipeline.config import Config, Row, Run, Training


def reference_page(recipes: dict[str, type[Training]]) -> str:
    """The configuration reference as Markdown: every key with its type, default and meaning.

    Options of recipes last.
    """
    lines = [
        "# Configuration",
        "",
        "Made from `pipeline/config/` and `models/recipes` by",
        "`python -m pipeline.planning.config_page --page docs/config.md`.",
        "",
    ]

    def table(model: type[BaseModel]) -> None:
        lines.extend(["| key | type | default | what |", "| --- | --- | --- | --- |"])
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                continue
            kind = (
                getattr(field.annotation, "__name__", str(field.annotation))
                if isinstance(field.annotation, type)
                else str(field.annotation)
            )
            for module in ("typing.", "pipeline.config.", "models."):
                kind = kind.replace(module, "")
            kind = kind.replace("|", "or")
            default = "needed" if field.is_required() else f"`{json.dumps(field.default)}`"
            lines.append(f"| `{name}` | {kind} | {default} | {field.description} |")
        lines.append("")

    table(Config)
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines.extend([f"## {name}", "", getdoc(field.annotation) or "", ""])
            table(field.annotation)
    for name, part in (("runs.&lt;run&gt;", Run), ("rows.&lt;row&gt;", Row)):
        lines.extend([f"## {name}", "", getdoc(part) or "", ""])
        table(part)
    for name, options in recipes.items():
        lines.extend(
            [
                f"## recipes.{name}",
                "",
                getdoc(options) or "",
                "",
                "Also keys of `runs.<run>` of this recipe.",
                "",
            ]
        )
        table(options)
    return "\n".join(lines)


def schema(recipes: dict[str, type[Training]]) -> dict[str, Any]:
    """The JSON schema of a config; options of recipes stand under `recipes`."""
    result = Config.model_json_schema()
    for name, options in recipes.items():
        own = options.model_json_schema()
        own.pop("required", None)
        result["$defs"][f"recipe_{name}"] = own
    result["properties"]["recipes"]["properties"] = {
        name: {"$ref": f"#/$defs/recipe_{name}"} for name in recipes
    }
    return result
