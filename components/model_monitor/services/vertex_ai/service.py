"""What Vertex AI does for a pushed model: a job of its endpoint compares the requests with the baseline."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.components.model_monitor.services.service import Baseline, Service
from penstock.components.model_monitor.services.vertex_ai import attributions, endpoints, features, files, version_2
from penstock.components.model_monitor.services.vertex_ai.job import job, objective
from penstock.components.model_monitor.services.vertex_ai.jobs import Jobs
from penstock.components.model_monitor.services.vertex_ai.settings import Settings
from penstock.core.artifacts import PushedVersion
from penstock.core.errors import ConfigError, ServerError
from penstock.core.services import vertex_resources
from penstock.core.services.vertex import Connection, Server

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import DeployedModel, Endpoint, ModelMonitoringObjectiveConfig

_ENDPOINT = re.compile(r"^projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/endpoints/[^/]+$")


class VertexAI(Service):
    """Monitoring of the endpoint that the model was pushed to. It connects when a model is to be monitored."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def left_out(self, baseline: Baseline) -> list[str]:
        return features.left_out(baseline)

    def configure(self, baseline: Baseline, pushed: Sequence[PushedVersion]) -> list[str]:
        places = [one for one in pushed if _ENDPOINT.match(one.place)]
        if pushed and not places:
            raise ConfigError(
                f"service.vertex_ai: expected a model that was pushed to an endpoint of Vertex AI, received one pushed "
                f"to {', '.join(one.place for one in pushed)}"
            )
        return [self._monitor(baseline, one) for one in places]

    def _monitor(self, baseline: Baseline, pushed: PushedVersion) -> str:
        """Has the deployed model of this version monitored; others of the endpoint as they were before."""
        settings, server = self._settings, self._server(pushed.place)
        endpoint = endpoints.read(server, pushed.place)
        own = [one for one in endpoint.deployed_models if _version(server, one) == pushed.version]
        if not own:
            raise ServerError(
                f"the endpoint {endpoint.display_name} does not have version {pushed.version} any more: push it again"
            )
        if settings.version == 2:
            Jobs(server, endpoint.name, settings.timeout).tell_of_own()
            return version_2.apply(server, settings, baseline, version_2.Watched(endpoint, own[0], pushed.version))
        return self._job(server, baseline, endpoint, own)

    def _job(self, server: Server, baseline: Baseline, endpoint: "Endpoint", own: "Sequence[DeployedModel]") -> str:
        """Has the job of the endpoint compare the requests to its own deployed models with the baseline."""
        settings, monitored = self._settings, features.monitored(baseline)
        explained = attributions.of(server, settings, own[0], baseline.rows.schema.names)
        stored = files.store(settings.storage, baseline, monitored, training=settings.skew)
        endpoint_jobs = Jobs(server, endpoint.name, settings.timeout)
        label = baseline.record["label_name"]
        others = _others(endpoint_jobs, endpoint)
        config = objective(server, settings, monitored, stored, label, explained)
        wanted = job(server, settings, endpoint, others | {one.id: config for one in own}, stored)
        return endpoint_jobs.apply(wanted, kept=sorted(others.keys() - {one.id for one in own}))

    def _server(self, endpoint: str) -> Server:
        match, settings = _ENDPOINT.match(endpoint), self._settings
        assert match
        return Server(
            Connection(
                project=settings.project or match["project"],
                location=match["location"],
                timeout=settings.request_timeout,
                api_endpoint=settings.api_endpoint,
                credentials_file=settings.credentials_file,
            )
        )


def _version(server: Server, deployed: "DeployedModel") -> str:
    """Returns the version that a push has given a deployed model; "" if it was no push, or the registry forgot it."""
    model = vertex_resources.registered(server, vertex_resources.version_name(deployed))
    return str(model.labels.get(vertex_resources.VERSION, "")) if model else ""


def _others(endpoint_jobs: Jobs, endpoint: "Endpoint") -> "dict[str, ModelMonitoringObjectiveConfig]":
    """Returns how what is still deployed has been monitored: the version before, or the one beside a canary."""
    there, deployed = endpoint_jobs.find(), {one.id for one in endpoint.deployed_models}
    configs = there.model_deployment_monitoring_objective_configs if there else []
    return {one.deployed_model_id: one.objective_config for one in configs if one.deployed_model_id in deployed}
