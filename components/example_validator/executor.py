"""ExampleValidator: TFDV's anomalies of every split, what they are about, and whether the data is good enough."""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatistics, DatasetFeatureStatisticsList

from penstock.components.example_validator import comparisons, findings, large_integers
from penstock.components.example_validator import label as label_check
from penstock.components.example_validator import report as report_page
from penstock.core import artifacts, progress
from penstock.core.artifacts import GateResult
from penstock.core.errors import DataError, SchemaError

logger = logging.getLogger(__name__)
_TRAINING = "TRAINING"
_SHOWN = 30  # anomalies in the details of an error
_WARNED = 5  # anomalies that are told one by one


def run(
    *,
    anomalies: str,
    report: str,
    statistics: str,
    schema: str,
    previous_statistics: str | None = None,
    serving_statistics: str | None = None,
    exclude_splits: Sequence[str] = (),
    fail_on_anomalies: bool = False,
    label: str = "",
    statistics_metadata: Mapping[str, Any] | None = None,
) -> GateResult:
    """Writes the anomalies of each split that is not excluded, and a page that shows them.

    A split is compared with the split of the same name of the earlier or serving statistics, or with their only one.
    Drift or skew that was to be measured and is not, is told by a warning and on the page.

    Args:
        anomalies: folder to write `Split-<name>/SchemaDiff.pb` to.
        report: HTML file to write.
        statistics, previous_statistics, serving_statistics: folders of ExampleStatistics artifacts.
        schema: folder of a Schema artifact.
        exclude_splits: splits to leave out; StatisticsGen may have left them out before.
        fail_on_anomalies: whether to raise if there is an anomaly.
        label: feature whose classes have to be the same in all splits; "" for no such check.
        statistics_metadata: the metadata of the statistics artifact: the order of its splits and the span.

    Raises:
        ConfigError: all splits are excluded.
        DataError: the label is missing or constant; a folder holds no statistics, or none of these splits; with
            `fail_on_anomalies`, any anomaly.
        SchemaError: the schema is not valid, or fits no feature of the data; with `fail_on_anomalies`, a type.
    """
    source, properties = comparisons.require("statistics", statistics), dict(statistics_metadata or {})
    splits = source.included(properties, exclude_splits)
    expected = artifacts.Schema(Path(schema)).read()
    drift = comparisons.read("drift", "previous_statistics", previous_statistics, splits)
    skew = comparisons.read("skew", "serving_statistics", serving_statistics, splits)
    with progress.task("ExampleValidator") as counts:
        evidence = {
            split: findings.Evidence(expected, comparisons.of_all(source.read(split)), drift.of(split), skew.of(split))
            for split in splits
        }
        current = {split: evidence[split].current for split in splits}
        by_split = {split: _validate(split, evidence[split]) for split in splits}
        if label:
            reasons = label_check.check(label, current)
            by_split = {split: label_check.add(by_split[split], label, reasons[split]) for split in splits}
        unmeasured = _unmeasured([drift, skew], expected, current, by_split)
        target = artifacts.ExampleAnomalies(Path(anomalies))
        for split in splits:
            target.write(split, by_split[split])
        listed = {split: findings.find(split, by_split[split], evidence[split]) for split in splits}
        page = report_page.write(Path(report), listed, evidence, by_split, unmeasured)
        counts["anomalies"] = sum(map(len, listed.values()))
        findings_of_all = [finding for split in splits for finding in listed[split]]
        if fail_on_anomalies:
            _fail(findings_of_all, page)
        _warn(findings_of_all)
    blessed = {split: int(not _has_anomaly(by_split[split])) for split in splits}
    span = {"span": int(properties["span"])} if "span" in properties else {}
    metadata = artifacts.metadata(split_names=splits, blessed=json.dumps(blessed), **span)
    return GateResult({"anomalies": metadata}, all(blessed.values()))


def _unmeasured(
    compared: Sequence[comparisons.Comparison],
    schema: Schema,
    current: Mapping[str, DatasetFeatureStatistics],
    by_split: Mapping[str, anomalies_pb2.Anomalies],
) -> list[str]:
    """Warns of drift and skew that were to be measured and are not; returns the sentences."""
    sentences = [sentence for one in compared for sentence in comparisons.unmeasured(one, schema, current, by_split)]
    for sentence in sentences:
        logger.warning("%s", sentence)
    return sentences


def _validate(split: str, evidence: findings.Evidence) -> anomalies_pb2.Anomalies:
    _check_fit(split, evidence)
    wrapped = [
        None if dataset is None else DatasetFeatureStatisticsList(datasets=[dataset])
        for dataset in (evidence.current, evidence.previous, evidence.serving)
    ]
    environment = _TRAINING if _TRAINING in evidence.schema.default_environment else None
    try:
        found = tfdv.validate_statistics(wrapped[0], evidence.schema, environment, wrapped[1], wrapped[2])
    except (RuntimeError, ValueError) as error:
        raise SchemaError(f"split {split!r} cannot be validated: the schema is not valid: {error}") from None
    return large_integers.correct(found, evidence.schema, evidence.current)


def _check_fit(split: str, evidence: findings.Evidence) -> None:
    """Raises a SchemaError if the schema is about other data altogether."""
    expected = {feature.name for feature in evidence.schema.feature}
    present = {feature.path.step[0] for feature in evidence.current.features if feature.path.step}
    if not expected & present:
        names = ", ".join(sorted(expected)[:5]) or "no feature", ", ".join(sorted(present)[:5])
        raise SchemaError(
            f"the schema fits no feature of split {split!r}: it expects {names[0]}, …; the data has {names[1]}, …"
        )


def _has_anomaly(anomalies: anomalies_pb2.Anomalies) -> bool:
    return bool(anomalies.anomaly_info) or anomalies.HasField("dataset_anomaly_info")


def _warn(listed: list[findings.Finding]) -> None:
    """Names the features: a count of anomalies alone sends everybody to the report."""
    for finding in listed[:_WARNED]:
        logger.warning("%s", finding.sentence())
    if len(listed) > _WARNED:
        logger.warning("and %d more anomalies: see the report", len(listed) - _WARNED)


def _fail(listed: list[findings.Finding], page: Path) -> None:
    if not listed:
        return
    listed = sorted(listed, key=lambda finding: finding.kind != "UNEXPECTED_DATA_TYPE")
    sentences = [finding.sentence() for finding in listed]
    kind = SchemaError if listed[0].kind == "UNEXPECTED_DATA_TYPE" else DataError
    more = f" (and {len(listed) - 1} more, below)" if len(listed) > 1 else ""
    details = sentences[1:_SHOWN] + (["…"] if len(sentences) > _SHOWN else [])
    raise kind(
        f"{sentences[0]}{more}: mend the data, or change the schema if it is the data that is right; report: {page}",
        "\n".join(details),
    )


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
