"""A NiFi that speaks site-to-site, and no pauses between tries."""

from collections.abc import Iterator

import pytest

from penstock.core.services import retries
from tests.servers.nifi_site_to_site import NifiSiteToSite


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.0)


@pytest.fixture
def nifi() -> Iterator[NifiSiteToSite]:
    with NifiSiteToSite() as server:
        yield server
