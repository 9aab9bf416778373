"""What the files of the data look like, where they are not as the configuration says: proposed beside the error."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.core.errors import ConfigError, DataError, PenstockError
from penstock.core.files import formats
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.preview import dialect, table
from penstock.pipelines.preview.dialect import Dialect

_BEGINNING = 1 << 12


@contextlib.contextmanager
def proposing(config: Config) -> Iterator[None]:
    """Adds to a ConfigError or a DataError of the body what would be right of data.format or data.csv."""
    try:
        yield
    except (ConfigError, DataError) as error:
        with contextlib.suppress(PenstockError, OSError, UnicodeError):  # that the data is as it is is told already
            proposed = of(config)
            if proposed and not error.details:
                error.details = f"the first file looks as if this were right:\n{proposed}"
        raise


def of(config: Config) -> str:
    """Returns the keys of `data` that the first file asks for and the configuration lacks, as YAML; "" of none."""
    data = config.data
    base = data.base_here
    if not data.of_files or base is None or data.file_format != "csv":
        return ""
    file = table.files_of(base, [pattern for _, pattern in data.patterns])[0]
    with table.opened(file) as content:
        found = formats.of_beginning(content.read(_BEGINNING))
    if found:
        return f"  data: {{format: {found}}}"
    return _of_csv(file, data.csv.model_dump(exclude_none=True) if data.csv else {})


def _of_csv(file: Path, given: Mapping[str, Any]) -> str:
    guessed, default = vars(dialect.guess(file)), vars(Dialect())
    asked = {
        key: value
        for key, value in guessed.items()
        if key in ("delimiter", "encoding", "decimal_point") and value != given.get(key, default[key])
    }
    names = guessed["columns"] if not guessed["has_header"] and "column_names" not in given else []
    if names:
        asked["column_names"] = names
    if not asked:
        return ""
    pairs = ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in asked.items())
    rest = " # the first line looks like a row: name the columns" if names else ""
    return f"  data: {{csv: {{{pairs}}}}}{rest}"
