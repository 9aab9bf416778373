"""The page about the models for a person: what each takes and gives, and a command that asks it."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

from penstock.components.model_server.http.pages import examples, openapi
from penstock.components.model_server.inference import DEFAULT_SIGNATURE, Models, ServedFeature, ServedSignature
from penstock.core import page
from penstock.core.models.signatures import Tensor

_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", re.ASCII)


def html(models: Models, scheme: str, host: str) -> str:
    """Returns the page. Its commands ask `host`, which is what the browser asked; an odd one is left out."""
    base = f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"
    sections = [_model(base, *model) for model in openapi.served(models)]
    body = '<h1>Models</h1><p class="muted">For programs: <a href="openapi.json">openapi.json</a></p>' + (
        "".join(sections) or "<p>No model is loaded yet.</p>"
    )
    return page.html("Models", body)


def _model(base: str, name: str, version: int, signatures: Mapping[str, ServedSignature]) -> str:
    names = sorted(signatures, key=lambda signature: (signature != DEFAULT_SIGNATURE, signature))
    parts = "".join(_signature(base, name, signatures[one]) for one in names)
    return f'<h2>{escape(name)} <span class="muted">version {version}</span></h2>{parts}'


def _signature(base: str, model: str, signature: ServedSignature) -> str:
    takes = (
        _table(("feature", "type", "", "in the training data"), map(_feature_row, signature.features.values()))
        if signature.features
        else _table(("input", "type", "shape"), (_tensor_row(*item) for item in signature.inputs.items()))
    )
    gives = _table(("output", "type", "shape"), (_tensor_row(*item) for item in signature.outputs.items()))
    return (
        f"<article><h3><code>{escape(signature.name)}</code></h3>{takes}{gives}"
        f"<h4>Ask it</h4><pre>{escape(command(base, model, signature))}</pre></article>"
    )


def command(base: str, model: str, signature: ServedSignature) -> str:
    """Returns the line for a shell that asks a signature for one prediction."""
    url = f"{base}/v1/models/{quote(model, safe='')}:predict"
    body = shlex.quote(_body(signature))
    return f"curl -s {shlex.quote(url)} -H 'Content-Type: application/json' -d {body}"


def _body(signature: ServedSignature) -> str:
    """Returns a request as JSON, each value of its row on a line of its own."""
    request = examples.request(signature)
    (row,) = request.pop("instances")
    head = "".join(f"{_json(name)}: {_json(value)}, " for name, value in request.items())
    if not isinstance(row, dict):
        return f'{{{head}"instances": [{_json(row)}]}}'
    lines = ",\n".join(f"  {_json(name)}: {_json(value)}" for name, value in row.items())
    return f'{{{head}"instances": [{{\n{lines}\n}}]}}'


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _feature_row(feature: ServedFeature) -> tuple[str, ...]:
    kind = openapi.type_name(feature.dtype)
    if feature.shape is None:
        kind = f"{kind}, or a list of them"
    elif not examples.is_one(feature):
        kind = f"{kind}s, {list(feature.shape)}"
    usual = examples.usual(feature).removeprefix("in the training data ")
    return feature.name, kind, "required" if feature.required else "", usual


def _tensor_row(name: str, tensor: Tensor) -> tuple[str, ...]:
    shape = "any" if tensor.shape is None else str([size if size is not None else "any" for size in tensor.shape])
    return name, tensor.dtype.name, shape.replace("'", "")


def _table(header: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = (
        f'<tr><td class="name"><code>{escape(name)}</code></td>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return page.table("".join(lines), heads)
