"""What there is to read now: of files by their patterns, of anything else as its source says."""

from penstock.components.example_gen import configs
from penstock.components.example_gen.inputs import references, spans
from penstock.components.example_gen.inputs.spans import ResolvedInput


def resolve(*, input_base: str, input_config: str = "", range_config: str = "", state: str = "") -> ResolvedInput:
    """Finds what `input_base` names, a folder of files or a source, and what of it is to be read.

    `state` is a folder that lasts from run to run. Raises a ConfigError for what does not fit, a DataError where there
    is nothing, a SystemFailure where a server does not answer.
    """
    reference = references.parse(input_base)
    if reference is None:
        return spans.resolve(input_base=input_base, input_config=input_config, range_config=range_config)
    from penstock.components.example_gen import sources  # Arrow, which files do without
    from penstock.components.example_gen.sources.source import Asked

    asked = Asked(
        reference.options,
        configs.input_splits(input_config),
        configs.span_range(range_config, dated=True),
        state,
    )
    found = sources.named(reference.name).resolve(asked)
    return ResolvedInput(
        configs.resolved_input(found.splits, found.spans), found.fingerprint, found.span, found.version
    )
