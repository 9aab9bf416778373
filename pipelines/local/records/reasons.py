"""Why a task ran or was answered from the cache, in a few words, by comparing its key with the run before."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from penstock.pipelines.local.records import environment
from penstock.pipelines.local.records.cache import Key

NEVER_CACHED = "never cached: it looks at the world outside"
_GONE = "its earlier outputs are gone, or were not final"
_SHOWN = 60
_LEAVES = 3  # parts of a parameter
_BEFORE = 12  # characters that are alike and shown before those that are not
_CHANNEL = "pipelinechannel--"
_RESOLVED = ("resolved_input", "fingerprint", "span", "version")


@dataclass(frozen=True)
class Reason:
    """Why a task runs. `changed` is false if all that decides its outputs is as it was in the run before."""

    text: str
    changed: bool = True


def reason(
    key: Key, before: Key | None, made_by: Mapping[str, str], made_again: Collection[str] = (), *, asked: bool = True
) -> Reason:
    """Says what changed since the run before.

    made_by: the task that made each input. made_again: the inputs that are others only because their tasks ran again,
        although nothing had changed. asked: whether the cache was asked.
    """
    if before is None:
        return Reason("first run of this task")
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
    if before.environment:  # else the run before did not write it down
        changes += _environment(before.environment, key.environment)
    names = [name for name in sorted(key.inputs | before.inputs) if key.inputs.get(name) != before.inputs.get(name)]
    makers = {name: f"input {name} (from {made_by[name]})" if name in made_by else f"input {name}" for name in names}
    changes += [f"{makers[name]} changed" for name in names if name not in made_again]
    if changes:
        return Reason("; ".join(changes))
    if not asked:
        return Reason("the cache was not asked", changed=False)
    return Reason("; ".join(f"{makers[name]} was made again" for name in names) or _GONE, changed=False)


def _environment(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in sorted(after.keys() | before.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield f"{name} is {'new' if old is None else 'gone'}"
        elif old != new:
            yield f"{name} changed" if environment.is_secret(old + new) else f"{name} {old} -> {new}"


def _image(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or "none"


def _parameters(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What changed of the parameters. Those that kfp made of another's value are told if nothing else is."""
    changed = [name for name in sorted(after.keys() | before.keys()) if before.get(name) != after.get(name)]
    own = [name for name in changed if not name.startswith(_CHANNEL)]
    spans = [_spans(parameters) for parameters in (before, after)]
    if all(spans) and spans[0] != spans[1]:  # as a person knows them: the rest of what was resolved follows from them
        rest = [name for name in own if name not in _RESOLVED]
        return [
            f"spans read {spans[0]} -> {spans[1]}",
            *(_parameter(name, before.get(name), after.get(name)) for name in rest),
        ]
    return [_parameter(name, before.get(name), after.get(name)) for name in own or changed]


def _spans(parameters: dict[str, str]) -> str:
    """Returns which spans an ExampleGen was told to read, in words; "" for another task, and data without spans."""
    resolved = _parsed(_value(parameters.get("resolved_input", "")))
    return str(resolved.get("spans", "")) if isinstance(resolved, dict) else ""


def _parameter(name: str, old: str | None, new: str | None) -> str:
    shown = name.removeprefix(_CHANNEL)
    if old is None or new is None:
        return f"parameter {shown} is {'new' if old is None else 'gone'}"
    before, after = _value(old), _value(new)
    if isinstance(after, str) and after.startswith("{pipeline_root}/modules/"):
        return f"module file {Path(after).name}, or a module beside it, changed"
    if all(isinstance(value, str) and value.startswith("{pipeline_root}/files/") for value in (before, after)):
        return f"the contents of {shown} changed"  # the paths are our copies', which nobody knows
    if name == "fingerprint":
        return "the data changed"
    leaves = list(_differing(shown, _parsed(before), _parsed(after)))
    more = f" and {len(leaves) - _LEAVES} more keys of it" if len(leaves) > _LEAVES else ""
    return f"parameter {', '.join(map(_change, leaves[:_LEAVES]))}{more}"


class _Leaf(NamedTuple):
    """A part of a parameter in which two values of it differ: `train_args.num_steps`; None where there is no such."""

    path: str
    before: Any
    after: Any


def _differing(path: str, before: Any, after: Any) -> Iterator[_Leaf]:
    """Follows two objects to the keys in which they differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                yield from _differing(f"{path}.{name}", before.get(name), after.get(name))
    elif _are_of_objects(before, after):
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            if old != new:
                yield from _differing(f"{path}[{place}]", old, new)
    else:
        yield _Leaf(path, before, after)


def _are_of_objects(before: Any, after: Any) -> bool:
    """Whether both are lists of objects, which may correspond."""
    lists = isinstance(before, list) and isinstance(after, list) and len(before) == len(after)
    return lists and all(isinstance(item, dict) for item in [*before, *after])


def _change(leaf: _Leaf) -> str:
    sides = (leaf.before, leaf.after)
    texts = [_text(value) for value in sides]
    if any(isinstance(value, dict | list) for value in sides) and (None in sides or max(map(len, texts)) > _SHOWN):
        return f"{leaf.path} {'is new' if leaf.before is None else 'is gone' if leaf.after is None else 'changed'}"
    if len(texts[0]) > _SHOWN and len(texts[1]) > _SHOWN:  # where they are alike says nothing
        alike = next((place for place, pair in enumerate(zip(*texts, strict=False)) if len(set(pair)) > 1), 0)
        start = max(0, alike - _BEFORE)
        texts = ["…" * (start > 0) + text[start:] for text in texts]
    return f"{leaf.path} {_short(texts[0])} -> {_short(texts[1])}"


def _parsed(value: Any) -> Any:
    """Returns what a parameter that is an object as JSON holds."""
    return _value(value) if isinstance(value, str) and value.startswith("{") else value


def _value(text: str) -> Any:
    """Returns what a JSON text holds; the text itself if it is none, as in a record that was damaged."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():  # kfp's numbers are floats
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
