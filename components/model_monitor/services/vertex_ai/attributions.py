"""Feature attributions, which a model with explanations has: how much each feature matters for its predictions.

Vertex AI compares their scores with those of the training data, and with those of the window before. What chance does
to them is known only once the model has explained something, so thresholds are set, or Vertex AI's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.components.model_monitor.services.vertex_ai.settings import Settings
from penstock.core.errors import ConfigError
from penstock.core.services import vertex_resources
from penstock.core.services.vertex import Server
from penstock.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import DeployedModel, ExplanationSpec

DEFAULT_THRESHOLD = 0.3  # the service's own


@dataclass(frozen=True)
class Attributions:
    """How a deployed model explains its predictions, and above which distance the score of a feature alerts."""

    explanation: "ExplanationSpec"
    limits: Mapping[str, float]


def of(server: Server, settings: Settings, deployed: "DeployedModel", features: Sequence[str]) -> Attributions | None:
    """Returns the attributions of a deployed model that are compared; None if the settings ask for none.

    features: What attributions may be of; only those of them that the model explains are compared.

    Raises a ConfigError where the model has no explanations, or none of a feature that has a threshold.
    """
    if settings.attributions is None:
        return None
    explanation = _explanation(server, deployed)
    if explanation is None:
        raise ConfigError(
            f"service.vertex_ai.attributions: {deployed.display_name or deployed.id} has no explanations: expected a "
            "model with an explanation_spec, at the endpoint or in the registry; leave out attributions"
        )
    explained = set(explanation.metadata.inputs) or set(features)
    known = [name for name in features if name in explained]
    for name in settings.attributions:
        if name not in known:
            raise ConfigError(
                f"service.vertex_ai.attributions.{name}: Vertex AI compares no attributions of {name!r} for this "
                f"model; {did_you_mean(name, known)}"
            )
    limits = {name: settings.attributions.get(name, DEFAULT_THRESHOLD) for name in known}
    return Attributions(explanation, {name: limit for name, limit in limits.items() if limit is not None})


def _explanation(server: Server, deployed: "DeployedModel") -> "ExplanationSpec | None":
    """Returns how a deployed model explains its predictions: as it was deployed to, else as it was registered to."""
    if deployed.disable_explanations:
        return None
    if deployed.explanation_spec.parameters:
        return deployed.explanation_spec
    model = vertex_resources.registered(server, vertex_resources.version_name(deployed))
    return model.explanation_spec if model and model.explanation_spec.parameters else None
