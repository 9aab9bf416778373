"""Which device trains, found out by a real step on it, and in which precision.

    python -m penstock.trainer.hardware.devices      prints what the self-test finds here, as JSON

The self-test runs in a process of its own: TensorFlow fixes its devices at their first use, and a user's run_fn may
still want to choose them; and a driver that hangs or crashes takes only that process with it.
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
from penstock.trainer.data import memory

Accelerator = Literal["none", "preferred", "required"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_BFLOAT16_SINCE = (8, 0)  # compute capability: Ampere
_PATIENCE = 180.0  # seconds; CUDA may compile kernels for a device that is newer than it
_GPU_FILES = ("nvidia[0-9]*", "dxg", "kfd")  # in /dev: NVIDIA's, Windows' for WSL, AMD's
_DRIVER = Path("/proc/driver/nvidia/version")
_QUERY = ("name", "memory.total", "driver_version", "compute_cap")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """What trains.

    kind: "gpu" or "cpu".
    description: the device, its memory and driver, as one reads them.
    count: of the devices of this kind that TensorFlow may use.
    precision: the Keras dtype policy: "float32", "mixed_bfloat16" or "mixed_float16" (with loss scaling).
    """

    kind: str
    description: str
    count: int
    precision: str

    @property
    def jit_compile(self) -> bool:
        """Whether XLA compiles a training step: on a GPU; on a processor compiling takes longer than it saves."""
        return self.kind == "gpu"


@dataclass(frozen=True)
class Finding:
    """What a self-test found.

    names: of the accelerators, in their order; none if there is no accelerator that the backend can use.
    capability: the least compute capability of them, (0, 0) where that is not known.
    seconds: that a matrix product and a gradient step on each took, with the start of the device.
    problem: why the step failed; "" if it did not.
    """

    names: tuple[str, ...] = ()
    capability: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    problem: str = ""


def prepare(accelerator: str, precision: str) -> Device:
    """Finds the device to train on, tries it, says so, and keeps this process from using any other kind.

    To be called before TensorFlow uses a device. `accelerator` is "none" (the processor trains), "preferred" (an
    accelerator if there is one and a step on it works, else the processor) or "required".

    Raises a UserError if an accelerator is required and none works, a ConfigError for another word.
    """
    check(accelerator, precision)
    if accelerator == "none":
        return _processor(precision, "accelerator: none")
    finding, problem = _find()
    if not problem:
        described = _described(finding)
        logger.info("training on %s; a step on it works (%.1f s)", described, finding.seconds)
        policy = _policy(precision, finding.capability)
        return Device("gpu", described, len(finding.names), policy)
    if accelerator == "required":
        raise UserError(
            f"accelerator: required, but none can be used: {problem}; run where there is one, or set accelerator to "
            "preferred to train without"
        )
    return _processor(precision, f"no accelerator: {problem}")


def check(accelerator: str, precision: str) -> None:
    for name, value, expected in (
        ("accelerator", accelerator, get_args(Accelerator)),
        ("precision", precision, get_args(Precision)),
    ):
        if value not in expected:
            raise ConfigError(f"{name}: expected one of {', '.join(expected)}, received {value!r}")


def set_precision(precision: str, device: Device) -> None:
    """Makes an explicit precision the policy of every layer made from now on; "auto" changes no user's model."""
    if precision != "auto":
        import keras

        keras.mixed_precision.set_global_policy(device.precision)
        logger.info("precision: %s", device.precision)


def _find() -> tuple[Finding, str]:
    """Returns what a self-test found, and why there is no accelerator to train on ("" if there is one)."""
    problem = _none_visible()
    if problem:
        return Finding(), problem
    finding = _test_apart()
    if finding.problem:
        return finding, f"a step on {finding.names[0] if finding.names else 'it'} failed: {finding.problem}"
    if finding.names:
        return finding, ""
    return finding, _why_unused(_nvidia_smi())


def _none_visible() -> str:
    """Why it is certain without a test that there is none; "" if it is not."""
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
            "CUDA libraries (tensorflow[and-cuda])"
        )
    if _DRIVER.exists():
        return f"{_DRIVER.read_text().splitlines()[0]} is loaded, but {_backend()} sees no device"
    return f"{_backend()} sees no device"


def _test_apart() -> Finding:
    command = [sys.executable, "-P", "-m", __name__]
    started = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return Finding(problem=f"it did not end within {_PATIENCE:.0f} s")
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Finding(problem=reason, seconds=time.monotonic() - started)
    found = json.loads(lines[-1])
    return Finding(tuple(found["names"]), tuple(found["capability"]), found["seconds"], found["problem"])


def self_test() -> Finding:
    """Does a matrix product and a gradient step on every accelerator that the backend sees, in this process."""
    names, capability = _accelerators()
    started = time.monotonic()
    try:
        for index in range(len(names)):
            _step(f"gpu:{index}")
    except Exception as error:
        return Finding(tuple(names), capability, time.monotonic() - started, str(error).strip().splitlines()[0])
    return Finding(tuple(names), capability, time.monotonic() - started)


def _step(device: str) -> None:
    """Fits y = x W by one step of gradient descent; the loss must become smaller, and the numbers be right."""
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
        raise ArithmeticError(f"{device} calculates wrongly: a step of descent led from a loss of {before} to {after}")


def _accelerators() -> tuple[list[str], tuple[int, int]]:
    """Returns the names of the accelerators that the backend sees, and their least compute capability."""
    backend = _backend()
    if backend == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        found = [device for device in jax.devices() if device.platform != "cpu"]
        capabilities = [str(getattr(device, "compute_capability", "0.0")) for device in found]
        return [device.device_kind for device in found], min(map(_capability, capabilities), default=(0, 0))
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


def _processor(precision: str, why: str) -> Device:
    # Before CUDA starts in this process, so JAX and PyTorch see none either.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    policy = "float32" if precision == "auto" else _POLICIES[precision]
    described = f"the processor ({_cores()}, {memory.free() / 2**30:.1f} GiB free)"
    logger.info("training on %s: %s", described, why)
    return Device("cpu", described, 1, policy)


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
    """Returns what NVIDIA's tool says of each GPU, by the names of the query; nothing where it is not installed."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = csv.reader([] if done.returncode else done.stdout.splitlines(), skipinitialspace=True)
    return [dict(zip(_QUERY, row, strict=True)) for row in rows if len(row) == len(_QUERY)]


def _backend() -> str:
    import keras

    return str(keras.backend.backend())


if __name__ == "__main__":
    print(json.dumps(asdict(self_test())))
