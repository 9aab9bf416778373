"""What every section of a configuration shares: no unknown keys, nothing changes once read, paths are resolved."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from penstock.core import packages
from penstock.core.errors import ConfigError
from penstock.core.files import kinds, paths

_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*://")
PATTERN_WORDS: dict[str, str] = {}


class Section(BaseModel):
    """A part of a configuration. It takes no unknown key, and does not change once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_alias=True, validate_by_name=True)


def matching(pattern: str, words: str) -> Any:
    """Returns a string field's pattern; what a message says that it expects are `words`."""
    PATTERN_WORDS[pattern] = words
    return Field(pattern=pattern)


def resolve(path: str, folder: Path) -> str:
    """Returns an absolute path: `package:NAME/path` inside an installed package, else relative to `folder`.

    Packages are found without importing them. A URI such as gs://bucket/data is returned as it is. Raises a ValueError
    for what can be no path.
    """
    if _REMOTE.match(path):
        return path
    resolved = packages.resolve(path) if packages.is_inside(path) else folder / paths.expanded(path)
    absolute = str(resolved.absolute())
    paths.check(absolute)
    return absolute


def from_here(path: str) -> str:
    """Returns a path given on the command line, which is relative to the current folder, as an absolute one."""
    if packages.is_inside(path):
        return path
    try:
        return resolve(path, Path.cwd())
    except ValueError as error:
        raise ConfigError(str(error)) from None


def is_remote(path: str) -> bool:
    """Whether this is a URI, such as gs://bucket/data, and no path of this machine."""
    return bool(_REMOTE.match(path))


def _resolve(path: str, info: ValidationInfo) -> str:
    folder: Path = (info.context or {}).get("folder", Path())
    if not path:
        raise ValueError("expected a path, received ''")
    return resolve(path, folder)


def _resolve_data(path: str, info: ValidationInfo) -> str:
    if not packages.is_inside(path):
        return _resolve(path, info)
    if not packages.name(path).isidentifier():
        raise ValueError(f"expected package:NAME/path with the name that Python imports, received {path!r}")
    return path


def _existing(path: str) -> str:
    if is_remote(path):
        return path
    paths.require(Path(path))
    special = kinds.special(Path(path))
    if special:
        raise ValueError(f"{path} is {special}: expected a file or a folder")
    return path


def existing_file(path: str) -> str:
    """Returns a path, or a URI, which is not looked at; a ValueError says why there is no file at a path."""
    if not is_remote(path) and not Path(_existing(path)).is_file():
        raise ValueError(f"{path} is a folder: expected a file")
    return path


def _folder(path: str) -> str:
    if not is_remote(path):
        paths.require_folder(Path(path))
    return path


def hidden_models(path: str) -> str:
    """Says why TensorFlow, to which a model's path is a pattern, finds none in a folder; "" if it does."""
    wild = next((character for character in path if character in "[\\"), None)
    if wild is None or is_remote(path):
        return ""
    return f"{path}: TensorFlow finds no model in a folder with {wild} in its path: expected another one"


def _model_folder(path: str) -> str:
    reason = hidden_models(path)
    if reason:
        raise ValueError(reason)
    return path


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, received {str(value).lower()}")
    return value


# Numbers. To Python, and so to pydantic, true is one as well. Bounds stand first: so the JSON Schema has them.
NO_BOOL = BeforeValidator(_no_bool)
Whole = Annotated[int, Field(ge=0, lt=2**53), NO_BOOL]  # KFP's numbers are doubles, exact up to here
PositiveWhole = Annotated[int, Field(gt=0, lt=2**31), NO_BOOL]  # what TFX's messages hold
Number = Annotated[float, NO_BOOL]
PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False), NO_BOOL]
Seed = Annotated[int, Field(ge=0, lt=2**32), NO_BOOL]  # as NumPy takes it
Variable = Annotated[
    str, matching(r"^[A-Za-z_][A-Za-z0-9_]*$", "a variable's name of letters, digits and _, no digit first")
]
Quantity = Annotated[
    str, matching(r"^[0-9]+(\.[0-9]+)?([EPTGMK]i?)?$", "bytes with a unit of Kubernetes, such as 16G or 512Mi")
]

# The name of a function in a module; with dots before it, the module as well.
FunctionName = Annotated[
    str, matching(r"^([A-Za-z_]\w*\.)*[A-Za-z_]\w*$", "a function's name, or its dotted path package.module.function")
]
FUNCTION = "The name of the function in the module, or its dotted path package.module.function."

# A path as a person writes it; an absolute path once read.
AnyPath = Annotated[str, AfterValidator(_resolve)]
DataPath = Annotated[str, AfterValidator(_resolve_data)]  # package:NAME/path stays: tasks find it where they run
FolderPath = Annotated[AnyPath, AfterValidator(_folder)]  # which need not exist yet
ExistingPath = Annotated[AnyPath, AfterValidator(_existing)]
ModelFolder = Annotated[FolderPath, AfterValidator(_model_folder)]
ExistingModel = Annotated[ExistingPath, AfterValidator(_model_folder)]
ExistingFile = Annotated[AnyPath, AfterValidator(existing_file)]


def json_text(value: Any) -> str:
    """Returns JSON with a fixed order of keys, so that equal values are equal parameters; "" for None."""
    import json

    return "" if value is None else json.dumps(value, sort_keys=True, separators=(", ", ": "))
