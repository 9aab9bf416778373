"""Every measure has a name for people."""

from typing import get_args

from penstock.components.monitoring import words
from penstock.components.monitoring.measures.thresholds import Measure
from penstock.components.window_monitor.judging import ESTIMATED, REALISED


def test_every_measure_is_called_something() -> None:
    assert set(words.MEASURES) == {*get_args(Measure), REALISED, ESTIMATED}


def test_a_feature_of_any_name_fits_a_table() -> None:
    assert words.short("trip_miles") == "trip_miles"
    assert len(words.short("x" * 500)) <= 60
    assert words.short("a\nb") == "a\\nb"
