"""What statistics say of integers, without rounding: TFDV's least and greatest are doubles."""

from tensorflow_metadata.proto.v0 import statistics_pb2

from penstock.core.artifacts import ExampleStatistics

LARGE = 2**53  # below which a double is one integer, and no other one rounded to it


def ends(feature: statistics_pb2.FeatureNameStatistics) -> tuple[int | float, int | float]:
    """Returns the least and the greatest number of a feature with num_stats.

    They are `int` where they are known exactly, as those of integers always are in statistics of our StatisticsGen. Of
    floats, and of large integers in statistics that others wrote, they are `float`.
    """
    numbers = feature.num_stats
    if feature.type != statistics_pb2.FeatureNameStatistics.INT:
        return numbers.min, numbers.max
    texts = {one.name: one.str for one in feature.custom_stats}
    names = ExampleStatistics.LEAST_INTEGER, ExampleStatistics.GREATEST_INTEGER
    if all(name in texts for name in names):
        least, greatest = (int(texts[name]) for name in names)
        return least, greatest
    if max(-numbers.min, numbers.max) < LARGE:
        return int(numbers.min), int(numbers.max)
    return numbers.min, numbers.max


def distinct(feature: statistics_pb2.FeatureNameStatistics) -> int:
    """Returns how many distinct integers a feature has; 0 where the statistics do not tell."""
    name = ExampleStatistics.DISTINCT_INTEGERS
    return next((int(one.num) for one in feature.custom_stats if one.name == name), 0)


def repeated(feature: statistics_pb2.FeatureNameStatistics) -> float | None:
    """Returns the share of the distinct integers that occur more than once; None where the statistics do not tell.

    It is exact up to 4,096 distinct ones, and of more it is that of a sample of so many.
    """
    name = ExampleStatistics.REPEATED_INTEGERS
    return next((one.num for one in feature.custom_stats if one.name == name), None)


def text(number: int | float) -> str:
    """Returns a number as a person writes it: integers with all their digits."""
    return str(number) if isinstance(number, int) else f"{number:g}"
