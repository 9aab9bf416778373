"""What a target decides of a pipeline, in one place: the image, resources, the accelerators' names, the platform.

A pipeline is compiled once, without a target in mind; `Target.apply` then puts the target's choices into the compiled
pipeline (the IR). After masking them, the IR of all targets is equal.
"""

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kfp.compiler import compiler_utils

from penstock.components import wrapper
from penstock.components.jobs import launcher
from penstock.components.retrainer import servers as retraining_servers
from penstock.components.tuner import launcher as tuner_launcher
from penstock.core.errors import ConfigError
from penstock.core.services.vertex import ACCELERATORS
from penstock.core.suggestions import did_you_mean
from penstock.pipelines import registry
from penstock.pipelines.config.kubernetes import STORE_VARIABLE
from penstock.pipelines.config.resources import Resources, Task
from penstock.pipelines.config.section import json_text
from penstock.pipelines.config.servers import SHARED_VARIABLE
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.registry import Component
from penstock.pipelines.targets import jobs
from penstock.pipelines.targets.jobs import Json

_RETRAINER = "retrainer"
type _Job = Callable[[Config, Component, str, str], Json]  # of a component, its image and its kind of accelerator


@dataclass(frozen=True)
class Target:
    """Where a pipeline runs.

    Args:
        name: The name on the command line.
        accelerators: The target's names of accelerators by ours; None where tasks take what the machine has.
        kubernetes: Whether the settings of Kubernetes mean something there.
        containers: Whether tasks run in an image.
        workers: Makes the job of several workers that a component's task starts; None where it works alone.
        tuning: Makes the job of the target's own tuning service; None where it has none.
        retrainings: Returns the server that a Retrainer's task submits to; None where it starts no runs.
    """

    name: str
    accelerators: Mapping[str, str] | None = None
    kubernetes: bool = False
    containers: bool = True
    workers: _Job | None = None
    tuning: _Job | None = None
    retrainings: Callable[[Config], Json] | None = None

    def apply(self, spec: Mapping[str, Any], config: Config) -> list[Json]:
        """Returns the documents of the target's IR: a copy of the pipeline's with the image and resources in it, and
        that of the platform, if the configuration has settings for one."""
        applied: Json = copy.deepcopy(dict(spec))
        functions: dict[str, str] = {}
        for label, executor in applied.get("deploymentSpec", {}).get("executors", {}).items():
            if "container" in executor:
                functions[label] = registry.executed_function(executor["container"].get("args", []))
                self._fill(executor["container"], functions[label], config)
        for component in (applied.get("root", {}), *applied.get("components", {}).values()):
            for task in component.get("dag", {}).get("tasks", {}).values():
                label = applied["components"][task["componentRef"]["name"]].get("executorLabel", "")
                if label in functions:  # it is no condition, loop or importer
                    _set_task(task, config.tasks.of(functions[label]))
        if not self.kubernetes or config.kubernetes is None:
            return [applied]
        from penstock.pipelines.targets import kubernetes

        platform = kubernetes.platform(functions, config.kubernetes, config.tasks)
        return [applied, platform] if platform else [applied]

    def _fill(self, container: Json, function: str, config: Config) -> None:
        """Puts the target's choices into the container of the tasks that execute a function."""
        container["image"] = self.image(config)
        resources, job = config.resources.of(function), self._job(config, function)
        task = config.tasks.of(function)
        variables = {**(task.env if task else {}), **job, **self._variables(config, function)}
        if variables:
            container["env"] = [{"name": name, "value": value} for name, value in variables.items()]
        if job:
            resources = config.resources.default  # the task waits, and its workers have the component's
        if resources and self.accelerators is not None:
            container["resources"] = self._resources(resources)

    def image(self, config: Config) -> str:
        """The image of all tasks. The local run reads none: its tasks are processes of the environment that runs it."""
        return config.image or wrapper.IMAGE if self.containers else wrapper.IMAGE

    def _job(self, config: Config, function: str) -> dict[str, str]:
        """Returns the environment variable that tells a component's task which job to start; {} for no job."""
        component = registry.component(function)
        if component is None:
            return {}
        variable, make = launcher.VARIABLE, self.workers
        if component.name == tuner_launcher.WORK.component and config.vertex.tuning_service and self.tuning:
            variable, make = tuner_launcher.SERVICE, self.tuning
        elif make is None or jobs.asked(config, component) == 1:
            return {}
        resources = config.resources.of(function)
        accelerator = resources.accelerator if resources else None
        kind = self.accelerators[accelerator.type] if accelerator and self.accelerators else ""
        return {variable: json_text(make(config, component, self.image(config), kind))}

    def _variables(self, config: Config, function: str) -> dict[str, str]:
        """Returns the environment variables of a component's container that the deployment asks for."""
        section = getattr(config, self.name, None)  # of the server that runs are sent to, if there is one
        shared = {SHARED_VARIABLE: ":".join(section.shared_folders)} if section and section.shared_folders else {}
        if function == _RETRAINER and self.retrainings:
            shared[retraining_servers.VARIABLE] = json_text({self.name: self.retrainings(config)})
        if not self.kubernetes:
            return shared
        settings = config.kubernetes.of(function) if config.kubernetes else None
        variables = settings.variables if settings else {}
        if not variables and config.kubeflow.service_account:  # it may have a role of its own for buckets
            variables = {STORE_VARIABLE: "pod"}
        return {**variables, **shared}

    def unused(self, config: Config) -> str:
        """Returns a sentence that names the settings of Kubernetes where tasks do not run on it; "" if there are none.

        An object store's are not named: there an account's roles do it.
        """
        if self.kubernetes or self.accelerators is None or config.kubernetes is None:
            return ""
        entries = {name: getattr(config.kubernetes, name) for name in type(config.kubernetes).model_fields}
        keys = [
            f"{name}.{key}"
            for name, settings in entries.items()
            if settings
            for key in sorted(settings.model_fields_set - {"object_store"})
        ]
        named = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
        return f"kubernetes: target {self.name} does not run on Kubernetes and leaves out {named}" if keys else ""

    def _resources(self, resources: Resources) -> Json:
        """Returns the IR's ResourceSpec, with the numbers that older servers read beside the texts of newer ones."""
        spec: Json = {}
        if resources.cpu is not None:
            spec |= {"cpuLimit": resources.cpu, "resourceCpuLimit": f"{resources.cpu:g}"}
        if resources.memory:
            gigabytes = compiler_utils._memory_to_float(resources.memory)
            spec |= {"memoryLimit": gigabytes, "resourceMemoryLimit": resources.memory}
        if resources.accelerator and self.accelerators is not None:
            kind, count = self.accelerators[resources.accelerator.type], str(resources.accelerator.count)
            spec["accelerator"] = {"type": kind, "resourceType": kind, "count": count, "resourceCount": count}
        return spec


