"""The report of a run, `<run>/report.html`: one page that needs nothing but a browser.

It is stitched from the pages that components write, in the order in which a person asks: is the model good, how was it
trained, on what, what happened. So a local run shows what the components' pages show on a cluster.
"""

from collections.abc import Iterator
from datetime import datetime

from penstock.core import page
from penstock.core.artifacts import Check, InfraVerdict, Reason, Verdict
from penstock.core.page import numbers
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.report import artifact_table, facts, pages, task_table, warnings
from penstock.pipelines.local.report.cells import text
from penstock.pipelines.local.report.pages import Section

_FIRST = ("Evaluation", "Model server")  # before what the run warned of
_LISTED = 3  # sections from which on the page has a list of them


def write(run: RunRecord) -> None:
    """Writes the page into the run's folder."""
    sections = list(_sections(run))
    anchors: dict[str, str] = {}
    for section in sections:
        anchors.setdefault(section.title, section.anchor)
    listed = "".join(f'<a href="#{anchor}">{text(title)}</a>' for title, anchor in anchors.items())
    parts = [
        f"<h1>{text(run.name)}</h1>",
        f'<p class="muted">{_summary(run)}</p>',
        *(f'<p class="muted">Spans read by {text(task)}: {text(spans)}</p>' for task, spans in run.spans()),
        f"<nav>{listed}</nav>" if len(sections) >= _LISTED else "",
        *(f'<div id="{section.anchor}">{section.body}</div>' for section in sections),
    ]
    page.write(run.folder / page.FILE, run.folder.name, "\n".join(parts))


def _summary(run: RunRecord) -> str:
    started = numbers.date(datetime.fromtimestamp(run.started))
    took = f"took {numbers.duration(run.seconds)}" if run.seconds is not None else ""
    place = f"in {run.image}" if run.image else ""
    return text(" · ".join(filter(None, [run.folder.name, started, took, run.status, place])))


def _sections(run: RunRecord) -> Iterator[Section]:
    """Yields what the page shows, in its order; a verdict that a component's page tells is not told twice."""
    written = pages.sections(run)
    titles = {section.title for section in written}
    failures, warned = _failures(run), _warnings(run)
    if failures:
        yield Section("failures", "Failures", failures)
    verdicts = "" if "Evaluation" in titles else "".join(map(_verdict, run.verdicts()))
    if verdicts:
        yield Section("verdict", "Verdict", verdicts)
    yield from (section for section in written if section.title in _FIRST)
    infra = "" if "Model server" in titles else "".join(map(_infra_verdict, run.infra_verdicts()))
    if infra:
        yield Section("server", "Model server", infra)
    if warned:
        yield Section("warnings", "Warnings", warned)
    yield from (section for section in written if section.title not in _FIRST)
    yield Section("tasks", "Tasks", f"<h2>Tasks</h2>{task_table.html(run)}")
    yield Section("configuration", "Configuration", f"<h2>Configuration</h2>{facts.html(run)}")
    yield Section("artifacts", "Artifacts", f"<h2>Artifacts</h2>{artifact_table.html(run)}")


def _failures(run: RunRecord) -> str:
    return "".join(
        f'<h2 class="bad">{text(task.name)} failed</h2><p>{text(task.failure["message"])}</p>'
        f"<pre>{text(task.failure['details'])}</pre>"
        for task in run.tasks
        if task.failure
    )


def _verdict(verdict: Verdict) -> str:
    rows = "".join(
        f'{_passed(reason)}<td class="name">{text(reason["metric"])}</td><td>{text(reason["slice"])}</td>'
        f'<td class="number">{numbers.number(reason["value"])}</td>'
        f'<td class="long">{text(reason["sentence"])}</td></tr>'
        for reason in verdict["reasons"]
    )
    header = '<th></th><th>metric</th><th>slice</th><th class="number">value</th><th>threshold</th>'
    return f"<h2>The model is {_blessed(verdict)}</h2>{page.table(rows, header)}"


def _infra_verdict(verdict: InfraVerdict) -> str:
    if not verdict["checked"]:
        sentences = "".join(f"<p>{text(check['sentence'])}</p>" for check in verdict["checks"])
        return f"<h2>In a model server the model is not checked</h2>{sentences}"
    rows = "".join(
        f'{_passed(check)}<td class="name">{text(check["name"])}</td>'
        f'<td class="number">{numbers.number(check["value"])}</td>'
        f'<td class="number">{numbers.number(check["limit"])}</td><td class="long">{text(check["sentence"])}</td></tr>'
        for check in verdict["checks"]
    )
    header = '<th></th><th>check</th><th class="number">value</th><th class="number">limit</th><th>result</th>'
    return f"<h2>In a model server the model is {_blessed(verdict)}</h2>{page.table(rows, header)}"


def _blessed(verdict: Verdict | InfraVerdict) -> str:
    return '<span class="good">blessed</span>' if verdict["blessed"] else '<span class="bad">not blessed</span>'


def _passed(entry: Reason | Check) -> str:
    """Begins a row of a verdict's table."""
    return f'<tr><td class="{"good" if entry["passed"] else "bad"}">{"✓" if entry["passed"] else "✗"}</td>'


def _warnings(run: RunRecord) -> str:
    rows = "".join(
        f'<tr><td class="name">{text(task)}</td><td class="long">{text(sentence)}</td></tr>'
        for task, sentence in warnings.warnings(run)
    )
    return f"<h2>Warnings</h2>{page.table(rows)}" if rows else ""
