"""The connection to AWS SageMaker."""

import functools
from typing import Any

from penstock.core.services.aws import AwsServer
from penstock.core.services.transport import Advice


class Server(AwsServer):
    """A client of SageMaker in a region.

    `client` (SageMaker) and `cloudwatch` are boto3's; their operations go through `request` and `repeat`.
    """

    name = "sagemaker"
    service = "SageMaker"
    region_key = "push.sagemaker.region"
    user = "push.sagemaker"
    extra = "sagemaker"
    advice = Advice(
        sign_in="run `aws sso login` or set AWS_PROFILE; a task needs a role (an account of Kubernetes with one)",
        role="give it a role with sagemaker:* of models, endpoints and endpoint configurations, and iam:PassRole of "
        "push.sagemaker.role",
        unknown="check push.sagemaker.endpoint and region",
        address="check push.sagemaker.region",
        no_server="check push.sagemaker.region and the network",
        slow="try again",
        certificate="check the network's proxy (AWS_CA_BUNDLE)",
        no_tls="write http:// in AWS_ENDPOINT_URL_SAGEMAKER",
    )

    @functools.cached_property
    def cloudwatch(self) -> Any:
        """The metrics of endpoints."""
        return self._client("cloudwatch")
