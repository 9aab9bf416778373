"""The object store as KFP's launcher uses it: by URI, object by object; every folder is what names have in common."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Where the KFP compiler mounts a scratch folder in every pod, by the scheme of the artifacts that are copied there.
MOUNTS = {"gs": "/gcs", "minio": "/minio", "s3": "/s3"}


class LauncherError(Exception):
    """The launcher gives up, and the task fails with it."""


def local_path(uri: str) -> str | None:
    """Returns where a pod has a copy of an artifact; None for schemes that the launcher leaves alone."""
    scheme, separator, rest = uri.partition("://")
    return f"{MOUNTS[scheme]}/{rest}" if separator and scheme in MOUNTS else None


@dataclass(frozen=True)
class Root:
    """A pipeline root: its store, its bucket, and the prefix that every key is below."""

    uri: str

    @property
    def prefixed_bucket(self) -> str:
        return f"{self.uri.rstrip('/')}/"

    def key(self, uri: str) -> str:
        """Returns the key below the root; what lies elsewhere is refused, as KFP's launcher does."""
        if not uri.startswith(self.prefixed_bucket):
            raise LauncherError(f'URI "{uri}" does not have expected bucket prefix "{self.prefixed_bucket}"')
        return uri.removeprefix(self.prefixed_bucket).lstrip("/")


class Store:
    """An S3 server, which answers for s3:// and for minio://; by default the one that the environment names."""

    def __init__(self, endpoint: str = "") -> None:
        import boto3

        self.endpoint = endpoint
        keys = {"aws_access_key_id": "launcher", "aws_secret_access_key": "launcher", "region_name": "us-east-1"}
        given = {"endpoint_url": endpoint, **keys} if endpoint else {}
        self._client: Any = boto3.client("s3", **given)

    def make(self, bucket: str) -> None:
        self._client.create_bucket(Bucket=bucket)

    def keys(self, uri: str) -> Iterator[str]:
        """Yields the keys in the bucket that begin with a URI's, whatever comes after it."""
        bucket, key = _parts(uri)
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
            yield from (item["Key"] for item in page.get("Contents", []))

    def below(self, uri: str) -> list[str]:
        """Returns the names of the objects below a folder."""
        key = _parts(uri)[1].rstrip("/")
        return [found.removeprefix(f"{key}/") for found in self.keys(uri) if found.startswith(f"{key}/")]

    def read(self, uri: str) -> bytes:
        bucket, key = _parts(uri)
        return bytes(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def write(self, uri: str, content: bytes) -> None:
        bucket, key = _parts(uri)
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def download(self, uri: str, target: Path) -> None:
        """Copies the object of that key, or those below it; there may be none."""
        bucket, key = _parts(uri)
        for found in self.keys(uri):
            if found == key or found.startswith(f"{key.rstrip('/')}/"):
                path = target / found.removeprefix(key).lstrip("/") if found != key else target
                path.parent.mkdir(parents=True, exist_ok=True)
                self._client.download_file(bucket, found, str(path))

    def upload(self, path: Path, uri: str) -> None:
        """Copies a file or a folder, which leaves no trace if it is empty; a FileNotFoundError if there is none."""
        bucket, key = _parts(uri)
        if not path.is_dir():
            self._client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
            return
        for child in sorted(path.iterdir()):
            if child.is_symlink() and child.is_dir():
                raise LauncherError(f'uploadFile(): unable to complete copying "{child}": read: is a directory')
            self.upload(child, f"{uri}/{child.name}")

    def session(self, uri: str) -> str:
        """Returns what the server notes of the store in an artifact's metadata."""
        scheme = uri.partition("://")[0]
        common = {
            "accessKeyKey": "accesskey",
            "disableSSL": "true",
            "fromEnv": "false",
            "maxRetries": "5",
            "secretKeyKey": "secretkey",
            "secretName": "mlpipeline-minio-artifact",
        }
        own = {
            "minio": {"endpoint": urlsplit(self.endpoint).netloc, "region": "minio"},
            "s3": {"endpoint": self.endpoint, "forcePathStyle": "true", "region": "us-east-1"},
        }
        parameters = dict(sorted((common | own.get(scheme, {})).items()))
        return json.dumps({"Provider": scheme, "Params": parameters}, separators=(",", ":"))


def _parts(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key
