"""A collector that dies at any step: what it has said is kept is in the log, once, with its other half."""

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from penstock.core.files import object_stores as opened_stores
from tests.components.event_collector.conftest import halves
from tests.servers import object_stores

KILLED = -9
COUNT = 3


@dataclass
class Died:
    """How a child ended: its exit status, the step, and the halves that it was told are kept."""

    code: int = 0
    kind: str = ""
    kept: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Children:
    stdin: IO[str]
    stdout: IO[str]

    def run(self, folder: Path, log: str = "", **order: int) -> Died:
        """Runs a child over a folder; returns how it ended."""
        places = {"log": log or str(folder / "log"), "journals": str(folder / "journals")}
        print(json.dumps(order | places), file=self.stdin, flush=True)
        died = Died()
        while True:
            said: Any = json.loads(self.stdout.readline())
            if isinstance(said, int):
                died.code = said
                return died
            died.kind = said.get("kind", died.kind)
            died.kept += [tuple(said["kept"])] if "kept" in said else []


@contextlib.contextmanager
def running_children(*modules: str) -> Iterator[Children]:
    """Starts the process, which imports modules that all children need."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.components.event_collector.killed"]
    with subprocess.Popen([*command, *modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield Children(process.stdin, process.stdout)
        process.stdin.close()
        assert process.wait(30) == 0


def check(log: Path, kept: list[tuple[str, str]], step: object) -> None:
    there = halves(log)
    missing = [one for one in kept if not there.get(one[0], (False, False))[one[1] == "response"]]
    assert missing == [], step


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with running_children("pandas") as running:  # which pyarrow imports when it first makes a table
        yield running


@pytest.mark.slow
def test_what_dies_at_any_step_loses_nothing_and_writes_nothing_twice(children: Children, tmp_path: Path) -> None:
    steps = Counter[str]()
    for step in range(1, 200):
        folder = tmp_path / str(step)
        died = children.run(folder, step=step, count=COUNT)
        if not died.code:
            break
        assert died.code == KILLED, step
        steps[died.kind] += 1
        again = children.run(folder, first=COUNT, count=2)
        assert again.code == 0, (step, died.kind)
        check(folder / "log", died.kept + again.kept, (step, died.kind))
        assert len(list((folder / "journals").glob("*.journal"))) == 1
    assert died.code == 0
    assert {*steps} == {"pwrite", "fsync", "replace", "unlink"}


@pytest.mark.slow
def test_what_dies_after_an_upload_uploads_the_same_object_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(object_stores.s3())
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        store.remove_everything()  # makes the bucket
        children = stack.enter_context(running_children("pandas", "s3fs", "aiobotocore.session"))
        uri, folder, step, died = store.uri("log"), tmp_path, 0, Died()
        while died.kind != "unlink":
            step += 1
            folder = tmp_path / str(step)
            died = children.run(folder, uri, step=step, count=1)
        assert died.code == KILLED
        assert children.run(folder, uri).code == 0
        with opened_stores.open_store(uri) as opened:
            (name,) = opened.files(uri)
            opened.fetch({opened_stores.join(uri, name): tmp_path / "log" / name})
        assert halves(tmp_path / "log") == {"id-0": (True, True)}
