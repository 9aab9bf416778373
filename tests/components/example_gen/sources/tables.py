"""Tables with a column `id` are read by ExampleGen, and their rows looked at in its order."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources import columns
from penstock.core.artifacts import Examples
from penstock.core.examples import records


class Read:
    """Resolves and runs ExampleGen, and gives the rows in the order of their ids."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.metadata: dict[str, Any] = {}

    def __call__(self, base: str, **parameters: Any) -> list[dict[str, Any]]:
        out = self.folder / f"examples-{len(list(self.folder.iterdir()))}"
        asked = {key: parameters.pop(key) for key in ("input_config", "range_config", "state") if key in parameters}
        found = resolving.resolve(input_base=base, **asked)
        run = {**found._asdict(), "engine": "local:1", **parameters}
        self.metadata = executor.run(examples=str(out), input_base=base, **run).metadata["examples"]
        files = [file for split in Examples(out).splits() for file in Examples(out).files(split)]
        return in_order(row for batch in records.read_batches(files) for row in batch.to_pylist())


def in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows in the order of their ids, without what has no value."""
    return sorted(({name: value for name, value in row.items() if value} for row in rows), key=lambda row: row["id"])


def features(table: pa.Table) -> list[dict[str, Any]]:
    """Returns the rows of a table as ExampleGen makes features of them, in the order of their ids."""
    return in_order(row for batch in table.to_batches() for row in columns.features(batch, "oracle").to_pylist())
