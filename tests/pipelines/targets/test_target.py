"""A target changes the image, the resources and the platform of a compiled pipeline, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import dsl, kubernetes
from kfp.kubernetes import kubernetes_executor_config_pb2

from penstock.components.retrainer import servers
from penstock.core.errors import ConfigError
from penstock.pipelines.compiling.compile import compile_config, compile_for_run, compile_monitoring
from penstock.pipelines.config.resources import Resources
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.targets import target as targets
from penstock.pipelines.targets.target import Target


@dsl.component(base_image="penstock-python:test", install_kfp_package=False)
def nothing() -> None:
    pass


def by_kfp(cpu: str, memory: str, accelerator: str, count: int) -> dict[str, Any]:
    """Returns the resources as KFP's own compiler writes them."""

    @dsl.pipeline(name="oracle")
    def pipeline() -> None:
        task = nothing().set_cpu_limit(cpu).set_memory_limit(memory)
        task.set_accelerator_type(accelerator).set_accelerator_limit(count)

    (executor,) = json_format.MessageToDict(pipeline.pipeline_spec)["deploymentSpec"]["executors"].values()
    resources: dict[str, Any] = executor["container"]["resources"]
    return resources


@pytest.mark.parametrize(
    ("target", "accelerator"), [(targets.KUBEFLOW, "nvidia.com/gpu"), (targets.VERTEX, "NVIDIA_TESLA_T4")]
)
def test_resources_are_written_as_kfp_writes_them(
    target: Target, accelerator: str, load: Callable[..., Config], tmp_path: Path
) -> None:
    config = load(["resources.trainer={cpu: 3.5, memory: 10Gi, accelerator: {type: T4, count: 4}}", "image=a/b:1"])
    spec = yaml.safe_load(compile_config(config, target, tmp_path / "ir.yaml").path.read_text())
    containers = {label: executor["container"] for label, executor in spec["deploymentSpec"]["executors"].items()}
    assert {container["image"] for container in containers.values()} == {"a/b:1"}
    assert {label for label, container in containers.items() if "resources" in container} == {"exec-trainer"}
    assert containers["exec-trainer"]["resources"] == by_kfp("3.5", "10Gi", accelerator, 4)


def test_a_components_settings_replace_those_of_all_key_by_key(load: Callable[..., Config]) -> None:
    resources = load(["resources.default={cpu: 2, memory: 4G}", "resources.example_gen={memory: 8G}"]).resources
    assert resources.of("csv_example_gen") == resources.of("example_gen") == Resources(cpu=2, memory="8G")
    assert resources.of("trainer") == Resources(cpu=2, memory="4G")


def test_kubernetes_settings_mean_nothing_elsewhere(load: Callable[..., Config], tmp_path: Path) -> None:
    """One file is for both targets; what the other leaves out is told."""
    config = load(["kubernetes.trainer={node_selector: {pool: gpu}, timeout: 60}"])
    assert targets.VERTEX.unused(config) == (
        "kubernetes: target vertex does not run on Kubernetes and leaves out trainer.node_selector, trainer.timeout"
    )
    assert not targets.KUBEFLOW.unused(config)
    assert not targets.LOCAL.unused(config)
    for target, documents in ((targets.VERTEX, 1), (targets.LOCAL, 1), (targets.KUBEFLOW, 2)):
        text = compile_config(config, target, tmp_path / "ir.yaml").path.read_text()
        assert len(list(yaml.safe_load_all(text))) == documents


