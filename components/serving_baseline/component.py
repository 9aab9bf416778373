"""ServingBaseline as a pipeline component."""

from kfp.dsl import Artifact, Output

from penstock.components.wrapper import component


@component(imports=[])
def serving_baseline(
    current: Output[Artifact], pipeline_root: str, push_destination: str = "", baseline: str = ""
) -> None:
    """Finds what requests are compared with: the baseline of the model that serves, whichever run has trained it.

    It is the newest one below the pipeline root whose model serves at `push_destination` and is not on trial there.
    Where none does, or the destination cannot be asked, it is the newest. It looks at the world, so it is never cached.

    Args:
        pipeline_root: The folder under which all runs of the training pipeline write their artifacts.
        push_destination: TFX's PushDestination as JSON, as the Pusher is given it; "" where no model is pushed.
        baseline: The URI of the baseline to take, whatever serves.

    Returns:
        current: The baseline, metadata `baseline` is its URI, which the artifact's is as well. On Kubeflow, where a
            task's outputs may not lie outside of its run, it is a copy.
    """
    from penstock.components.serving_baseline import executor

    result = executor.run(
        current=current.path,
        current_uri=current.uri,
        pipeline_root=pipeline_root,
        push_destination=push_destination,
        baseline=baseline,
    )
    current.uri = result.uri or current.uri
    current.metadata.update(result.metadata["current"])
