"""A registry of schemas on loopback that speaks Confluent's protocol, as far as producers and readers need it.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.servers.loopback import Loopback, Refusal, Request, Status

_SUBJECT = re.compile(r"/subjects/([^/]+)/versions(?:/(latest|\d+))?")
_SCHEMA = re.compile(r"/schemas/ids/(\d+)")


class SchemaRegistry(Loopback):
    """`authorization` is the header that it wants, "" for none. Without `serializes` Protobuf's schemas are told as
    text alone, as by registries that do not know ?format=serialized."""

    def __init__(self, authorization: str = "", serializes: bool = True) -> None:
        super().__init__()
        self._authorization, self._serializes = authorization, serializes
        self._schemas: list[dict[str, Any]] = []  # its id is the place, from 1 on
        self._subjects: dict[str, list[int]] = {}

    def route(self, path: str) -> str:
        return path

    def register(
        self, subject: str, schema: Any, kind: str = "AVRO", references: Sequence[Mapping[str, Any]] = ()
    ) -> int:
        """Adds a version; returns the schema's id, which one that is known already keeps. Protobuf is a file descriptor
        in base64, as Confluent's own serializers register it."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        content = {"schema": text, "schemaType": kind, "references": list(references)}
        if content not in self._schemas:
            self._schemas.append(content)
        schema_id = self._schemas.index(content) + 1
        versions = self._subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    def answer(self, request: Request) -> Any:
        if self._authorization and request.headers.get("Authorization") != self._authorization:
            raise Refusal(401, "Unauthorized")
        if match := _SCHEMA.fullmatch(request.path):
            return self._told(int(match[1]), request)
        match = _SUBJECT.fullmatch(request.path)
        if match is None:
            raise Refusal(404, "HTTP 404 Not Found")
        subject, version = match[1], match[2]
        if request.method == "POST":
            body = request.body
            kind = body.get("schemaType", "AVRO")
            return {"id": self.register(subject, body["schema"], kind, body.get("references") or ())}
        versions = self._subjects.get(subject, [])
        if not versions:
            raise Refusal(404, f"Subject '{subject}' not found.")
        number = len(versions) if version == "latest" else int(version)
        return {"subject": subject, "version": number, **self._told(versions[number - 1], request)}

    def error(self, failure: Status) -> Any:
        return {"error_code": failure.code * 100 + 1, "message": failure.message}

    def _told(self, schema_id: int, request: Request) -> dict[str, Any]:
        if not 0 < schema_id <= len(self._schemas):
            raise Refusal(404, f"Schema {schema_id} not found")
        schema = self._schemas[schema_id - 1]
        told = {"id": schema_id, "schema": schema["schema"]}
        if schema["schemaType"] != "AVRO":  # which is the default, and left out
            told["schemaType"] = schema["schemaType"]
        if schema["schemaType"] == "PROTOBUF":
            base64.b64decode(schema["schema"], validate=True)
            if not (self._serializes and request.query.get("format") == "serialized"):
                told["schema"] = 'syntax = "proto3";'
        if schema["references"]:
            told["references"] = schema["references"]
        return told
