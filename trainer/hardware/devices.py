"""Which device trains, and in which precision. An accelerator is used only if a real training step on it works.

    python -m penstock.trainer.hardware.devices      prints the result of the self-test as JSON

The self-test runs in a process of its own. So a driver that hangs or crashes ends only that process, and the user's
run_fn can still choose its devices, which TensorFlow fixes at their first use.
"""

import csv
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from penstock.core.errors import ConfigError, UserError
from penstock.core.legacy import keras_version
from penstock.trainer.data import memory

Accelerator = Literal["none", "preferred", "required"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_BFLOAT16_SINCE = (8, 0)  # compute capability: Ampere
_PATIENCE = 180.0  # seconds; CUDA may have to compile kernels for a device that is newer than itself
_GPU_FILES = ("nvidia[0-9]*", "dxg", "kfd")  # in /dev: NVIDIA's, Windows' for WSL, AMD's
_DRIVER = Path("/proc/driver/nvidia/version")
_QUERY = ("name", "memory.total", "driver_version", "compute_cap")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """The device that trains.

    kind: "gpu" or "cpu".
    description: its name, memory and driver, for people to read.
    count: how many devices of this kind TensorFlow may use.
    precision: Keras's dtype policy: "float32", "mixed_bfloat16" or "mixed_float16" (with loss scaling).
    """

    kind: str
    description: str
    count: int
    precision: str

    @property
    def jit_compile(self) -> bool:
        """Whether XLA compiles a training step: on a CPU, compiling takes longer than it saves."""
        return self.kind == "gpu"


@dataclass(frozen=True)
class Finding:
    """The result of the self-test.

    names: the accelerators that the backend can use.
    capability: the least compute capability among them; (0, 0) if unknown.
    seconds: the time for starting the devices and for a step on each.
    problem: why a step failed; "" if none did.
    """

    names: tuple[str, ...] = ()
    capability: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    problem: str = ""


def prepare(accelerator: str, precision: str) -> Device:
    """Chooses the device to train on, tests it, and logs it. If it is the CPU, GPUs are hidden from this process.

    To be called before TensorFlow uses a device.

    accelerator: "none" (train on the CPU), "preferred" (an accelerator if a step on one works, else the CPU) or
        "required".
    precision: "auto", "float32", "bfloat16" or "float16"; "auto" decides by the device.

    Raises a UserError if an accelerator is required and none works, a ConfigError for any other value.
    """
    check(accelerator, precision)
    if accelerator == "none":
        return _processor(precision, "accelerator: none")
    finding, problem = _find()
    if not problem:
        description = _described(finding)
        logger.info("training on %s; a step on it works (%.1f s)", description, finding.seconds)
        policy = _policy(precision, finding.capability)
        return Device("gpu", description, len(finding.names), policy)
    if accelerator == "required":
        raise UserError(
            f"accelerator: required, but none can be used: {problem}; run where there is one, or set accelerator to "
            "preferred to train without"
        )
    return _processor(precision, f"no accelerator: {problem}")


def check(accelerator: str, precision: str) -> None:
    """Raises a ConfigError unless `prepare` knows both values."""
    for name, value, expected in (
        ("accelerator", accelerator, get_args(Accelerator)),
        ("precision", precision, get_args(Precision)),
    ):
        if value not in expected:
            raise ConfigError(f"{name}: expected one of {', '.join(expected)}, received {value!r}")


def set_precision(precision: str, device: Device) -> None:
    """Makes the device's precision the dtype policy of all layers made from now on, unless `precision` is "auto"."""
    if precision != "auto":
        import keras

        keras.mixed_precision.set_global_policy(device.precision)
        if keras_version.current() == 2:
            import tensorflow as tf

            tf.keras.mixed_precision.set_global_policy(device.precision)
        logger.info("precision: %s", device.precision)


def _find() -> tuple[Finding, str]:
    """Returns the result of the self-test, and why no accelerator can train ("" if one can)."""
    problem = _none_visible()
    if problem:
        return Finding(), problem
    finding = _self_test_in_process()
    if finding.problem:
        return finding, f"a step on {finding.names[0] if finding.names else 'it'} failed: {finding.problem}"
    if finding.names:
        return finding, ""
    return finding, _why_unused(_nvidia_smi())


def _none_visible() -> str:
    """Returns why there certainly is no accelerator; "" if the self-test has to find out."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={hidden!r} hides all of them"
    if sys.platform == "linux" and not any(any(Path("/dev").glob(pattern)) for pattern in _GPU_FILES):
        return "this machine has no GPU, or the container was not given one"
    return ""


def _why_unused(smi: list[dict[str, str]]) -> str:
    if smi:
        return (
            f"driver {smi[0]['driver_version']} shows {smi[0]['name']}, but {_backend()} cannot use it: install its "
            "CUDA libraries (tensorflow[and-cuda]; in a checkout of Penstock, `python3 bootstrap.py gpu`)"
        )
    if _DRIVER.exists():
        return f"{_DRIVER.read_text().splitlines()[0]} is loaded, but {_backend()} sees no device"
    return f"{_backend()} sees no device"


def _self_test_in_process() -> Finding:
    """Runs the self-test in a process of its own."""
    command = [sys.executable, "-P", "-m", __name__]
    started = time.monotonic()
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return Finding(problem=f"it did not end within {_PATIENCE:.0f} s")
    lines = process.stdout.strip().splitlines()
    if process.returncode or not lines:
        reason = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        return Finding(problem=reason, seconds=time.monotonic() - started)
    finding = json.loads(lines[-1])
    return Finding(tuple(finding["names"]), tuple(finding["capability"]), finding["seconds"], finding["problem"])


def self_test() -> Finding:
    """Runs a matrix product and a training step on every accelerator that the backend sees, in this process."""
    names, capability = _accelerators()
    started = time.monotonic()
    try:
        for index in range(len(names)):
            _step(f"gpu:{index}")
    except Exception as error:
        return Finding(tuple(names), capability, time.monotonic() - started, str(error).strip().splitlines()[0])
    return Finding(tuple(names), capability, time.monotonic() - started)


def _step(device: str) -> None:
    """Fits y = x W by one step of gradient descent.

    Raises an ArithmeticError unless the loss becomes smaller and a matrix product is right, and a RuntimeError if
    TensorFlow used another device.
    """
    import keras
    import numpy as np

    generator = np.random.default_rng(0)
    x = generator.normal(size=(256, 128)).astype("float32")
    y = x @ generator.normal(size=(128, 64)).astype("float32")
    with keras.device(device):
        layer = keras.layers.Dense(64, use_bias=False, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((128,)), layer])
        model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse", jit_compile=False)
        before = float(model.train_on_batch(x, y))
        after = float(model.test_on_batch(x, y))
        product = keras.ops.convert_to_numpy(keras.ops.matmul(x, layer.kernel))
    if _backend() == "tensorflow" and not str(layer.kernel.value.device).lower().endswith(device):
        raise RuntimeError(f"TensorFlow put the step on {layer.kernel.value.device} in place of {device}")
    expected = x @ keras.ops.convert_to_numpy(layer.kernel)
    if not after < before or not np.allclose(product, expected, rtol=0.02, atol=0.02 * float(np.abs(expected).max())):
        raise ArithmeticError(f"{device} calculates wrongly: a training step led from a loss of {before} to {after}")


def _accelerators() -> tuple[list[str], tuple[int, int]]:
    """Returns the names of the accelerators that the backend sees, and the least compute capability among them."""
    backend = _backend()
    if backend == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        accelerators = [device for device in jax.devices() if device.platform != "cpu"]
        capabilities = [str(getattr(device, "compute_capability", "0.0")) for device in accelerators]
        return [device.device_kind for device in accelerators], min(map(_capability, capabilities), default=(0, 0))
    if backend == "torch":
        import torch  # type: ignore[import-not-found,unused-ignore]

        indices = range(torch.cuda.device_count())
        return [torch.cuda.get_device_name(index) for index in indices], min(
            (torch.cuda.get_device_capability(index) for index in indices), default=(0, 0)
        )
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    names = [str(detail.get("device_name", "GPU")) for detail in details]
    return names, min((tuple(detail.get("compute_capability", (0, 0))) for detail in details), default=(0, 0))


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major), int(minor or 0)) if major.isdecimal() else (0, 0)


def _policy(precision: str, capability: tuple[int, int]) -> str:
    if precision != "auto":
        return _POLICIES[precision]
    return _POLICIES["bfloat16" if capability >= _BFLOAT16_SINCE else "float16"]


def _processor(precision: str, reason: str) -> Device:
    # CUDA has not started in this process yet, so JAX and PyTorch see no GPU either.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    policy = "float32" if precision == "auto" else _POLICIES[precision]
    description = f"the processor ({_cores()}, {memory.free() / 2**30:.1f} GiB free)"
    logger.info("training on %s: %s", description, reason)
    return Device("cpu", description, 1, policy)


def _cores() -> str:
    count = processors()
    return f"{count} core" if count == 1 else f"{count} cores"


def processors() -> int:
    """Returns the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _described(finding: Finding) -> str:
    smi = _nvidia_smi()
    first = f", {smi[0]['memory.total']}, driver {smi[0]['driver_version']}" if smi else ""
    count = f"{len(finding.names)} x " if len(finding.names) > 1 else ""
    capability = ".".join(map(str, finding.capability)) if finding.capability > (0, 0) else ""
    return f"{count}{finding.names[0]}{first}" + (f", compute capability {capability}" if capability else "")


def _nvidia_smi() -> list[dict[str, str]]:
    """Returns what nvidia-smi says about each GPU, by the names of _QUERY; [] where it is not installed."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader"]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = csv.reader([] if process.returncode else process.stdout.splitlines(), skipinitialspace=True)
    return [dict(zip(_QUERY, row, strict=True)) for row in rows if len(row) == len(_QUERY)]


def _backend() -> str:
    import keras

    return str(keras.backend.backend())


if __name__ == "__main__":
    print(json.dumps(asdict(self_test())))
