"""Data that DVC tracks, as the configuration says it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from penstock.core.examples.payloads import PayloadFormat
from penstock.core.files.formats import FileFormat
from penstock.pipelines.config.data.csv import Csv
from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import resolve

SCHEME = "dvc://"
_CLONED = re.compile(r"^([a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:)")  # a URL, or git@host:team/data
_OF_URL = ("repo", "rev", "remote")


class Dvc(SourceSection):
    """A file or folder of a Git repository with DVC. In short: path: dvc://data/trips?rev=v1.2"""

    extra: ClassVar[str] = "dvc"

    path: str = Field(min_length=1, description="A file or a folder that DVC tracks, relative to the repository.")
    repo: str = Field(
        default=".",
        min_length=1,
        description="The repository: a URL that Git clones where the tasks run, or a folder, relative to this file; by "
        "default the one that this file is in.",
    )
    rev: str | None = Field(
        default=None,
        min_length=1,
        description="A branch, a tag or a commit; by default the default branch, of a folder what it has checked out.",
    )
    remote: str | None = Field(
        default=None, min_length=1, description="The remote to fetch from, by default the repository's default one."
    )
    format: FileFormat | None = Field(
        default=None, description="csv, parquet or tfrecord; by default as the files' suffixes say, else csv."
    )
    csv: Csv | None = Field(default=None, description="How CSV files are written.")
    payload_format: PayloadFormat | None = Field(default=None, description="What the records of TFRecord files are.")

    @field_validator("repo")
    @classmethod
    def _without_secrets(cls, repo: str) -> str:
        if "://" in repo and urlsplit(repo).password is not None:
            raise ValueError("expected no password in the URL: Git's credential helper or an SSH key signs in")
        return repo

    @model_validator(mode="after")
    def _from_here(self, info: ValidationInfo) -> Self:
        if _CLONED.match(self.repo):
            return self
        folder: Path = (info.context or {}).get("folder", Path())
        place = _root(Path(resolve(self.repo, folder)))
        if not place.is_dir():
            raise ValueError(f"repo: {place} does not exist: expected a Git repository with DVC")
        return self.model_copy(update={"repo": str(place)})

    def options(self) -> dict[str, Any]:
        return {key: value for key, value in super().options().items() if value != {}}

    def local_paths(self) -> Mapping[str, str]:
        return {} if _CLONED.match(self.repo) else {"repo": self.repo}


def of_url(url: str) -> dict[str, str]:
    """Returns what the section has of dvc://PATH?repo=...&rev=...&remote=...; a ValueError for another query."""
    path, _, query = url.removeprefix(SCHEME).partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    for key in given:
        if key not in _OF_URL:
            raise ValueError(f"path: expected {SCHEME}PATH with {', '.join(_OF_URL)} after ?, received {key!r}")
    return {"path": unquote(path), **given}


def _root(folder: Path) -> Path:
    """Returns the repository that a folder is in, or the folder itself."""
    return next((place for place in (folder, *folder.parents) if (place / ".dvc").is_dir()), folder)
