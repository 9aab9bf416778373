"""A pipeline written by hand, without a configuration: does new data fit the schema of the old?

    python data_gate.py REFERENCE NEW        runs it here with kfp's own local runner
    python data_gate.py --compile FILE       compiles it, for `penstock submit FILE` or any client of KFP

REFERENCE and NEW are CSV files or folders of them, in no path with "python3" in it, which kfp's runner would take for
an interpreter (`penstock run` does not). Penstock's components are KFP components like any other: they mix
with components of one's own, and a gate's bare bool is what a condition asks.
"""

import argparse
from typing import Any

from kfp import compiler, dsl, local

from penstock.components.example_gen import csv_example_gen, input_resolver
from penstock.components.example_validator import example_validator
from penstock.components.schema_gen import schema_gen
from penstock.components.statistics_gen import statistics_gen


@dsl.component(base_image="python:3.13-slim", install_kfp_package=False)
def decide(verdict: str, anomalies: dsl.Input[dsl.Artifact]) -> str:
    """A component of one's own: here a ticket could be written, or a table's partition released."""
    splits = anomalies.metadata["blessed"]
    print(f"{verdict} (splits without anomalies: {splits})")
    return verdict


def _statistics(data: str) -> Any:
    files = input_resolver(input_base=data).set_caching_options(False)  # it looks at the world outside
    examples = csv_example_gen(
        input_base=data, resolved_input=files.outputs["resolved_input"], fingerprint=files.outputs["fingerprint"]
    ).outputs["examples"]
    return statistics_gen(examples=examples).outputs["statistics"]


@dsl.pipeline(name="data-gate", description="Checks new data against the schema of the old.")
def data_gate(reference: str, new: str) -> None:
    schema = schema_gen(statistics=_statistics(reference)).outputs["schema"]
    checked = example_validator(statistics=_statistics(new), schema=schema)
    with dsl.If(checked.outputs["Output"] == True, name="fits"):  # noqa: E712  (KFP's condition)
        decide(verdict="fits", anomalies=checked.outputs["anomalies"])
    with dsl.Else(name="differs"):
        decide(verdict="differs", anomalies=checked.outputs["anomalies"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", metavar="REFERENCE NEW")
    parser.add_argument("--compile", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.compile:
        compiler.Compiler().compile(data_gate, arguments.compile)
    elif len(arguments.data) == 2:
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root="runs")
        data_gate(reference=arguments.data[0], new=arguments.data[1])
    else:
        parser.error("expected REFERENCE and NEW, or --compile FILE")


if __name__ == "__main__":
    main()
