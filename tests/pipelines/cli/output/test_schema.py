"""The documented form: committed as it is generated, and of every command with --json."""

from collections.abc import Iterator

import click

from penstock.pipelines.cli.main import cli
from penstock.pipelines.cli.output import schema

PROMISED = {
    "run", "runs", "diff", "explain", "init", "validate", "compile", "components", "lint", "predict", "submit", "watch",
    "cancel", "schedule", "endpoints", "promote", "rollback", "monitor", "retrain",
}  # fmt: skip


def with_json(group: click.Group, above: str = "") -> Iterator[str]:
    """Yields the commands that have --json."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from with_json(command, f"{name} ")
        elif any("--json" in option.opts for option in command.params):
            yield above + name


def test_it_is_committed() -> None:
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "stale: make generate"


def test_every_command_with_json_has_a_form() -> None:
    assert set(with_json(cli)) == set(schema.RESULTS)
    assert {name.partition(" ")[0] for name in schema.RESULTS} == PROMISED


def test_the_page_names_every_command() -> None:
    page = (schema.FILE.parent / "scripts.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in PROMISED)
