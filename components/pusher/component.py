"""The Pusher component."""

from kfp.dsl import Artifact, Input, Model, Output

from penstock.components.wrapper import component


@component(imports=[])
def pusher(
    pushed_model: Output[Model],
    model: Input[Model] = None,
    model_blessing: Input[Artifact] = None,
    infra_blessing: Input[Artifact] = None,
    push_destination: str = "",
    custom_config: str = "",
) -> None:
    """Pushes a blessed model to where it is served: a folder that a model server watches, KServe, SageMaker, Vertex AI.

    Every destination gets a copy, `<folder>/<version>/`. The version is the time in Unix seconds, and always higher
    than every version there is. A version appears whole or not at all. A model may be of any kind; one that an
    estimator exported is pushed without the folders above it. The model that is already the newest version is not
    written again; its version is reported. What is not blessed is not pushed: that is no error, metadata `pushed` is 0.
    Without any blessing the model is pushed. It acts on the world, so it is never cached. In an object store that is
    not mounted, saved_model.pb is what makes a version whole: it is written last.

    At a service the new version gets all requests, or those of a canary, when it is ready. A push that fails, at
    whatever step, leaves the old version serving everything, and the error says what is left behind.

    Args:
        model: The model; its serving model is pushed. It may be left out if the InfraValidator's blessing holds it.
        model_blessing: The Evaluator's blessing of the model.
        infra_blessing: The InfraValidator's blessing of the model. With warm-up requests it holds the model, and then
            that one is pushed.
        push_destination: JSON `{"filesystem": {"base_directory": "..."}}`, with `canary` the percentage of the requests
            that a new version gets from our model server at first; `vertex_ai`, `kserve` and `sagemaker` have the keys
            of the section `push` in a configuration. Several may be named.
        custom_config: JSON with TFX's keys of a push to Vertex AI, `ai_platform_enable_vertex` and others; the same as
            `vertex_ai` in push_destination.

    Returns:
        pushed_model: A copy of the serving model; metadata `pushed` (1 or 0), `pushed_destination` (the version's
            folder, or the endpoint), `pushed_version`, and for a canary `pushed_percent`; each is a JSON list where
            there are several destinations.
    """
    from penstock.components.pusher import executor

    result = executor.run(
        pushed_model=pushed_model.path,
        model=model.path if model else None,
        model_blessing=model_blessing.path if model_blessing else None,
        infra_blessing=infra_blessing.path if infra_blessing else None,
        push_destination=push_destination,
        custom_config=custom_config,
    )
    pushed_model.metadata.update(result.metadata["pushed_model"])
