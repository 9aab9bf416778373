"""A pipeline written by hand, without a configuration: does new data fit the schema of the old?

    python data_gate.py REFERENCE NEW        runs it here with kfp's own local runner
    python data_gate.py --compile FILE --image NAME    compiles it, for `penstock submit FILE` or any client of KFP

REFERENCE and NEW are CSV files or folders of them, in no path with "python3" in it, which kfp's runner would take for
an interpreter (`penstock run` does not). NAME is what `make image` built and you pushed, such as
registry.example.com/team/penstock-python:0.1.0: all tasks run in it, also those of one's own, which need kfp there.
Penstock's components are KFP components like any other: they mix with components of one's own, and a gate's bare bool
is what a condition asks.
"""

import argparse
from pathlib import Path
from typing import Any

from kfp import compiler, dsl, local

from penstock.components.example_gen import csv_example_gen, input_resolver
from penstock.components.example_validator import example_validator
from penstock.components.schema_gen import schema_gen
from penstock.components.statistics_gen import statistics_gen
from penstock.components.wrapper import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)  # an image with kfp in it, as Penstock's has
def decide(verdict: str, anomalies: dsl.Input[dsl.Artifact]) -> str:
    """A component of one's own: here a ticket could be written, or a table's partition released."""
    splits = anomalies.metadata["blessed"]
    print(f"{verdict} (splits without anomalies: {splits})")
    return verdict


def pipeline_in(image: str) -> Any:
    """Returns the pipeline, all of whose tasks run in an image."""

    def placed(task: dsl.PipelineTask) -> dsl.PipelineTask:
        return task.set_container_image(image)

    def statistics(data: str) -> Any:
        files = placed(input_resolver(input_base=data))
        files.set_caching_options(False)  # it looks at the world outside
        examples = placed(
            csv_example_gen(
                input_base=data,
                resolved_input=files.outputs["resolved_input"],
                fingerprint=files.outputs["fingerprint"],
            )
        ).outputs["examples"]
        return placed(statistics_gen(examples=examples)).outputs["statistics"]

    @dsl.pipeline(name="data-gate", description="Checks new data against the schema of the old.")
    def data_gate(reference: str, new: str) -> None:
        schema = placed(schema_gen(statistics=statistics(reference))).outputs["schema"]
        checked = placed(example_validator(statistics=statistics(new), schema=schema))
        with dsl.If(checked.outputs["Output"] == True, name="fits"):  # noqa: E712  (KFP's condition)
            placed(decide(verdict="fits", anomalies=checked.outputs["anomalies"]))
        with dsl.Else(name="differs"):
            placed(decide(verdict="differs", anomalies=checked.outputs["anomalies"]))

    return data_gate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", type=Path, metavar="REFERENCE NEW")
    parser.add_argument("--compile", type=Path, metavar="FILE")
    parser.add_argument("--image", default=IMAGE, metavar="NAME")
    arguments = parser.parse_args()
    if bool(arguments.compile) == bool(arguments.data) or len(arguments.data) not in (0, 2):
        parser.error("expected either REFERENCE and NEW, or --compile FILE")
    if arguments.compile:
        if arguments.compile.suffix not in (".yaml", ".yml"):
            parser.error(f"--compile {arguments.compile}: expected a name that ends in .yaml")
        compiler.Compiler().compile(pipeline_in(arguments.image), str(arguments.compile))
        return
    for data in arguments.data:
        if not data.exists():
            parser.error(f"{data} does not exist: expected a CSV file or a folder of them")
        if "python3" in str(data.absolute()):
            parser.error(f"{data}: kfp's runner takes python3 in a path for an interpreter: copy the data elsewhere")
    pipeline = pipeline_in(arguments.image)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root="runs")
    reference, new = (str(data.absolute()) for data in arguments.data)
    pipeline(reference=reference, new=new)


if __name__ == "__main__":
    main()
