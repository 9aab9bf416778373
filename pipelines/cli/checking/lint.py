"""`penstock lint`: what runners and servers get wrong in a compiled pipeline."""

from collections.abc import Sequence
from pathlib import Path

import click

from penstock.core.errors import ConfigError
from penstock.core.files import kinds
from penstock.core.files.documents import json_text
from penstock.pipelines.cli.output.answer import Answer, Failure, json_option
from penstock.pipelines.cli.terminal import warn


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--target", default="kubeflow", show_default=True, help="Where the pipeline is to run.")
@click.option(
    "--allow", multiple=True, metavar="RULE[:NAME]", help="Lets a finding pass, by what stands in [] at its end."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="How findings are written; json is what --json writes.",
)
@json_option
def lint(file: Path, target: str, allow: Sequence[str], form: str) -> Answer:
    """Checks a compiled pipeline, ours or one written by hand, for what runners get silently wrong.

    What goes wrong on another target only is a warning, and does not fail.
    """
    from penstock.pipelines import lint as rules
    from penstock.pipelines.cli.output import lint_report
    from penstock.pipelines.lint import local_paths
    from penstock.pipelines.servers import submission
    from penstock.pipelines.targets import target as targets

    chosen = targets.named(target)
    if special := kinds.special(file):
        raise ConfigError(f"{file} is {special}: expected a compiled pipeline")
    documents = submission.read_lines(file)
    values = [document.value for document in documents]
    findings = rules.findings(values, chosen, allow)
    warn(local_paths.sentence(values, chosen.name))  # only submitting knows what a run is given, and refuses
    report = lint_report.report(file, chosen.name, findings, documents)
    errors = sum(finding.severity == "error" for finding in findings)
    failure = Failure.of(ConfigError(f"{file} breaks {_rules(errors)}")) if errors else None
    return Answer(
        report,
        lambda: (
            json_text(lint_report.sarif(report, rules.RULES), indent=1) if form == "sarif" else lint_report.text(report)
        ),
        failure,
    )


def _rules(count: int) -> str:
    return "1 rule" if count == 1 else f"{count} rules"
