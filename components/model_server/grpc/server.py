"""The gRPC server: all services on the event loop that HTTP runs on."""

import grpc

from penstock.components.model_server.grpc.health import Health
from penstock.components.model_server.grpc.model_service import ModelService
from penstock.components.model_server.grpc.open_inference import OpenInferenceService
from penstock.components.model_server.grpc.prediction_service import PredictionService
from penstock.components.model_server.inference import Models


def make(models: Models, largest: int) -> grpc.aio.Server:
    """Returns a server with all services, which is neither bound to an address nor started.

    `largest` is how many bytes a request may have; a larger one is refused with RESOURCE_EXHAUSTED. Answers have no
    limit. To be called on the event loop that will run it.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", largest),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # an address that another server has is an error, and no shared one
        ]
    )
    services = (PredictionService(models), ModelService(models), OpenInferenceService(models), Health(models))
    server.add_generic_rpc_handlers(tuple(service.handler() for service in services))
    return server
