"""FlowFiles that are pulled: every row once, wherever the pull is killed and whatever NiFi does."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.core.services import retries
from tests.components.example_gen.sources.conftest import SourceRun
from tests.servers.nifi_site_to_site import PORT, NifiSiteToSite

Run = Callable[..., SourceRun]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.0)


@pytest.fixture
def nifi() -> Iterator[NifiSiteToSite]:
    with NifiSiteToSite() as server:
        yield server


def of(nifi: NifiSiteToSite, **options: Any) -> dict[str, Any]:
    """The options of the source."""
    own = {key: options.pop(key) for key in ("batch_count", "max_mb", "token_env", "keep") if key in options}
    return {"site_to_site": {"url": nifi.url, "port": PORT, **own}, **options}


def lines(*numbers: int) -> bytes:
    return "\n".join(json.dumps({"x": number}) for number in numbers).encode()


def numbers(found: SourceRun) -> list[int]:
    return sorted(row["x"] for row in found.rows())


def test_flow_files_of_several_transactions_are_a_span(nifi: NifiSiteToSite, run_source: Run) -> None:
    for start in range(0, 50, 10):
        nifi.offer(lines(*range(start, start + 10)))
    first = run_source("nifi", of(nifi, batch_count=2))
    assert numbers(first) == list(range(50))
    assert (first.found.span, first.found.version) == (1, 1)
    again = run_source("nifi", of(nifi, batch_count=2))
    assert again.found == first.found
    assert again.content() == first.content()
    nifi.offer(lines(99))
    second = run_source("nifi", of(nifi, batch_count=2))
    assert (second.found.span, numbers(second)) == (2, [99])
    both = run_source("nifi", of(nifi, batch_count=2), range_config=json.dumps({"rolling_range": {"num_spans": 2}}))
    assert numbers(both) == [*range(50), 99]
