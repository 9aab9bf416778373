"""The job that a component's task starts, as its target runs it: of several workers (`training.workers`,
`tuning.workers`), or of the trials of Vertex AI's own tuning service (`vertex.tuning_service`).

A target puts it into the task's environment, where components/jobs/launcher.py finds it, completes it with what is
known at run time (a name, and what to work on), and submits it. The task itself only waits.

Vertex AI has a CustomJob, whose first worker pool is the chief, and sets TF_CONFIG. Kubeflow has a TrainJob. Trainer
2 has no TensorFlow policy (github.com/kubeflow/trainer/issues/2699), so TF_CONFIG is written here: the workers are the
pods of an indexed job, whose addresses follow from the TrainJob's name.
"""

from typing import Any

from penstock.core.errors import ConfigError
from penstock.pipelines.config.kubernetes import Kubernetes
from penstock.pipelines.config.resources import Resources
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.registry import Component

COMMAND = ["python3", "-m", "penstock.components.jobs.worker"]
TRIAL_COMMAND = ["python3", "-m", "penstock.components.tuner.vertex_trial"]
type Json = dict[str, Any]  # a message of Vertex AI's API, or a part of a Kubernetes object, as JSON


def asked(config: Config, component: Component) -> int:
    """Returns how many machines are asked for to do a component's work; 1 for what a task does alone."""
    section = getattr(config, component.section, None) if component.workers else None
    return int(section.workers) if section else 1


def vertex(config: Config, component: Component, image: str, accelerator_type: str) -> Json:
    """Returns the connection and the CustomJob (aiplatform_v1, as JSON), without name and arguments."""
    connection = _connection(config, f"{component.section}.workers", component)
    pool = _pool(config, component, image, accelerator_type, [*COMMAND, component.name])
    joinable = component.workers is not None and component.workers.joinable
    spec: Json = {
        "workerPoolSpecs": [
            {**pool, "replicaCount": "1"},  # the chief
            {**pool, "replicaCount": str(asked(config, component) - 1)},
        ],
        **({} if joinable else {"scheduling": {"restartJobOnWorkerRestart": True}}),
        **_run_as(config),
    }
    return {"target": "vertex", "connection": connection, "job": {"jobSpec": spec, **_marks(config)}}


def vertex_tuning(config: Config, component: Component, image: str, accelerator_type: str) -> Json:
    """Returns the connection and the HyperparameterTuningJob (aiplatform_v1, as JSON), each of whose trials is a job of
    one machine; without name, arguments, and what is searched, which the task adds."""
    connection = _connection(config, "vertex.tuning_service", component)
    pool = _pool(config, component, image, accelerator_type, TRIAL_COMMAND)
    spec = {"workerPoolSpecs": [{**pool, "replicaCount": "1"}], **_run_as(config)}
    job = {"trialJobSpec": spec, "parallelTrialCount": asked(config, component), **_marks(config)}
    return {"connection": connection, "job": job}


def _connection(config: Config, key: str, component: Component) -> Json:
    settings = config.vertex
    if not settings.project:
        raise ConfigError(
            f"vertex.project is missing: {key} needs it there or in --project, for {component.title} starts a job"
        )
    connection = {"project": settings.project, "location": settings.location, "timeout": settings.timeout}
    return {**connection, **({"api_endpoint": settings.api_endpoint} if settings.api_endpoint else {})}


def _pool(config: Config, component: Component, image: str, accelerator_type: str, command: list[str]) -> Json:
    """Returns a pool of a CustomJobSpec, of machines that have what the component asks for."""
    from penstock.pipelines.targets import vertex_machines

    resources = _resources(config, component)
    machine: Json = {"machineType": vertex_machines.machine_type(resources, component.name)}
    if resources.accelerator:
        machine |= {"acceleratorType": accelerator_type, "acceleratorCount": resources.accelerator.count}
    return {"machineSpec": machine, "containerSpec": {"imageUri": image, "command": command}}


