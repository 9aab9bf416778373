"""The accelerator policy and the self-test: what they say without a GPU here, and a real step where there is one."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from penstock.core.errors import ConfigError, UserError
from penstock.trainer.hardware import devices
from penstock.trainer.hardware.devices import Device


@pytest.fixture(autouse=True)
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # prepare sets it


@pytest.fixture
def a_gpu_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev looks as if there were a GPU, so that the self-test runs; it finds what there is."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(devices, "_GPU_FILES", ("null",))


def test_the_processor_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    device = devices.prepare("none", "auto")
    assert (device.kind, device.count, device.precision, device.jit_compile) == ("cpu", 1, "float32", False)
    assert "training on the processor (" in caplog.text
    assert " GiB free): accelerator: none" in caplog.text


def test_preferred_falls_back_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert devices.prepare("preferred", "bfloat16").precision == "mixed_bfloat16"
    assert "GiB free): no accelerator: CUDA_VISIBLE_DEVICES='-1' hides all of them" in caplog.text


def test_required_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"accelerator: required, but none can be used: CUDA_VISIBLE.*run where there"):
        devices.prepare("required", "auto")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(devices, "_GPU_FILES", ("no-such-file",))
    with pytest.raises(UserError, match="this machine has no GPU, or the container was not given one"):
        devices.prepare("required", "auto")


@pytest.mark.parametrize(("accelerator", "precision"), [("gpu", "auto"), ("none", "fp16")])
def test_other_words_are_refused(accelerator: str, precision: str) -> None:
    with pytest.raises(ConfigError, match=r"(accelerator|precision): expected one of .*, received '(gpu|fp16)'"):
        devices.prepare(accelerator, precision)


def test_the_step_of_the_self_test_is_real() -> None:
    devices._step("cpu:0")
    with pytest.raises(Exception, match=r"(?i)gpu:7"):
        devices._step("gpu:7")


@pytest.mark.usefixtures("a_gpu_file")
def test_the_self_test_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "no_such_backend")
    with pytest.raises(UserError, match=r"none can be used: a step on it failed: .*no_such_backend"):
        devices.prepare("required", "auto")


def test_a_gpu_that_tensorflow_cannot_use_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """nvidia-smi's own format, from a program of that name."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034 MiB, 550.54.15, 8.9'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert devices._why_unused(devices._nvidia_smi()).startswith("driver 550.54.15 shows NVIDIA L4, but tensorflow")
    finding = devices.Finding(("NVIDIA L4", "NVIDIA L4"), (8, 9))
    assert devices._described(finding) == "2 x NVIDIA L4, 23034 MiB, driver 550.54.15, compute capability 8.9"
    program.write_text("#!/bin/sh\nexit 9\n")
    assert devices._nvidia_smi() == []


@pytest.mark.parametrize(
    ("precision", "capability", "policy"),
    [
        ("auto", (8, 0), "mixed_bfloat16"),
        ("auto", (9, 0), "mixed_bfloat16"),
        ("auto", (7, 5), "mixed_float16"),
        ("auto", (0, 0), "mixed_float16"),
        ("float32", (9, 0), "float32"),
        ("float16", (9, 0), "mixed_float16"),
        ("bfloat16", (7, 5), "mixed_bfloat16"),
    ],
)
def test_precision_is_the_best_of_the_device(precision: str, capability: tuple[int, int], policy: str) -> None:
    assert devices._policy(precision, capability) == policy


def test_a_policy_is_set_only_where_precision_is_given() -> None:
    before = keras.mixed_precision.dtype_policy().name
    try:
        devices.set_precision("auto", Device("gpu", "", 1, "mixed_bfloat16"))
        assert keras.mixed_precision.dtype_policy().name == before == "float32"
        devices.set_precision("bfloat16", Device("cpu", "", 1, "mixed_bfloat16"))
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    finally:
        keras.mixed_precision.set_global_policy(before)


@pytest.mark.gpu
def test_a_real_gpu_passes_the_self_test() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-m", devices.__name__], env=environment, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["names"]
    assert found["problem"] == ""
    assert found["capability"] > [3, 0]
