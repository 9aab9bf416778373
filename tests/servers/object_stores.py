"""Real object stores on loopback ports: moto's server speaks S3, gcp-storage-emulator speaks Google's JSON API.

`stores()` gives both, as fixtures want them. Clients find them by the environment alone, as a person sets it.
"""

import contextlib
import json
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.core.files import atomic, object_stores
from tests.servers import ports

BUCKET = "penstock-tests"


@dataclass(frozen=True)
class ObjectStore:
    """A store with an empty bucket, and the environment in which clients find it."""

    scheme: str
    environment: Mapping[str, str]

    def uri(self, *names: str) -> str:
        return "/".join([f"{self.scheme}://{BUCKET}", *names])

    def write(self, files: Mapping[str, str | bytes], *folder: str) -> str:
        """Writes objects below a folder; returns the folder's URI."""
        root = self.uri(*folder)
        with object_stores.open_store(root) as store:
            for name, content in files.items():
                store.write(object_stores.join(root, name), content if isinstance(content, bytes) else content.encode())
        return root

    def remove_everything(self) -> None:
        raise NotImplementedError


@contextlib.contextmanager
def s3() -> Iterator[ObjectStore]:
    from moto.server import ThreadedMotoServer

    port = ports.reserve()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    address = f"http://127.0.0.1:{port}"
    try:
        environment = {
            "AWS_ENDPOINT_URL_S3": address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield _S3("s3", environment)
    finally:
        server.stop()


@contextlib.contextmanager
def gcs() -> Iterator[ObjectStore]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports uses pkg_resources
        from gcp_storage_emulator.server import create_server

    port = ports.reserve()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    try:
        yield _Gcs("gs", {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"})
    finally:
        server.stop()


class _S3(ObjectStore):
    def remove_everything(self) -> None:
        """Empties the bucket alone: moto's servers of one process share what they hold, a cluster's store as well."""
        import boto3

        session = boto3.Session("testing", "testing", region_name="us-east-1")
        bucket = session.resource("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL_S3"]).Bucket(BUCKET)
        bucket.create()
        bucket.objects.delete()
        for upload in bucket.multipart_uploads.all():
            upload.abort()


class _Gcs(ObjectStore):
    def remove_everything(self) -> None:
        address = f"{self.environment['STORAGE_EMULATOR_HOST']}/storage/v1/b/{BUCKET}/o"
        for item in json.loads(request(address, "GET")).get("items", []):
            request(f"{address}/{urllib.parse.quote(item['name'], safe='')}", "DELETE")


SERVERS = {"s3": s3, "gs": gcs}


def request(address: str, method: str) -> bytes:
    with urllib.request.urlopen(
        urllib.request.Request(address, method=method, data=b"" if method != "GET" else None)
    ) as answer:
        return bytes(answer.read())


@pytest.fixture(scope="session", params=sorted(SERVERS))
def running_store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    with SERVERS[request.param]() as store:
        yield store


@pytest.fixture
def object_store(running_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An object store with an empty bucket, for tests of every kind of store."""
    for name, value in running_store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(atomic._MOUNTS, running_store.scheme, Path("/nowhere"))  # a machine may have /gcs
    running_store.remove_everything()
    return running_store
