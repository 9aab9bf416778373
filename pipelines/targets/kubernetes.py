"""The second document of a pipeline for Kubeflow: what kfp-kubernetes' functions make of the configuration."""

import importlib.util
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from penstock.core.errors import ConfigError, UserError
from penstock.pipelines.config.kubernetes import Kubernetes
from penstock.pipelines.config.resources import ByComponent, Task
from penstock.pipelines.targets.jobs import Json


def platform(functions: Mapping[str, str], settings: ByComponent[Kubernetes], tasks: ByComponent[Task]) -> Json:
    """Returns the platform spec for the executors of `functions`: which function it executes, by an executor's label.

    It is empty where the settings ask nothing of it. A variable may be either of `settings` or of `tasks`.
    """
    if importlib.util.find_spec("kfp.kubernetes") is None:
        raise UserError("the settings in `kubernetes` need kfp-kubernetes: pip install 'kfp-kubernetes>=2.17'")
    executors: Json = {}
    for label, function in functions.items():
        chosen = settings.of(function)
        if chosen is not None:
            task = tasks.of(function)
            twice = chosen.twice(task.env if task else ())
            if twice:  # one of the component's own, the other for every component
                raise ConfigError(
                    f"kubernetes: {function} has {twice} twice: give each folder, variable and mounted Secret or "
                    "ConfigMap once"
                )
            made = _executor(chosen)
            executors |= {label: made} if made else {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}


def _executor(settings: Kubernetes) -> Json:
    from kfp import kubernetes

    # The functions write to the platform_config of a task, and look at nothing else of it.
    task: Any = SimpleNamespace(platform_config={})
    for key, value in settings.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in settings.tolerations:
        kubernetes.add_toleration(
            task, toleration.key, toleration.operator, toleration.value, toleration.effect, toleration.seconds
        )
    for secret in settings.all_secrets:
        if secret.mount:
            kubernetes.use_secret_as_volume(task, secret.name, secret.mount, secret.optional)
        else:
            kubernetes.use_secret_as_env(task, secret.name, dict(secret.env), secret.optional)
    for source in settings.config_maps:
        if source.mount:
            kubernetes.use_config_map_as_volume(task, source.name, source.mount, source.optional)
        else:
            kubernetes.use_config_map_as_env(task, source.name, dict(source.env), source.optional)
    for volume in settings.volumes:
        kubernetes.mount_pvc(task, volume.claim, volume.mount)
    for number, folder in enumerate(settings.all_empty_dirs):
        kubernetes.empty_dir_mount(task, f"empty-{number}", folder.mount, folder.medium, folder.size)
    for key, value in settings.labels.items():
        kubernetes.add_pod_label(task, key, value)
    for key, value in settings.annotations.items():
        kubernetes.add_pod_annotation(task, key, value)
    if settings.timeout:
        kubernetes.set_timeout(task, settings.timeout)
    if settings.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(settings.image_pull_secrets))
    if settings.image_pull_policy:
        kubernetes.set_image_pull_policy(task, settings.image_pull_policy)
    return dict(task.platform_config.get("kubernetes", {}))