def by_function(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the tasks of a compiled pipeline, of the conditions in it as well, by their names."""
    components = (spec["root"], *spec["components"].values())
    return {name: task for one in components for name, task in one.get("dag", {}).get("tasks", {}).items()}


@pytest.mark.parametrize("target", targets.TARGETS.values())
def test_tasks_are_tried_again_and_cached_as_set(target: Target, load: Callable[..., Config], tmp_path: Path) -> None:
    config = load(
        [
            "tasks.default={retries: 2}",
            "tasks.trainer={retries: {count: 3, wait: 5, factor: 1.5, longest: 60}, cache: false}",
            "tasks.pusher={env: {REGION: eu, PYTHONHASHSEED: '1'}}",
        ]
    )
    spec = next(yaml.safe_load_all(compile_config(config, target, tmp_path / "ir.yaml").path.read_text()))
    plain = next(yaml.safe_load_all(compile_config(load(), target, tmp_path / "ir.yaml").path.read_text()))
    tasks, before = by_function(spec), by_function(plain)
    assert tasks["trainer"]["retryPolicy"] == _by_kfp(3, "5s", 1.5, "60s")
    assert tasks["csv-example-gen"]["retryPolicy"] == _by_kfp(2, "10s", 2.0, "3600s")
    assert before["trainer"]["cachingOptions"] == {"enableCache": True}
    assert tasks["trainer"]["cachingOptions"] == {}
    assert tasks["transform"]["cachingOptions"] == {"enableCache": True}
    containers = {label: executor["container"] for label, executor in spec["deploymentSpec"]["executors"].items()}
    variables = {entry["name"]: entry["value"] for entry in containers["exec-pusher"]["env"]}
    assert variables == {**variables, "REGION": "eu", "PYTHONHASHSEED": "1"}
    assert {"name": "REGION", "value": "eu"} not in containers["exec-trainer"].get("env", [])
    inner = [task for name, task in tasks.items() if name.startswith("condition")]
    assert inner
    assert not any("retryPolicy" in task for task in inner)  # a condition's tasks are tried again, not the condition


def _by_kfp(count: int, wait: str, factor: float, longest: str) -> dict[str, Any]:
    """Returns what KFP's own `set_retry` writes."""

    @dsl.pipeline(name="oracle")
    def pipeline() -> None:
        nothing().set_retry(count, wait, factor, longest)

    policy: dict[str, Any] = pipeline.pipeline_spec.root.dag.tasks["nothing"].retry_policy
    return dict(json_format.MessageToDict(policy))


def test_what_pods_get_is_as_kfp_writes_it(load: Callable[..., Config], tmp_path: Path) -> None:
    settings = (
        "kubernetes.trainer={labels: {team: ml}, annotations: {sidecar.istio.io/inject: 'false'}, timeout: 3600, "
        "shared_memory: 8Gi, empty_dirs: [{mount: /scratch, size: 20Gi}], "
        "config_maps: [{name: settings, env: {region: REGION}}, {name: files, mount: /etc/files, optional: true}]}"
    )
    _, platform = yaml.safe_load_all(
        compile_config(load([settings]), targets.KUBEFLOW, tmp_path / "ir.yaml").path.read_text()
    )
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    @dsl.pipeline(name="oracle")
    def pipeline() -> None:
        task = nothing()
        kubernetes.use_config_map_as_env(task, "settings", {"region": "REGION"})
        kubernetes.use_config_map_as_volume(task, "files", "/etc/files", optional=True)
        kubernetes.empty_dir_mount(task, "empty-0", "/scratch", size_limit="20Gi")
        kubernetes.empty_dir_mount(task, "empty-1", "/dev/shm", "Memory", "8Gi")
        kubernetes.add_pod_label(task, "team", "ml")
        kubernetes.add_pod_annotation(task, "sidecar.istio.io/inject", "false")
        kubernetes.set_timeout(task, 3600)

    spec = json_format.MessageToDict(pipeline.platform_spec)
    assert executors == {"exec-trainer": spec["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-nothing"]}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("tasks.trainer={env: {PENSTOCK_JOB: x}}", "variables that begin with PENSTOCK_ are set by Penstock"),
        ("tasks.trainer={env: {A-B: x}}", "a variable's name of letters, digits"),
        ("tasks.trainer={retries: 0}", "tasks.trainer.retries"),
        ("tasks.trainer={retries: true}", "tasks.trainer.retries"),
        ("tasks.trainer={retries: {count: 1, factor: 0.5}}", "tasks.trainer.retries.factor"),
        ("kubernetes.trainer={timeout: 1h}", "kubernetes.trainer.timeout"),
        ("kubernetes.trainer={shared_memory: 8 GB}", "bytes with a unit of Kubernetes"),
        ("kubernetes.trainer={config_maps: [{name: a}]}", "expected either env"),
        ("kubernetes.trainer={shared_memory: 8Gi, empty_dirs: [{mount: /dev/shm/}]}", "/dev/shm twice"),
    ],
)
def test_wrong_settings_of_tasks(load: Callable[..., Config], setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load([setting])


def test_a_variable_of_a_task_and_of_a_config_map(load: Callable[..., Config], tmp_path: Path) -> None:
    both = ["tasks.default={env: {A: x}}", "kubernetes.trainer={config_maps: [{name: m, env: {k: A}}]}"]
    with pytest.raises(ConfigError, match="trainer has A twice"):
        compile_config(load(both), targets.KUBEFLOW, tmp_path / "ir.yaml")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("resources.trainr={cpu: 1}", "unknown key 'resources.trainr'; did you mean 'trainer'"),
        ("resources.trainer={cpu: 0}", "resources.trainer.cpu"),
        ("resources.trainer={memory: 8 GB}", "resources.trainer.memory"),
        ("resources.trainer={accelerator: {type: RTX}}", "resources.trainer.accelerator.type: expected .* one of T4,"),
        ("kubernetes.trainer={tolerations: [{operator: Equal}]}", "key: expected the taint's key"),
        ("kubernetes.trainer={secrets: [{name: s}]}", "expected either env"),
        (
            "resources.trainer={accelerator: {type: nvidia.com/gpu}}",
            "expected the model's name, one of T4, .*, received 'nvidia.com/gpu'; on Kubeflow, .* a node_selector",
        ),
        ("resources.trainer={accelerator: {type: NVIDIA_A100_80GB}}", "did you mean 'A100_80GB'"),
        ("resources.trainer={accelerator: {type: Tesla T4}}", "did you mean 'T4'"),
        ("resources.trainer={accelerator: nvidia.com/gpu}", r"such as {type: T4, count: 1}, received 'nvidia.com/gpu'"),
        ("kubernetes.trainer={volumes: [{claim: c, mount: data}]}", "mount: expected an absolute path"),
        ("kubernetes.trainer={volumes: [{claim: c, mount: /a:b}]}", "mount: expected an absolute path"),
        (
            "kubernetes.trainer={volumes: [{claim: c, mount: /data}, {claim: d, mount: /data/}]}",
            "expected each folder, variable and mounted Secret once, received /data twice",
        ),
        (
            "kubernetes.trainer={volumes: [{claim: c, mount: /data}], secrets: [{name: s, mount: /data}]}",
            "received /data twice",
        ),
        ("kubernetes.trainer={secrets: [{name: s, env: {key: BAD NAME}}]}", "env.key: expected a variable's name"),
        ("kubernetes.trainer={secrets: [{name: s, env: {a key: NAME}}]}", "expected a key of a Secret"),
        ("kubernetes.trainer={node_selector: {pool: a b}}", "node_selector.pool: expected 63 letters"),
        ("kubernetes.trainer={node_selector: {a b: pool}}", "expected a key of Kubernetes"),
        ("kubernetes.trainer={tolerations: [{operator: Exists, seconds: 5}]}", "seconds: expected effect NoExecute"),
        ("image=foo/bar:1 2", "image: expected an image's name with its tag or digest"),
        ("image=''", "image: expected an image's name"),
        ("image=", "--set image=: expected a value: null takes the default"),
        (
            "kubernetes.trainer={object_store: minio}",
            r"object_store: expected kfp \(KFP's own Secret and store\), pod \(the role of the pod\) or a Secret's "
            r"keys, such as {secret: NAME}, received 'minio'",
        ),
        ("kubernetes.trainer={object_store: {}}", "object_store: secret is missing: expected kfp"),
        (
            "kubernetes.trainer={object_store: {secret: null, region: eu-central-1}}",
            "object_store: secret is missing: expected kfp",
        ),
        ("kubernetes.trainer={object_store: {secrt: a}}", "unknown key .*object_store.secrt'; did you mean 'secret'"),
        ("kubernetes.trainer={object_store: {secret: A B}}", "object_store.secret: expected a name of small letters"),
        ("kubernetes.trainer={object_store: {secret: a, key_file: k, endpoint: 'http://a'}}", "either key_file, for"),
        (
            "kubernetes.trainer={object_store: {secret: a, endpoint: 'a:9000'}}",
            "endpoint: expected the store's addr",
        ),
        (
            "kubernetes.trainer={object_store: {secret: a, endpoint: 'http://a:1/b'}}",
            "endpoint: expected the store's",
        ),
        ("kubernetes.trainer={object_store: {secret: a, access_key: k, secret_key: k}}", "another key than access_key"),
        (
            "kubernetes.trainer={object_store: kfp, secrets: [{name: s, env: {key: AWS_ACCESS_KEY_ID}}]}",
            "expected each folder, variable and mounted Secret once, received AWS_ACCESS_KEY_ID twice",
        ),
        (
            "kubernetes.trainer={object_store: {secret: s, key_file: k}, secrets: [{name: s, mount: /s}]}",
            "received the Secret s twice",
        ),
        ("kubeflow.shared_folders=[data]", "shared_folders.0: expected an absolute path, such as /data"),
        ("kubernetes.trainer={service_account: runs}", "did you mean 'kubeflow.service_account'"),
    ],
)
def test_what_no_cluster_takes_is_refused(setting: str, message: str, load: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match=message):
        load([setting])


