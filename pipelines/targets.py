"""What a target decides of a pipeline, in one place: the image, resources, and the accelerators' names.

A pipeline is compiled once, without a target in mind; `Target.apply` then puts the target's choices into the compiled
pipeline (the IR). After masking them, the IR of all targets is equal.
"""

import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.components import wrapper
from penstock.components.errors import ConfigError


@dataclass(frozen=True)
class Resources:
    """What a component's container may use: CPUs ("4", "500m"), memory ("16G"), accelerators and their number."""

    cpu: str = ""
    memory: str = ""
    accelerator_type: str = ""
    accelerator_count: int = 0

    def ir(self) -> dict[str, Any]:
        """Returns them as the IR's ResourceSpec."""
        spec: dict[str, Any] = {}
        if self.cpu:
            spec["resourceCpuLimit"] = self.cpu
        if self.memory:
            spec["resourceMemoryLimit"] = self.memory
        if self.accelerator_count:
            accelerator = {"resourceType": self.accelerator_type, "resourceCount": str(self.accelerator_count)}
            spec["accelerator"] = accelerator
        return spec


@dataclass(frozen=True)
class Target:
    """Where a pipeline runs. `resources` are by the component's name, as in "trainer"."""

    name: str
    image: str
    resources: Mapping[str, Resources] = field(default_factory=dict)

    def apply(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy of the IR with the target's image and resources in it."""
        applied: dict[str, Any] = copy.deepcopy(dict(spec))
        for label, executor in applied.get("deploymentSpec", {}).get("executors", {}).items():
            if "container" in executor:
                executor["container"]["image"] = self.image
                resources = self.resources.get(label.removeprefix("exec-").replace("-", "_"), Resources()).ir()
                if resources:
                    executor["container"]["resources"] = resources
        return applied


# The local run reads no image and no resources: tasks are processes of the environment that runs them.
LOCAL = Target("local", wrapper.IMAGE)
TARGETS = {target.name: target for target in (LOCAL,)}


def named(name: str) -> Target:
    """Returns a target by its name; a ConfigError names the nearest one."""
    if name in TARGETS:
        return TARGETS[name]
    nearest = difflib.get_close_matches(name, TARGETS, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of {', '.join(TARGETS)}"
    raise ConfigError(f"unknown target {name!r}; {hint}")
