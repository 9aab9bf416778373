"""How Vertex AI explains the predictions of a version: by asking its server about changed instances."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from google.protobuf import json_format

from penstock.core.arguments import check_object, check_string, check_whole_number
from penstock.core.errors import ConfigError
from penstock.core.services.vertex import Server

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import ExplanationSpec

_KEYS = ("path_count", "inputs", "output")
_EXAMPLE = '{"inputs": {"<feature>": null}}'
_MOST_PATHS = 50  # as the service says


@dataclass(frozen=True)
class Explanation:
    """Sampled Shapley values.

    path_count: How many permutations of the features are tried.
    inputs: Features as instances name them, each with the value that stands for its absence; None: Vertex AI's choice.
    output: What is explained: the name of an output, or any name where an answer has only one.
    """

    path_count: int
    inputs: Mapping[str, str | float | None]
    output: str

    @classmethod
    def of(cls, name: str, settings: object) -> Self | None:
        """Reads the settings, which messages call `name`; None for none. A ConfigError for what does not fit."""
        if settings is None:
            return None
        values = check_object(name, settings, _KEYS, _EXAMPLE)
        inputs = check_object(f"{name}.inputs", values.get("inputs", {}))
        if not inputs:
            raise ConfigError(f"{name}.inputs: expected the features that are explained, received none")
        for key, value in inputs.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float | None):
                raise ConfigError(f"{name}.inputs.{key}: expected a text, a number or null, received {value!r}")
        paths = check_whole_number(f"{name}.path_count", values.get("path_count", 25), 1, "permutations")
        if paths > _MOST_PATHS:
            raise ConfigError(f"{name}.path_count: expected {_MOST_PATHS} permutations at most, received {paths}")
        return cls(paths, inputs, check_string(f"{name}.output", values.get("output", "predictions"), "a name"))

    def message(self, server: Server) -> "ExplanationSpec":
        """Returns the settings as the registry takes them."""
        made: ExplanationSpec = server.types.ExplanationSpec()
        inputs = {name: {"inputBaselines": [] if absent is None else [absent]} for name, absent in self.inputs.items()}
        # proto-plus takes no list of google.protobuf.Value.
        json_format.ParseDict(
            {
                "parameters": {"sampledShapleyAttribution": {"pathCount": self.path_count}},
                "metadata": {"inputs": inputs, "outputs": {self.output: {}}},
            },
            type(made).pb(made),
        )
        return made
