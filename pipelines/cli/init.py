"""Writes a project that runs as it is: configuration, data, README."""

import shutil
from pathlib import Path

from penstock.core.errors import UserError
from penstock.core.files import atomic

TEMPLATE = Path(__file__).with_name("template")
_SCHEMA_FILE = Path(__file__).parents[1] / "config" / "config.schema.json"


def write_project(folder: Path) -> list[Path]:
    """Writes a new project and returns its files; a UserError if there is something at `folder` already."""
    if not folder.name:  # "", "." and "/"
        raise UserError("expected the name of a new folder, such as `penstock init myproject`")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} exists already: expected a new name, nothing is overwritten")
    with atomic.replacing(folder) as temporary:
        shutil.copytree(TEMPLATE, temporary, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(_SCHEMA_FILE, temporary / "pipeline.schema.json")
    return sorted(path for path in folder.rglob("*") if path.is_file())
