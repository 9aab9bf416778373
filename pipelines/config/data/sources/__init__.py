"""The sections of data that is no file, one for each source."""

from penstock.pipelines.config.data.sources.custom import Custom
from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.data.sources.sql import Sql

__all__ = ["Custom", "SourceSection", "Sql"]
