"""The evaluation of the model: what later windows are judged by."""

from dataclasses import dataclass
from pathlib import Path

from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator import models as evaluated_models
from penstock.components.evaluator.eval_config import candidate
from penstock.components.evaluator.summary import limits
from penstock.core.artifacts import ModelEvaluation
from penstock.core.artifacts.evaluation_summary import EvaluationSummary
from penstock.core.artifacts.judged import Judged
from penstock.core.errors import DataError


@dataclass(frozen=True)
class Evaluation:
    """An evaluation. Without an EvalConfig, which TFMA can be told not to write, only its summary is known."""

    artifact: ModelEvaluation
    config: EvalConfig | None
    summary: EvaluationSummary

    @classmethod
    def read(cls, folder: str | None, notes: list[str]) -> "Evaluation | None":
        """Reads an evaluation; None, with a note, of one in which nothing was evaluated.

        Raises a DataError for one that is damaged.
        """
        if not folder:
            return None
        evaluation = ModelEvaluation(Path(folder))
        if not evaluation.summary.is_file():
            notes.append(
                "the model was not evaluated: how much it depends on each feature is not known, nor how good it was"
            )
            return None
        try:
            config = limits.read_config(evaluation.config) if evaluation.config.is_file() else None
            return cls(evaluation, config, evaluation.read_summary())
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise DataError(f"evaluation: {folder}: expected what this version's Evaluator wrote: {reason}") from None

    @property
    def judged(self) -> Judged | None:
        """The limits and the metrics; None without an EvalConfig."""
        return limits.judged(self.config, self.summary) if self.config else None

    def signature(self, model: Path) -> str:
        """Returns the signature by which the model makes the label; "" if the evaluation compares the examples' own."""
        if self.config is None:
            return ""
        spec = candidate(self.config)
        (of_candidate,) = evaluated_models.read(EvalConfig(model_specs=[spec]), {spec.name: str(model)})
        return next((name for name, made in of_candidate.preprocessing.items() if self.label in made.outputs), "")

    @property
    def label(self) -> str:
        """What the evaluation calls the label; "" where nobody knows."""
        return candidate(self.config).label_key if self.config else ""
