"""The layout of every artifact on disk: the one place that owns their file names.

The trees are TFX 1.21's, so TFDV, TFT, TFMA and TFX open them, and these classes open theirs. Each class wraps the
artifact's folder. Marks that readers trust (BLESSED, saved_model.pb) are written last.
"""

from penstock.core.artifacts.artifact import (
    TFX_VERSION,
    Artifact,
    GateResult,
    Metadata,
    Property,
    SplitArtifact,
    TaskResult,
    check_split_name,
    metadata,
    split_names,
)
from penstock.core.artifacts.data import (
    MOST_BUCKETS,
    By,
    ExampleAnomalies,
    Examples,
    ExampleStatistics,
    Schema,
    TransformGraph,
    read_schema,
    read_statistics,
)
from penstock.core.artifacts.gates import (
    Check,
    InfraBlessing,
    InfraValidation,
    InfraVerdict,
    ModelBlessing,
    ModelEvaluation,
    ModelValidation,
    Reason,
    Verdict,
)
from penstock.core.artifacts.inference import InferenceResult, Unfinished
from penstock.core.artifacts.models import (
    HyperParameters,
    Model,
    ModelRun,
    PushedVersion,
    SavedModel,
    TunerResults,
    no_model,
    pushed_metadata,
    pushed_versions,
)
from penstock.core.artifacts.serving import CapturedData, LoggedFile, RequestLog, open_log

__all__ = [
    "MOST_BUCKETS",
    "TFX_VERSION",
    "Artifact",
    "By",
    "CapturedData",
    "Check",
    "ExampleAnomalies",
    "ExampleStatistics",
    "Examples",
    "GateResult",
    "HyperParameters",
    "InferenceResult",
    "InfraBlessing",
    "InfraValidation",
    "InfraVerdict",
    "LoggedFile",
    "Metadata",
    "Model",
    "ModelBlessing",
    "ModelEvaluation",
    "ModelRun",
    "ModelValidation",
    "Property",
    "PushedVersion",
    "Reason",
    "RequestLog",
    "SavedModel",
    "Schema",
    "SplitArtifact",
    "TaskResult",
    "TransformGraph",
    "TunerResults",
    "Unfinished",
    "Verdict",
    "check_split_name",
    "metadata",
    "no_model",
    "open_log",
    "pushed_metadata",
    "pushed_versions",
    "read_schema",
    "read_statistics",
    "split_names",
]
