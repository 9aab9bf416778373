"""A target changes the image, the resources and the platform of a compiled pipeline, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import dsl
from kfp.kubernetes import kubernetes_executor_config_pb2

from penstock.core.errors import ConfigError
from penstock.pipelines.compiling.compile import compile_config, compile_for_run
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


def test_kubernetes_settings_for_another_target_are_refused(load: Callable[..., Config], tmp_path: Path) -> None:
    config = load(["kubernetes.trainer={node_selector: {pool: gpu}}"])
    with pytest.raises(
        ConfigError, match=r"kubernetes: target vertex does not run on Kubernetes .*compile for kubeflow"
    ):
        compile_config(config, targets.VERTEX, tmp_path / "ir.yaml")
    for target, documents in ((targets.LOCAL, 1), (targets.KUBEFLOW, 2)):
        text = compile_config(config, target, tmp_path / "ir.yaml").path.read_text()
        assert len(list(yaml.safe_load_all(text))) == documents


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
    with pytest.raises(ConfigError, match="kubernetes: target vertex does not run on Kubernetes"):
        compile_config(load([*store, "kubernetes.pusher={image_pull_secrets: [r]}"]), targets.VERTEX, path)


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