@pytest.mark.parametrize(
    "image",
    [
        "penstock:1",
        "penstock-python:0.1.0",
        "localhost:5000/Team_1".lower() + "/a.b__c:V-1",
        f"a.b/c@sha256:{'0' * 64}",
    ],
)
def test_an_image(image: str, load: Callable[..., Config]) -> None:
    assert load([f"image='{image}'"]).image == image


def test_a_folder_mounted_twice_by_all_and_by_one(load: Callable[..., Config], tmp_path: Path) -> None:
    of_all = "kubernetes.default={volumes: [{claim: a, mount: /data}]}"
    config = load([of_all, "kubernetes.trainer={secrets: [{name: s, mount: /data}]}"])
    with pytest.raises(ConfigError, match="kubernetes: trainer has /data twice: give each folder"):
        compile_config(config, targets.KUBEFLOW, tmp_path / "ir.yaml")
    replaced = load([of_all, "kubernetes.trainer={volumes: [{claim: b, mount: /data}]}"])
    compile_config(replaced, targets.KUBEFLOW, tmp_path / "ir.yaml")


KEYS = {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}


@pytest.mark.parametrize(
    ("store", "secrets", "mounts", "variables"),
    [
        (
            "kfp",
            {"mlpipeline-minio-artifact": KEYS},
            {},
            {
                "AWS_ENDPOINT_URL": "http://seaweedfs.kubeflow:9000",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_REGION": "us-east-1",
            },
        ),
        ("pod", {}, {}, {"PENSTOCK_OBJECT_STORE": "pod"}),
        ("{secret: team-s3}", {"team-s3": KEYS}, {}, {}),
        (
            "{secret: a, access_key: id, secret_key: key, endpoint: 'https://minio.team:9000', region: eu-central-1}",
            {"a": {"id": "AWS_ACCESS_KEY_ID", "key": "AWS_SECRET_ACCESS_KEY"}},
            {},
            {
                "AWS_ENDPOINT_URL": "https://minio.team:9000",
                "AWS_DEFAULT_REGION": "eu-central-1",
                "AWS_REGION": "eu-central-1",
            },
        ),
        (
            "{secret: team-gcs, key_file: key.json}",
            {},
            {"team-gcs": "/secret/gcp-credentials"},
            {"GOOGLE_APPLICATION_CREDENTIALS": "/secret/gcp-credentials/key.json"},
        ),
    ],
)
def test_where_a_pod_has_the_credentials_of_buckets_from(
    store: str,
    secrets: dict[str, dict[str, str]],
    mounts: dict[str, str],
    variables: dict[str, str],
    load: Callable[..., Config],
    tmp_path: Path,
) -> None:
    """Read as KFP's driver does, by the messages of kfp-kubernetes."""
    scheme = "gs" if "gcs" in store else "s3"
    pushed = f"push.directory={scheme}://team/serving"
    config = load([f"kubernetes.pusher={{object_store: {store}}}", "kubeflow={}", pushed])
    text = compile_config(config, targets.KUBEFLOW, tmp_path / "ir.yaml").path.read_text()
    spec, *platform = yaml.safe_load_all(text)
    containers = {label: executor["container"] for label, executor in spec["deploymentSpec"]["executors"].items()}
    assert {one["name"]: one["value"] for one in containers["exec-pusher"].get("env", [])} == variables
    assert {label for label, one in containers.items() if "env" in one} <= {"exec-pusher"}
    message = kubernetes_executor_config_pb2.KubernetesExecutorConfig()
    for document in platform:
        executors = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        assert executors.keys() == {"exec-pusher"}
        json_format.ParseDict(executors["exec-pusher"], message)
    as_env = {
        one.secret_name_parameter.runtime_value.constant.string_value: {
            key.secret_key: key.env_var for key in one.key_to_env
        }
        for one in message.secret_as_env
    }
    assert as_env == secrets
    assert {one.secret_name: one.mount_path for one in message.secret_as_volume} == mounts


