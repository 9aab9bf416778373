"""What a cluster refuses: images, accelerators, the settings of another platform, sizes."""

import json
import re
from collections.abc import Iterator

from penstock.core.errors import ConfigError
from penstock.core.files.yaml_documents import Location
from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.lint.rule import CLUSTERS, Broken, rule

# What a Kubernetes API server stores of one object at most, etcd's default, less what Argo adds to a workflow.
LARGEST_SPEC = 1 << 20
# Docker Hub's official Python images: they hold Python, pip and nothing else.
_BARE_PYTHON = re.compile(r"(docker\.io/)?(library/)?python([:@].*)?")
_LIGHTWEIGHT = "kfp.dsl.executor_main"
# How many GPUs a machine of Compute Engine can have, as known when this was written: 1, 2 and 4 of the older ones that
# are attached to N1 machines, powers of two up to 8 otherwise, and 16 A100 in an a2-megagpu-16g. Machines with H200 and
# B200 have 8; Vertex AI may share one out (MachineSpec.accelerator_count), so fewer of them are left to it.
_FOUR, _EIGHT = (1, 2, 4), (1, 2, 4, 8)
_COUNTS = {
    "NVIDIA_TESLA_T4": _FOUR,
    "NVIDIA_TESLA_P4": _FOUR,
    "NVIDIA_TESLA_P100": _FOUR,
    "NVIDIA_TESLA_V100": _EIGHT,
    "NVIDIA_L4": _EIGHT,
    "NVIDIA_TESLA_A100": (*_EIGHT, 16),
    "NVIDIA_A100_80GB": _EIGHT,
    "NVIDIA_H100_80GB": _EIGHT,
    "NVIDIA_H200_141GB": _EIGHT,
    "NVIDIA_B200": _EIGHT,
}


def require_version(image: str) -> None:
    """Raises a ConfigError for an image that may be any version of itself."""
    if "@" not in image and ":" not in image.rpartition("/")[2]:
        raise ConfigError(f"image {image}: without a tag a node may run any version of it: add :TAG or @sha256:DIGEST")


@rule("image-without-tag", targets=CLUSTERS)
def image_without_tag(pipeline: Pipeline) -> Iterator[Broken]:
    """An image without a tag or digest: a node may run any version of it."""
    places = {container.get("image", ""): path for _, container, path in reversed([*pipeline.containers()])}
    for image, path in sorted(places.items()):
        try:
            require_version(image)
        except ConfigError as error:
            yield Broken(image, error.message, (*path, "image"))


@rule("image-without-kfp", targets=CLUSTERS)
def image_without_kfp(pipeline: Pipeline) -> Iterator[Broken]:
    """A lightweight component in Docker's bare Python image that installs no kfp: it ends with `No module named
    'kfp'`."""
    for name, container, path in pipeline.containers():
        command = " ".join([*container.get("command", []), *container.get("args", [])])
        bare = _BARE_PYTHON.fullmatch(container.get("image", ""))
        if bare and _LIGHTWEIGHT in command and "pip install" not in command:
            yield Broken(
                name,
                f"component {name}: the image {container['image']} has no kfp: leave install_kfp_package on, or use an "
                "image that has it",
                path,
            )


@rule("kubernetes-settings", targets=("vertex",))
def kubernetes_settings(pipeline: Pipeline) -> Iterator[Broken]:
    """A second document with settings for a platform, as kfp-kubernetes writes it: Vertex AI refuses the file."""
    for platform in pipeline.platform.get("platforms", {}):
        yield Broken(
            platform,
            f"the second document holds settings of {platform.capitalize()}, which belong to Kubeflow: leave them out, "
            "or compile with --target vertex",
            (1, "platforms", platform),
        )


@rule("vertex-accelerator", targets=("vertex",))
def vertex_accelerator(pipeline: Pipeline) -> Iterator[Broken]:
    """An accelerator by a name of Kubernetes, or a count that no machine of Google's has."""
    for name, kind, count, path in _accelerators(pipeline):
        counts = _COUNTS.get(kind)
        if "/" in kind or "." in kind:
            yield Broken(
                name,
                f"component {name}: Vertex AI does not know the accelerator {kind}: use its own name, such as "
                "NVIDIA_TESLA_T4",
                path,
            )
        elif counts and count.isdecimal() and int(count) not in counts:
            numbers = f"{', '.join(map(str, counts[:-1]))} or {counts[-1]}"
            yield Broken(
                name, f"component {name}: no machine of Vertex AI has {count} {kind}: expected {numbers}", path
            )


@rule("kubeflow-accelerator", targets=("kubeflow",))
def kubeflow_accelerator(pipeline: Pipeline) -> Iterator[Broken]:
    """An accelerator by a name of Vertex AI: Kubernetes knows resources such as nvidia.com/gpu."""
    for name, kind, _, path in _accelerators(pipeline):
        if "/" not in kind:
            yield Broken(
                name,
                f"component {name}: Kubernetes has no resource {kind}: use its name there, such as nvidia.com/gpu, and "
                "choose the model with a node selector",
                path,
            )


@rule("large-spec", targets=CLUSTERS)
def large_spec(pipeline: Pipeline) -> Iterator[Broken]:
    """A compiled pipeline of more than 1 MiB: servers refuse it."""
    size = len(json.dumps(pipeline.spec).encode())
    if size > LARGEST_SPEC:
        yield Broken(
            "",
            f"the compiled pipeline has {size:,} bytes, and servers refuse more than {LARGEST_SPEC:,}: give large "
            "values as files",
            (0,),
        )


def _accelerators(pipeline: Pipeline) -> Iterator[tuple[str, str, str, Location]]:
    """Yields component, type, count and place of what is known when the pipeline is compiled."""
    for name, container, path in pipeline.containers():
        accelerator = container.get("resources", {}).get("accelerator", {})
        kind = str(accelerator.get("resourceType") or accelerator.get("type") or "")
        if kind and "{{" not in kind:
            yield name, kind, str(accelerator.get("resourceCount") or accelerator.get("count") or ""), path


RULES = (
    image_without_tag,
    image_without_kfp,
    kubernetes_settings,
    vertex_accelerator,
    kubeflow_accelerator,
    large_spec,
)
