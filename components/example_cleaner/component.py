"""The ExampleCleaner component."""

from typing import List

from kfp.dsl import HTML, Artifact, Dataset, Input, Output

from penstock.components.wrapper import component


@component(imports=[])
def example_cleaner(
    cleaned_examples: Output[Dataset],
    quarantine: Output[Artifact],
    cleaning: Output[Artifact],
    report: Output[HTML],
    examples: Input[Dataset],
    rules: str,
    train_splits: List[str] = [],
    label: str = "",
    max_quarantined: float = 0.1,
    max_changed: float = 1.0,
    engine: str = "local",
) -> None:
    """Cleans examples by rules: duplicates, missing values, and values that cannot be.

    Rules are applied in their order. What a rule needs to know of the data, such as a median, is learned exactly, on
    the train splits alone, from rows to which the rules before it were applied. Files are the same bytes on any engine
    and number of workers.

    Args:
        examples: Examples, one folder of gzip TFRecord files of tf.Examples for each split.
        rules: A JSON list of rules, such as `[{"rule": "range", "columns": ["fare"], "min": 0, "otherwise": "drop"}]`;
            docs/cleaning.md has them all.
        train_splits: The splits that medians and the like are learned on, by default `train`.
        label: The label, which no rule may fill.
        max_quarantined: The largest share of a split's rows that may be dropped, 0.1 by default. If it is more, the
            run ends, with a sentence that names the rule which dropped most; the quarantine and the page are written.
        max_changed: The largest share of a split's rows that may be changed, by default all of them.
        engine: Where shards are computed: `local` for a worker per core, `local:N` for N workers.

    Returns:
        cleaned_examples: The examples that are left, in files of the same names. Metadata as of `examples`, with
            `num_examples` (JSON, rows by split), `dropped_rows` (the same of those that were dropped) and `cleaning`,
            the digest of the rules.
        quarantine: Parquet files, a row for each value that was changed and each row that was dropped: `split`,
            `file`, `record`, `rule`, `column`, `action`, `old_value`, `new_value`, and `example`, a dropped row itself.
        cleaning: `cleaning.json`: the rules with all that was learned, which the Trainer puts beside the model, and
            servers apply.
        report: What each rule did, by split, with examples.
    """
    from penstock.components.example_cleaner import executor

    result = executor.run(
        cleaned_examples=cleaned_examples.path,
        quarantine=quarantine.path,
        cleaning=cleaning.path,
        report=report.path,
        examples=examples.path,
        rules=rules,
        train_splits=train_splits,
        label=label,
        max_quarantined=max_quarantined,
        max_changed=max_changed,
        engine=engine,
        examples_metadata=dict(examples.metadata),
    )
    cleaned_examples.metadata.update(result.metadata["cleaned_examples"])
    quarantine.metadata.update(result.metadata["quarantine"])
    cleaning.metadata.update(result.metadata["cleaning"])
