"""Checks JSON against the models that OpenAPI's generator has written for a client: kserve's, and Kubernetes' below.

check("V1beta1InferenceService", body)     # a Refusal with 400 for an unknown field, a wrong type, a missing field
"""

import importlib
import importlib.util
import re
import sys
from types import ModuleType
from typing import Any

from kubernetes.client import models as kubernetes_models

from tests.servers.loopback import Refusal


def _models_alone() -> ModuleType:
    """Imports kserve.models without what kserve's own __init__ imports, which is its model server and takes seconds."""
    spec = importlib.util.find_spec("kserve")
    assert spec is not None
    if "kserve" in sys.modules:
        return importlib.import_module("kserve.models")
    sys.modules["kserve"] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module("kserve.models")
    finally:
        del sys.modules["kserve"]


_MODELS = _models_alone()
_NATIVE: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "datetime": (str,),
    "ResourceQuantity": (str, int, float),
    # What Go writes as text although it is a struct of several fields.
    "KnativeURL": (str,),
    "KnativeVolatileTime": (str,),
    "V1Time": (str,),
}
_ANYTHING = ("object", "KnativeDevServingPkgApisServingV1TrafficTarget")
_GROUPED = re.compile(r"K8sIoApi[A-Z][a-z]+(?=V\d)")  # which Kubernetes' own client leaves out
_LIST = re.compile(r"list\[(.*)\]")
_DICT = re.compile(r"dict\(str, (.*)\)")


def check(kind: str, value: Any, path: str = "") -> Any:
    """Returns what the model makes of a value; raises a Refusal where it does not fit."""
    if value is None or kind in _ANYTHING:
        return value
    if kind in _NATIVE:
        fits = isinstance(value, _NATIVE[kind]) and isinstance(value, bool) == (kind == "bool")
        return value if fits else _refuse(f"{path}: expected {kind}, received {value!r}")
    items = _LIST.fullmatch(kind)
    if items:
        if not isinstance(value, list):
            _refuse(f"{path}: expected a list, received {value!r}")
        return [check(items[1], item, f"{path}[{number}]") for number, item in enumerate(value)]
    if not isinstance(value, dict):
        _refuse(f"{path}: expected an object, received {value!r}")
    values = _DICT.fullmatch(kind)
    if values:
        return {key: check(values[1], item, f"{path}.{key}") for key, item in value.items()}
    return _model(kind, value, path)


def _model(kind: str, value: dict[str, Any], path: str) -> Any:
    model = _class(kind)
    assert model is not None, f"neither kserve nor kubernetes has the model {kind}"
    fields = {key: field for field, key in model.attribute_map.items()}
    unknown = next((key for key in value if key not in fields), None)
    if unknown:
        _refuse(f'strict decoding error: unknown field "{path.lstrip(".")}.{unknown}"')
    types = model.openapi_types
    arguments = {fields[key]: check(types[fields[key]], item, f"{path}.{key}") for key, item in value.items()}
    try:
        return model(**arguments)
    except ValueError as error:
        return _refuse(f"{path.lstrip('.')}: {error}")


def schema(kind: str) -> dict[str, Any]:
    """Returns a model as the structural schema of a CustomResourceDefinition has it."""
    if kind in _ANYTHING:
        return {"x-kubernetes-preserve-unknown-fields": True}
    if kind == "ResourceQuantity":
        return {"x-kubernetes-int-or-string": True}
    if kind in _NATIVE:
        names = {int: "integer", float: "number", bool: "boolean", str: "string"}
        return {"type": "number" if kind == "float" else names[_NATIVE[kind][0]]}
    items, values = _LIST.fullmatch(kind), _DICT.fullmatch(kind)
    if items:
        return {"type": "array", "items": schema(items[1])}
    if values:
        return {"type": "object", "additionalProperties": schema(values[1])}
    model = _class(kind)
    if model is None:  # named, and not in the package
        return {"x-kubernetes-preserve-unknown-fields": True}
    properties = {model.attribute_map[field]: schema(of) for field, of in model.openapi_types.items()}
    return {"type": "object", "properties": properties}


def _class(kind: str) -> Any:
    name = _GROUPED.sub("", kind)
    if name.startswith("Knative"):  # which the package has, and does not name
        module = re.sub(r"(?<=.)([A-Z])", r"_\1", name).lower()
        return getattr(importlib.import_module(f"{_MODELS.__name__}.{module}"), name)
    return getattr(_MODELS, name, None) or getattr(kubernetes_models, name, None)


def _refuse(message: str) -> Any:
    raise Refusal(400, message)
