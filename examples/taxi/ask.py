"""Serves the model that the pipeline has pushed, asks it over HTTP about a row, and ends the server.

    python examples/taxi/ask.py

It is the row that `penstock predict` shows first.
"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from penstock.core.examples import records
from penstock.pipelines.cli.predictions import show_predictions
from penstock.pipelines.config import training_pipeline

CONFIG = Path(__file__).with_name("pipeline.yaml")
STARTS = 120.0  # seconds that the server has to be ready


def main() -> None:
    row = first_row()
    command = [sys.executable, "-m", "penstock.pipelines.cli.main", "serve", str(CONFIG), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            listening = server.stdout.readline()
            if not listening:
                raise SystemExit(f"the server does not start: `penstock serve {CONFIG}` says why")
            address = json.loads(listening)["http"]
            wait_until_ready(f"{address}/v2/health/ready")
            url, body = f"{address}/v1/models/taxi:predict", json.dumps({"instances": [row]})
            print(f"\nserved at {address}\n\ncurl {url} -d '{body}'")
            with urllib.request.urlopen(url, body.encode()) as answer:
                print(answer.read().decode())
        finally:
            server.terminate()


def first_row() -> dict[str, object]:
    """Returns the features of the first row of the split eval that have a value, as plain JSON has them."""
    config = training_pipeline.load(CONFIG)
    examples = next(records.read(show_predictions.newest_examples(config, "eval"), batch_size=1))
    (features,) = records.decode(examples).to_pylist()
    row = {name: values[0] for name, values in sorted(features.items()) if values and name != config.label}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in row.items()}


def wait_until_ready(url: str) -> None:
    until = time.monotonic() + STARTS
    while True:
        try:
            urllib.request.urlopen(url).close()
            return
        except urllib.error.URLError:  # it loads the model
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main()
