"""Runs ExampleGen on sources that are no files, and reads back what it wrote."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.inputs.spans import ResolvedInput
from penstock.core import artifacts
from penstock.core.examples import records
from penstock.pipelines.cli import main

# All rows in one split.
ALL = json.dumps({"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}})


@dataclass(frozen=True)
class SourceRun:
    """What was resolved, and what a run wrote of it."""

    found: ResolvedInput
    examples: artifacts.Examples
    metadata: dict[str, Any]

    def rows(self, *splits: str) -> list[dict[str, Any]]:
        """The rows of the splits (all by default), a list of one value as the value, in any order but a fixed one."""
        files = [path for split in splits or self.examples.splits() for path in self.examples.files(split)]
        found = [row for batch in records.read_batches(files) for row in batch.to_pylist()]
        plain = [{name: _plain(values) for name, values in row.items() if values} for row in found]
        return sorted(plain, key=lambda row: json.dumps(row, sort_keys=True, default=str))

    def content(self) -> dict[str, bytes]:
        root = self.examples.root
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.gz"))}


def _plain(values: list[Any]) -> Any:
    plain = [value.decode() if isinstance(value, bytes) else value for value in values]
    return plain[0] if len(plain) == 1 else plain


@pytest.fixture
def run_source(tmp_path: Path) -> Callable[..., SourceRun]:
    """Returns a function that resolves a source of these options, runs the executor and gives what it wrote."""
    runs = iter(range(100))

    def run(name: str, options: dict[str, Any], **parameters: Any) -> SourceRun:
        out = tmp_path / f"examples-{next(runs)}"
        base = json.dumps({name: options})
        asked = {key: parameters.pop(key, "") for key in ("input_config", "range_config")}
        state = parameters.pop("state", str(tmp_path / "state"))
        found = resolving.resolve(input_base=base, state=state, **asked)
        parameters = {"engine": "local:1", "output_config": ALL, **parameters}
        if asked["input_config"]:
            parameters.pop("output_config")
        result = executor.run(examples=str(out), input_base=base, **found._asdict(), **parameters)
        return SourceRun(found, artifacts.Examples(out), result.metadata["examples"])

    return run


@pytest.fixture
def look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Returns a function that runs `penstock validate --data` on data, and gives what it tells."""

    def run(data: dict[str, Any], label: str = "x", code: int = 0, **more: Any) -> str:
        file = tmp_path / "look.yaml"
        file.write_text(json.dumps({"data": data, "label": label, **more}))
        found = main.main(["validate", str(file), "--data"])
        told = capsys.readouterr().err
        assert found == code, told
        return told

    return run
