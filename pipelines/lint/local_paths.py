"""Places that a cluster's tasks cannot read: this machine's paths, and URIs that are in no bucket."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from penstock.core import packages
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.config.servers import SHARED_VARIABLE
from penstock.pipelines.lint import places
from penstock.pipelines.lint.pipeline import Pipeline

# What the configuration calls a parameter, where that is another name.
_KEYS = {
    "input_base": "data.path",
    "schema_file": "schema.file",
    "push_destination": "push.directory",
    **{f"push_destination.{service}.storage": f"push.{service}.storage" for service in places.SERVICES},
    "service.vertex_ai.storage": "monitoring.vertex_ai.storage",
    "baseline": "monitoring.baseline",
    "rules.file": "cleaning.rules.file",
    "requests": "monitoring.requests",
    "labels.files": "monitoring.labels.files",
    "history": "below pipeline_root",
    "state": "below pipeline_root",
}
_PUBLISHED = ("module_file", "schema_file")  # compiling copies them below pipeline_root
_WHY = {
    "kubeflow": "the cluster's pods do not see this machine's files: name folders in a bucket, such as "
    "s3://BUCKET/FOLDER, or on a volume that kubernetes.default.volumes mounts at the same path; "
    "kubeflow.shared_folders lists folders that the pods have anyway",
    "vertex": "Vertex AI does not see this machine's files: name folders in a bucket, such as gs://BUCKET/FOLDER; "
    "vertex.shared_folders lists folders that the image holds",
}
_IMPORTED = "an artifact that exists already is taken from a bucket: copy it there, and give its gs:// or s3:// URI"
_BUCKET = re.compile(r"(gs|s3|minio)://[^/]")
_STORES = "tasks read buckets: gs://BUCKET/FOLDER, s3://BUCKET/FOLDER or minio://BUCKET/FOLDER"
_MOUNTED = {"vertex": ("/gcs",)}
_KEPT_MOUNTS = ("pvcMount",)
_MOUNTS = (*_KEPT_MOUNTS, "emptyDirMounts", "secretAsVolume", "configMapAsVolume", "genericEphemeralVolume")
_LOST = "what is written there goes with its task: name a folder in a bucket, or on a volume that lasts"


def sentence(
    documents: Sequence[Mapping[str, Any]],
    target: str,
    shared: Iterable[str] = (),
    parameters: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Returns what names a path that tasks of our components would not find, and what to do; "" if nothing does.

    Args:
        documents: The compiled pipeline.
        target: The target's name; on this machine every path is one of its own.
        shared: Folders that tasks have at the same path as this machine, beside those that the pipeline tells of.
        parameters: What the run is given; what is not here has its default.
    """
    if target not in _WHY:
        return ""
    pipeline = Pipeline.of(documents, parameters)
    shared = [*_MOUNTED.get(target, ()), *shared]
    unseen = _of_tasks(pipeline, shared, _WHY[target])
    named = [
        (_LOST, [f"{_named(name, path, None)} is {path}" for name, path in _lost(pipeline, target, shared)]),
        (_STORES, [f"{_named(name, uri, None, key)} is {uri}" for name, uri, key in _in_no_bucket(pipeline)]),
        (_IMPORTED, [f"{name} is {path}" for name, path in _imported(pipeline)]),
    ]
    clauses = [f"{' and '.join(dict.fromkeys(names))}: {why}" for why, names in named if names]
    return "; ".join([*([unseen] if unseen else []), *clauses])


def _of_tasks(pipeline: Pipeline, shared: Sequence[str], why: str) -> str:
    """Returns the sentence on what tasks read and write themselves."""
    unseen = {name: (path, key) for name, path, key in _unseen(pipeline, shared)}
    if not unseen:
        return ""
    root, _ = unseen.get("pipeline_root", (None, ""))
    if root and Path(unseen.get("working_dir", ("", ""))[0]).is_relative_to(root):
        del unseen["working_dir"]
    named = [(name, *unseen[name]) for name in sorted(unseen, key=places.PARAMETERS.index)]
    clauses = [f"{_named(name, path, root, key)} is {path}" for name, path, key in named]
    return f"{', '.join(clauses[:-1])} and {clauses[-1]}: {why}" if clauses[1:] else f"{clauses[0]}: {why}"


