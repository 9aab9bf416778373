"""Files of labels that cannot be read: they are counted."""

from pathlib import Path

import pyarrow as pa

from penstock.components.engines import open_engine
from penstock.components.monitoring.labels import files
from penstock.components.monitoring.labels.source import LabelSource
from penstock.components.monitoring.windows.account import Reasons


def test_a_file_that_is_gone_is_counted(tmp_path: Path) -> None:
    folder, reasons = tmp_path / "labels", Reasons()
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.csv").write_text("id,late\n1,yes\n")
    types = {"id": pa.int64(), files.LABEL: pa.large_binary()}
    source = LabelSource(str(folder), ("id",), "late")
    with open_engine("local:1") as engine, files.opened(source.files, engine) as there:
        (folder / "a.csv").unlink()
        tables = [*files.read(there.listed, source, types, tmp_path, engine, reasons)]
    assert pa.concat_tables(tables).to_pylist() == [{"id": 1, files.LABEL: b"yes"}]
    assert [(one["reason"], one["count"]) for one in reasons.listed()] == [("a file that cannot be read", 1)]
