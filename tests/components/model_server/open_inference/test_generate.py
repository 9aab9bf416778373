"""The generated module of the protocol's messages is the one that its .proto gives."""

from penstock.components.model_server.open_inference import generate


def test_generated_messages_are_not_stale() -> None:
    stale = [path.name for path in generate.stale()]
    assert stale == [], "write them anew: make generate"
