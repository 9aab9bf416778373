"""Buckets that our components read or write themselves, in pipelines that KFP compiled."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from kfp import dsl, kubernetes

from penstock.components.example_gen.component import input_resolver
from penstock.components.latest_blessed_model.component import latest_blessed_model
from penstock.components.model_monitor.component import model_monitor
from penstock.components.pusher.component import pusher
from penstock.components.trainer.component import trainer
from penstock.components.tuner.component import tuner
from penstock.pipelines import lint
from penstock.pipelines.targets import target as targets
from penstock.pipelines.targets.target import Target
from tests.pipelines.lint.steps import act, compiled, is_ok, names, same

RULE = "store-credentials"


def told(function: Callable[..., Any], target: Target = targets.KUBEFLOW, **parameters: Any) -> list[str]:
    found = lint.findings(documents(function), target, (), parameters)
    return [str(finding) for finding in found if finding.rule == RULE]


def documents(function: Callable[..., Any]) -> list[dict[str, Any]]:
    pipeline = dsl.pipeline(name="linted")(function)
    platform = json_format.MessageToDict(pipeline.platform_spec)
    return [compiled(function), *([platform] if platform else [])]


def resolves(input_base: str = "s3://team/data") -> None:
    input_resolver(input_base=input_base)


def test_one_sentence_for_each_kind_of_store() -> None:
    def pipeline(root: str = "gs://runs/here", push: str = '{"filesystem": {"base_directory": "gs://out/x"}}') -> None:
        input_resolver(input_base="minio://mlpipeline/data")
        candidate = dsl.importer(artifact_uri="s3://elsewhere/model", artifact_class=dsl.Model)
        latest_blessed_model(candidate=candidate.output, pipeline_root=root)
        pusher(model=candidate.output, push_destination=push)

    of_gs, of_minio = sorted(told(pipeline))
    assert of_gs.startswith("gs://out, gs://runs: nothing gives credentials to the pods that read or write there them")
    assert "(latest-blessed-model, pusher): set kubernetes.default.object_store to {secret: NAME, key_file" in of_gs
    assert of_gs.endswith("[store-credentials:gs]")
    assert of_minio.startswith("minio://mlpipeline: nothing gives credentials and the store's address to the pods")
    assert "(input-resolver): set kubernetes.default.object_store to kfp (KFP's own Secret and store)" in of_minio
    assert of_minio.endswith("[store-credentials:minio]")
    assert told(pipeline, targets.VERTEX) == told(pipeline, targets.LOCAL) == []


def test_what_a_service_that_monitors_reads() -> None:
    def pipeline() -> None:
        examples = dsl.importer(artifact_uri="s3://elsewhere/examples", artifact_class=dsl.Dataset)
        schema = dsl.importer(artifact_uri="s3://elsewhere/schema", artifact_class=dsl.Artifact)
        service = '{"vertex_ai": {"storage": "gs://monitoring/taxi"}}'
        model_monitor(examples=examples.output, schema=schema.output, service=service)

    (sentence,) = told(pipeline)
    assert sentence.startswith("gs://monitoring: nothing gives credentials to the pods that read or write there them")
    assert "(model-monitor)" in sentence


def test_the_runs_own_parameters_decide() -> None:
    assert told(resolves)
    assert told(resolves, input_base="/mnt/data") == []

    def elsewhere(input_base: str = "/mnt/data") -> None:
        input_resolver(input_base=input_base)

    assert told(elsewhere) == []
    assert told(elsewhere, input_base="s3://team/data")


def test_values_in_conditions_loops_and_other_texts_are_followed() -> None:
    def pipeline(root: str = "s3://team/runs", module_file: str = "s3://team/m.py") -> None:
        examples = dsl.importer(artifact_uri="s3://elsewhere/examples", artifact_class=dsl.Dataset).output
        with dsl.If(is_ok().output == True, name="ok"):  # noqa: E712
            tuner(examples=examples, module_file=f"{root}/m.py")
            with dsl.ParallelFor(names().output):
                trainer(examples=examples, module_file=module_file)

    (sentence,) = told(pipeline)
    assert "s3://team: " in sentence
    assert "(trainer, tuner)" in sentence
    (sentence,) = told(pipeline, root="/mnt/runs")
    assert "(trainer)" in sentence


def test_what_is_no_place_of_ours_is_not_told() -> None:
    """The Tuner searches in a temporary folder where its bucket is not mounted."""

    def pipeline(text: str = "s3://team/data") -> None:
        act(text=text)
        examples = dsl.importer(artifact_uri="s3://elsewhere/examples", artifact_class=dsl.Dataset).output
        tuner(examples=examples, working_dir=text)
        input_resolver(input_base="package:tfx/data", input_config="s3://team/data")
        input_resolver(input_base=same(text=text).output)  # known only while it runs

    assert told(pipeline) == []


def with_settings(change: Callable[[dsl.PipelineTask], object], place: str = "s3://team/data") -> list[str]:
    def pipeline() -> None:
        change(input_resolver(input_base=place))

    return told(pipeline)


KEYS = {"id": "AWS_ACCESS_KEY_ID", "key": "AWS_SECRET_ACCESS_KEY"}


@pytest.mark.parametrize(
    "change",
    [
        lambda task: kubernetes.use_secret_as_env(task, "team", KEYS),
        lambda task: kubernetes.use_config_map_as_env(task, "team", {"profile": "AWS_PROFILE"}),
        lambda task: task.set_env_variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/token"),
        lambda task: task.set_env_variable("PENSTOCK_OBJECT_STORE", "pod"),
    ],
)
def test_what_gives_credentials(change: Callable[[dsl.PipelineTask], object]) -> None:
    assert with_settings(change) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda task: task.set_env_variable("AWS_ENDPOINT_URL", "http://minio:9000"), "s3://team/data"),
        (lambda task: kubernetes.use_secret_as_env(task, "team", {"password": "DB"}), "s3://team/data"),
        (lambda task: kubernetes.use_secret_as_env(task, "team", KEYS), "gs://team/data"),
        (lambda task: kubernetes.use_secret_as_env(task, "team", KEYS), "minio://team/data"),
        (lambda task: task.set_env_variable("PENSTOCK_OBJECT_STORE", "pod"), "minio://team/data"),
        (lambda task: task.set_env_variable("GOOGLE_APPLICATION_CREDENTIALS", "/key.json"), "minio://team/data"),
    ],
)
def test_what_does_not(change: Callable[[dsl.PipelineTask], object], place: str) -> None:
    assert with_settings(change, place)


def test_minio_wants_an_address_as_well() -> None:
    def change(task: dsl.PipelineTask) -> None:
        kubernetes.use_secret_as_env(task, "team", KEYS)
        task.set_env_variable("AWS_ENDPOINT_URL_S3", "http://minio:9000")

    assert with_settings(change, "minio://team/data") == []


def test_a_key_file_is_for_googles_store() -> None:
    variable = ("GOOGLE_APPLICATION_CREDENTIALS", "/key.json")
    assert with_settings(lambda task: task.set_env_variable(*variable), "gs://team/data") == []


@pytest.mark.parametrize("allowed", [RULE, f"{RULE}:s3"])
def test_who_knows_better_lets_it_pass(allowed: str) -> None:
    assert lint.findings(documents(resolves), targets.KUBEFLOW, [allowed]) == []
