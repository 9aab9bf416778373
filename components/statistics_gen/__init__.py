"""StatisticsGen: statistics of every split."""

from penstock.components.statistics_gen.component import statistics_gen

__all__ = ["statistics_gen"]
