"""Why a task ran or was answered from the cache, in a few words, by comparing its key with the run before."""

import json
from pathlib import Path
from typing import Any

from penstock.pipelines.local.records.cache import Key

_SHOWN = 60
_BEFORE = 12  # characters that are alike and shown before those that are not
_CHANNEL = "pipelinechannel--"


def reason(key: Key, before: Key | None, made_by: dict[str, str]) -> str:
    """Says what changed since the run before; `made_by` names the task that made each input."""
    if before is None:
        return "first run of this task"
    changes = []
    if key.version != before.version:
        changes.append(f"package version {before.version} -> {key.version}")
    elif key.image != before.image:
        changes.append(f"image {_image(before.image)} -> {_image(key.image)}")
    elif before.code and key.code != before.code:
        changes.append("the component's own code changed")
    if key.source != before.source:
        changes.append("component's source changed")
    changes += _parameters(before.parameters, key.parameters)
    for name in sorted(key.inputs.keys() | before.inputs.keys()):
        if key.inputs.get(name) != before.inputs.get(name):
            maker = f" (from {made_by[name]})" if name in made_by else ""
            changes.append(f"input {name}{maker} changed")
    return "; ".join(changes) or "its earlier outputs are gone"


def _image(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or "none"


def _parameters(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What changed of the parameters. Those that kfp made of another's value are told if nothing else is."""
    changed = [name for name in sorted(after.keys() | before.keys()) if before.get(name) != after.get(name)]
    own = [name for name in changed if not name.startswith(_CHANNEL)]
    return [_parameter(name, before.get(name), after.get(name)) for name in own or changed]


def _parameter(name: str, old: str | None, new: str | None) -> str:
    shown = name.removeprefix(_CHANNEL)
    if old is None or new is None:
        return f"parameter {shown} is {'new' if old is None else 'gone'}"
    before, after = json.loads(old), json.loads(new)
    if isinstance(after, str) and after.startswith("{pipeline_root}/modules/"):
        return f"module file {Path(after).name}, or a module beside it, changed"
    if all(isinstance(value, str) and value.startswith("{pipeline_root}/files/") for value in (before, after)):
        return f"the contents of {shown} changed"  # the paths are our copies', which nobody knows
    if name == "fingerprint":
        return "the data changed"
    path, before, after = _innermost(shown, _parsed(before), _parsed(after))
    texts = [_text(before), _text(after)]
    if len(texts[0]) > _SHOWN and len(texts[1]) > _SHOWN:  # where they are alike says nothing
        alike = next((place for place, pair in enumerate(zip(*texts, strict=False)) if len(set(pair)) > 1), 0)
        start = max(0, alike - _BEFORE)
        texts = ["…" * (start > 0) + text[start:] for text in texts]
    return f"parameter {path} {_short(texts[0])} -> {_short(texts[1])}"


def _innermost(path: str, before: Any, after: Any) -> tuple[str, Any, Any]:
    """Follows two objects to the one key in which they differ: `train_args.num_steps`."""
    if isinstance(before, dict) and isinstance(after, dict):
        differing = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
        if len(differing) == 1:
            name = differing[0]
            return _innermost(f"{path}.{name}", before.get(name), after.get(name))
    return path, before, after


def _parsed(value: Any) -> Any:
    """Returns what a parameter that is an object as JSON holds."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():  # kfp's numbers are floats
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