def _set_task(task: Json, settings: Task | None) -> None:
    """Puts what the configuration says of a component's tasks into one of them."""
    if settings is None:
        return
    if not settings.cache:
        task["cachingOptions"] = {}
    if settings.retries:
        task["retryPolicy"] = {
            "maxRetryCount": settings.retries.count,
            "backoffDuration": f"{settings.retries.wait}s",
            "backoffFactor": settings.retries.factor,
            "backoffMaxDuration": f"{settings.retries.longest}s",
        }


LOCAL = Target("local", containers=False)
# This machine as well, but in containers: what `penstock run --runner docker` compiles for.
DOCKER = Target("docker")
KUBEFLOW = Target(
    "kubeflow",
    dict.fromkeys(ACCELERATORS, "nvidia.com/gpu"),
    kubernetes=True,
    workers=jobs.kubeflow,
    retrainings=lambda config: config.kubeflow.in_cluster,
)
VERTEX = Target(
    "vertex",
    ACCELERATORS,
    workers=jobs.vertex,
    tuning=jobs.vertex_tuning,
    retrainings=lambda config: config.vertex.in_task,
)
TARGETS = {target.name: target for target in (LOCAL, KUBEFLOW, VERTEX)}


def named(name: str) -> Target:
    """Returns a target by its name; a ConfigError names the nearest one."""
    if name in TARGETS:
        return TARGETS[name]
    raise ConfigError(f"unknown target {name!r}; {did_you_mean(name, TARGETS)}")


def images_without_registry(spec: Mapping[str, Any]) -> list[str]:
    """Returns our own image's names without a registry before them: a registry that all nodes ask has none of them."""
    executors = spec.get("deploymentSpec", {}).get("executors", {}).values()
    images = {str(executor.get("container", {}).get("image", "")) for executor in executors}
    own = wrapper.IMAGE.partition(":")[0]
    return sorted(image for image in images if re.split("[:@]", image)[0] == own)
