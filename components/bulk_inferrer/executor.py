"""The work of BulkInferrer: asks a model about shards of examples, and writes a file of answers for each."""

import contextlib
import functools
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from penstock.components.bulk_inferrer import methods as methods_
from penstock.components.bulk_inferrer import output_examples as examples_
from penstock.components.bulk_inferrer import specs
from penstock.components.bulk_inferrer.methods import Method
from penstock.components.bulk_inferrer.specs import ModelSpec, OutputColumns
from penstock.components.engines import fold, open_engine
from penstock.components.engines.fold import Stripe
from penstock.core import artifacts, progress
from penstock.core.artifacts import (
    Examples,
    InferenceResult,
    Metadata,
    Model,
    ModelBlessing,
    SavedModel,
    TaskResult,
    Unfinished,
)
from penstock.core.errors import ConfigError, ModelError, PenstockError
from penstock.core.examples import payloads, records
from penstock.core.models import loaded, signatures, threads
from penstock.core.models.loaded import ExamplesSignature
from penstock.core.suggestions import did_you_mean

logger = logging.getLogger(__name__)
_BATCH = 4096  # examples that the model is asked about at once
_EXAMPLE_ONLY = "classify and regress take tf.Examples"


@dataclass(frozen=True)
class Question:
    """The signatures that are asked, of which model, and the columns that answers become; without any: PredictionLogs.

    `methods` are the signatures' methods, by TensorFlow Serving's names. With `cleans`, examples are cleaned first, by
    the rules that go with the model.
    """

    model: Path
    spec: ModelSpec
    methods: tuple[str, ...]
    cleans: bool
    columns: tuple[OutputColumns, ...] = field(hash=False)


@dataclass(frozen=True)
class Shard:
    """Some examples, and the file that their answers become."""

    question: Question
    stripe: Stripe
    target: Path


def run(
    *,
    inference_result: str,
    output_examples: str,
    examples: str,
    model: str,
    model_blessing: str | None = None,
    blessed: object = None,
    data_spec: str = "",
    model_spec: str = "",
    output_example_spec: str = "",
    engine: str = "local",
    payload_format: str = "",
    cleaned: bool = False,
) -> TaskResult:
    """Asks the serving model of `model` about the examples, of this payload_format; component.py describes the rest.

    Examples that ExampleCleaner has `cleaned` are not cleaned again; others are, by the rules that go with the model.
    `blessed` is the blessing's property of that name, 1 or 0; None: the mark in the folder decides.

    Raises a ConfigError for a wrong parameter, a ModelError if there is no SavedModel, or it lacks a signature that is
    asked for or fails, and a DataError if a split does not exist.
    """
    predictions, extended = Path(inference_result), Path(output_examples)
    with progress.task("BulkInferrer") as counts, open_engine(engine, predictions) as opened:
        splits, spec = specs.example_splits(data_spec), specs.read_model_spec(model_spec)
        columns = specs.output_columns(output_example_spec, spec.signatures)
        for folder in (predictions, extended):
            folder.mkdir(parents=True, exist_ok=True)
        if not _is_blessed(model_blessing, blessed):
            logger.info("nothing is predicted: the model is not blessed (%s)", model_blessing)
            return _result()
        data = Examples(Path(examples))
        data.require_splits(splits)
        records_are = payloads.parse(payload_format)
        question = _question(Model(Path(model)), spec, columns, records_are, cleans=not cleaned)
        output = extended if columns else predictions
        shards = _shards(data, splits or data.splits(), question, output)
        unfinished = Unfinished(output)
        unfinished.begin(_described(question, shards))
        counts.show(rows=sum(opened.results(infer, shards)))
        unfinished.end()
    if not columns:
        return _result()
    names = sorted(splits or data.splits())
    return _result(artifacts.metadata(split_names=names, payload_format=records_are, file_format="tfrecords_gzip"))


def infer(shard: Shard) -> int:
    """Writes the answers to a shard's examples, unless the file is there already; returns how many there are."""
    if shard.target.exists():
        return sum(map(len, records.read(shard.target)))
    threads.use_one()
    rows = 0
    with records.writer(shard.target) as append, _explained(shard.stripe.file):
        for examples in shard.stripe.of(records.read(shard.stripe.file, _BATCH)):
            append(_answers(shard.question, examples))
            rows += len(examples)
    return rows


