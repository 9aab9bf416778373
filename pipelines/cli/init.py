"""Writes a project: one for a data file and its label, or one that runs as it is, with data and a README."""

import contextlib
from pathlib import Path

from penstock.core import packages
from penstock.core.errors import UserError
from penstock.core.files import atomic, formats, kinds, paths
from penstock.core.suggestions import listed
from penstock.pipelines.cli.options import DEFAULT_CONFIG
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.preview import configuration
from penstock.pipelines.preview.configuration import DataFile

TEMPLATE = Path(__file__).with_name("template")
_SCHEMA = "pipeline.schema.json"
_SCHEMA_FILE = Path(__file__).parents[1] / "config" / "config.schema.json"


def write_project(name: str, data: str | None = None, label: str | None = None) -> list[Path]:
    """Writes a project and returns its files: one for a data file and its label, or one that runs as it is.

    Without `data`, the one data file of a folder that exists is meant. Data stays where it is, and nothing is
    overwritten but the JSON Schema of an earlier project: a UserError says what is there already.
    """
    folder = Path(name)
    if not name.strip() or not folder.absolute().name:
        raise UserError("expected the name of a new folder, such as `penstock init myproject`, or . for this one")
    file = _data_file(folder, data, label)
    if file is not None:
        return _write_for(file, label, folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(
            f"{folder} exists already and holds no CSV or Parquet file: expected a new name, or --data and --label; "
            "nothing is overwritten"
        )
    files = {path.relative_to(TEMPLATE): path for path in TEMPLATE.rglob("*") if path.is_file()}
    files = {place: path for place, path in files.items() if "__pycache__" not in place.parts}
    files[Path(_SCHEMA)] = _SCHEMA_FILE
    # The folder may be the current one, which is not to be replaced.
    with contextlib.nullcontext(folder) if folder.exists() else atomic.replacing(folder) as written:
        for place, path in files.items():
            atomic.write_bytes(written / place, path.read_bytes())
    return sorted(folder / place for place in files)


def _data_file(folder: Path, data: str | None, label: str | None) -> Path | None:
    """Returns the data file that a project is for; None if none is asked for and there is none."""
    if data is not None:
        if is_remote(data) or packages.is_inside(data):
            raise UserError(f"--data {data}: expected a file on this machine, to look at")
        file = Path(data)
        if special := kinds.special(file):
            raise UserError(f"--data: {file} is {special}: expected a CSV or Parquet file")
        if not file.is_dir():
            try:
                paths.require(file)
            except ValueError as error:
                raise UserError(f"--data: {error}") from None
            return file
        folder = file
    files = []
    if folder.is_dir():
        files = sorted(path for path in folder.iterdir() if path.is_file() and _holds_rows(path.name))
    if len(files) > 1:
        raise UserError(
            f"{folder} holds several data files: expected --data and one of {listed([f.name for f in files])}"
        )
    if not files and (data is not None or label is not None):
        raise UserError(f"{folder} holds no CSV or Parquet file: expected --data and one")
    return files[0] if files else None


def _holds_rows(name: str) -> bool:
    """Whether a file's name says that it holds data; .json may be anything, and has to be named."""
    return formats.of_names([name]) is not None and not name.lower().endswith(".json")


def _write_for(file: Path, label: str | None, folder: Path) -> list[Path]:
    config = folder / DEFAULT_CONFIG
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: expected the name of a folder")
    if config.exists():
        raise UserError(f"{config} exists already: nothing is overwritten")
    data = DataFile.read(file)
    text = configuration.text(data, data.require_label(label), folder)
    atomic.write_text(folder / _SCHEMA, _SCHEMA_FILE.read_text(encoding="utf-8"))
    atomic.write_text(config, text)
    return [config, folder / _SCHEMA]
