"""The compiled training pipeline that retrainings run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import ConfigError
from penstock.core.files import atomic, documents, object_stores, yaml_documents


@dataclass(frozen=True)
class Package:
    """A compiled pipeline: its spec, and the platform's if there is one. Its parameters have their defaults."""

    name: str
    documents: Sequence[Mapping[str, Any]]

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.documents[0]

    @property
    def roots(self) -> list[str]:
        """Where its outputs are to go: what its parameter `pipeline_root` says, then the pipeline itself."""
        declared = (self.spec["root"].get("inputDefinitions") or {}).get("parameters") or {}
        places = declared.get("pipeline_root", {}).get("defaultValue"), self.spec.get("defaultPipelineRoot")
        return [place for place in places if isinstance(place, str)]


def read(uri: str) -> Package:
    """Reads a compiled pipeline by its path or URI; a ConfigError for what is none."""
    if object_stores.is_remote(uri):
        with object_stores.open_store(uri) as store:
            text = store.read(uri).decode(errors="replace")
    else:
        path = atomic.local_path(uri)
        try:
            text = documents.read_text(path)
        except (OSError, documents.DocumentError) as error:
            raise ConfigError(f"pipeline: {uri}: expected a compiled pipeline: {error}") from None
    try:
        read_ = yaml_documents.parse_compiled(text, uri)
    except documents.DocumentError as error:
        raise ConfigError(f"pipeline: {error}") from None
    name = read_[0].get("pipelineInfo", {}).get("name") if read_ and isinstance(read_[0], dict) else None
    if not name or "root" not in read_[0]:
        raise ConfigError(f"pipeline: {uri}: expected a compiled pipeline of KFP v2 with a name, pipelineInfo.name")
    return Package(name, read_)
