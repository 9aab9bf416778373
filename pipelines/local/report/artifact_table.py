"""The artifacts of a run: where each is, what is known of it, and how it is opened."""

from typing import Any
from urllib.parse import quote

from penstock.core import page
from penstock.core.credentials import masks
from penstock.core.text import printable
from penstock.pipelines.local.records.record import Artifact, RunRecord
from penstock.pipelines.local.report import pages
from penstock.pipelines.local.report.cells import text

_HEADER = '<th>task</th><th>artifact</th><th class="roomy">metadata</th><th>opened by</th>'
_PROPERTY = 160  # characters of a property of an artifact
# How the libraries that own an artifact open it, by KFP's name of the output; {path} is its folder.
_OPENED = {
    "examples": "tf.data.TFRecordDataset(tf.io.gfile.glob('{path}/Split-train/*'), 'GZIP')",
    "cleaned_examples": "tf.data.TFRecordDataset(tf.io.gfile.glob('{path}/Split-train/*'), 'GZIP')",
    "quarantine": "pandas.read_parquet('{path}')",
    "transformed_examples": "tf.data.TFRecordDataset(tf.io.gfile.glob('{path}/Split-train/*'), 'GZIP')",
    "statistics": "tfdv.load_stats_binary('{path}/Split-train/FeatureStats.pb')",
    "schema": "tfdv.load_schema_text('{path}/schema.pbtxt')",
    "anomalies": "tfdv.load_anomalies_binary('{path}/Split-train/SchemaDiff.pb')",
    "transform_graph": "tft.TFTransformOutput('{path}')",
    "model": "tf.saved_model.load('{path}/Format-Serving')",
    "model_run": "tensorboard --logdir '{path}'",
    "evaluation": "tfma.load_eval_result('{path}')",
}


def html(run: RunRecord) -> str:
    """Returns a table with a row for each artifact; a page of ours leads to its place in the run's page."""
    rows = "".join(_row(artifact, run) for artifact in run.artifacts())
    return page.table(rows, _HEADER)


def _row(artifact: Artifact, run: RunRecord) -> str:
    name, path = artifact.name, artifact.path
    inside = path.is_relative_to(run.folder) and path.exists()
    where = path.relative_to(run.folder).as_posix() if inside else str(path)
    target = f"#{pages.anchor(artifact)}" if pages.is_page(path) else quote(where)
    link = f'<a href="{target}">{text(name)}</a>' if inside else f"{text(name)} ({text(where)})"
    metadata = masks.masked_value(artifact.metadata)
    shown = ", ".join(f"{key}: {_shown(value)}" for key, value in metadata.items() if key != "tfx_version")
    opened = _OPENED.get(name, "").format(path=where) if inside else ""
    how = f"<code>{text(opened)}</code>" if opened else ""
    return (
        f'<tr><td class="name">{text(artifact.task.name)}</td><td class="long">{link}</td>'
        f'<td class="muted long roomy">{text(shown)}</td><td class="long">{how}</td></tr>'
    )


def _shown(value: Any) -> str:
    """Returns a property of an artifact as text: short, since JSON of all columns would fill the page."""
    whole = isinstance(value, float) and value.is_integer()  # KFP makes doubles of all numbers
    return printable.shortened(str(int(value) if whole else value), _PROPERTY)
