"""The job of several workers that a component's task starts, as its target runs it (`training.workers`,
`tuning.workers`).

A target puts it into the task's environment, where components/workers/launcher.py finds it, completes it with what is
known at run time (a name, and what to work on), and submits it. The task itself only waits.

Vertex AI has a CustomJob, whose first worker pool is the chief, and sets TF_CONFIG. Kubeflow has a TrainJob. Trainer
2 has no TensorFlow policy (github.com/kubeflow/trainer/issues/2699), so TF_CONFIG is written here: the workers are the
pods of an indexed job, whose addresses follow from the TrainJob's name.
"""

from typing import Any

from penstock.components.errors import ConfigError
from penstock.pipelines.config import Config
from penstock.pipelines.deployment import Kubernetes, Resources

COMMAND = ["python3", "-m", "penstock.components.workers.worker"]
# Whose task may start workers, and where the configuration says how many.
SECTIONS = {"trainer": "training", "tuner": "tuning"}

# A worker that lost its machine cannot join the others again: all of them start anew, from the checkpoint. A search
# goes on without it until it comes back. docs/training_runtime.yaml makes the runtimes.
_JOINABLE = ("tuner",)
RUNTIMES = {"trainer": "penstock", "tuner": "penstock-search"}


def asked(config: Config, component: str) -> int:
    """Returns how many machines are asked for to do a component's work; 1 for what a task does alone."""
    section = getattr(config, SECTIONS.get(component, ""), None)
    return int(section.workers) if section else 1


def vertex(config: Config, component: str, image: str, accelerator_type: str) -> dict[str, Any]:
    """Returns the connection and the CustomJob (aiplatform_v1, as JSON), without name and arguments."""
    from penstock.pipelines import machines

    settings = config.vertex
    if not settings.project:
        raise ConfigError(
            f"vertex.project is missing: {SECTIONS[component]}.workers needs it there or in --project, for the "
            f"{component.capitalize()} starts a job"
        )
    resources = _resources(config, component)
    machine: dict[str, Any] = {"machineType": machines.machine_type(resources, component)}
    if resources.accelerator:
        machine |= {"acceleratorType": accelerator_type, "acceleratorCount": resources.accelerator.count}
    pool = {"machineSpec": machine, "containerSpec": {"imageUri": image, "command": [*COMMAND, component]}}
    spec: dict[str, Any] = {
        "workerPoolSpecs": [
            {**pool, "replicaCount": "1"},  # the chief
            {**pool, "replicaCount": str(asked(config, component) - 1)},
        ],
        **({} if component in _JOINABLE else {"scheduling": {"restartJobOnWorkerRestart": True}}),
        **({"serviceAccount": settings.service_account} if settings.service_account else {}),
        **({"network": settings.network} if settings.network else {}),
    }
    job: dict[str, Any] = {"jobSpec": spec, "labels": dict(settings.labels)}
    if settings.encryption_spec_key_name:
        job["encryptionSpec"] = {"kmsKeyName": settings.encryption_spec_key_name}
    connection = {"project": settings.project, "location": settings.location, "timeout": settings.timeout}
    if settings.api_endpoint:
        connection["api_endpoint"] = settings.api_endpoint
    return {"target": "vertex", "connection": connection, "job": job}


def kubeflow(config: Config, component: str, image: str, accelerator_type: str) -> dict[str, Any]:
    """Returns the TrainJob (trainer.kubeflow.org/v1alpha1), without name, TF_CONFIG and arguments, and the folder of
    the volume through which the task and the workers exchange files."""
    chosen = config.kubernetes.of(component) if config.kubernetes else None
    if chosen is None or not chosen.volumes:
        raise ConfigError(
            f"{SECTIONS[component]}.workers: on Kubeflow the workers share files on a volume: expected one that many "
            f"pods may write to, such as kubernetes.{component}={{volumes: [{{claim: shared, mount: /shared}}]}}"
        )
    trainer = {
        "image": image,
        "command": [*COMMAND, component],
        "numNodes": asked(config, component),
        "env": [
            {
                "name": secret_variable,
                "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key, "optional": secret.optional}},
            }
            for secret in chosen.secrets
            for key, secret_variable in secret.env.items()
        ],
        **_resources_per_node(_resources(config, component), accelerator_type),
    }
    patch = {"spec": _pod(chosen, config.kubeflow.service_account)}
    node = {"name": "node", "template": {"spec": {"template": patch}}}
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {
            "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": RUNTIMES[component]},
            "trainer": trainer,
            "runtimePatches": [
                {
                    "manager": "penstock.dev/trainer",
                    "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}},
                }
            ],
        },
    }
    return {"target": "kubeflow", "shared": chosen.volumes[0].mount, "job": job}


def _resources(config: Config, component: str) -> Resources:
    return config.resources.of(component) or Resources()


def _resources_per_node(resources: Resources, accelerator_type: str) -> dict[str, Any]:
    limits: dict[str, str] = {}
    if resources.cpu is not None:
        limits["cpu"] = f"{resources.cpu:g}"
    if resources.memory:
        limits["memory"] = resources.memory
    if resources.accelerator:
        limits[accelerator_type] = str(resources.accelerator.count)
    return {"resourcesPerNode": {"limits": limits}} if limits else {}


def _pod(settings: Kubernetes, service_account: str | None) -> dict[str, Any]:
    """Returns what the component's `kubernetes` settings ask of the workers' pods; the pull policy is the runtime's."""
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    for volume in settings.volumes:
        volumes.append({"persistentVolumeClaim": {"claimName": volume.claim}})
        mounts.append({"mountPath": volume.mount})
    for secret in settings.secrets:
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
