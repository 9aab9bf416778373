"""The gRPC server: all services on the event loop that HTTP runs on."""

from collections.abc import Sequence

import grpc

from penstock.components.model_server.grpc.health import Health
from penstock.components.model_server.grpc.model_service import ModelService
from penstock.components.model_server.grpc.open_inference import OpenInferenceService
from penstock.components.model_server.grpc.prediction_service import PredictionService
from penstock.components.model_server.inference import Models
from penstock.core.errors import UserError


def make(
    models: Models, options: Sequence[tuple[str, int]] = (), interceptors: Sequence[grpc.aio.ServerInterceptor] = ()
) -> grpc.aio.Server:
    """Returns a server with all services, which is neither bound to an address nor started.

    To be called on the event loop that will run it.
    """
    server = grpc.aio.server(options=options, interceptors=interceptors)
    services = (PredictionService(models), ModelService(models), OpenInferenceService(models), Health(models))
    server.add_generic_rpc_handlers(tuple(service.handler() for service in services))
    return server


def bind(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None = None) -> str:
    """Binds a server to an address, port 0 to a free one, and returns it; a UserError if it is taken.

    With credentials it speaks TLS.
    """
    place = f"[{host}]" if ":" in host else host
    try:
        address = f"{place}:{port}"
        bound: int = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError:
        raise UserError(f"cannot listen at {place}:{port} for gRPC: choose another port, or 0 for a free one") from None
    return f"{place}:{bound}"
