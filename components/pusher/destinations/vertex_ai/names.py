"""How Vertex AI names things, and how a thing is found by the name that a person gave it."""

import re
from collections.abc import Callable
from typing import Any

from penstock.core.errors import ServerError
from penstock.core.services.vertex import Server

DIGEST, DIGEST_END = "penstock-digest", "penstock-digest-end"  # halves: a label has 63 characters
CONTAINER = "penstock-container"
PUSH = "penstock-push"
PREVIOUS = "penstock-previous"  # of an endpoint: the deployed model that a rollback brings back
PREVIOUS_VERSION = "penstock-previous-version"  # and its version in the registry, once it is deployed no more
_HALF = 32


def digest_labels(digest: str) -> dict[str, str]:
    """Returns the labels that hold a model's digest."""
    return {DIGEST: digest[:_HALF], DIGEST_END: digest[_HALF:]}


def digest_of(labels: Any) -> str:
    """Returns the digest that labels hold, "" for none."""
    return str(labels.get(DIGEST, "")) + str(labels.get(DIGEST_END, ""))


def identifier(name: str, kind: str) -> str:
    """Returns the id of a new model or endpoint: small letters, digits and dashes, a letter first, 63 at most."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (text if re.match("[a-z]", text) else f"{kind}-{text}")[:63].rstrip("-")


def find(server: Server, kind: str, name: str, listing: Callable[..., Any], get: Callable[..., Any]) -> Any:
    """Returns the model or endpoint (`kind`) of a display name, an id of digits, or a whole name; None for none.

    `listing` and `get` are the client's methods. Raises a ServerError if several have that display name.
    """
    if name.isdecimal() or name.startswith("projects/"):
        return server.repeat(get, name=name if "/" in name else f"{server.parent}/{kind}s/{name}")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    request = {"parent": server.parent, "filter": f'display_name="{quoted}"'}
    matching = [one for one in server.listed(listing, f"{kind}s", request) if one.display_name == name]
    if len(matching) > 1:
        ids = ", ".join(one.name.rpartition("/")[2] for one in matching)
        raise ServerError(
            f"Vertex AI has {len(matching)} {kind}s called {name} in {server.location} ({ids}): expected one; give the "
            f"id of the one that is meant as push.vertex_ai.{kind}"
        )
    return matching[0] if matching else None
