"""The sections of data that is no file, one for each source."""

from penstock.pipelines.config.data.sources.bigquery import BigQuery
from penstock.pipelines.config.data.sources.custom import Custom
from penstock.pipelines.config.data.sources.delta import Delta
from penstock.pipelines.config.data.sources.dvc import Dvc
from penstock.pipelines.config.data.sources.glue import Glue
from penstock.pipelines.config.data.sources.http import Http
from penstock.pipelines.config.data.sources.iceberg import Iceberg
from penstock.pipelines.config.data.sources.kafka import Kafka
from penstock.pipelines.config.data.sources.nifi import Nifi
from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.data.sources.sql import Sql

__all__ = ["BigQuery", "Custom", "Delta", "Dvc", "Glue", "Http", "Iceberg", "Kafka", "Nifi", "SourceSection", "Sql"]