def _answers(question: Question, examples: list[bytes]) -> list[bytes]:
    """Returns what is written of a batch."""
    asked = _loaded(question)
    outputs = [signature.predict(examples) for signature, _ in asked]
    methods = [method for _, method in asked]
    if not question.columns:
        return methods_.logs(methods, examples, outputs)
    of_all = {}
    for method, wanted, of_method in zip(methods, question.columns, outputs, strict=True):
        of_all.update(method.columns(wanted, of_method))
    return examples_.extended(examples, of_all)


@functools.lru_cache(maxsize=1)
def _loaded(question: Question) -> list[tuple[ExamplesSignature, Method]]:
    """Returns the signatures and their methods; a process loads a model once for all shards."""
    functions = loaded.load(question.model, question.spec.signatures, question.spec.tags, question.cleans)
    return [
        (function, methods_.METHODS[method](name, function.input))
        for function, name, method in zip(functions, question.spec.signatures, question.methods, strict=True)
    ]


@contextlib.contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Names the file of the examples in an error."""
    try:
        yield
    except PenstockError as error:
        error.message = f"{file}: {error.message}" if str(file) not in error.message else error.message
        raise


def _is_blessed(folder: str | None, blessed: object) -> bool:
    """Whether the model may be asked: also without a blessing."""
    if folder is None:
        return True
    if blessed is None:
        return ModelBlessing(Path(folder)).read()
    return str(blessed) in ("1", "1.0", "True")


def _question(
    model: Model, spec: ModelSpec, columns: Sequence[OutputColumns], payload_format: str, cleans: bool
) -> Question:
    """Checks what can be known without loading the model."""
    serving = SavedModel(model.require_serving())
    if not serving.exists:
        raise ModelError(f"{serving.root}: expected a SavedModel, found {serving.listed()}")
    known = signatures.read(serving.root, spec.tags)
    methods = []
    for name in spec.signatures:
        if name not in known:
            raise ModelError(f"model_spec: the model has no signature {name!r}; {did_you_mean(name, known)}")
        methods.append(known[name].definition.method_name or methods_.PREDICT)
        if methods[-1] not in methods_.METHODS:
            raise ModelError(f"model_spec: signature {name!r} has the method {methods[-1]!r}: expected predict")
    if len(methods) > 1 and methods_.PREDICT in methods:
        raise ConfigError(
            "model_spec.model_signature_name: expected one signature, or several of the methods classify or regress"
        )
    if payload_format != payloads.TF_EXAMPLE and methods != [methods_.PREDICT]:
        raise ConfigError(f"examples: expected tf.Examples, received {payload_format}: {_EXAMPLE_ONLY}")
    for method, wanted in zip(methods, columns, strict=False):
        kind = methods_.METHODS[method].kind
        if wanted.kind != kind:
            raise ConfigError(f"output_example_spec: expected {kind} for the method {method}, received {wanted.kind}")
    return Question(serving.root, spec, tuple(methods), cleans, tuple(columns))


def _shards(data: Examples, splits: Sequence[str], question: Question, output: Path) -> list[Shard]:
    """Returns the shards: those of a split together, in the order of its files."""
    of_splits = {split: list(fold.stripes(data.files(split))) for split in splits}
    if not question.columns:
        stripes = [stripe for of_split in of_splits.values() for stripe in of_split]
        target = InferenceResult(output)
        return [Shard(question, stripe, target.shard(number, len(stripes))) for number, stripe in enumerate(stripes)]
    return [
        Shard(question, stripe, Examples(output).shard(split, number, len(stripes), Examples.PREDICTED))
        for split, stripes in of_splits.items()
        for number, stripe in enumerate(stripes)
    ]


def _described(question: Question, shards: Sequence[Shard]) -> Mapping[str, object]:
    """Returns what the files are of: the same files would be written again."""
    files = sorted({shard.stripe.file for shard in shards})
    return {
        "model": SavedModel(question.model).digest(),
        "signatures": question.spec.signatures,
        "tags": question.spec.tags,
        "cleans": question.cleans,
        "columns": [asdict(one) for one in question.columns],
        "examples": [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files],
    }


def _result(of_examples: Metadata | None = None) -> TaskResult:
    metadata = artifacts.metadata()
    return TaskResult({"inference_result": metadata, "output_examples": of_examples or metadata})


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
