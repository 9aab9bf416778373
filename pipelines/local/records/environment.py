"""The part of a task's cache key that is about the environment: variables, Keras's settings, installed packages.

A worker passes on all variables. Most of them change no output, and differ from one terminal to the next. So the key
has those that libraries read, and any other that the source of the component or of the user's module names.
"""

import functools
import hashlib
import itertools
import json
import locale
import os
import platform
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from penstock.core import packages

# What Python and its libraries read in any task.
_ALWAYS = (
    *("TZ", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHASHSEED", "PYTHONOPTIMIZE"),
    *("PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONSAFEPATH", "PYTHONUTF8"),
)
# What TensorFlow, Keras and the libraries below them read, or a part of our own.
_OF_TENSORFLOW = (
    *("TF_", "TF2_", "TFDS_", "TFHUB_", "XLA_", "KERAS_", "KERASTUNER_", "JAX_", "TORCH_", "PYTORCH_"),
    *("CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_", "NCCL_", "ROCM_", "HIP_", "ROCR_"),
    *("OMP_", "MKL_", "KMP_", "OPENBLAS_", "BLIS_", "NUMEXPR_", "ONEDNN_", "DNNL_"),
    *("PENSTOCK_WORKERS", "PENSTOCK_TUNING_SERVICE"),
)
_HARMLESS = ("TF_CPP_", "CUDA_MODULE_LOADING", "CUDA_CACHE_", "KERAS_HOME", "NCCL_DEBUG")
_KERAS = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}
_INSTEAD = {"tensorflow": ("tensorflow-cpu",)}  # the same modules, without CUDA's code
_NAME = re.compile(r"""["']([A-Za-z_][A-Za-z0-9_]*)""")
_DOTTED = re.compile(r"([A-Za-z_]\w*)(\.\w+)+(@\w+)?")
_SHOWN = 60
_PYTHON = "Python"
_SECRET = "sha256:"


def of_task(source: str, values: Iterable[object], slow: bool) -> dict[str, str]:
    """Returns what a task reads of the environment, by names.

    source: the component's. values: those of its parameters, which may name module files. slow: whether it imports
    TensorFlow. A variable that only the sources name may be a password: its digest stands for it.
    """
    read = {name: value for name, value in os.environ.items() if _is_read(name, slow)}
    named = _named([source, *_sources(values)])
    for name, value in os.environ.items():
        if name not in read and any(name == word or (word[-1] == "_" and name.startswith(word)) for word in named):
            read[name] = _digest(value)
    facts = {
        f"environment variable {name}": value if len(value) <= _SHOWN else _digest(value)
        for name, value in read.items()
    }
    facts["text encoding"] = locale.getencoding()
    facts |= {name if name == _PYTHON else f"package {name}": version for name, version in versions().items()}
    return facts | _keras_settings() if slow else facts


def is_secret(value: str) -> bool:
    """Whether a digest stands for a value, or for one of several."""
    return _SECRET in value


def _is_read(name: str, slow: bool) -> bool:
    if name in _ALWAYS:
        return True
    return slow and name.startswith(_OF_TENSORFLOW) and not name.startswith(_HARMLESS)


def _named(sources: Iterable[str]) -> frozenset[str]:
    """Returns the words that begin a string in a source: names, and beginnings of names such as f"MY_{name}"."""
    return frozenset(word for source in sources for word in _NAME.findall(source) if len(word) > 1)


def _sources(values: Iterable[object]) -> Iterator[str]:
    """Yields the user's sources that parameters name: a module file's with those beside it, or a package's."""
    for value in values:
        if not isinstance(value, str):
            continue
        dotted = _DOTTED.fullmatch(value)
        if value.endswith(".py") and Path(value).is_file():
            folder = Path(value).parent
            inside = (path.parent.rglob("*.py") for path in folder.glob("*/__init__.py"))
            paths = {*folder.glob("*.py"), *itertools.chain.from_iterable(inside)}
        elif dotted and dotted[3] and dotted[1] != "penstock":
            try:
                paths = set(packages.folder(dotted[1]).rglob("*.py"))
            except ValueError:  # a module without a package; or it is not here, as the task will say
                continue
        else:
            continue
        for path in sorted(paths):
            yield path.read_text(encoding="utf-8", errors="replace")


@functools.cache
def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that Penstock requires."""
    installed = {_PYTHON: platform.python_version()}
    for requirement in metadata.distribution("penstock").requires or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" in requirement and not re.search(r"""extra == ['"](runtime|jax)['"]""", requirement):
            continue
        for distribution in (name, *_INSTEAD.get(name, ())):
            try:
                installed[name] = metadata.distribution(distribution).version
                break
            except metadata.PackageNotFoundError:
                continue
    return installed


def _keras_settings() -> dict[str, str]:
    """Returns what ~/.keras/keras.json says other than Keras by itself, which writes the file where there is none."""
    path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        settings = {key: value for key, value in json.loads(path.read_text()).items() if value != _KERAS.get(key)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    return {"keras.json": json.dumps(settings, sort_keys=True)} if settings else {}


def _digest(text: str) -> str:
    return _SECRET + hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
