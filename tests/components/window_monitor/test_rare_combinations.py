"""Which combination that training hardly has is told, and how."""

import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Sensitivity
from penstock.components.window_monitor import findings, rare_combinations
from penstock.components.window_monitor.findings import Compared
from penstock.core.artifacts.monitoring import Finding
from tests.components.monitoring.measures.test_combinations import batch, flights


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of([batch(flights(20_000, 1))])


def found(reference: Reference, rows: pa.RecordBatch, before: pa.Table) -> list[Finding]:
    counts = reference.window()
    counts.add(rows)
    part = Compared("feature", reference, Sensitivity(), counts, before, pa.Table.from_batches([rows]))
    return findings.of_window([part], {"port": 0.5})


def test_an_alert_names_the_features_and_the_combination(reference: Reference) -> None:
    rows = flights(1000, 2)
    renamed = (rows["carrier"] == "UA") & (rows["port"].isin(["P01", "P02"]))
    before = pa.Table.from_batches([batch(flights(5000, 1))])
    listed = found(reference, batch(rows.assign(carrier=rows["carrier"].mask(renamed, "B6"))), before)
    first = next(one for one in listed if one["name"] == "carrier, port")
    assert (first["subject"], first["measure"], first["alerts"], first["importance"]) == (
        "dependence",
        "rare_combinations",
        True,
        0.5,
    )
    share = f"{100 * first['value']:.3g}"  # type: ignore[operator]
    assert first["sentence"].startswith("Rise of the share of rows with a combination that training hardly had 0.0")
    assert first["sentence"].endswith(", in windows of 1,000 rows.")
    assert float(share) == 100 * renamed.mean()
    assert first["cause"].startswith("'carrier' and 'port' go together as they hardly do in training, ")
    assert first["cause"].partition(": ")[2] in (
        f"'B6' with 'P0{number}' is {100 * (renamed & (rows['port'] == f'P0{number}')).mean():.3g}% of the rows, "
        "in training 0%."
        for number in (1, 2)
    )
    other = next(one for one in listed if one["name"] == "carrier, distance" and one["measure"] == "rare_combinations")
    assert ": 'B6' with distance 1" in other["cause"] or ": 'B6' with distance 2" in other["cause"]


def test_nothing_is_told_where_the_rows_show_nothing(reference: Reference) -> None:
    same = pa.Table.from_batches([batch(flights(1000, 2))])
    told = rare_combinations.striking(reference, ("carrier", "port"), same, same)
    assert told == ""
    assert rare_combinations.striking(reference, ("carrier", "port"), pa.table({}), pa.table({})) == ""
