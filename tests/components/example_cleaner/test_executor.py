"""What a run leaves: the same on every engine, all that was changed, and nothing half-done of one that failed."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from penstock.components.example_cleaner import executor, partitions, writing
from penstock.components.example_cleaner.learning import learners
from penstock.core.artifacts import Examples
from penstock.core.errors import ConfigError, DataError, UserError, WorkerLost
from penstock.core.examples import records
from tests.components.example_cleaner.conftest import Clean, Cleaned, run

type Frames = dict[str, pd.DataFrame]
RULES: list[dict[str, Any]] = [
    {"rule": "duplicates", "columns": ["company", "trip_miles"], "keep": "newest", "by": "trip_seconds"},
    {"rule": "text", "columns": ["payment_type"], "case": "upper"},
    {"rule": "outliers", "columns": ["fare", "trip_miles"], "method": "mad"},
    {"rule": "missing", "columns": ["pickup_census_tract"], "action": "drop_column"},
    {"rule": "missing", "columns": ["trip_seconds", "fare"], "action": "median"},
    {"rule": "missing", "columns": ["company"], "action": "mode"},
    {"rule": "missing", "columns": ["pickup_community_area"], "action": "previous"},
    {"rule": "check", "expression": "tips <= fare", "name": "tips", "otherwise": "flag"},
]


@pytest.mark.slow
def test_every_engine_writes_the_same_bytes(clean: Clean, taxi: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (clean(taxi, *RULES, name=f"w{n}", engine=f"local:{n}").files for n in (1, 2, 3))
    assert one == two == three
    monkeypatch.setattr(partitions, "_PARTITION_BYTES", 30_000)
    monkeypatch.setattr(learners, "_MOST_ROWS", 100)
    assert clean(taxi, *RULES, name="small").files == one  # many partitions, and many files of each shard


def test_the_quarantine_has_all_that_was_changed(clean: Clean, taxi: Frames) -> None:
    cleaned = clean(
        taxi,
        {"rule": "text", "name": "as text", "columns": ["payment_type"], "case": "upper"},
        {"rule": "range", "columns": ["fare"], "min": 4, "otherwise": "drop"},
        {"rule": "missing", "columns": ["company"], "action": "constant", "value": "nobody"},
    )
    changes = cleaned.quarantine
    assert set(changes.rule) == {"as text", "range fare", "missing company (constant)"}
    dropped = changes[changes.action == "dropped"]
    for split, frame in taxi.items():
        of_split = changes[changes.split == split]
        source = records.read_batches(Examples(cleaned.root.with_name("out-examples")).files(split))
        rows = [row for batch in source for row in batch.to_pylist()]
        assert (of_split.action == "rewritten").sum() == (frame.payment_type != frame.payment_type.str.upper()).sum()
        assert (of_split.action == "filled").sum() == frame[frame.fare >= 4].company.isna().sum()
        assert (of_split.action == "dropped").sum() == (frame.fare < 4).sum()
        assert len(rows) == len(frame)
    for _, change in dropped[:20].iterrows():
        file = Examples(cleaned.root.with_name("out-examples")).split(str(change["split"])) / str(change["file"])
        assert next(records.read(file))[change.record - 1] == change.example
        assert records.decode([change.example])["fare"][0].as_py() == [pytest.approx(float(change.old_value))]
    assert changes[changes.action != "dropped"].example.isna().all()
    assert cleaned.result is not None
    metadata = cleaned.result.metadata["cleaned_examples"]
    assert metadata["split_names"] == '["train", "eval"]'
    assert metadata["dropped_rows"] == str(dropped.split.astype(str).value_counts().to_dict()).replace("'", '"')


def test_rows_that_were_not_changed_are_the_bytes_that_they_were(clean: Clean, taxi: Frames) -> None:
    cleaned = clean(taxi, {"rule": "range", "columns": ["fare"], "min": 5, "otherwise": "missing"})
    before = Examples(cleaned.root.with_name("out-examples"))
    changed = cleaned.quarantine.groupby("file", observed=True).record.apply(set).to_dict()
    for path in before.files("eval"):
        old, new = (
            next(records.read(folder / path.name)) for folder in (path.parent, cleaned.root / "cleaned/Split-eval")
        )
        eval_changes = cleaned.quarantine[cleaned.quarantine.split == "eval"]
        numbers = set(eval_changes[eval_changes.file == path.name].record)
        differing = {place + 1 for place, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]}
        assert differing == numbers
    assert changed


def test_what_is_learned_is_learned_on_the_train_splits(clean: Clean, taxi: Frames) -> None:
    other = taxi | {"eval": taxi["eval"].assign(fare=1000.0)}
    rules = {"rule": "outliers", "columns": ["fare"]}, {"rule": "missing", "columns": ["company"], "action": "mode"}
    first, second = clean(taxi, *rules), clean(other, *rules, name="other")
    assert first.cleaning == second.cleaning
    assert (second.frame("eval").fare == second.cleaning["rules"][0]["learned"]["fare"][1]).all()
    on_eval = clean(other, *rules, name="on-eval", train_splits=["eval"]).cleaning
    assert on_eval["rules"][0]["learned"]["fare"] == [1000, 1000]


def test_a_rule_learns_what_the_rules_before_it_have_left(clean: Clean, taxi: Frames) -> None:
    cleaned = clean(
        taxi,
        {"rule": "check", "expression": "trip_miles >= 1"},
        {"rule": "outliers", "columns": ["fare"], "low": 0.2, "high": 0.8, "otherwise": "missing"},
        {"rule": "missing", "columns": ["fare"], "action": "median"},
        max_quarantined=1,
    )
    fare = taxi["train"].query("trip_miles >= 1 or trip_miles != trip_miles").fare.astype(float)
    low, high = fare.quantile([0.2, 0.8])
    assert cleaned.cleaning["rules"][1]["learned"]["fare"] == [low, high]
    assert cleaned.cleaning["rules"][2]["learned"]["fare"] == fare[fare.between(low, high)].median()


def test_too_many_dropped_rows_end_the_run_and_are_there_to_be_looked_at(
    clean: Clean, taxi: Frames, left: Callable[..., Cleaned], caplog: pytest.LogCaptureFixture
) -> None:
    rules = (
        {"rule": "range", "columns": ["fare"], "min": 3, "otherwise": "drop"},
        {"rule": "range", "columns": ["trip_miles"], "min": 1, "otherwise": "drop", "name": "short trips"},
    )
    with pytest.raises(DataError, match=r"split 'train': .* were dropped, most .* by the rule 'short trips'.*10.0%"):
        clean(taxi, *rules, max_quarantined=0.1)
    after = left()
    assert not (after.root / "cleaned/Split-train").exists()
    assert not (after.root / "cleaning").exists()
    assert len(after.quarantine) > 300
    assert "The run ended" in after.page
    assert str(after.root / "quarantine") in caplog.text


def test_too_many_changed_rows_end_the_run(clean: Clean, taxi: Frames) -> None:
    with pytest.raises(DataError, match=r"were changed, most .* by the rule 'text payment_type'.*max_changed 10.0%"):
        clean(taxi, {"rule": "text", "columns": ["payment_type"], "case": "upper"}, max_changed=0.1)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"rule": "range", "columns": ["far"], "min": 0}, "no column 'far'; did you mean 'fare'?"),
        ({"rule": "check", "expression": "fares > 1"}, "no column 'fares'; did you mean 'fare'?"),
        ({"rule": "duplicates", "columns": ["company"], "keep": "newest", "by": "b"}, "no column 'b'; there are"),
        ({"rule": "text", "columns": ["fare"], "case": "lower"}, "'fare' holds numbers, and this is a rule of text"),
        ({"rule": "range", "columns": ["company"], "min": 0}, "'company' holds text, and this is a rule of numbers"),
        ({"rule": "missing", "columns": ["company"], "action": "median"}, "holds text, and a median is one of numbers"),
        ({"rule": "missing", "columns": ["pickup_census_tract"], "action": "mode"}, "has no value in the train splits"),
        ({"rule": "missing", "columns": ["fare"], "action": "constant", "value": "a"}, "'a' is none"),
        ({"rule": "values", "columns": ["trip_seconds"], "allowed": [1, "b"]}, "holds whole numbers, and 'b' is none"),
        ({"rule": "values", "columns": ["trip_seconds"], "mapping": {"1": 1.5}}, "whole numbers, and 1.5 is none"),
        (
            {"rule": "check", "expression": "company > 1"},
            "column 'company' holds text, and 1 is a number: write '1', or",
        ),
        ({"rule": "range", "columns": ["fare"], "max": -1, "otherwise": "drop"}, "split 'train': all 2,000 rows were"),
        (
            {"rule": "range", "columns": ["tips"], "max": -1},
            "no row has a value of the label 'tips' any more, most (2,0",
        ),
        ({"rule": "reference", "columns": ["company"], "file": "/no/such.csv"}, "/no/such.csv: expected a CSV or"),
        ({"rule": "missing", "columns": ["tips"], "action": "mode"}, "'tips' is the label, which is not filled"),
        ({"rule": "outliers", "columns": ["inf"]}, "has infinite numbers, and so is what is learned"),
    ],
)
def test_rules_that_do_not_fit_the_data(clean: Clean, taxi: Frames, rule: dict[str, Any], sentence: str) -> None:
    frames = {split: frame.assign(inf=float("inf")) for split, frame in taxi.items()}
    with pytest.raises(UserError) as raised:
        clean(frames, rule, label="tips", max_quarantined=1)
    assert sentence in raised.value.message
    assert "\n" not in raised.value.message


def test_bytes_that_are_no_text(clean: Clean) -> None:
    table = pa.table({"raw": pa.array([[b"\xff\x00"], [b"a"]], pa.list_(pa.binary()))})
    with pytest.raises(DataError, match="column 'raw' holds bytes that are no text in UTF-8"):
        clean({"train": table}, {"rule": "text", "columns": ["raw"], "case": "lower"})
    cleaned = clean({"train": table}, {"rule": "missing_values", "values": ["a"]}, {"rule": "duplicates"}, name="other")
    assert cleaned.quarantine.old_value.to_list() == ["a"]


def test_several_values_in_a_row(clean: Clean) -> None:
    tags = [[b"A", b"b"], [], None, [b"b", b"b", b"c"]]
    table = pa.table({"tags": pa.array(tags, pa.list_(pa.binary())), "n": pa.array([[1, 2]] * 4, pa.list_(pa.int64()))})
    rules = (
        {"rule": "text", "columns": ["tags"], "case": "lower"},
        {"rule": "values", "columns": ["tags"], "allowed": ["a", "b"]},
        {"rule": "missing", "columns": ["tags"], "action": "mode"},
    )
    cleaned = clean({"train": table}, *rules)
    batches = records.read_batches(Examples(cleaned.root / "cleaned").files("train"))
    rows = [row for batch in batches for row in batch["tags"].to_pylist()]
    assert rows == [[b"a", b"b"], [b"b"], [b"b"], [b"b", b"b"]]
    with pytest.raises(DataError, match="column 'n' has several values in a row"):
        clean({"train": table}, {"rule": "check", "expression": "n > 1"}, name="other")


def test_two_runs_beside_each_other_and_one_after_the_other(clean: Clean, taxi: Frames) -> None:
    first = clean(taxi, *RULES).files
    assert clean(taxi, *RULES).files == first  # into the same folders
    assert clean(taxi, *RULES, name="beside").files == first


def finished(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]


def test_a_full_disk_leaves_nothing_that_looks_finished(
    clean: Clean, taxi: Frames, left: Callable[..., Cleaned], tmp_path: Path
) -> None:
    """As full as a file of a process gets: the parts of the sorted numbers fit, and the cleaned rows do not."""
    wide = {split: frame.assign(note=[f"{row * 7919:x}" * 30 for row in frame.index]) for split, frame in taxi.items()}
    rule = {"rule": "text", "columns": ["note"], "case": "upper"}
    clean(wide, rule, name="first")  # whose examples are read again
    limit, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            run(tmp_path / "first-examples", left().root, rule)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert finished(left().root) == []


class Dying(dict[str, Path]):
    """The folders of the splits; the worker that asks for eval's is killed."""

    def __getitem__(self, split: str) -> Path:
        if split == "eval":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(split)


def test_a_killed_worker_leaves_nothing_that_looks_finished(
    clean: Clean, taxi: Frames, left: Callable[..., Cleaned], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        executor,
        "Writer",
        lambda plan, folders, quarantine, shards: writing.Writer(plan, Dying(folders), quarantine, shards),
    )
    with pytest.raises(WorkerLost):
        clean(taxi, *RULES, engine="local:2")
    assert finished(left().root) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_quarantined": 1.5}, "max_quarantined: expected a share from 0 to 1, received 1.5"),
        ({"train_splits": ["trian"]}, "split 'trian' does not exist"),
    ],
)
def test_arguments_that_do_not_fit(clean: Clean, taxi: Frames, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ConfigError, DataError), match=sentence):
        clean(taxi, {"rule": "duplicates"}, **arguments)
