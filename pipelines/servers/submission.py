"""What is submitted: a compiled pipeline, the parameters given for this run, a name that no other run has."""

import copy
import itertools
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.core.errors import ConfigError
from penstock.core.files import documents, yaml_documents
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable
from penstock.pipelines.modules import default_trainer

TARGET_COMMENT = "# Target: "  # the line above a compiled pipeline that names what it was compiled for
_LARGEST = 1 << 53  # KFP's numbers are doubles, exact up to here
_LONGEST_PIPELINE = 128 - len("-20260101-060000-3f9a1c")


@dataclass(frozen=True)
class Submission:
    """A compiled pipeline and the values of its parameters.

    Args:
        pipeline: The pipeline's name.
        documents: The pipeline spec, and the platform's if there is one.
        parameters: Values by name, of the declared types; what is not here has its default.
        publish: Publishes the user's files that the run reads: the last step before it is started.
    """

    pipeline: str
    documents: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    publish: Callable[[], None] = lambda: None

    @property
    def spec(self) -> Mapping[str, Any]:
        """The pipeline spec, in the names of its protocol's JSON form."""
        return self.documents[0]

    @property
    def declared(self) -> Mapping[str, Any]:
        """The parameters that the pipeline has, as the spec declares them."""
        return _declared(self.spec)

    def parameter(self, name: str) -> Any:
        """Returns the value that the run has for a parameter: the one given, else its default, else None."""
        return self.parameters.get(name, self.declared.get(name, {}).get("defaultValue"))


def is_compiled(path: Path) -> bool:
    """Whether a file is a compiled pipeline, by its content."""
    try:
        text = documents.read_text(path)
        read = yaml_documents.parse_compiled(text, str(path)) if "pipelineInfo" in text else []
    except (OSError, documents.DocumentError):
        return False
    return bool(read) and isinstance(read[0], dict) and {"pipelineInfo", "root"} <= read[0].keys()


def compiled_for(path: Path) -> str:
    """Returns the name of the target that a compiled pipeline was made for; "" where its comment does not say so."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
        named = (line.removeprefix(TARGET_COMMENT).strip() for line in comment if line.startswith(TARGET_COMMENT))
        return next(named, "")


def read(path: Path, assignments: Sequence[str] = (), no_cache: bool = False) -> Submission:
    """Reads a compiled pipeline and the parameters (`KEY=VALUE`) of a run; a ConfigError tells what does not fit."""
    from penstock.pipelines.lint.pipeline import Pipeline

    compiled = read_documents(path)
    Pipeline.of(compiled)  # says what is none
    spec, *platform = compiled
    spec = _uncached(spec) if no_cache else spec
    declared = _declared(spec)
    parameters = dict(_parameter(assignment, declared) for assignment in assignments)
    _require_heeded(spec, parameters)
    missing = [
        name
        for name, one in declared.items()
        if name not in parameters and "defaultValue" not in one and not one.get("isOptional")
    ]
    if missing:
        raise ConfigError(f"{path}: no value for {', '.join(missing)}: expected --param {missing[0]}=VALUE")
    name = spec["pipelineInfo"].get("name")
    if not name:
        raise ConfigError(f"{path}: expected a compiled pipeline with a name, pipelineInfo.name")
    return Submission(name, [spec, *platform], parameters)


def read_documents(path: Path) -> list[Any]:
    """Reads the documents of a file that was compiled, or so a person says; a ConfigError if it is not YAML."""
    return [document.value for document in read_lines(path)]


def read_lines(path: Path) -> list[yaml_documents.Yaml]:
    """Returns what `read_documents` does, with the lines."""
    try:
        return yaml_documents.parse_compiled_lines(documents.read_text(path), str(path))
    except documents.DocumentError as error:
        raise ConfigError(str(error)) from None


def unique_name(pipeline: str) -> str:
    """Returns a name that a run can be found by: the pipeline, the time, and what keeps two of a second apart.

    It has at most 128 characters, as many as servers take.
    """
    return f"{pipeline[:_LONGEST_PIPELINE]}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def pipeline_roots(submission: Submission) -> Iterator[str]:
    """Yields where a run's outputs are to go: what its parameter `pipeline_root` says, then the pipeline itself."""
    places = submission.parameter("pipeline_root"), submission.spec.get("defaultPipelineRoot")
    yield from (place for place in places if isinstance(place, str))


def _declared(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters: Mapping[str, Any] = (spec["root"].get("inputDefinitions") or {}).get("parameters") or {}
    return parameters


def _uncached(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the spec with no task answered from the cache, also in conditions and loops, which KFP's client skips."""
    changed = copy.deepcopy(dict(spec))
    for component in (changed["root"], *(changed.get("components") or {}).values()):
        for task in ((component.get("dag") or {}).get("tasks") or {}).values():
            if "cachingOptions" in task:
                task["cachingOptions"] = {}
    return changed


def _parameter(assignment: str, declared: Mapping[str, Any]) -> tuple[str, Any]:
    name, separator, text = assignment.partition("=")
    if not separator or not name:
        raise ConfigError(f"--param {assignment}: expected key=value, such as input_base=gs://BUCKET/FOLDER")
    if name not in declared:
        raise ConfigError(f"--param {name}: unknown; {did_you_mean(name, sorted(declared))}")
    kind = declared[name].get("parameterType", "STRING")
    expected, convert = _CONVERSIONS.get(kind, ("UTF-8 text", _text))
    try:
        return name, convert(text)
    except ValueError:
        raise ConfigError(f"--param {name}: expected {expected}, received {printable.value(text)}") from None


def _require_heeded(spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Refuses the numbers of steps where the model without code is trained: every pipeline has these parameters."""
    ignored = next((name for name in ("train_steps", "eval_steps") if name in parameters), None)
    if ignored and default_trainer.is_trained(spec):
        raise ConfigError(
            f"--param {ignored}: the model without code does not count steps: compile with "
            "--set training.epochs=NUMBER, or with a module_file"
        )


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # JSON has no word for it
        raise ValueError(text)
    return number


def _whole_number(text: str) -> int:
    number = int(text)
    if abs(number) > _LARGEST:
        raise ValueError(text)
    return number


def _text(text: str) -> str:
    text.encode()  # a UnicodeEncodeError, which is a ValueError, for bytes that are not UTF-8
    return text


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _json(kind: type) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        value = documents.parse_json(text)
        if not isinstance(value, kind):
            raise ValueError(text)
        return value

    return convert


_CONVERSIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "NUMBER_INTEGER": ("a whole number", _whole_number),
    "NUMBER_DOUBLE": ("a number", _number),
    "BOOLEAN": ("true or false", _boolean),
    "LIST": ("a list in JSON", _json(list)),
    "STRUCT": ("a mapping in JSON", _json(dict)),
}
