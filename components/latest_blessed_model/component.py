"""The LatestBlessedModel component."""

from kfp.dsl import Input, Model, Output

from penstock.components.wrapper import component


@component(imports=[])
def latest_blessed_model(
    model: Output[Model], candidate: Input[Model], pipeline_root: str, push_destination: str = ""
) -> None:
    """Finds the newest blessed model under the pipeline root that differs from the candidate.

    With `push_destination` it is the one that serves there and is not on trial: after a rollback not the newest. Where
    none of the blessed models does, or the destination cannot be asked, it is the newest.

    It asks no metadata service but looks for the blessings that earlier Evaluators wrote, so it works alike on all
    targets. A rerun of an unchanged pipeline finds the same baseline as the run before, since the candidate's own
    blessing does not count. It looks at the world, so it is never cached.

    Args:
        candidate: The model that is about to be evaluated.
        pipeline_root: The folder under which all runs of the pipeline write their artifacts.
        push_destination: TFX's PushDestination as JSON, as the Pusher is given it.

    Returns:
        model: The model found, metadata `found` is 1: the artifact's URI is that model's own. On Kubeflow, where a
            task's outputs may not lie outside of its run, it is a copy, and metadata `copied_from` is that URI. If no
            model is found, an empty folder, and `found` is 0.
    """
    from penstock.components.latest_blessed_model import executor

    result = executor.run(
        candidate=candidate.path,
        pipeline_root=pipeline_root,
        model=model.path,
        model_uri=model.uri,
        push_destination=push_destination,
    )
    model.uri = result.uri or model.uri
    model.metadata.update(result.metadata["model"])
