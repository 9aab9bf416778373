"""Times Penstock and TFX's LocalDagRunner on the same data, module file, steps, slices and machine, in turn.

    python benchmarks/side_by_side.py [--rounds 3] [--only taxi flights scale rerun input inference evaluation engines]

Prints, for each data set, the wall and processor seconds of the whole processes, the peak memory, and the seconds of
each component with their ratios (medians over the rounds), and ends with one line of JSON that holds the same.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import engine_servers
import evaluators
from measuring import Measurement, measure, median

from penstock.pipelines.config import training_pipeline

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = {"taxi": ROOT / "examples" / "taxi", "flights": ROOT / "examples" / "flights"}
# What comes after the data plane.
_LATER = ("module_file", "training", "evaluation", "push", "validation", "transform")
# Penstock's tasks that do the work of TFX's components.
TASKS = {
    "CsvExampleGen": ["input-resolver", "csv-example-gen"],
    "StatisticsGen": ["statistics-gen"],
    "SchemaGen": ["schema-gen"],
    "ExampleValidator": ["example-validator"],
    "Transform": ["transform"],
    "Trainer": ["trainer"],
    "LatestBlessedModel": ["latest-blessed-model"],
    "Evaluator": ["evaluator"],
    "Pusher": ["pusher"],
}


def eval_config(settings: training_pipeline.Config) -> str:
    """Returns the EvalConfig of both sides; it names the label, for TFX's Evaluator knows it from nowhere else."""
    assert settings.evaluation is not None
    return settings.evaluation.text(settings.label, settings.label)


def run_tfx(name: str, folder: Path) -> Measurement:
    settings = training_pipeline.load(EXAMPLES[name] / "pipeline.yaml")
    assert settings.training is not None
    assert settings.module_file is not None
    data, times = folder / "data", folder / "times.json"
    data.mkdir(parents=True)
    assert settings.data.base_here is not None
    for source in settings.data.base_here.glob("*.csv"):
        (data / source.name).symlink_to(source)
    command = [sys.executable, str(ROOT / "benchmarks" / "tfx_pipeline.py"), f"--data={data}", f"--root={folder}"]
    command += [f"--module-file={settings.module_file}", f"--eval-config={eval_config(settings)}"]
    command += [f"--train-steps={settings.training.train_steps}", f"--eval-steps={settings.training.eval_steps}"]
    measured = measure([*command, f"--times={times}"], folder / "log.txt")
    measured.components = json.loads(times.read_text())
    return measured


def run_penstock(name: str, folder: Path, *extra: str) -> Measurement:
    folder.mkdir(parents=True, exist_ok=True)
    config_file = str(EXAMPLES[name] / "pipeline.yaml")
    command = [str(Path(sys.executable).with_name("penstock")), "run", config_file, "--set", f"pipeline_root={folder}"]
    command += ["--set", f"push.directory={folder / 'serving_model'}", *extra]
    command += ["--set", "infra_validation=null"]  # TFX's pipeline has no InfraValidator, which would need Docker
    measured = measure(command, folder / "log.txt")
    record = json.loads(max(folder.glob("*/run.json")).read_text())
    seconds = {task["name"]: task["seconds"] for task in record["tasks"] if task["seconds"] is not None}
    measured.components = {
        component: sum(seconds.get(task, 0.0) for task in tasks) for component, tasks in TASKS.items()
    }
    # TFX's driver has imported everything before its first component starts, and its seconds leave that out as well.
    measured.components["imports waited for"] = sum(task["waited"] for task in record["tasks"])
    return measured


def run_first_two_alone(name: str) -> float:
    """Returns the seconds of ExampleGen and StatisticsGen while no later component is imported beside them."""
    command = [sys.executable, str(ROOT / "benchmarks" / "first_two_alone.py"), str(EXAMPLES[name] / "pipeline.yaml")]
    written = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return float(sum(json.loads(written).values()))


