"""A pull that is killed at any step: no row is lost, and none is read twice."""

import itertools
import json
from pathlib import Path

import pytest

from penstock.components.engines import open_engine
from penstock.components.example_gen.configs import DEFAULT_INPUT
from penstock.components.example_gen.sources.nifi import pulling
from penstock.components.example_gen.sources.nifi.site_to_site import Node
from penstock.components.example_gen.sources.nifi.source import NifiSource
from penstock.components.example_gen.sources.source import Asked, Request
from penstock.components.example_gen.sources.spooled.spool import Spool
from penstock.core.errors import ServerError
from penstock.core.state.folder import LocalFolder
from tests.components.example_gen.sources.killing import killed_at
from tests.servers.nifi_site_to_site import PORT, NifiSiteToSite

STEPS: list[tuple[type, str]] = [(Node, name) for name in ("open", "receive", "confirm", "cancel")]
STEPS += [(Spool, "add"), (Spool, "add_snapshot"), (LocalFolder, "write")]
FILES = 2


def read(nifi: NifiSiteToSite, folder: Path, number: int = 0) -> list[int]:
    """Runs the source as a task does, until its rows are safe; returns the rows."""
    options = {"site_to_site": {"url": nifi.url, "port": PORT, "batch_count": 1}}
    found = NifiSource.resolve(Asked(options, DEFAULT_INPUT, state=str(folder / "state")))
    scratch = folder / f"scratch-{number}"
    scratch.mkdir()
    with open_engine("local:1") as engine:
        request = Request("", found.splits, json.dumps(options), "", scratch, engine)
        with NifiSource.open(request) as opened:
            pieces = [piece for shard in opened.shards for piece in shard.pieces]
            batches = [block.columns for piece in pieces for block in opened.source.read(piece)]
            assert opened.done
            opened.done()
    return [row["x"][0] for batch in batches for row in batch.to_pylist()]


@pytest.mark.slow
@pytest.mark.parametrize("in_time", [True, False], ids=["nifi still waits", "nifi has taken it back"])
def test_every_row_is_read_once_wherever_the_pull_is_killed(
    in_time: bool, nifi: NifiSiteToSite, tmp_path: Path
) -> None:
    for step in itertools.count():
        folder = tmp_path / str(step)
        folder.mkdir()
        for number in range(FILES):
            nifi.offer(json.dumps({"x": number}).encode())
        was_killed = killed_at(step, STEPS, lambda folder=folder: read(nifi, folder))  # type: ignore[misc]
        marked = _is_marked(folder)  # killed after it had marked its rows: they are that run's
        if not in_time:
            nifi.take_back()
        nifi.offer(json.dumps({"x": FILES}).encode())
        first = read(nifi, folder, 1)
        nifi.take_back()
        nifi.offer(json.dumps({"x": FILES + 1}).encode())
        second = read(nifi, folder, 2)
        expected = [*(() if marked else range(FILES)), FILES, FILES + 1]
        assert sorted(first + second) == expected, f"step {step}: {first}, {second}"
        assert not nifi.queue
        assert second[-1] == FILES + 1
        if not was_killed:
            break
    assert step > 15


def _is_marked(folder: Path) -> bool:
    states = list(folder.glob("state/*/state.json"))
    spans = json.loads(states[0].read_text())["spans"] if states else []
    return bool(spans) and all(span["read"] for span in spans)


def test_what_was_damaged_and_never_confirmed_comes_again(nifi: NifiSiteToSite, tmp_path: Path) -> None:
    nifi.offer(b'{"x": 1}')
    nifi.offer(b'{"x": 2}')
    faults = iter(["damaged"])
    nifi.fault = lambda method, path: next(faults, None) if path.endswith("/flow-files") else None
    assert killed_at(0, [(Node, "confirm")], lambda: read(nifi, tmp_path))
    assert read(nifi, tmp_path, 1) == [1, 2]


def test_a_confirmation_that_nifi_refuses_ends_the_run(nifi: NifiSiteToSite, tmp_path: Path) -> None:
    nifi.offer(b'{"x": 1}')
    nifi.fault = lambda method, path: 403 if method == "DELETE" else None
    with pytest.raises(ServerError, match="does not let this account do that"):
        read(nifi, tmp_path)
    nifi.fault = lambda method, path: None
    nifi.take_back()
    assert read(nifi, tmp_path, 1) == [1]


def test_what_is_in_doubt_for_long_is_settled_once_the_queue_is_empty(
    nifi: NifiSiteToSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nifi.offer(b'{"x": 1}')
    nifi.fault = lambda method, path: "lost" if method == "DELETE" else None
    assert read(nifi, tmp_path) == [1]
    (state,) = tmp_path.glob("state/*/state.json")
    assert len(json.loads(state.read_text())["doubts"]) == 1
    nifi.fault = lambda method, path: None
    nifi.offer(b'{"x": 2}')
    assert read(nifi, tmp_path, 1) == [2]
    assert json.loads(state.read_text())["doubts"]
    monkeypatch.setattr(pulling, "_DOUBTED", 0.0)
    read(nifi, tmp_path, 2)
    assert json.loads(state.read_text())["doubts"] == []
