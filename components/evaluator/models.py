"""The models of an evaluation: what their files say of them, before they are loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, ModelSpec

from penstock.components.evaluator.eval_config import CANDIDATE_SIGNATURE
from penstock.components.evaluator.metrics.comparison import PREDICTIONS
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ModelError
from penstock.core.labels import Label
from penstock.core.models import signatures
from penstock.core.models.signatures import Signature, Tensor

# What to do about a baseline that does not fit; the end of a sentence.
WITHOUT_BASELINE = (
    "; for a different kind of data set another pipeline_root, where no model is blessed yet, or move that model away: "
    "without it the run has no baseline"
)
# Signatures that TFMA applies to the features if a model has them and the config names none.
_APPLIED_BY_TFMA = ("transformed_features", "transformed_labels")


@dataclass(frozen=True)
class EvaluatedModel:
    """A SavedModel and the model_spec that says how it is evaluated."""

    spec: ModelSpec
    folder: str
    signatures: Mapping[str, Signature]
    label: Label | None  # of a model without code

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        return f"the baseline model at {self.folder}" if self.spec.is_baseline else "the model"

    @property
    def advice(self) -> str:
        """What to do if it does not fit, where there is a choice."""
        return WITHOUT_BASELINE if self.spec.is_baseline else ""

    def require(self, name: str, field: str) -> Signature:
        """Returns a signature; a ModelError if the model has none of this name."""
        if name not in self.signatures:
            existing = ", ".join(sorted(self.signatures)) or "none"
            raise ModelError(
                f"eval_config: {field}: {self.title} has no signature {name!r}: expected one of {existing}{self.advice}"
            )
        return self.signatures[name]

    @property
    def predicting(self) -> Signature:
        """The signature whose predictions are evaluated."""
        return self.require(self.spec.signature_name or CANDIDATE_SIGNATURE, "signature_name")

    @property
    def preprocessing(self) -> dict[str, Signature]:
        """The signatures that are applied to the features before."""
        names = list(self.spec.preprocessing_function_names)
        if not names:
            names = [name for name in _APPLIED_BY_TFMA if name in self.signatures]
        return {name: self.require(name, "preprocessing_function_names") for name in names}

    @property
    def produced(self) -> set[str]:
        """The features that these produce."""
        return {name for signature in self.preprocessing.values() for name in signature.outputs}

    @property
    def predictions(self) -> dict[str, Tensor]:
        """The outputs that metrics are computed from, by the name that the config has for them; "" for the only one."""
        outputs = self.predicting.outputs
        if len(outputs) == 1:
            return {"": next(iter(outputs.values()))}
        if self.spec.prediction_keys:
            return {name: outputs[key] for name, key in self.spec.prediction_keys.items() if key in outputs}
        for key in (self.spec.prediction_key,) if self.spec.prediction_key else PREDICTIONS:
            if key in outputs:
                return {"": outputs[key]}
        return dict(outputs)


def require_saved_models(config: EvalConfig, folders: Mapping[str, str]) -> None:
    """Raises a ModelError for a model of another kind, which only a module can load and ask."""
    for spec in config.model_specs:
        model = SavedModel(Path(folders[spec.name]))
        if not model.exists:
            raise ModelError(
                f"{f'the baseline model at {model.root}' if spec.is_baseline else 'the model'} is no SavedModel "
                f"({model.listed()}): expected a module_file with custom_eval_shared_model, which loads such a model, "
                "and custom_extractors, which asks it"
            )


def read(config: EvalConfig, folders: Mapping[str, str]) -> Sequence[EvaluatedModel]:
    """Returns the models in the order of the config's model_specs; `folders` holds each one's folder by its name.

    Raises a ModelError for a model that is no SavedModel with signatures.
    """
    for spec in config.model_specs:
        if spec.model_type not in ("", constants.TF_GENERIC):
            expected = f"expected {constants.TF_GENERIC}, a SavedModel with signatures"
            raise ModelError(f"eval_config: model_type: {expected}, received {spec.model_type!r}")
    return [
        EvaluatedModel(
            spec, folders[spec.name], signatures.read(Path(folders[spec.name])), Label.read(Path(folders[spec.name]))
        )
        for spec in config.model_specs
    ]
