"""The endpoint's log of its requests in BigQuery, which the schedules of version 2 read.

A label of the endpoint says that ModelMonitor has switched the log on. One that somebody else has switched on is left
as it is.
"""

import logging
from typing import TYPE_CHECKING

from google.protobuf import field_mask_pb2

from penstock.components.model_monitor.services.vertex_ai.settings import Settings
from penstock.core.errors import ServerError, SystemFailure
from penstock.core.services.retries import AlreadyExists, make_once
from penstock.core.services.vertex import Server

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import Endpoint

SWITCHED_ON_BY, MONITOR = "penstock-request-log", "model-monitor"  # the label of endpoints
_FIELDS = ("predict_request_response_logging_config", "labels")
logger = logging.getLogger(__name__)


def switch_on(server: Server, settings: Settings, endpoint: "Endpoint") -> None:
    """Has the endpoint log a sample of its requests, unless it does as the settings say, or as a person has said."""
    there = endpoint.predict_request_response_logging_config
    if there.enabled and endpoint.labels.get(SWITCHED_ON_BY) != MONITOR:
        logger.warning(
            "the endpoint %s logs %g of its requests in %s, as somebody else has said, and this stays so: sample_rate "
            "and request_log do not hold",
            endpoint.display_name,
            there.sampling_rate,
            there.bigquery_destination.output_uri or "BigQuery",
        )
        return
    place = settings.request_log or f"bq://{server.project}"
    if _is_as_asked(endpoint, settings, place):
        return
    types = server.types
    wanted = types.Endpoint(
        name=endpoint.name,
        etag=endpoint.etag,
        labels={**endpoint.labels, SWITCHED_ON_BY: MONITOR},
        predict_request_response_logging_config=types.PredictRequestResponseLoggingConfig(
            enabled=True,
            sampling_rate=settings.sample_rate,
            bigquery_destination=types.BigQueryDestination(output_uri=place),
        ),
    )

    def patch() -> bool:
        mask = field_mask_pb2.FieldMask(paths=_FIELDS)
        server.request(server.endpoints.update_endpoint, endpoint=wanted, update_mask=mask)
        return True

    def is_done() -> bool | None:
        return _is_as_asked(server.repeat(server.endpoints.get_endpoint, name=endpoint.name), settings, place) or None

    what = f"the request log of the endpoint {endpoint.display_name}"
    try:
        make_once(patch, is_done, f"it is not known whether {what} was switched on: run again")
    except AlreadyExists:
        raise SystemFailure(f"{what}: the endpoint was changed by somebody else meanwhile: run again") from None
    if not is_done():
        raise ServerError(
            f"{what} is not switched on, although Vertex AI says so: check that the endpoint can have one"
        )
    logger.info("%s: %g of the requests, in %s", what, settings.sample_rate, place)


def _is_as_asked(endpoint: "Endpoint", settings: Settings, place: str) -> bool:
    """Whether the log is as asked; the service gives a dataset and a table their names where the place has none."""
    there = endpoint.predict_request_response_logging_config
    uri = there.bigquery_destination.output_uri
    return bool(
        there.enabled
        and endpoint.labels.get(SWITCHED_ON_BY) == MONITOR
        and there.sampling_rate == settings.sample_rate
        and (uri == place or uri.startswith(f"{place}."))
    )
