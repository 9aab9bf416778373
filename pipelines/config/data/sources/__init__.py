"""The sections of data that is no file, one for each source."""

from penstock.pipelines.config.data.sources.bigquery import BigQuery
from penstock.pipelines.config.data.sources.custom import Custom
from penstock.pipelines.config.data.sources.dvc import Dvc
from penstock.pipelines.config.data.sources.source_section import SourceSection

__all__ = ["BigQuery", "Custom", "Dvc", "SourceSection"]
