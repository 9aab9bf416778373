"""TFX's messages of the BulkInferrer (bulk_inferrer.proto), read from JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.arguments import check_list, check_object, check_string, check_strings, parse_object
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ConfigError

_SIGNATURE = SavedModel.SIGNATURE
_KINDS = ("predict_output", "classify_output", "regress_output")


@dataclass(frozen=True)
class ModelSpec:
    """The signatures to ask, and the tags of the graph that has them; no tags: that of serving."""

    signatures: tuple[str, ...] = (_SIGNATURE,)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutputColumns:
    """What a signature's outputs become in an example.

    `kind` is the name of TFX's message; `columns` has the name of a column by what it holds: an output's name, or
    `label`, `score` or `value`.
    """

    kind: str
    columns: dict[str, str]


def example_splits(data_spec: str) -> list[str]:
    """Reads a DataSpec: the splits to ask about, none for all."""
    message = parse_object("data_spec", data_spec, ("example_splits",))
    return check_strings("data_spec.example_splits", message.get("example_splits", []))


def read_model_spec(model_spec: str) -> ModelSpec:
    """Reads a ModelSpec."""
    message = parse_object("model_spec", model_spec, ("model_signature_name", "tag"))
    names = check_strings("model_spec.model_signature_name", message.get("model_signature_name", []))
    return ModelSpec(tuple(names) or (_SIGNATURE,), tuple(check_strings("model_spec.tag", message.get("tag", []))))


def output_columns(output_example_spec: str, signatures: Sequence[str]) -> list[OutputColumns]:
    """Reads an OutputExampleSpec: the columns of each signature, in their order; none if no examples are asked for.

    Raises a ConfigError where it does not have one entry for each signature.
    """
    if not output_example_spec.strip():
        return []
    message = parse_object("output_example_spec", output_example_spec, ("output_columns_spec",))
    where = "output_example_spec.output_columns_spec"
    by_signature: dict[str, OutputColumns] = {}
    for index, item in enumerate(check_list(where, message.get("output_columns_spec", []))):
        entry = check_object(f"{where}[{index}]", item, ("signature_name", *_KINDS))
        name = entry.pop("signature_name", "") or (signatures[0] if len(signatures) == 1 else _SIGNATURE)
        if name in by_signature or name not in signatures:
            twice = " once" if name in by_signature else ""
            raise ConfigError(
                f"{where}[{index}]: expected an entry for {', '.join(signatures)}{twice}, received {name!r}"
            )
        by_signature[name] = _columns(f"{where}[{index}]", entry)
    missing = [name for name in signatures if name not in by_signature]
    if missing:
        raise ConfigError(f"{where}: expected an entry for each signature, received none for {missing[0]!r}")
    return [by_signature[name] for name in signatures]


def _columns(where: str, entry: dict[str, Any]) -> OutputColumns:
    if len(entry) != 1:
        raise ConfigError(f"{where}: expected one of {', '.join(_KINDS)}, received {' and '.join(entry) or 'none'}")
    ((kind, value),) = entry.items()
    where = f"{where}.{kind}"
    if kind == "predict_output":
        return OutputColumns(kind, _named_outputs(where, value))
    keys = ("label_column", "score_column") if kind == "classify_output" else ("value_column",)
    values = check_object(where, value, keys)
    if not any(values.values()):
        raise ConfigError(f"{where}: expected the name of a column in {' or '.join(keys)}")
    named = {key.removesuffix("_column"): check_string(f"{where}.{key}", values[key], "a name") for key in values}
    return OutputColumns(kind, named)


def _named_outputs(where: str, value: Any) -> dict[str, str]:
    columns = {}
    listed = check_list(
        f"{where}.output_columns", check_object(where, value, ("output_columns",)).get("output_columns", [])
    )
    for index, item in enumerate(listed):
        place = f"{where}.output_columns[{index}]"
        pair = check_object(place, item, ("output_key", "output_column"))
        key = check_string(f"{place}.output_key", pair.get("output_key"), "an output of the signature")
        columns[key] = check_string(f"{place}.output_column", pair.get("output_column"), "a name")
    if not columns or len(set(columns.values())) < len(listed):
        raise ConfigError(f"{where}.output_columns: expected columns with different names, of different outputs")
    return columns
