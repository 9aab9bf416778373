"""Times ExampleGen and StatisticsGen with nothing beside them, everything imported before, as TFX's components run.

In a pipeline the imports of later components go on while these two run, and take a share of two cores.

    python benchmarks/first_two_alone.py CONFIG      prints the seconds of each as JSON
"""

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.components.example_gen import executor as example_gen
from penstock.components.example_gen.inputs import spans
from penstock.components.statistics_gen import executor as statistics_gen
from penstock.pipelines.config import training_pipeline


def seconds(work: Callable[[], Any]) -> float:
    """Runs `work` in a fork, as the local run's workers do; returns how long it took."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return round(time.monotonic() - started, 3)


def main(settings: training_pipeline.Config) -> dict[str, float]:
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        examples, statistics = f"{folder}/examples", f"{folder}/statistics"

        def generate() -> None:
            resolved = spans.resolve(input_base=settings.data.input_base)
            example_gen.run(
                examples=examples,
                input_base=settings.data.input_base,
                resolved_input=resolved.resolved_input,
                fingerprint=resolved.fingerprint,
                output_config='{"split_config": {"splits": [{"name": "train", "hash_buckets": 2}, '
                '{"name": "eval", "hash_buckets": 1}]}}',
                label=settings.label or "",
            )

        first = seconds(generate)
        return {
            "CsvExampleGen": first,
            "StatisticsGen": seconds(lambda: statistics_gen.run(statistics=statistics, examples=examples)),
        }


if __name__ == "__main__":
    print(json.dumps(main(training_pipeline.load(Path(sys.argv[1])))))
