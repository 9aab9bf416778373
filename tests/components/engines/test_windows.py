"""WindowMonitor on engines of other machines: a window's record is the same."""

from collections.abc import Callable

import pytest

from penstock.core.artifacts.monitoring import WindowRecord
from tests.components.window_monitor.test_executor import baseline, columns, model, monitor, write_log

__all__ = ["baseline", "model", "monitor", "write_log"]


@pytest.mark.parametrize("engine", ["spark_application", "beam_workers"])
def test_a_window_is_the_same(
    monitor: Callable[..., WindowRecord], engine: str, request: pytest.FixtureRequest
) -> None:
    for seed in (7, 8):
        local = monitor(columns(seed, 500))
    assert local["requests"] == 2
    assert monitor(None, engine=request.getfixturevalue(engine)) == local
