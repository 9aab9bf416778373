"""Object stores: what a component reads or writes itself there needs credentials in its pod."""

import re
from collections.abc import Iterator

from penstock.pipelines.config.kubernetes import STORE_VARIABLE
from penstock.pipelines.lint import places
from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.lint.places import Place
from penstock.pipelines.lint.rule import Broken, rule

_BUCKET = re.compile(r"(?P<scheme>gs|s3|minio)://[^/]+")
# The variables of which any one tells the stores' libraries where the credentials are.
_AWS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
}
_VARIABLES = {"gs": {"GOOGLE_APPLICATION_CREDENTIALS"}, "s3": _AWS, "minio": _AWS}
_ADDRESS = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}  # of the server, which minio:// does not tell
_NEEDED = {"gs": "credentials", "s3": "credentials", "minio": "credentials and the store's address"}
_CHOICES = {
    "gs": "{secret: NAME, key_file: key.json}, or pod where the pods' service account has a role",
    "s3": "kfp (KFP's own Secret and store), {secret: NAME}, or pod where the pods' service account has a role",
    "minio": "kfp (KFP's own Secret and store) or {secret: NAME, endpoint: URL}",
}


@rule("store-credentials", targets=("kubeflow",))
def store_credentials(pipeline: Pipeline) -> Iterator[Broken]:
    """A bucket that a component of Penstock's reads or writes itself, and nothing gives its pod credentials."""
    lacking: dict[str, list[tuple[str, Place]]] = {}
    for place in places.named(pipeline):
        if place.parameter == "working_dir":  # the Tuner does without, where the bucket is not mounted
            continue
        bucket = _BUCKET.match(place.value)
        if bucket and not _has_credentials(pipeline, place.executor, bucket["scheme"]):
            lacking.setdefault(bucket["scheme"], []).append((bucket[0], place))
    for scheme, lacks in lacking.items():
        buckets = ", ".join(sorted({bucket for bucket, _ in lacks}))
        components = ", ".join(sorted({place.component for _, place in lacks}))
        yield Broken(
            scheme,
            f"{buckets}: nothing gives {_NEEDED[scheme]} to the pods that read or write there themselves "
            f"({components}): set kubernetes.default.object_store to {_CHOICES[scheme]}",
            (0, "deploymentSpec", "executors", lacks[0][1].executor),
        )


def _has_credentials(pipeline: Pipeline, executor: str, scheme: str) -> bool:
    variables = {variable.get("name") for variable in pipeline.container(executor).get("env", [])}
    settings = pipeline.kubernetes(executor)
    for kind in ("secretAsEnv", "configMapAsEnv"):
        variables |= {key.get("envVar") for source in settings.get(kind, []) for key in source.get("keyToEnv", [])}
    addressed = scheme != "minio" or variables & _ADDRESS
    return bool(addressed and variables & (_VARIABLES[scheme] | {STORE_VARIABLE}))


RULES = (store_credentials,)
