"""Which data of which repository is read, as `input_base` says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from penstock.core.arguments import check_object, check_string
from penstock.core.examples import payloads
from penstock.core.files import documents

_KEYS = ("repo", "path", "rev", "remote", "format", "csv", "payload_format")


@dataclass(frozen=True)
class DvcOptions:
    """Data of a repository; "" stands for none.

    Args:
        path: A file or a folder, relative to the repository.
        repo: The repository: a URL that Git clones, or a folder.
        rev: A branch, a tag or a commit; by default the default branch, of a folder what it has checked out.
        remote: The name of the remote to fetch from, by default the repository's default one.
        format: The files' format; by default as their suffixes say.
        csv: How CSV files are written, the options of csv_example_gen.
        payload_format: What TFRecord files hold.
    """

    path: str
    repo: str
    rev: str = ""
    remote: str = ""
    format: str = ""
    csv: Mapping[str, Any] = field(default_factory=dict)
    payload_format: str = payloads.TF_EXAMPLE

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Reads the options; a ConfigError for what does not fit."""
        given = check_object("dvc", dict(options), _KEYS)
        texts = {
            key: check_string(f"dvc.{key}", given.get(key), "a text")
            for key in _KEYS
            if key != "csv" and (given.get(key) is not None or key in ("repo", "path"))
        }
        return cls(**texts | {"path": texts["path"].strip("/")}, csv=check_object("dvc.csv", given.get("csv") or {}))

    @property
    def csv_text(self) -> str:
        """The options of CSV files as JSON, "" for none."""
        return documents.json_text(dict(self.csv)) if self.csv else ""