def compare(name: str, rounds: int, scratch: Path) -> dict[str, Any]:
    """Runs both sides in turn; returns the medians and the ratios Penstock / TFX."""
    ours, theirs, alone = [], [], []
    for number in range(rounds):
        theirs.append(run_tfx(name, scratch / f"{name}-tfx-{number}"))
        ours.append(run_penstock(name, scratch / f"{name}-penstock-{number}"))
        alone.append(run_first_two_alone(name))
    penstock, tfx = median(ours), median(theirs)
    pairs = {key: (getattr(penstock, key), getattr(tfx, key)) for key in ("wall", "cpu", "peak_rss", "peak_total")}
    components = {key: (penstock.components[key], tfx.components[key]) for key in TASKS if key in tfx.components}
    first_two = [sum(side.components[key] for key in ("CsvExampleGen", "StatisticsGen")) for side in (penstock, tfx)]
    components["CsvExampleGen + StatisticsGen"] = (first_two[0], first_two[1])
    components["the same, nothing beside them"] = (statistics.median(alone), first_two[1])
    waited = penstock.components["imports waited for"]
    print(f"\n{name:32}{'Penstock':>10}{'TFX':>10}{'ratio':>8}")
    for key, (mine, other) in {**pairs, **components}.items():
        print(f"  {key:30}{mine:10.2f}{other:10.2f}{mine / max(other, 1e-9):8.3f}")
    print(f"  {'imports waited for':30}{waited:10.2f}{'(before)':>10}")
    return {
        **{f"{key}_ratio": round(mine / other, 4) for key, (mine, other) in pairs.items()},
        "components": {key: round(mine / max(other, 1e-9), 4) for key, (mine, other) in components.items()},
        "penstock": asdict(penstock),
        "tfx": asdict(tfx),
    }


def scale(scratch: Path) -> dict[str, Any]:
    """Ingestion and statistics of the flights once and ten times over: time at most in proportion, bounded memory."""
    source = EXAMPLES["flights"] / "data" / "flights.csv"
    results = {}
    for times in (1, 10):
        folder = scratch / f"scale-{times}"
        folder.mkdir()
        header, _, rows = source.read_text().partition("\n")
        with open(folder / "flights.csv", "w") as file:
            file.write(header + "\n")
            for _ in range(times):
                file.write(rows)
        del rows
        nothing_else = [f"{key}=null" for key in ("training", "evaluation", "push", "validation", "transform")]
        overrides = [f"data.path={folder / 'flights.csv'}", "module_file=null", *nothing_else]
        extra = [word for assignment in overrides for word in ("--set", assignment)]
        results[times] = run_penstock("flights", scratch / f"scale-run-{times}", *extra)
    one, ten = ({key: run.components[key] for key in ("CsvExampleGen", "StatisticsGen")} for run in results.values())
    growth = sum(ten.values()) / sum(one.values())
    print(f"\nflights ten times over: {sum(one.values()):.2f} s -> {sum(ten.values()):.2f} s ({growth:.1f} times),")
    print(f"  peak {results[10].peak_rss:.0f} MB in the largest process, {results[10].peak_total:.0f} MB in all")
    return {
        "time_growth": round(growth, 2),
        "peak_rss_mb": round(results[10].peak_rss),
        "peak_total_mb": round(results[10].peak_total),
    }


def input_rates(scratch: Path, rounds: int) -> dict[str, Any]:
    """Examples per second that a training loop gets of the transformed flights, medians over the rounds."""
    folder = scratch / "input"
    overrides = [word for key in ("training", "evaluation", "push") for word in ("--set", f"{key}=null")]
    run_penstock("flights", folder, *overrides)
    (transformed,) = folder.glob("*/transform/transformed_examples")
    command = [sys.executable, str(ROOT / "benchmarks" / "input_data.py"), str(transformed)]
    command.append(str(transformed.with_name("transform_graph")))
    runs = []
    for _ in range(rounds):
        written = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        runs.append(json.loads(written.splitlines()[-1]))
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    tfx = next(iter(medians.values()))
    print(f"\n{'flights, examples per second':46}{'':10}{'to TFX':>8}")
    for name, figure in medians.items():
        print(f"  {name:44}{figure:10,.0f}{figure / tfx:8.2f}")
    return {"examples_per_second": medians, "ratio": {name: round(rate / tfx, 2) for name, rate in medians.items()}}


