"""Data of an Apache NiFi flow, as the configuration names it.

data: {nifi: {landing: "s3://bucket/trips", format: json_lines}}
data: {nifi: {site_to_site: {url: "https://nifi.example.com:8443/nifi", port: trips}, format: json_lines}}
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.data.csv import Csv
from penstock.pipelines.config.data.sources.http import Url
from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import AnyPath, PositiveWhole, Section, Variable


class SiteToSite(Section):
    """An output port of NiFi's, pulled over its site-to-site protocol on HTTP."""

    url: Url = Field(description="NiFi's address, as a browser has it: https://nifi.example.com:8443/nifi.")
    port: str = Field(min_length=1, description="The output port by its name, or its id.")
    client_cert: AnyPath | None = Field(
        default=None, description="The certificate that this client signs in with, PEM."
    )
    client_key: AnyPath | None = Field(default=None, description="Its key, where the certificate's file has none.")
    token_env: Variable | None = Field(
        default=None, description="The environment variable that holds a token of NiFi's."
    )
    token_file: AnyPath | None = Field(default=None, description="The file that holds a token of NiFi's.")
    ca_cert: AnyPath | None = Field(
        default=None, description="The certificates that NiFi's is checked against, by default the public ones."
    )
    batch_count: PositiveWhole | None = Field(
        default=None, description="How many FlowFiles a transaction has at most, by default 10,000."
    )
    batch_mb: PositiveWhole | None = Field(default=None, description="How many MiB it has about, by default 64.")
    max_mb: PositiveWhole | None = Field(
        default=None, description="How many MiB a run pulls about, by default 10,240; the next run pulls the rest."
    )
    timeout: PositiveWhole | None = Field(
        default=None, description="The seconds that NiFi may say nothing for, by default 60."
    )
    keep: PositiveWhole | None = Field(
        default=None, description="How many spans are kept below the pipeline's root, by default 30."
    )
    skip: list[str] | None = Field(
        default=None, description="FlowFiles that are left out, by their ids: those that an error says are no rows."
    )


class Nifi(SourceSection):
    """Data of an Apache NiFi flow: files that it lands with a manifest, or FlowFiles that it offers at a port."""

    landing: AnyPath | None = Field(default=None, description="The folder that the flow lands files and manifests in.")
    site_to_site: SiteToSite | None = Field(default=None, description="The output port that FlowFiles are pulled from.")
    format: Literal["json_lines", "json", "csv", "avro", "parquet", "tfrecord"] | None = Field(
        default=None, description="How files and FlowFiles are written, by default json_lines."
    )
    records: str | list[str] | None = Field(
        default=None, description="The keys down to the rows in a document of JSON; by default it is the list of rows."
    )
    columns: list[str] | None = Field(default=None, min_length=1, description="The columns to read, by default all.")
    csv: Csv | None = Field(default=None, description="How tables of CSV are written.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.landing is None) == (self.site_to_site is None):
            raise ValueError("expected either landing or site_to_site")
        if self.csv and self.format != "csv":
            raise ValueError("csv: expected format: csv with it")
        if self.records and self.format != "json":
            raise ValueError(f"records: expected none for {self.format or 'json_lines'}: they are of json")
        if self.columns and self.format in ("csv", "parquet", "tfrecord"):
            raise ValueError(f"columns: expected none for {self.format}, of which all columns are read")
        return self

    def local_paths(self) -> dict[str, str]:
        return {"landing": self.landing} if self.landing else {}
