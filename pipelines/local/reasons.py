"""Why a task ran or was answered from the cache, in a few words, by comparing its key with the run before."""

import json
from pathlib import Path

from penstock.pipelines.local.cache import Key

_SHOWN = 60


def reason(key: Key, before: Key | None, made_by: dict[str, str]) -> str:
    """Says what changed since the run before; `made_by` names the task that made each input."""
    if before is None:
        return "first run of this task"
    changes = []
    if key.version != before.version:
        changes.append(f"package version {before.version} -> {key.version}")
    if key.source != before.source:
        changes.append("component's source changed")
    for name in sorted(key.parameters.keys() | before.parameters.keys()):
        old, new = before.parameters.get(name), key.parameters.get(name)
        if old != new:
            changes.append(_parameter(name, old, new))
    for name in sorted(key.inputs.keys() | before.inputs.keys()):
        if key.inputs.get(name) != before.inputs.get(name):
            maker = f" (from {made_by[name]})" if name in made_by else ""
            changes.append(f"input {name}{maker} changed")
    return "; ".join(changes) or "its earlier outputs are gone"


def _parameter(name: str, old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return f"parameter {name} is {'new' if old is None else 'gone'}"
    before, after = json.loads(old), json.loads(new)
    if isinstance(after, str) and after.startswith("{pipeline_root}/modules/"):
        return f"module file {Path(after).name} changed"
    if name == "fingerprint":
        return "the data changed"
    return f"parameter {name} {_short(before)} -> {_short(after)}"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
