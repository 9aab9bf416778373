"""Where labels come from, as a person writes it."""

from datetime import UTC, datetime

import pytest

from penstock.components.monitoring.labels.source import LabelSource
from penstock.core.errors import ConfigError


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ('"wait": 30', r"labels\.wait: expected a number and a unit, .* received 30"),
        ('"wait": "long"', r"labels\.wait: expected a number and a unit, .* received 'long'"),
        ('"column": ["tips"]', r"labels\.column: expected a column, received"),
    ],
)
def test_what_is_no_source_is_told(setting: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        LabelSource.from_json(f'{{"files": "labels.csv", {setting}}}')


def test_labels_may_be_awaited_for_ever() -> None:
    source = LabelSource.from_json('{"files": "labels.csv", "wait": "999999w"}')
    assert source is not None
    assert source.earliest(datetime(2026, 11, 30, tzinfo=UTC)) == datetime(1970, 1, 1, tzinfo=UTC)