def _run_as(config: Config) -> Json:
    """Returns the account and the network of a CustomJobSpec."""
    settings = {"serviceAccount": config.vertex.service_account, "network": config.vertex.network}
    return {key: value for key, value in settings.items() if value}


def _marks(config: Config) -> Json:
    """Returns the labels of a job, and the key that its files are encrypted with."""
    key = config.vertex.encryption_spec_key_name
    return {"labels": dict(config.vertex.labels), **({"encryptionSpec": {"kmsKeyName": key}} if key else {})}


def kubeflow(config: Config, component: Component, image: str, accelerator_type: str) -> Json:
    """Returns the TrainJob (trainer.kubeflow.org/v1alpha1), without name, TF_CONFIG and arguments, and the folder of
    the volume through which the task and the workers exchange files."""
    settings = config.kubernetes.of(component.name) if config.kubernetes else None
    if settings is None or not settings.volumes:
        raise ConfigError(
            f"{component.section}.workers: on Kubeflow the workers share files on a volume: expected one that many "
            f"pods may write to, such as kubernetes.{component.name}={{volumes: [{{claim: shared, mount: /shared}}]}}"
        )
    trainer = {
        "image": image,
        "command": [*COMMAND, component.name],
        "numNodes": asked(config, component),
        "env": [
            {
                "name": secret_variable,
                "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key, "optional": secret.optional}},
            }
            for secret in settings.all_secrets
            for key, secret_variable in secret.env.items()
        ]
        + [{"name": name, "value": value} for name, value in settings.variables.items()],
        **_resources_per_node(_resources(config, component), accelerator_type),
    }
    patch = {"spec": _pod(settings, config.kubeflow.service_account)}
    runtime = component.workers.runtime if component.workers else ""
    node = {"name": "node", "template": {"spec": {"template": patch}}}
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {
            "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": runtime},
            "trainer": trainer,
            "runtimePatches": [
                {
                    "manager": "penstock.dev/trainer",
                    "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}},
                }
            ],
        },
    }
    return {"target": "kubeflow", "shared": settings.volumes[0].mount, "job": job}


def _resources(config: Config, component: Component) -> Resources:
    return config.resources.of(component.name) or Resources()


def _resources_per_node(resources: Resources, accelerator_type: str) -> Json:
    limits: dict[str, str] = {}
    if resources.cpu is not None:
        limits["cpu"] = f"{resources.cpu:g}"
    if resources.memory:
        limits["memory"] = resources.memory
    if resources.accelerator:
        limits[accelerator_type] = str(resources.accelerator.count)
    return {"resourcesPerNode": {"limits": limits}} if limits else {}


def _pod(settings: Kubernetes, service_account: str | None) -> Json:
    """Returns what the component's `kubernetes` settings ask of the workers' pods; the pull policy is the runtime's."""
    volumes: list[Json] = []
    mounts: list[Json] = []
    for volume in settings.volumes:
        volumes.append({"persistentVolumeClaim": {"claimName": volume.claim}})
        mounts.append({"mountPath": volume.mount})
    for secret in settings.all_secrets:
        if secret.mount:
            volumes.append({"secret": {"secretName": secret.name, "optional": secret.optional}})
            mounts.append({"mountPath": secret.mount})
    for number, (one, mounted) in enumerate(zip(volumes, mounts, strict=True)):
        one["name"] = mounted["name"] = f"volume-{number}"  # a claim's name may be none of a volume
    optional = {
        "nodeSelector": dict(settings.node_selector),
        "tolerations": [
            {
                key: value
                for key, value in {
                    "key": toleration.key,
                    "operator": toleration.operator,
                    "value": toleration.value,
                    "effect": toleration.effect,
                    "tolerationSeconds": toleration.seconds,
                }.items()
                if value is not None
            }
            for toleration in settings.tolerations
        ],
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "serviceAccountName": service_account,
    }
    return {
        "volumes": volumes,
        "containers": [{"name": "node", "volumeMounts": mounts}],
        **{key: value for key, value in optional.items() if value},
    }
