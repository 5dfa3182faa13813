"""Every setting as a page: `python -m rayqc.cli.settings_page > docs/settings.md`.

With `--schema`, as a JSON Schema: `... --schema > rayqc/data/settings.schema.json`.
"""

from __future__ import annotations

import sys

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rayqc.config.evaluation import Evaluation
from rayqc.config.reach import enters, sections
from rayqc.pipeline.explain import default_words, stage_words
from rayqc.pipeline.first_settings import schema_text
from rayqc.pipeline.settings import RunConfig

OF_EVALUATE = "of `rayqc evaluate`"

HEAD = """# Settings

Made by `python -m rayqc.cli.settings_page > docs/settings.md`; a test holds it to the code.
Settings are YAML; any of them can be given as `--set section.key=value`, entries of lists by number
(`pool.0.policy`).
`seed` (default 0) seeds everything that has no seed of its own. Only `references` has no default.
"Changes" names the stages that do their work anew when the setting changes, besides those that need
them.
"""

OF_RUNS: dict[str, type[BaseModel]] = sections(RunConfig)
OTHERS: dict[str, type[BaseModel]] = {
    OF_EVALUATE: Evaluation,
    f"{OF_EVALUATE}, data: entries": sections(Evaluation)["data"],
    f"{OF_EVALUATE}, detection": sections(Evaluation)["detection"],
    f"{OF_EVALUATE}, accuracy": sections(Evaluation)["accuracy"],
    **{
        f"{OF_EVALUATE}, {name}": section
        for name, section in sections(Evaluation).items()
        if name.startswith("table3")
    },
}


def as_markdown() -> str:
    """All settings as one Markdown page."""
    run_sections = "".join(
        _section(name, cls, _stages_of(name.partition(":")[0])) for name, cls in OF_RUNS.items()
    )
    return HEAD + run_sections + "".join(_section(name, cls, None) for name, cls in OTHERS.items())


def _stages_of(section: str) -> tuple[str, ...]:
    return enters(RunConfig.model_fields[section]) or ()


def _section(name: str, settings_class: type[BaseModel], stages: tuple[str, ...] | None) -> str:
    """A section's table. `stages` are those that its settings enter; None leaves the column out."""
    columns = ["key", "default", *(["changes"] if stages is not None else []), "what"]
    rows = [_row(key, field, stages) for key, field in settings_class.model_fields.items()]
    table = "\n".join([_line(columns), _line(["---"] * len(columns)), *rows])
    return f"\n## {name}\n\n{settings_class.__doc__}\n\n{table}\n"


def _row(key: str, field: FieldInfo, stages: tuple[str, ...] | None) -> str:
    description = " ".join((field.description or "").split()).replace("|", "\\|")
    cells = [f"`{key}`", _quoted(default_words(field.default))]
    if stages is not None:
        own_stages = enters(field)
        cells.append(stage_words(stages if own_stages is None else own_stages))
    return _line([*cells, description])


def _quoted(words: str) -> str:
    return words if words in ("required", "see below") else f"`{words}`"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(schema_text() if "--schema" in sys.argv else as_markdown())
