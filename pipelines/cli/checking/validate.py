"""`penstock validate`: what is wrong with a configuration, its module and its data, before anything runs."""

from collections.abc import Sequence
from pathlib import Path

import click

from penstock.core.credentials import masks
from penstock.pipelines.cli.options import (
    DEFAULT_CONFIG,
    config_argument,
    config_file,
    is_config,
    label_option,
    load,
    set_option,
)
from penstock.pipelines.cli.output.answer import Answer, json_option
from penstock.pipelines.cli.terminal import note, warn


@click.command()
@config_argument
@set_option
@click.option(
    "--data",
    is_flag=False,
    flag_value="",
    metavar="[PATH]",
    help="Looks at the data wherever it is: servers and buckets are asked for a few rows. With PATH at that, which "
    "stands in place of data.path.",
)
@label_option
@click.option("--keys", is_flag=True, help="Lists every key with its values, default and meaning, and ends.")
@json_option
def validate(config: Path, assignments: Sequence[str], data: str | None, label: str | None, keys: bool) -> Answer:
    """Checks a configuration, its module file and the first rows of its data, and runs nothing."""
    if data and is_config(Path(data)) and config == Path(DEFAULT_CONFIG):
        config, data = Path(data), ""  # the configuration, behind the option
    if keys:
        from penstock.pipelines.config import keys as config_keys
        from penstock.pipelines.config import training_pipeline as module

        entries = config_keys.entries(module.Config, module.FILLED)
        return Answer({"keys": entries}, lambda: config_keys.listing(entries))
    loaded = load(config, assignments, data or None, label)
    from penstock.pipelines.modules import published
    from penstock.pipelines.preview import findings, monitoring, proposal

    with proposal.proposing(loaded):
        checked = published.check(loaded)
        monitoring.check_thresholds(loaded)
        preview = findings.look(loaded, asks=data is not None)
    values = loaded.model_dump(mode="json")
    if masks.masked_value(values) != values:  # else kfp's compiler, which takes a second to import, has nothing to say
        from penstock.pipelines.compiling import compile

        compile.check_secrets(loaded)
    warnings = list(
        filter(
            None, [loaded.idle_settings, loaded.pushes_any, checked.left_out, checked.not_installed, *preview.warnings]
        )
    )
    for sentence in warnings:
        warn(sentence)
    note(checked.keras_note)
    for sentence in (*preview.looked_at, *preview.not_looked_at, *preview.proposals):
        note(sentence)
    result = {"file": str(config_file(config)), "pipeline": loaded.name, "valid": True}
    more = {
        "warnings": warnings,
        "looked_at": list(preview.looked_at),
        "not_looked_at": list(preview.not_looked_at),
        "proposals": list(preview.proposals),
    }
    return Answer(result | more, lambda: f"{result['file']}: valid")