def test_a_components_object_store_replaces_that_of_all(load: Callable[..., Config]) -> None:
    stores = "{default: {object_store: kfp}, trainer: {object_store: pod}, pusher: {object_store: null}}"
    config = load([f"kubernetes={stores}"])
    assert config.kubernetes is not None
    found = {name: config.kubernetes.of(name) for name in ("transform", "trainer", "pusher")}
    assert {name: [one.name for one in settings.all_secrets] for name, settings in found.items() if settings} == {
        "transform": ["mlpipeline-minio-artifact"],
        "trainer": [],
        "pusher": [],
    }


def test_an_object_store_means_nothing_to_vertex(load: Callable[..., Config], tmp_path: Path) -> None:
    """There the roles of the service account do it, so one configuration is for both."""
    path = tmp_path / "ir.yaml"
    plain = compile_config(load(), targets.VERTEX, path).path.read_text()
    store = ["kubernetes={default: {object_store: kfp}, trainer: {object_store: {secret: s, key_file: k}}}"]
    assert compile_config(load(store), targets.VERTEX, path).path.read_text() == plain
    assert not targets.VERTEX.unused(load(store))
    assert "leaves out pusher.image_pull_secrets" in targets.VERTEX.unused(
        load([*store, "kubernetes.pusher={image_pull_secrets: [r]}"])
    )


