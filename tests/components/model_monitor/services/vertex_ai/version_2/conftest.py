"""The fixtures of monitoring by version 1: the same baseline, the same pushed model, the same server."""

# ruff: noqa: F401, F811

from collections.abc import Callable

import pytest

from penstock.components.model_monitor.services import Baseline, Service
from penstock.core.artifacts import PushedVersion
from tests.components.model_monitor.services.vertex_ai.conftest import (
    baseline,
    baseline_of,
    bucket,
    few_samples,
    models,
    push,
    pushed,
    running_bucket,
    service,
    trips,
    vertex,
    watch,
)


@pytest.fixture
def monitored(watch: Callable[..., Service], baseline: Baseline, pushed: PushedVersion) -> Callable[..., list[str]]:
    """Returns a function that has the pushed model monitored by version 2."""
    return lambda **settings: watch(version=2, **settings).configure(baseline, [pushed])
