"""KFP's expressions, by Google's own implementation of CEL: conditions, and parts of a loop's items."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from cel_expr_python import cel
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2


class EvaluationError(Exception):
    """The expression has no value, which fails the driver."""


def holds(condition: str, inputs: Mapping[str, Any]) -> bool:
    """Returns whether a task is to run; the condition sees the task's inputs as KFP's own messages."""
    message = pipeline_spec_pb2.ExecutorInput()
    json_format.ParseDict({"inputs": dict(inputs)}, message)
    value = _value(condition, "ml_pipelines.ExecutorInput.Inputs", {"inputs": message.inputs})
    if not isinstance(value, bool):
        raise EvaluationError(f"evaluation error: return type is not bool, got {value!r}")
    return value


def select(value: Any, selector: str) -> Any:
    """Returns a part of a value: `parseJson(string_value)["key"]` of what a loop goes over."""
    text = value if isinstance(value, str) else json.dumps(value)
    return _plain(_selecting().compile(selector).eval(data={"string_value": text}))


@functools.cache
def _selecting() -> Any:
    overload = cel.Overload("parse_json", cel.Type.DYN, [cel.Type.STRING], impl=json.loads)
    return cel.NewEnv(
        variables={"string_value": cel.Type.STRING}, functions=[cel.FunctionDecl("parseJson", [overload])]
    )


def _value(expression: str, kind: str, data: Mapping[str, Any]) -> Any:
    environment = cel.NewEnv(variables={name: cel.Type(kind) for name in data})
    return _plain(environment.compile(expression).eval(data=dict(data)))


def _plain(value: Any) -> Any:
    if value.type() == cel.Type.ERROR:
        raise EvaluationError(f"evaluation error: {value.value()}")
    return value.plain_value()
