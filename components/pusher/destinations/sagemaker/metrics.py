"""What CloudWatch counts of a canary's requests."""

import logging
import math
from datetime import UTC, datetime, timedelta

from penstock.components.pusher.destinations.sagemaker.resources import CANARY
from penstock.components.pusher.destinations.sagemaker.state import Description
from penstock.core.errors import ServerError
from penstock.core.services.sagemaker import Server

_MINUTE = 60
logger = logging.getLogger(__name__)


def error_rate(server: Server, endpoint: str, description: Description) -> float | None:
    """Returns the share of the canary's requests that it failed itself (5xx), since the endpoint has last changed.

    None if it had no requests yet, or if this account may not read metrics.
    """
    try:
        requests, failures = (
            _sum(server, name, endpoint, description) for name in ("Invocations", "Invocation5XXErrors")
        )
    except ServerError as error:
        logger.warning("%s: the canary's errors are not looked at: %s", endpoint, error.message)
        return None
    return failures / requests if requests else None


def _sum(server: Server, metric: str, endpoint: str, description: Description) -> float:
    now = datetime.now(UTC)
    minutes = 1 + max(1, math.ceil((now - description.changed).total_seconds() / _MINUTE))
    answer = server.repeat(
        server.cloudwatch.get_metric_statistics,
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": CANARY}],
        StartTime=description.changed,
        EndTime=now + timedelta(seconds=_MINUTE),  # it is exclusive, and told in whole seconds
        Period=minutes * _MINUTE,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))