def test_a_service_account_may_have_a_role(load: Callable[..., Config], tmp_path: Path) -> None:
    settings = ["push.directory=s3://team/serving", "kubeflow={service_account: runs}"]
    compile_config(load(settings), targets.KUBEFLOW, tmp_path / "ir.yaml")
    with pytest.raises(ConfigError, match=r"s3://team: nothing gives .* \(pusher\): set kubernetes.default"):
        compile_config(load(settings[:1]), targets.KUBEFLOW, tmp_path / "ir.yaml")


def test_a_count_that_no_machine_has(load: Callable[..., Config], tmp_path: Path) -> None:
    config = load(["resources.trainer={accelerator: {type: T4, count: 3}}"])
    with pytest.raises(ConfigError, match="component trainer: no machine of Vertex AI has 3 NVIDIA_TESLA_T4"):
        compile_config(config, targets.VERTEX, tmp_path / "ir.yaml")
    compile_config(config, targets.KUBEFLOW, tmp_path / "ir.yaml")


def test_compiled_pipeline_is_kept_by_its_content(load: Callable[..., Config], project: Path) -> None:
    first, again = (compile_for_run(load(), targets.LOCAL).path for _ in range(2))
    other = compile_for_run(load(["training.train_steps=11"]), targets.LOCAL).path
    assert first == again != other
    assert {path.parent for path in (first, other)} == {project / "runs" / "small" / "compiled"}


