"""A reading of an API that is killed at any step, or that waits for another: the next one reads all pages."""

import itertools
import threading
from pathlib import Path

import pytest

from penstock.components.example_gen.configs import DEFAULT_INPUT
from penstock.components.example_gen.sources.http.source import HttpSource
from penstock.components.example_gen.sources.source import Asked, Resolved
from penstock.components.example_gen.sources.spooled import spool
from penstock.components.example_gen.sources.spooled.folder import _Local
from penstock.core.state.folder import LocalFolder
from tests.components.example_gen.sources.http.conftest import document
from tests.components.example_gen.sources.killing import killed_at
from tests.servers.api import Api, Reply
from tests.servers.api import Asked as ApiAsked

_STEPS = [(_Local, "take"), (_Local, "write"), (_Local, "remove"), (LocalFolder, "write")]


def read(api: Api, state: Path) -> Resolved:
    options = {"url": api.url, "paging": {"by": "page"}, "keep": 1}
    return HttpSource.resolve(Asked(options, DEFAULT_INPUT, state=str(state)))


def rows(found: Resolved, folder: Path) -> list[bytes]:
    (folder / "fetched").mkdir(exist_ok=True)
    snapshot, copies = spool.read(found.splits[0].pattern, folder / "fetched")
    return [copies[file.sha256].read_bytes() for file in snapshot.files]


@pytest.mark.slow
def test_the_next_reading_has_all_pages_wherever_one_is_killed(api: Api, tmp_path: Path) -> None:
    now = {"version": 0}

    def answer(asked: ApiAsked) -> Reply:
        page = asked.query["page"]
        return document([{"x": now["version"], "p": page}] if page < "3" else [])

    api.answer = answer
    for step in itertools.count():
        folder = tmp_path / str(step)
        now["version"] = 0
        read(api, folder)
        now["version"] = 1
        was_killed = killed_at(step, _STEPS, lambda folder=folder: read(api, folder))  # type: ignore[misc]
        now["version"] = 2
        found = read(api, folder)
        assert rows(found, folder) == [b'{"x": 2, "p": "1"}\n', b'{"x": 2, "p": "2"}\n']
        (kept,) = folder.glob("http-*")
        assert len(list((kept / "content").iterdir())) == 2
        assert len(list((kept / "snapshots").iterdir())) == 1
        if not was_killed:
            break
    assert step > 6


def test_two_readings_at_a_time_are_one_after_the_other(api: Api, tmp_path: Path) -> None:
    api.answer = lambda asked: document([{"x": asked.query["page"]}] if asked.query["page"] < "3" else [])
    found: list[Resolved] = []
    threads = [threading.Thread(target=lambda: found.append(read(api, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert found[0] == found[1] == found[2]
    assert rows(found[0], tmp_path) == [b'{"x": "1"}\n', b'{"x": "2"}\n']
