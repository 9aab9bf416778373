"""A pipeline written by hand, without a configuration: can the model that somebody has trained be served? Then push it.

    python model_gate.py MODEL DATA FOLDER             runs it here with kfp's own local runner
    python model_gate.py --compile FILE --image NAME   compiles it, for `penstock submit FILE` or any client of KFP

MODEL is a Model artifact, such as trainer/model in a run's folder: it holds Format-Serving/saved_model.pb. DATA is a
CSV file, or a folder of them, with rows as requests have them. FOLDER gets a version of the model, which a model server
watches. None of them may have "python3" in its path, which kfp's runner would take for an interpreter. NAME is what
`make image` built and you pushed. InfraValidator's arguments are TFX's; `budgets` is our own.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from kfp import compiler, dsl, local

from penstock.components.example_gen import csv_example_gen, input_resolver
from penstock.components.infra_validator import infra_validator
from penstock.components.pusher import pusher
from penstock.components.wrapper import IMAGE

REQUESTS = {"tensorflow_serving": {}, "split_name": "train", "num_examples": 5, "make_warmup": True}


def pipeline_in(image: str) -> Any:
    """Returns the pipeline, all of whose tasks run in an image."""

    def placed(task: dsl.PipelineTask) -> dsl.PipelineTask:
        return task.set_container_image(image)

    @dsl.pipeline(name="model-gate", description="Pushes a model that a model server can serve.")
    def model_gate(model: str, data: str, push_destination: str) -> None:
        trained = dsl.importer(artifact_uri=model, artifact_class=dsl.Model, reimport=False).output
        files = placed(input_resolver(input_base=data))
        files.set_caching_options(False)  # it looks at the world outside
        examples = placed(
            csv_example_gen(
                input_base=data,
                resolved_input=files.outputs["resolved_input"],
                fingerprint=files.outputs["fingerprint"],
            )
        ).outputs["examples"]
        tried = placed(
            infra_validator(
                model=trained,
                examples=examples,
                request_spec=json.dumps(REQUESTS),
                budgets=json.dumps({"latency_p95_ms": 1000, "memory": "4Gi"}),
            )
        )
        with dsl.If(tried.outputs["Output"] == True, name="servable"):  # noqa: E712  (KFP's condition)
            blessing = tried.outputs["blessing"]  # it holds the model, with the requests that warm it up
            pushed = placed(pusher(infra_blessing=blessing, push_destination=push_destination))
            pushed.set_caching_options(False)

    return model_gate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, metavar="MODEL DATA FOLDER")
    parser.add_argument("--compile", type=Path, metavar="FILE")
    parser.add_argument("--image", default=IMAGE, metavar="NAME")
    arguments = parser.parse_args()
    if bool(arguments.compile) == bool(arguments.paths) or len(arguments.paths) not in (0, 3):
        parser.error("expected either MODEL, DATA and FOLDER, or --compile FILE")
    if arguments.compile:
        if arguments.compile.suffix not in (".yaml", ".yml"):
            parser.error(f"--compile {arguments.compile}: expected a name that ends in .yaml")
        compiler.Compiler().compile(pipeline_in(arguments.image), str(arguments.compile))
        return
    model, data, folder = (path.absolute() for path in arguments.paths)
    for path in (model, data):
        if not path.exists():
            parser.error(f"{path} does not exist")
    if any("python3" in str(path) for path in (model, data, folder)):
        parser.error("kfp's runner takes python3 in a path for an interpreter: use another folder")
    pipeline = pipeline_in(arguments.image)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root="runs")
    pipeline(
        model=str(model),
        data=str(data),
        push_destination=json.dumps({"filesystem": {"base_directory": str(folder)}}),
    )


if __name__ == "__main__":
    main()