def test_comment_that_lists_the_inputs_stays(load: Callable[..., Config], tmp_path: Path) -> None:
    text = compile_config(load(), targets.LOCAL, tmp_path / "ir.yaml").path.read_text()
    assert text.startswith("# PIPELINE DEFINITION\n# Name: small\n")


def test_unknown_target_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown target 'locale'; did you mean 'local'\?"):
        targets.named("locale")


def test_an_executor_that_kfp_counts_has_its_components_resources(load: Callable[..., Config]) -> None:
    """Two components of one name that differ are `exec-trainer` and `exec-trainer-2`."""
    container = {"args": ["--executor_input", "{{$}}", "--function_to_execute", "trainer"]}
    spec = {"deploymentSpec": {"executors": {"exec-trainer-2": {"container": container}}}}
    config = load(["resources={default: {cpu: 1}, trainer: {cpu: 3}}"])
    (applied,) = targets.KUBEFLOW.apply(spec, config)
    made = applied["deploymentSpec"]["executors"]["exec-trainer-2"]["container"]
    assert made["resources"] == {"cpuLimit": 3, "resourceCpuLimit": "3"}


@pytest.mark.parametrize(
    ("target", "settings", "server"),
    [
        (targets.KUBEFLOW, [], {"kubeflow": {}}),
        (
            targets.KUBEFLOW,
            [
                "kubeflow={host: 'https://kfp.example.com', namespace: team, token_env: KFP_TOKEN, "
                "cluster_host: 'http://ml-pipeline.kfp:8888'}"
            ],
            {"kubeflow": {"host": "http://ml-pipeline.kfp:8888", "namespace": "team", "token_env": "KFP_TOKEN"}},
        ),
        (
            targets.VERTEX,
            ["vertex={project: p, location: europe-west4, credentials_file: key.json, labels: {team: taxi}}"],
            {"vertex": {"project": "p", "location": "europe-west4", "labels": {"team": "taxi"}}},
        ),
        (targets.LOCAL, [], None),
    ],
)
def test_the_retrainer_is_told_its_server_and_gets_the_pipeline_of_its_target(
    target: Target, settings: list[str], server: Any, load: Callable[..., Config], tmp_path: Path
) -> None:
    config = load(["monitoring={retraining: {drift: 3}}", *settings])
    compile_monitoring(config, target, tmp_path / "ir.yaml")
    spec = yaml.safe_load((tmp_path / "ir.yaml").read_text())
    container = spec["deploymentSpec"]["executors"]["exec-retrainer"]["container"]
    variables = {one["name"]: json.loads(one["value"]) for one in container.get("env", []) if "SERVER" in one["name"]}
    assert variables == ({servers.VARIABLE: server} if server else {})
    package = spec["root"]["inputDefinitions"]["parameters"]["training_pipeline"]["defaultValue"]
    assert Path(package).read_text() == compile_config(config, target, tmp_path / "training.yaml").path.read_text()
