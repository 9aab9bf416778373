"""Where labels come from that are known only later, and how they find the rows that they are of."""

from typing import Any

from pydantic import Field

from penstock.pipelines.config.monitoring.retraining import Length
from penstock.pipelines.config.section import AnyPath, Section, json_text


class Labels(Section):
    """Labels that come after the requests."""

    files: AnyPath = Field(
        description="CSV or Parquet files with labels: a file, a folder or a pattern, also in an object store. CSV is "
        "written as data.csv says."
    )
    key: str | list[str] = Field(
        default="request_id",
        description="The columns by which a label finds its rows: features of the schema, such as trip_id, or "
        "request_id, of the request log, and with it row, the row's number in its request, if the files have it.",
    )
    column: str = Field(default="", description="The label's column, by default the pipeline's label.")
    wait: Length = Field(
        default="30d",
        description="How long after the end of a window its labels may come: so long it is measured anew.",
    )

    def source(self, csv: dict[str, Any]) -> str:
        """Returns the labels as the component takes them; `csv` is how CSV is written."""
        return json_text(self.model_dump() | ({"csv": csv} if csv else {}))
