"""The connection to AWS Glue, and what it knows of a table."""

from collections.abc import Iterator
from typing import Any

from penstock.components.example_gen.sources.glue.options import GlueOptions
from penstock.core.errors import ConfigError, DataError, ServerError
from penstock.core.services.aws import AwsServer
from penstock.core.services.retries import NotFound
from penstock.core.services.transport import Advice
from penstock.core.suggestions import did_you_mean


class Glue(AwsServer):
    """A client of AWS Glue in a region."""

    name = "glue"
    service = "Glue"
    region_key = "data.glue.region"
    user = "data.glue"
    extra = "glue"
    advice = Advice(
        sign_in="run `aws sso login` or set AWS_PROFILE; a task needs a role (an account of Kubernetes with one)",
        role="give it a role with glue:GetTable, GetTables, GetDatabases and GetPartitions, for a job also "
        "StartJobRun, GetJobRun and GetJobRuns, and with s3:ListBucket and GetObject of the table's bucket",
        unknown="check data.glue",
        address="check data.glue.region",
        no_server="check data.glue.region and the network",
        slow="try again",
        certificate="check the network's proxy (AWS_CA_BUNDLE)",
        no_tls="write http:// in AWS_ENDPOINT_URL_GLUE",
    )


def table(glue: Glue, options: GlueOptions) -> dict[str, Any]:
    """Returns a table as the catalogue describes it; a DataError if there is none of the name."""
    try:
        found = glue.repeat(
            glue.client.get_table, DatabaseName=options.database, Name=options.table, **_catalog(options)
        )
    except NotFound:
        raise _unknown(glue, options) from None
    return dict(found["Table"])


def partitions(glue: Glue, options: GlueOptions, predicate: str) -> Iterator[dict[str, Any]]:
    """Yields the partitions that fit a predicate, which the catalogue looks at."""
    asked: dict[str, Any] = {"DatabaseName": options.database, "TableName": options.table, **_catalog(options)}
    if predicate:
        asked["Expression"] = predicate
    while True:
        try:
            answer = glue.repeat(glue.client.get_partitions, ExcludeColumnSchema=True, **asked)
        except ServerError as error:
            if not predicate or "InvalidInput" not in error.message:
                raise
            raise ConfigError(
                f"glue.push_down_predicate: expected an expression of the partitions' columns, such as year = '2026' "
                f"AND month > 3, received {predicate!r}: {error.message}"
            ) from None
        yield from answer["Partitions"]
        if not answer.get("NextToken"):
            return
        asked["NextToken"] = answer["NextToken"]


def _catalog(options: GlueOptions) -> dict[str, str]:
    return {"CatalogId": options.catalog_id} if options.catalog_id else {}


def _unknown(glue: Glue, options: GlueOptions) -> DataError:
    databases = _names(glue, "get_databases", "DatabaseList", _catalog(options))
    if options.database not in databases:
        known = did_you_mean(options.database, databases)
        return DataError(f"Glue in {glue.region} has no database {options.database!r}; {known}")
    tables = _names(glue, "get_tables", "TableList", {"DatabaseName": options.database, **_catalog(options)})
    return DataError(f"Glue table {options.name} does not exist; {did_you_mean(options.table, tables)}")


def _names(glue: Glue, operation: str, key: str, asked: dict[str, str]) -> list[str]:
    """Returns names that the catalogue lists, those of its first answer: they are only to choose from."""
    answer = glue.repeat(getattr(glue.client, operation), **asked)
    return [str(item["Name"]) for item in answer[key]]