def _in_no_bucket(pipeline: Pipeline) -> list[tuple[str, str, str]]:
    """Returns the parameters whose values are URIs that tasks cannot read, such as https://, these, and their keys."""
    values = {(place.parameter, place.value, place.key) for place in places.named(pipeline)}
    values.add(("pipeline_root", str(pipeline.arguments.get("pipeline_root", "")), ""))
    return sorted(
        (parameter, uri, key)
        for parameter, uri, key in values
        if is_remote(uri) and not uri.startswith("file://") and "{{$" not in uri and not _BUCKET.match(uri)
    )


def _imported(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Yields the artifacts that tasks are given by a local path, by the names of the tasks' inputs."""
    executors = pipeline.spec.get("deploymentSpec", {}).get("executors", {})
    for graph in pipeline.graphs:
        uris = {
            name: executors.get(pipeline.component(task).get("executorLabel", ""), {}).get("importer", {})
            for name, task in graph.items()
        }
        for task in graph.values():
            for name, source in task.get("inputs", {}).get("artifacts", {}).items():
                producer = source.get("taskOutputArtifact", {}).get("producerTask", "")
                path = _local(uris.get(producer, {}).get("artifactUri", {}).get("constant"))
                if path:
                    yield name, path


def _unseen(pipeline: Pipeline, shared: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yields the parameters, their paths, and the keys of these in the options of a source.

    The pipeline root is one of them whether or not a task is given it.
    """
    named = places.named(pipeline)
    mounted = {
        place.executor: [*_shared(pipeline, place.executor), *_mounts(pipeline, place.executor)] for place in named
    }
    for place in named:
        path = _local(place.value, place.parameter)
        if path and not _is_below(path, [*mounted[place.executor], *shared]):
            yield place.parameter, path, place.key
    root = _local(pipeline.arguments.get("pipeline_root"))
    if named and root and not _is_below(root, [*chain.from_iterable(mounted.values()), *shared]):
        yield "pipeline_root", root, ""


def _lost(pipeline: Pipeline, target: str, shared: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields where models are pushed to, if a task has it, but no longer than it runs: an emptyDir, or the image."""
    unseen = {name for name, _, _ in _unseen(pipeline, shared)}
    for place in places.named(pipeline):
        path = _local(place.value)
        if place.parameter.startswith("push_destination") and path and place.parameter not in unseen:
            kept = [*_MOUNTED.get(target, ()), *_mounts(pipeline, place.executor, _KEPT_MOUNTS)]
            if target != "vertex":  # whose shared folders are the image's
                kept += [*shared, *_shared(pipeline, place.executor)]
            if not _is_below(path, kept):
                yield place.parameter, path


def _local(value: Any, parameter: str = "") -> str:
    """Returns the path that a value is, also a relative one; "" for a URI, data in a package or a dotted path."""
    if not isinstance(value, str) or not value or "{{$" in value:  # known only while the pipeline runs
        return ""
    path = value.removeprefix("file://")
    if is_remote(path) or packages.is_inside(path) or (parameter == "module_file" and not path.endswith(".py")):
        return ""
    return os.path.normpath(path)


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _shared(pipeline: Pipeline, executor: str) -> Iterator[str]:
    for variable in pipeline.container(executor).get("env", []):
        if variable.get("name") == SHARED_VARIABLE:
            yield from variable["value"].split(":")


def _mounts(pipeline: Pipeline, executor: str, kinds: Sequence[str] = _MOUNTS) -> Iterator[str]:
    """Yields the folders that the pipeline mounts into an executor's pod."""
    settings = pipeline.kubernetes(executor)
    for kind in kinds:
        yield from (mount["mountPath"] for mount in settings.get(kind, []) if "mountPath" in mount)


def _named(parameter: str, path: str, root: str | None, key: str = "") -> str:
    words = [f"data.{key}" if key else _KEYS[parameter]] if parameter in _KEYS else []
    words += ["copied below pipeline_root"] if parameter in _PUBLISHED and root and _is_below(path, [root]) else []
    return f"{parameter} ({', '.join(words)})" if words else parameter
