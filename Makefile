.DEFAULT_GOAL := help
.PHONY: help environment demo drill test test-fast lint format bench bench-quality bench-serving bench-monitoring bench-ingest generate image lock
LOCK := PATH="$$PATH:.toolchain/tools/bin" uv pip compile --universal --python-version 3.12 --generate-hashes --no-emit-index-url --quiet
CPU := --override cpu.override.txt
IMAGE := pyproject.toml --extra runtime --extra gcs --extra s3 --extra vertex --extra kserve --extra sagemaker \
	--extra avro --extra bigquery --extra kafka --extra sql
PROCESSES := -n auto --maxprocesses 4
HOST_PYTHON := $(shell command -v python3 || echo uv run --no-project python)

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

environment:  ## make .venv from the lock file (the other targets do it first; at once when nothing changed)
	@$(HOST_PYTHON) bootstrap.py

demo: environment  ## run the Chicago taxi pipeline on real data, then ask the pushed model, also over HTTP
	@.venv/bin/penstock run examples/taxi/pipeline.yaml
	@.venv/bin/penstock predict examples/taxi/pipeline.yaml --rows 3
	@.venv/bin/python examples/taxi/ask.py

drill: environment  ## train, serve, monitor, alert and train anew on real flights (about three minutes)
	@.venv/bin/python examples/flights_drill/drill.py

test: environment  ## run all tests, in a process for each core
	@.venv/bin/python -m pytest $(PROCESSES)

test-fast: environment  ## run the tests that start no interpreter and train nothing: four minutes
	@.venv/bin/python -m pytest $(PROCESSES) -m "not slow"

lint: environment  ## check style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy -p penstock.core -p penstock.trainer -p penstock.components -p penstock.pipelines

format: environment  ## rewrite the sources in the house style
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

bench: environment  ## time Penstock and TFX's LocalDagRunner side by side (about fifteen minutes)
	@.venv/bin/python benchmarks/side_by_side.py

bench-quality: environment  ## compare the default model with scikit-learn's HistGradientBoosting on nine real tables
	@.venv/bin/python benchmarks/quality.py

bench-serving: environment  ## load our model server, KServe's and MLServer in turn (about twelve minutes; needs wrk)
	@.venv/bin/python benchmarks/serving

bench-monitoring: environment  ## hold drift and estimated metrics against Evidently, NannyML and Vertex AI on the same windows (about an hour)
	@OMP_NUM_THREADS=1 .venv/bin/python benchmarks/monitoring

bench-ingest: environment  ## read a million rows from PostgreSQL, against its client library alone and pandas (about five minutes)
	@.venv/bin/python benchmarks/ingest

generate: environment  ## write what is generated and committed: READMEs, JSON Schema, lint rules, protos, golden pipelines, the script of charts
	@.venv/bin/python -m penstock.pipelines.compiling.component_docs && .venv/bin/python -m penstock.pipelines.cli.output.schema
	@.venv/bin/python -m penstock.pipelines.config.training_pipeline && .venv/bin/python -m penstock.pipelines.lint && .venv/bin/python -m penstock.core.page.bundle
	@.venv/bin/python -m penstock.components.model_server.open_inference.generate && .venv/bin/python tests/pipelines/test_golden.py

image:  ## build the image of the tasks, hold its size against its budget, and write its SBOM beside it
	@$(HOST_PYTHON) image.py

lock: environment  ## resolve requirements.lock anew from pyproject.toml, and the images' parts of it
	@$(LOCK) $(CPU) pyproject.toml --all-extras --group cpu -o requirements.lock
	@$(LOCK) $(CPU) $(IMAGE) --group cpu -c requirements.lock -o requirements.runtime.lock
	@$(LOCK) --override serving.override.txt --group serving -c requirements.runtime.lock -o requirements.serving.lock
	@$(LOCK) $(IMAGE) --group gpu -c requirements.runtime.lock -o requirements.gpu.lock
