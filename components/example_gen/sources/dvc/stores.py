"""S3 and Google Cloud Storage as remotes of DVC, by the libraries that buckets are read with anyway (s3fs, gcsfs).

DVC's own plug-ins for them, dvc-s3 and dvc-gs, are used where they are installed. The settings of a remote that say how
to connect mean what they mean there; what a remote does not say is the environment's, as for all buckets.
"""

import functools
import importlib.util
from typing import Any, ClassVar

from dvc_objects.fs import known_implementations
from dvc_objects.fs.base import ObjectFileSystem

_S3 = {"profile": "profile", "access_key_id": "key", "secret_access_key": "secret", "session_token": "token"}
_GS = {"projectname": "project", "credentialpath": "token", "endpointurl": "endpoint_url"}


class S3(ObjectFileSystem):
    protocol = "s3"
    PARAM_CHECKSUM = "etag"
    REQUIRES: ClassVar[dict[str, str]] = {"s3fs": "s3fs"}

    def _prepare_credentials(self, **config: Any) -> dict[str, Any]:
        found = {name: config[key] for key, name in _S3.items() if config.get(key)}
        client = {"endpoint_url": config.get("endpointurl"), "region_name": config.get("region")}
        if config.get("allow_anonymous_login"):
            found["anon"] = True
        return found | {"client_kwargs": {name: value for name, value in client.items() if value}}

    @functools.cached_property
    def fs(self) -> Any:
        from s3fs import S3FileSystem

        return S3FileSystem(**self.fs_args)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{cls.protocol}://").rstrip("/")

    def unstrip_protocol(self, path: str) -> str:
        return f"{self.protocol}://{path.lstrip('/')}"


class GS(S3):
    protocol = "gs"
    REQUIRES: ClassVar[dict[str, str]] = {"gcsfs": "gcsfs"}

    def _prepare_credentials(self, **config: Any) -> dict[str, Any]:
        found = {name: config[key] for key, name in _GS.items() if config.get(key)}
        return found | ({"token": "anon"} if config.get("allow_anonymous_login") else {})

    @functools.cached_property
    def fs(self) -> Any:
        from gcsfs import GCSFileSystem

        return GCSFileSystem(**self.fs_args)


def register() -> None:
    """Lets DVC read both, unless it has plug-ins for them."""
    for kind, plugin in ((S3, "dvc_s3"), (GS, "dvc_gs")):
        if importlib.util.find_spec(plugin) is None:
            (library,) = kind.REQUIRES
            known_implementations[kind.protocol] = {
                "class": f"{__name__}.{kind.__name__}",
                "err": f"{kind.protocol} needs {library}: pip install {library}",
            }
