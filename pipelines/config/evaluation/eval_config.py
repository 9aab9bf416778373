"""An EvalConfig as it is written, read without TFMA, which would import TensorFlow."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from penstock.core.errors import ConfigError
from penstock.core.files import documents, yaml_documents
from penstock.pipelines.config import file
from penstock.pipelines.config.section import json_text

_TEXT_FORM = (".pbtxt", ".textproto", ".txt")
# Fields of TFMA's MetricConfig and MetricsSpec.
_THRESHOLDS = ("threshold", "thresholds", "per_slice_thresholds", "cross_slice_thresholds")
_FIELD = re.compile(rf"\b({'|'.join(_THRESHOLDS)})\s*[:{{<\[]")
_QUOTED = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")


def text_of(eval_config: str | dict[str, Any]) -> str:
    """Returns an EvalConfig as JSON, or in protobuf's text form where it was written so."""
    if isinstance(eval_config, dict):
        return json_text(eval_config)
    path = Path(eval_config)
    try:
        text = documents.read_text(path)
    except documents.DocumentError as error:
        raise ConfigError(f"evaluation.eval_config: {error}") from None
    return text if path.suffix in _TEXT_FORM else json_text(file.parse(text, path.name))


def check(text: str) -> None:
    """Raises a ValueError if the text is no EvalConfig. Without the runtime installed that is left to the Evaluator."""
    _parsed(text)


def _parsed(text: str) -> Any:
    """Returns the EvalConfig as `check` reads it; None without the runtime."""
    message = _message()
    if message is None:
        return None
    from google.protobuf import json_format, text_format

    try:
        return (json_format if text.startswith("{") else text_format).Parse(text, message)
    except (json_format.ParseError, text_format.ParseError) as error:
        raise ValueError(f"expected a tfma.EvalConfig: {str(error).splitlines()[0]}") from None


def metrics(text: str) -> list[str]:
    """Returns the classes of the metrics of Keras and TFMA that an EvalConfig names, as far as `check` can read it.

    Not of those that compare each class for itself, or an average over classes: they suit other labels as well.
    """
    message = _parsed(text)
    if message is None:
        return []
    specs = [spec for spec in message.metrics_specs if not any(map(spec.HasField, ("binarize", "aggregate")))]
    return [metric.class_name for spec in specs for metric in spec.metrics if not metric.module]


def label_keys(text: str) -> list[str]:
    """Returns what the models of an EvalConfig are evaluated against, where it says so."""
    message = _parsed(text)
    if message is None:
        return []
    return [key for spec in message.model_specs for key in (spec.label_key, *spec.label_keys.values()) if key]


def has_threshold(text: str) -> bool:
    """Whether a metric of an EvalConfig, in JSON, YAML or protobuf's text form, has a threshold."""
    try:
        is_json = text.lstrip().startswith("{")
        document = documents.parse_json(text) if is_json else yaml_documents.parse_compiled(text, "eval_config")[0]
    except (ValueError, IndexError):
        document = None
    specs = document.get("metrics_specs", document.get("metricsSpecs")) if isinstance(document, dict) else None
    if isinstance(document, dict) and not isinstance(specs, dict):  # text form may look like YAML of a mapping
        return any(map(_holds_threshold, specs or []))
    return bool(_FIELD.search(_QUOTED.sub("", text)))  # names of features and metrics stand in quotes there


def _message() -> Any:
    """Returns an empty EvalConfig from TFMA's generated module, loaded alone: the package would import TensorFlow."""
    from google.protobuf import wrappers_pb2  # noqa: F401  (the module needs it in the descriptor pool)

    name = "penstock.pipelines.tfma_config_pb2"
    if name not in sys.modules:
        package = importlib.util.find_spec("tensorflow_model_analysis")
        if package is None or package.origin is None:
            return None
        path = Path(package.origin).parent / "proto" / "config_pb2.py"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            return None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name].EvalConfig()


def _holds_threshold(spec: Any) -> bool:
    """Whether a MetricsSpec has a threshold, of its own or in one of its metrics."""
    if not isinstance(spec, dict):
        return False
    own = any(value for key, value in spec.items() if _snake(key) in _THRESHOLDS)
    return own or any(map(_holds_threshold, spec.get("metrics") or []))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f"_{match[1].lower()}", name)
