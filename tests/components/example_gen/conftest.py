"""Runs ExampleGen on real files and reads back what it wrote."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import spans
from penstock.core import artifacts
from penstock.core.examples import records


@dataclass(frozen=True)
class Generated:
    """What a run wrote."""

    examples: artifacts.Examples
    metadata: dict[str, Any]

    def records(self, split: str) -> list[bytes]:
        return [record for path in self.examples.files(split) for batch in records.read(path) for record in batch]

    def rows(self, *splits: str) -> list[dict[str, Any]]:
        """The rows of the splits (all by default) as Python lists by feature."""
        serialized = [record for split in splits or self.examples.splits() for record in self.records(split)]
        return list(records.decode(serialized).to_pylist())

    def content(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.examples.root)): path.read_bytes() for path in self.examples.root.rglob("*.gz")
        }


@pytest.fixture
def generate(tmp_path: Path) -> Callable[..., Generated]:
    """Returns a function that resolves the input, runs the executor and gives what it wrote."""
    runs = iter(range(100))

    def run(base: Path, input_config: str = "", range_config: str = "", **parameters: Any) -> Generated:
        out = tmp_path / f"examples-{next(runs)}"
        out.mkdir()
        found = spans.resolve(input_base=str(base), input_config=input_config, range_config=range_config)
        parameters = {"engine": "local:1", **parameters}
        result = executor.run(examples=str(out), input_base=str(base), **found._asdict(), **parameters)
        return Generated(artifacts.Examples(out), result.metadata["examples"])

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes files, named by keyword or by a mapping, into a new folder."""
    runs = iter(range(100))

    def write(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / f"data-{next(runs)}"
        root.mkdir()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write
