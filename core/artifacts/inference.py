"""The artifact of predictions: what a model has answered about examples."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from penstock.core.artifacts.artifact import Artifact, SplitArtifact
from penstock.core.files import atomic


@dataclass(frozen=True)
class InferenceResult(Artifact):
    """Predictions, one for each example.

    prediction_logs-00000-of-00008.gz   gzip TFRecord of PredictionLog
    """

    PREFIX: ClassVar[str] = "prediction_logs"

    def shard(self, index: int, count: int) -> Path:
        """Returns the path of file `index` (from 0) of `count`."""
        return self.root / f"{self.PREFIX}-{index:05d}-of-{count:05d}.gz"

    def files(self) -> list[Path]:
        """Returns the files, sorted, which is the order of the examples' files."""
        return sorted(self.root.glob(f"{self.PREFIX}-*.gz"))


@dataclass(frozen=True)
class Unfinished(Artifact):
    """A folder that gets its files one by one, each whole: a task that is killed leaves some of them.

    `.begun` says what they are of, while some are missing.
    """

    FILE: ClassVar[str] = ".begun"

    def begin(self, work: Mapping[str, object]) -> None:
        """Keeps the files of the same work that a task has begun, and removes any others'."""
        mark, text = self.root / self.FILE, json.dumps(work, sort_keys=True)
        if mark.is_file() and mark.read_text(encoding="utf-8") == text:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in self.root.glob(f"{SplitArtifact.SPLIT}*"):
            shutil.rmtree(folder)
        for file in InferenceResult(self.root).files():
            file.unlink()
        atomic.write_text(mark, text)

    def end(self) -> None:
        """Says that all files are there."""
        (self.root / self.FILE).unlink()
