"""The connection to a service of Amazon's: the region, the credentials, and every failure as one sentence.

boto3 makes the requests, with the credentials that it finds itself: the role of the task, a profile, or variables. Its
services say most of what is wrong with status 400; the code and the message tell what it is.
"""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from urllib3 import exceptions

from penstock.core.errors import ConfigError, ServerError
from penstock.core.services.transport import Answer, Refused, Transport, short

TIMEOUT = 60.0
# What an error's code means in the terms of HTTP; what is not here means what its status says.
_STATUS = {
    429: ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"),
    403: ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired"),
    401: (
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    404: ("ResourceNotFound", "ResourceNotFoundException", "EntityNotFoundException"),
}
_MEANING = {code: status for status, codes in _STATUS.items() for code in codes}
_MISSING = "Could not find"
_CONFLICTS = ("Cannot create already existing", "Cannot update in-progress", "Cannot delete in-progress")


class AwsServer(Transport):
    """A client of a service in a region; a subclass says which, and what a person can do about its failures.

    `client` is boto3's; its operations go through `request` and `repeat`. `service` is what sentences call it,
    `region_key` where its region is set, `user` what needs boto3, and `extra` the package's extra that brings it.
    """

    name: ClassVar[str]
    service: ClassVar[str]
    region_key: ClassVar[str]
    user: ClassVar[str]
    extra: ClassVar[str]

    def __init__(self, region: str = "") -> None:
        self.timeout = TIMEOUT
        self._region = region or os.environ.get("AWS_REGION") or None
        self.client = self._client(self.name)
        self.region = str(self.client.meta.region_name)
        self.host = str(self.client.meta.endpoint_url)
        self.known = f"AWS_ENDPOINT_URL_{self.name.upper()}" not in os.environ  # else the address is Amazon's own

    def _client(self, name: str) -> Any:
        _, botocore = self._libraries()
        retries = {"total_max_attempts": 1}  # what may be repeated is decided in Transport
        config = botocore.config.Config(connect_timeout=self.timeout, read_timeout=self.timeout, retries=retries)
        try:
            return _session(self._region).client(name, config=config)
        except botocore.exceptions.NoRegionError:
            raise ConfigError(
                f"{self.region_key} is missing: expected it there, in AWS_REGION or in the profile"
            ) from None
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise ConfigError(f"AWS: {short(str(error))}") from None

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        _, botocore = self._libraries()
        errors = botocore.exceptions
        try:
            return operation(*arguments, **options)
        except errors.ClientError as error:
            raise Refused(_answer(error.response)) from None
        except errors.ParamValidationError as error:
            said = " ".join(str(error).split())
            raise ServerError(f"{self.service}'s client refuses the request: {said}") from None
        except errors.BotoCoreError as error:
            inner = error.kwargs.get("error")
            if isinstance(inner, exceptions.HTTPError):
                raise inner from None
            if isinstance(error, errors.HTTPClientError):
                raise exceptions.ProtocolError(str(error)) from None
            raise ServerError(f"{self.host} wants a sign-in: {short(str(error))}: {self.advice.sign_in}") from None

    def _libraries(self) -> Any:
        try:
            import boto3
            import botocore.config
            import botocore.exceptions
        except ImportError:
            raise ConfigError(f"{self.user} needs boto3: pip install 'penstock[{self.extra}]'") from None
        return boto3, botocore


def _answer(response: Mapping[str, Any]) -> Answer:
    """Returns the answer that an error of boto3's holds, with the status that its code means."""
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    status = _MEANING.get(code, int(metadata.get("HTTPStatusCode", 0)))
    if status == 400 and message.startswith(_MISSING):
        status = 404
    if status == 400 and message.startswith(_CONFLICTS):
        status = 409
    text = message if not code or code.isdecimal() or not message else f"{code}: {message}"
    headers = {"Retry-After": str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))}
    return Answer(status, short(text).removesuffix("."), headers)


@functools.cache
def _session(region: str | None) -> Any:
    """Returns boto3's session of a region. It reads the descriptions of services, some of which are large, once."""
    import boto3

    return boto3.session.Session(region_name=region)