def inference(scratch: Path, rounds: int) -> dict[str, Any]:
    """What the flights' model predicts for all flights, by TFX's BulkInferrer and by ours: medians over the rounds."""
    folder = scratch / "inference"
    overrides = [word for key in ("evaluation", "push") for word in ("--set", f"{key}=null")]
    run_penstock("flights", folder, *overrides, "--set", "training.train_steps=200")
    (examples,) = folder.glob("*/csv-example-gen/examples")
    (trained,) = folder.glob("*/trainer/model")

    def ask(side: str, model: Path, output: Path) -> Measurement:
        times = output.with_suffix(".json")
        command = [sys.executable, str(ROOT / "benchmarks" / "bulk_inference.py"), side, f"--examples={examples}"]
        measured = measure([*command, f"--model={model}", f"--output={output}", f"--times={times}"], folder / "log.txt")
        measured.components = json.loads(times.read_text())
        return measured

    model = folder / "model"
    ask("save_again", trained, model)
    sides = {
        side: median([ask(side, model, folder / f"{side}-{number}") for number in range(rounds)])
        for side in ("penstock", "tfx")
    }
    ours, theirs = sides["penstock"], sides["tfx"]
    pairs = {key: (getattr(ours, key), getattr(theirs, key)) for key in ("wall", "cpu", "peak_rss", "peak_total")}
    pairs["BulkInferrer"] = (ours.components["BulkInferrer"], theirs.components["BulkInferrer"])
    print(f"\n{'flights, predictions':32}{'Penstock':>10}{'TFX':>10}{'ratio':>8}")
    for key, (mine, other) in pairs.items():
        print(f"  {key:30}{mine:10.2f}{other:10.2f}{mine / other:8.3f}")
    return {f"{key}_ratio": round(mine / other, 4) for key, (mine, other) in pairs.items()}


def evaluation(scratch: Path, rounds: int) -> dict[str, Any]:
    """The Evaluator alone, all imports done, by TFX and by us; ours on ten times the flights as well."""
    results = {}
    for name in EXAMPLES:
        folder = scratch / f"evaluation-{name}"
        settings = training_pipeline.load(EXAMPLES[name] / "pipeline.yaml")
        overrides = [word for key in ("evaluation", "push") for word in ("--set", f"{key}=null")]
        run_penstock(name, folder, *overrides, "--set", "training.train_steps=200")
        (examples,) = folder.glob("*/csv-example-gen/examples")
        (model,) = folder.glob("*/trainer/model")
        task = evaluators.Task(name, examples, model, eval_config(settings), folder)
        results[name] = evaluators.compare(task, rounds, ten_times=name == "flights")
    return results


def engines(scratch: Path, rounds: int) -> dict[str, Any]:
    """StatisticsGen of the flights on each engine, beside the engine's own floor: medians over the rounds.

    Spark is a cluster of two workers out of pyspark's wheel, Beam its portable runner on Prism, if there is one.
    """
    folder = scratch / "engines"
    run_penstock("flights", folder, *(word for key in _LATER for word in ("--set", f"{key}=null")))
    (examples,) = folder.glob("*/csv-example-gen/examples")
    results: dict[str, Any] = {}
    with ExitStack() as servers:
        for name, engine in engine_servers.started(servers, folder).items():
            command = [sys.executable, str(ROOT / "benchmarks" / "engines.py"), engine, str(examples)]
            runs = []
            for _ in range(rounds):
                written = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
                runs.append(json.loads(written.splitlines()[-1]))
            results[name] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    keys = list(next(iter(results.values())))
    print(f"\n{'flights, seconds':24}" + "".join(f"{key:>22}" for key in keys))
    for name, figures in results.items():
        print(f"  {name:22}" + "".join(f"{figures[key]:22.2f}" for key in keys))
    return results


def rerun(scratch: Path) -> dict[str, Any]:
    """The taxi pipeline again with nothing changed."""
    folder = scratch / "rerun"
    first = run_penstock("taxi", folder)
    again = run_penstock("taxi", folder)
    print(f"\ntaxi again, nothing changed: {again.wall:.2f} s (first run {first.wall:.1f} s)")
    return {"wall": round(again.wall, 2)}


ROWS = {
    "input": input_rates,
    "inference": inference,
    "evaluation": evaluation,
    "engines": engines,
}  # medians over the rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["taxi", "flights", "scale", "rerun", *ROWS])
    arguments = parser.parse_args()
    if not (EXAMPLES["flights"] / "data" / "flights.csv").exists():
        subprocess.run([sys.executable, str(EXAMPLES["flights"] / "prepare.py")], check=True)
    scratch = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    results: dict[str, Any] = {}
    try:
        for name in arguments.only:
            if name in EXAMPLES:
                results[name] = compare(name, arguments.rounds, scratch)
            elif name in ROWS:
                results[name] = ROWS[name](scratch, arguments.rounds)
            else:
                results[name] = {"scale": scale, "rerun": rerun}[name](scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
