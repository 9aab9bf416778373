"""What a run was made of: its configuration, the data's fingerprint, the commit of its code, versions of libraries."""

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from penstock.core import page
from penstock.core.credentials import masks
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.report.cells import text


def html(run: RunRecord) -> str:
    """Returns the configuration and what else decides the result; parameters and versions are folded."""
    configuration = masks.masked_value(run.origin.configuration)
    written = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True) if configuration else ""
    parameters = masks.masked_value(run.arguments)
    return (
        _table(_origins(run))
        + (f"<pre>{text(written)}</pre>" if written else "")
        + _folded("Parameters of the compiled pipeline", parameters.items())
        + _folded("Versions", _versions(run))
    )


def _origins(run: RunRecord) -> Iterator[tuple[str, str]]:
    if run.origin.commit:
        yield "Git commit", run.origin.commit + (", and files edited since" if run.origin.edited else "")
    for artifact in run.made("examples"):
        if artifact.metadata.get("input_fingerprint"):
            yield f"data of {artifact.task.name}", str(artifact.metadata["input_fingerprint"])
        yield from ((f"rows of {artifact.task.name}: {name}", value) for name, value in artifact.origin())
    for own in sorted(set(run.origin.modules.values())):
        yield "your file", own


def _versions(run: RunRecord) -> Iterator[tuple[str, str]]:
    ours = {task.key.version for task in run.tasks if task.key}
    yield from (("penstock", version) for version in sorted(ours))
    yield from run.origin.versions.items()


def _folded(title: str, entries: Iterable[tuple[str, Any]]) -> str:
    rows = _table((name, value) for name, value in entries if value != "")
    return f"<details><summary>{title}</summary>{rows}</details>" if rows else ""


def _table(entries: Iterable[tuple[str, Any]]) -> str:
    rows = "".join(
        f'<tr><td class="name">{text(name)}</td><td class="long"><code>{text(value)}</code></td></tr>'
        for name, value in entries
    )
    return page.table(rows) if rows else ""
