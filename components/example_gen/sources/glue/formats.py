"""The rows of a file of a table, by its format. What a SerDe is told of it holds here too."""

import io
import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.orc

from penstock.components.example_gen.sources import parquet_ranges
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from penstock.core.files import object_stores

_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_BLOCK = 4 << 20  # bytes of lines that are read at once
_CONTROL_A = "\x01"  # Hive's delimiter where none is said


def batches(
    form: str, uri: str, cut: tuple[int, int], schema: pa.Schema, needed: Collection[str], parameters: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a file, of a range of it if it is Parquet, with the columns that the file has of those needed.

    `schema` is that of the columns in the files, all of them in order; `needed` are names in small letters.
    """
    if form == "parquet":
        for _, batch in parquet_ranges.batches(uri, *cut, needed):
            yield batch
        return
    with object_stores.opened(uri) as file:
        if form == "orc":
            yield from _orc(file, schema, needed)
        elif form == "avro":
            yield from _avro(file, schema, needed)
        elif form == "json":
            yield from _json(_plain(file, uri), schema, needed, parameters)
        else:
            yield from _text(_plain(file, uri), schema, needed, parameters, quoted=form == "csv", where=uri)


def _plain(file: BinaryIO, uri: str) -> Any:
    codec = next((codec for suffix, codec in _COMPRESSED.items() if uri.endswith(suffix)), None)
    return file if codec is None else pa.CompressedInputStream(pa.PythonFile(file, "r"), codec)


def _orc(file: BinaryIO, schema: pa.Schema, needed: Collection[str]) -> Iterator[pa.RecordBatch]:
    orc = pa.orc.ORCFile(file)
    names = orc.schema.names
    if all(name.startswith("_col") for name in names):  # as old versions of Hive write them: by their places
        known = dict(zip(names, schema.names, strict=False))
    else:
        known = {name: name for name in names}
    wanted = [name for name in names if known.get(name, "").lower() in needed]
    for number in range(orc.nstripes):
        stripe = orc.read_stripe(number, wanted)
        yield pa.RecordBatch.from_arrays(stripe.columns, [known[name] for name in stripe.schema.names])


def _avro(file: BinaryIO, schema: pa.Schema, needed: Collection[str]) -> Iterator[pa.RecordBatch]:
    try:
        import fastavro
    except ImportError:
        raise ConfigError("tables of Avro files need fastavro: pip install 'penstock[avro]'") from None
    own = pa.schema([field for field in schema if field.name.lower() in needed])
    for rows in itertools.batched(fastavro.reader(file), records.BATCH_SIZE):
        lower = [{name.lower(): value for name, value in row.items()} for row in rows if isinstance(row, dict)]
        yield pa.RecordBatch.from_pylist(lower, own)


def _json(
    file: Any, schema: pa.Schema, needed: Collection[str], parameters: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """A JSON object a line. A name with capitals is known by the SerDe's `paths`, or a `mapping.` of its own."""
    names = {path.strip().lower(): path.strip() for path in parameters.get("paths", "").split(",") if path.strip()}
    names |= {key.removeprefix("mapping."): value for key, value in parameters.items() if key.startswith("mapping.")}
    fields = [field for field in schema if field.name.lower() in needed]
    options = pa.json.ParseOptions(
        explicit_schema=pa.schema([(names.get(field.name, field.name), _in_json(field.type)) for field in fields]),
        unexpected_field_behavior="ignore",
    )
    for block in _lines(file):
        table = pa.json.read_json(
            io.BytesIO(block), pa.json.ReadOptions(use_threads=False, block_size=max(len(block), 1)), options
        )
        yield from table.rename_columns([field.name for field in fields]).combine_chunks().to_batches()


def _in_json(arrow: pa.DataType) -> pa.DataType:
    """Returns a type as JSON is read with it: Arrow makes dates of texts, but not while it reads them."""
    if pa.types.is_date(arrow):
        return pa.string()
    if pa.types.is_struct(arrow):
        return pa.struct([(field.name, _in_json(field.type)) for field in arrow])
    if pa.types.is_list(arrow):
        return pa.list_(_in_json(arrow.value_type))
    return arrow


def _lines(file: Any) -> Iterator[bytes]:
    """Yields the lines of a file, many at once, without empty ends."""
    rest = b""
    while block := file.read(_BLOCK):
        lines, end, rest_of_block = (rest + block).rpartition(b"\n")
        rest = rest_of_block
        if lines.strip():
            yield lines + end
    if rest.strip():
        yield rest


def _text(
    file: Any, schema: pa.Schema, needed: Collection[str], parameters: Mapping[str, str], quoted: bool, where: str
) -> Iterator[pa.RecordBatch]:
    """Lines of cells: LazySimpleSerDe's, or, `quoted`, OpenCSVSerde's."""
    for key in ("skip.footer.line.count", "collection.delim"):
        if parameters.get(key, "0") not in ("0", ""):
            raise DataError(f"{where}: expected a table of CSV files without {key}, which is not read")
    own = [field for field in schema if field.name.lower() in needed]
    places = {f"f{schema.get_field_index(field.name)}": field for field in own}
    nested = next((field.name for field in own if pa.types.is_nested(field.type)), None)
    if nested:
        raise DataError(f"{where}: column {nested!r}: expected single values in CSV, the table declares nested ones")
    if quoted:
        delimiter = parameters.get("separatorChar", ",")
        quote, escape = parameters.get("quoteChar", '"'), parameters.get("escapeChar", "\\")
    else:
        delimiter = parameters.get("field.delim", parameters.get("serialization.format", _CONTROL_A))
        quote, escape = "", parameters.get("escape.delim", "")
    null = parameters.get("serialization.null.format", "\\N")
    reader = pa.csv.open_csv(
        file,
        pa.csv.ReadOptions(
            use_threads=False,
            autogenerate_column_names=True,  # f0, f1, …: as many as the first line has cells
            skip_rows=int(parameters.get("skip.header.line.count", "0")),
        ),
        pa.csv.ParseOptions(delimiter=delimiter, quote_char=quote or False, escape_char=escape or False),
        pa.csv.ConvertOptions(
            column_types={place: field.type for place, field in places.items()},
            include_columns=list(places),
            include_missing_columns=True,  # files that are older than their table's last columns
            null_values=[null, ""],
            strings_can_be_null=True,
        ),
    )
    for batch in reader:
        yield batch.rename_columns([field.name for field in own])
