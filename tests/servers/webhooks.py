"""What takes alerts over HTTP, on loopback: webhooks, Slack's incoming webhooks, PagerDuty's events.

It refuses what the real ones refuse. What came is in `requests`, each with its headers.
"""

import json
import ssl
from collections.abc import Mapping
from typing import Any

from tests.servers.loopback import Loopback, Refusal, Request, Status

SLACK_PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
ROUTING_KEY = "R0123456789ABCDEF0123456789ABCDE"
_SEVERITIES = ("critical", "error", "warning", "info")
_LONGEST_SUMMARY, _LONGEST_KEY, _LARGEST_EVENT = 1024, 255, 512 << 10
_LONGEST_TEXT = 40_000  # characters of a message in Slack, which cuts off what is more


class Webhooks(Loopback):
    def __init__(self, token: str = "", context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        if context:
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._token = token
        self.taken: list[Any] = []  # the bodies that had their effect, also where the answer was lost

    def route(self, path: str) -> str:
        return path

    def answer(self, request: Request) -> Any:
        if self._token and request.headers.get("Authorization") != f"Bearer {self._token}":
            raise Refusal(401, "who are you")
        if not isinstance(request.body, dict):
            raise Refusal(400, "expected JSON")
        reply = _ANSWERS.get(request.path, _plain)(request.body)
        self.taken.append(request.body)
        return reply

    def error(self, failure: Status) -> Any:
        return {"status": "error", "message": failure.message}

    def keys(self) -> list[str]:
        """Returns the Idempotency-Keys of all requests, also of those that failed."""
        return [request.headers["Idempotency-Key"] for request in self.requests]


def _plain(body: Mapping[str, Any]) -> Any:
    return {"received": body["id"]}


def _slack(body: Mapping[str, Any]) -> str:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""
    if not body.get("text"):
        raise Refusal(400, "no_text")
    if any(not {"fallback", "color"} <= attachment.keys() for attachment in body["attachments"]):
        raise Refusal(400, "invalid_attachments")
    if len(body["text"]) + sum(len(attachment.get("text", "")) for attachment in body["attachments"]) > _LONGEST_TEXT:
        raise Refusal(400, "msg_too_long")
    return "ok"


def _pagerduty(body: Mapping[str, Any]) -> Any:
    """https://developer.pagerduty.com/docs/events-api-v2-overview"""
    errors = []
    if len(json.dumps(body)) > _LARGEST_EVENT:
        raise Refusal(413, "Event object is too large")
    if body.get("routing_key") != ROUTING_KEY:
        errors.append("'routing_key' is invalid (must be a 32-character string)")
    if body.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        errors.append("'event_action' is invalid")
    if not 0 < len(body.get("dedup_key", "")) <= _LONGEST_KEY:
        errors.append("'dedup_key' is invalid")
    payload = body.get("payload", {})
    if body.get("event_action") == "trigger":
        if not 0 < len(payload.get("summary", "")) <= _LONGEST_SUMMARY or not payload.get("source"):
            errors.append("'payload.summary' and 'payload.source' are required")
        if payload.get("severity") not in _SEVERITIES:
            errors.append("'payload.severity' is invalid")
    if any(not link["href"].startswith("http") for link in body.get("links", [])):
        errors.append("'links' must be http")
    if errors:
        raise Refusal(400, "Event object is invalid: " + "; ".join(errors))
    return {"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}


def _change(body: Mapping[str, Any]) -> Any:
    """https://developer.pagerduty.com/docs/send-change-event"""
    if body.get("routing_key") != ROUTING_KEY:
        raise Refusal(400, "'routing_key' is invalid (must be a 32-character string)")
    if not 0 < len(body["payload"].get("summary", "")) <= _LONGEST_SUMMARY:
        raise Refusal(400, "'payload.summary' is required")
    if any(not link["href"].startswith("http") for link in body.get("links", [])):
        raise Refusal(400, "'links' must be http")
    return {"status": "success", "message": "Change event processed"}


_ANSWERS = {SLACK_PATH: _slack, "/v2/enqueue": _pagerduty, "/v2/change/enqueue": _change}
