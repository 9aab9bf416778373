"""Evaluates a model on the split eval, by TFX's Evaluator or by Penstock's.

Run by side_by_side.py, each side in a process of its own. Writes the wall and the processor seconds, without the
imports, to --times as JSON.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Neither side's image has JAX. TensorFlow Lite imports it where it finds it, which takes 118 MB.
sys.modules["jax"] = None  # type: ignore[assignment]


def by_tfx(examples: Path, model: Path, eval_config: str, output: Path) -> Callable[[], object]:
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2
    from tfx.components.evaluator.executor import Executor
    from tfx.types import artifact_utils, standard_artifacts

    # TFMA 0.52 does not re-export its configuration messages, and TFX's Evaluator takes them from there.
    for message in ("EvalConfig", "ModelSpec", "SlicingSpec", "MetricsSpec", "Options"):
        if not hasattr(tfma, message):
            setattr(tfma, message, getattr(config_pb2, message))
    data, saved = standard_artifacts.Examples(), standard_artifacts.Model()
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    data.uri, saved.uri = str(examples), str(model)
    evaluation.uri, blessing.uri = str(output / "evaluation"), str(output / "blessing")
    for artifact in (data, saved):
        artifact.set_string_custom_property("tfx_version", "1.21.0")
    data.split_names = artifact_utils.encode_split_names(["eval", "train"])
    properties = {"eval_config": eval_config, "example_splits": "null", "fairness_indicator_thresholds": "null"}
    inputs = {"examples": [data], "model": [saved]}
    return lambda: Executor().Do(inputs, {"evaluation": [evaluation], "blessing": [blessing]}, properties)


def by_penstock(examples: Path, model: Path, eval_config: str, output: Path) -> Callable[[], object]:
    os.environ["_KFP_RUNTIME"] = "true"  # as in the process of every task: KFP's compiler and client stay unloaded
    from penstock.components.evaluator import executor

    outputs = {name: str(output / name) for name in ("evaluation", "blessing", "validation", "report")}
    return lambda: executor.run(**outputs, examples=str(examples), model=str(model), eval_config=eval_config)


def processor_seconds() -> float:
    """Returns those of this process and of the children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    sides = {"tfx": by_tfx, "penstock": by_penstock}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=sides)
    parser.add_argument("--eval-config", required=True)
    for name in ("examples", "model", "output", "times"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    evaluate = sides[arguments.side](arguments.examples, arguments.model, arguments.eval_config, arguments.output)
    wall, processor = time.monotonic(), processor_seconds()
    evaluate()
    seconds = {"wall": time.monotonic() - wall, "processor": processor_seconds() - processor}
    arguments.times.write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
