"""A task has succeeded if its ExecutorOutput is there and whole."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.core.tasks import executor_output

WHOLE = {"artifacts": {"model": {"artifacts": [{"name": "m", "uri": "/m", "metadata": {}}]}}}


def read(folder: Path, content: bytes | None) -> dict[str, Any] | None:
    path = folder / "executor_output.json"
    if content is not None:
        path.write_bytes(content)
    return executor_output.read({"outputs": {"outputFile": str(path), "artifacts": {"model": {}}}})


def test_what_kfp_writes_is_whole(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(WHOLE).encode()) == WHOLE
    assert executor_output.read({"outputs": {"outputFile": str(tmp_path / "executor_output.json")}}) == WHOLE


@pytest.mark.parametrize(
    "content",
    [
        *(None, b"", b"{}", b"[]", b"3", b'{"artifacts": {"mod', b"\xff", b'{"artifacts": []}'),
        *(b'{"artifacts": {"model": {}}}', b'{"artifacts": {"model": {"artifacts": []}}}', b"[" * 100_000),
        *(b'{"artifacts": {"model": {"artifacts": [{"uri": 3}]}}}', b'{"artifacts": {"model": {"artifacts": [3]}}}'),
    ],
)
def test_anything_else_is_none(tmp_path: Path, content: bytes | None) -> None:
    assert read(tmp_path, content) is None


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ('{"task": {"type": "workerpool1"}}', False),
        ('{"task": {"type": "workerpool0"}}', True),
        ("{}", True),
        ("no JSON", True),
    ],
)
def test_of_several_replicas_the_chief_writes_it(monkeypatch: pytest.MonkeyPatch, cluster: str, expected: bool) -> None:
    monkeypatch.setenv("CLUSTER_SPEC", cluster)
    assert executor_output.is_expected() is expected
    monkeypatch.delenv("CLUSTER_SPEC")
    assert executor_output.is_expected()
