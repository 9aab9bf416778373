"""The ExampleGen components: a resolver of what there is to read, and a reader for each kind of file."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

from kfp.dsl import Dataset, Output

from penstock.components.wrapper import component

_SHARED = """

Args:
    input_base: The folder of the data, or one file; gs:// and s3:// need no mount, package:NAME/path is inside a
        package of the image.
    resolved_input: What `input_resolver` returned: JSON `{"splits": [{"name": ..., "pattern": ...}]}`, patterns of
        files below `input_base`. Several patterns may have the same name.
    fingerprint: The fingerprint of the files, for the metadata, and so that changed files are read again.
    span: The span of the files, for the metadata.
    version: The version of the files, for the metadata.
    output_config: TFX's Output message as JSON, `{"split_config": {"splits": [{"name": "train", "hash_buckets":
        2}, ...], "partition_feature_name": ""}}`. By default, one input split becomes `train` and `eval`, 2 to 1;
        several stay as they are. Beside TFX's keys, `by` says what decides a row's split: `content`, the row's hash, as
        in TFX; `row`, its number in its file; `random`, with a `seed` and, with `"stratify": true`, in each class of
        the label alone; `auto`, the content unless few rows differ, then the number.
    label: The label, if it is to be checked: it must exist and have more than one value. What a split lacks of
        its classes is warned of, and so are values such as NA.
    engine: Where the work is done: `local` (a worker for each core), `local:N`, `spark`, `beam`.%s

Returns:
    examples: `Split-<name>/data_tfrecord-*.gz`, gzip TFRecords; metadata `split_names`, `span`, `version`,
        `input_fingerprint`, `payload_format` (what the records are), `file_format`, `num_examples` (JSON, rows by
        split), `division` (JSON, how the rows were divided) and `column_types` (JSON); of data in spans also `spans`,
        which were read, in words: `2026-01-29 to 2026-01-31 (version 2)`, and of data that is no file `origin` (JSON,
        where the rows are from: a query, offsets, a snapshot).
"""
_CSV_OPTIONS = """
    csv_options: JSON with any of `delimiter`, `quote_char`, `encoding`, `decimal_point` ("," where numbers are
        written so), `null_values` (cells that mean missing, beside the empty one: a list of them as they are written,
        or `"auto"` for NA, N/A, null, NaN, ? and the like, blanks, and, among numbers, none and -) and `column_names`
        (for files without a header)."""
_PAYLOAD_FORMAT = """
    payload_format: What the records are, by TFX's name: `FORMAT_TF_EXAMPLE`, which is the default, or
        `FORMAT_TF_SEQUENCE_EXAMPLE`. Files of the other kind are refused."""

_FILE_OPTIONS = """
    file_format: What the files are: `avro`, `csv`, `json` (an object on each line), `orc`, `parquet` or `tfrecord`.
    file_options: JSON with any of `columns` (those to read) and `partitions` (`"hive"` where the folders `key=value`
        that files are in are columns); of CSV also what `csv_options` of csv_example_gen has."""


def _documented(options: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds to a reader's docstring what all readers take and return, and what this one says of `options`.

    KFP and the README read the docstring; the source text that travels into the task does without.
    """

    def document(function: Callable[..., None]) -> Callable[..., None]:
        function.__doc__ = inspect.cleandoc(function.__doc__ or "") + _SHARED % options
        return function

    return document


@component(imports=[])
def input_resolver(input_base: str, input_config: str = "", range_config: str = "", state: str = "") -> NamedTuple(  # type: ignore[valid-type]
    "ResolvedInput", [("resolved_input", str), ("fingerprint", str), ("span", int), ("version", int)]
):
    """Finds what there is to read: the spans and versions that patterns stand for now, and the data's fingerprint.

    It looks at the world, so it is never cached; the reader behind it is, by the fingerprint of names and contents. Of
    every span the newest version is read. All splits must agree on spans and versions.

    Args:
        input_base: The folder of the data, or one file; gs:// and s3:// need no mount, package:NAME/path is inside a
            package of the image. Or a source of another kind: a JSON object of its name and options.
        input_config: TFX's Input message as JSON, `{"splits": [{"name": ..., "pattern": ...}]}`. Patterns are globs
            below `input_base`, with `{SPAN}` or `{YYYY}`, `{MM}`, `{DD}`, and `{VERSION}`; by default `*`. What exists
            under the pattern's own name, such as a file `data[1].csv`, is meant by it.
        range_config: TFX's RangeConfig message as JSON: `{"rolling_range": {"num_spans": 2}}` for the spans with the
            2 numbers up to the newest, whether or not each of these exists, or `{"static_range": {"start_span_number":
            1, "end_span_number": 3}}`; by default the newest span. Where the pattern has dates, a span may be one:
            `"2026-01-31"`.
        state: A folder that lasts from run to run, where a source keeps what it must remember; files need none.

    Returns:
        resolved_input: The Input message with patterns that hold numbers in place of `{SPAN}` and the like, and
            `spans`, which spans and versions they are of, in words.
        fingerprint: A line for each split, of its files' names and contents; of objects in a store that is not
            mounted, names, sizes and the store's checksums.
        span: The newest span, 0 without `{SPAN}`. A date counts the days from 1970-01-01.
        version: The version of that span, 0 without `{VERSION}`.
    """
    from penstock.components.example_gen.inputs import resolving

    return resolving.resolve(input_base=input_base, input_config=input_config, range_config=range_config, state=state)


@component(imports=[])
@_documented(_CSV_OPTIONS)
def csv_example_gen(
    examples: Output[Dataset],
    input_base: str,
    resolved_input: str,
    fingerprint: str,
    span: int = 0,
    version: int = 0,
    output_config: str = "",
    csv_options: str = "",
    label: str = "",
    engine: str = "local",
) -> None:
    """Reads CSV files and writes tf.Examples in splits.

    Types are those of TFX's CsvExampleGen, found in all rows: a column is int64 if every cell is an integer, float32
    if every cell is a number, else bytes. Only the empty cell is missing, unless `null_values` says more. Quoted cells
    may hold line feeds; files may be gzip. By default, a row's split is the one that TFX gives it: the hash of the row,
    or of one feature, so it stays when data is added. Files are the same bytes whatever the number of workers.
    """
    from penstock.components.example_gen import executor

    result = executor.run(
        source="csv",
        examples=examples.path,
        input_base=input_base,
        resolved_input=resolved_input,
        fingerprint=fingerprint,
        span=span,
        version=version,
        output_config=output_config,
        options=csv_options,
        label=label,
        engine=engine,
    )
    examples.metadata.update(result.metadata["examples"])


@component(imports=[])
@_documented()
def parquet_example_gen(
    examples: Output[Dataset],
    input_base: str,
    resolved_input: str,
    fingerprint: str,
    span: int = 0,
    version: int = 0,
    output_config: str = "",
    label: str = "",
    engine: str = "local",
) -> None:
    """Reads Parquet files and writes tf.Examples in splits.

    Integers, booleans and decimals without places become int64, floats and other decimals float32, text and bytes
    bytes, dates and times text; lists of them stay lists. A null is a feature without values. By default, a row's split
    is the hash of the row, or of one feature, so it stays when data is added. Files are the same bytes whatever the
    number of workers.
    """
    from penstock.components.example_gen import executor

    result = executor.run(
        source="parquet",
        examples=examples.path,
        input_base=input_base,
        resolved_input=resolved_input,
        fingerprint=fingerprint,
        span=span,
        version=version,
        output_config=output_config,
        label=label,
        engine=engine,
    )
    examples.metadata.update(result.metadata["examples"])


@component(imports=[])
@_documented(_PAYLOAD_FORMAT)
def import_example_gen(
    examples: Output[Dataset],
    input_base: str,
    resolved_input: str,
    fingerprint: str,
    span: int = 0,
    version: int = 0,
    output_config: str = "",
    payload_format: str = "",
    label: str = "",
    engine: str = "local",
) -> None:
    """Reads TFRecord files of tf.Example or tf.SequenceExample, gzip or plain, and writes them in splits.

    Records are written as they were read. By default, a row's split is the hash of its Example, or of one feature (of a
    tf.SequenceExample, one of its context), so it stays when data is added. Files are the same bytes whatever the
    number of workers.
    """
    from penstock.components.example_gen import executor

    result = executor.run(
        source="tfrecord",
        examples=examples.path,
        input_base=input_base,
        resolved_input=resolved_input,
        fingerprint=fingerprint,
        span=span,
        version=version,
        output_config=output_config,
        payload_format=payload_format,
        label=label,
        engine=engine,
    )
    examples.metadata.update(result.metadata["examples"])


@component(imports=[])
@_documented(_FILE_OPTIONS)
def file_example_gen(
    examples: Output[Dataset],
    input_base: str,
    resolved_input: str,
    fingerprint: str,
    file_format: str,
    span: int = 0,
    version: int = 0,
    output_config: str = "",
    file_options: str = "",
    label: str = "",
    engine: str = "local",
) -> None:
    """Reads Avro, ORC and JSON lines, and of these, CSV and Parquet some columns or partitioned folders.

    Types are those of the files' own schema, as parquet_example_gen has them; those of JSON and CSV are found in all
    rows. A struct's fields become columns of their own, `address.city`, those of a list of structs lists,
    `items.price`. A null is a feature without values; of JSON, which need not have it, it is none. By default, a row's
    split is the hash of the row, or of one feature, so it stays when data is added. Files are the same bytes whatever
    the number of workers.
    """
    from penstock.components.example_gen import executor

    result = executor.run(
        source=file_format,
        examples=examples.path,
        input_base=input_base,
        resolved_input=resolved_input,
        fingerprint=fingerprint,
        span=span,
        version=version,
        output_config=output_config,
        options=file_options,
        label=label,
        engine=engine,
    )
    examples.metadata.update(result.metadata["examples"])


@component(imports=[])
@_documented()
def source_example_gen(
    examples: Output[Dataset],
    input_base: str,
    resolved_input: str,
    fingerprint: str,
    span: int = 0,
    version: int = 0,
    output_config: str = "",
    label: str = "",
    engine: str = "local",
) -> None:
    """Reads data that is no file, or joins data of several kinds as splits, and writes tf.Examples in splits.

    `input_base` is a JSON object of a source's name and options: a database, a topic, a catalogue, a service, or by its
    dotted path a source of one's own. Integers, booleans and decimals without places become int64, floats and other
    decimals float32, text and bytes bytes, dates and times text; a struct's fields become columns of their own. A null
    is a feature without values. By default, a row's split is the hash of the row, or of one feature, so it stays when
    data is added. Files are the same bytes whatever the number of workers.
    """
    from penstock.components.example_gen import executor

    result = executor.run(
        examples=examples.path,
        input_base=input_base,
        resolved_input=resolved_input,
        fingerprint=fingerprint,
        span=span,
        version=version,
        output_config=output_config,
        label=label,
        engine=engine,
    )
    examples.metadata.update(result.metadata["examples"])
