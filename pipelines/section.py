"""What every section of a configuration shares: no unknown keys, nothing changes once read, paths are resolved."""

import importlib.util
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*://")
_PACKAGE = "package:"
PATTERN_WORDS: dict[str, str] = {}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_alias=True, validate_by_name=True)


def matching(pattern: str, words: str) -> Any:
    """Returns a string field's pattern; what a message says that it expects are `words`."""
    PATTERN_WORDS[pattern] = words
    return Field(pattern=pattern)


def resolve(path: str, folder: Path) -> str:
    """Returns an absolute path: `package:NAME/path` inside an installed package, else relative to `folder`.

    Packages are found without importing them. A URI such as gs://bucket/data is returned as it is.
    """
    if _REMOTE.match(path):
        return path
    if path.startswith(_PACKAGE):
        name, _, rest = path.removeprefix(_PACKAGE).partition("/")
        return str(package_folder(name) / rest)
    return str((folder / Path(path).expanduser()).absolute())


def from_here(path: str) -> str:
    """Returns a path given on the command line, which is relative to the current folder, as an absolute one."""
    return path if path.startswith(_PACKAGE) else resolve(path, Path.cwd())


def package_folder(name: str) -> Path:
    """Returns the folder of an installed top-level package; a ValueError says how to install it."""
    try:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"no package {name!r} in this environment: install it, such as `pip install {name or 'NAME'}`")
    return Path(next(iter(spec.submodule_search_locations)))


def is_remote(path: str) -> bool:
    return bool(_REMOTE.match(path))


def _resolve(path: str, info: ValidationInfo) -> str:
    folder: Path = (info.context or {}).get("folder", Path())
    if not path:
        raise ValueError("expected a path, received ''")
    return resolve(path, folder)


def _existing(path: str) -> str:
    if not is_remote(path) and not Path(path).exists():
        raise ValueError(f"{path} does not exist")
    return path


def _existing_file(path: str) -> str:
    if not is_remote(path) and not Path(_existing(path)).is_file():
        raise ValueError(f"{path} is a folder: expected a file")
    return path


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, received {str(value).lower()}")
    return value


# Numbers. To Python, and so to pydantic, true is one as well. Bounds stand first: so the JSON Schema has them.
NO_BOOL = BeforeValidator(_no_bool)
Whole = Annotated[int, Field(ge=0), NO_BOOL]
PositiveWhole = Annotated[int, Field(gt=0), NO_BOOL]
Number = Annotated[float, NO_BOOL]
PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False), NO_BOOL]
Seed = Annotated[int, Field(ge=0, lt=2**32), NO_BOOL]  # as NumPy takes it

# A path as a person writes it; an absolute path once read.
AnyPath = Annotated[str, AfterValidator(_resolve)]
ExistingPath = Annotated[AnyPath, AfterValidator(_existing)]
ExistingFile = Annotated[AnyPath, AfterValidator(_existing_file)]


def json_text(value: Any) -> str:
    """Returns JSON with a fixed order of keys, so that equal values are equal parameters; "" for None."""
    import json

    return "" if value is None else json.dumps(value, sort_keys=True, separators=(", ", ": "))
