"""The page about the models: its commands are run as they stand there."""

import html
import http.client
import json
import re
import shlex
from typing import Any
from urllib.parse import urlsplit

import pytest

from penstock.components.model_server.http.pages import docs
from tests.servers.model_server import Client


def _commands(page: str) -> list[str]:
    return [html.unescape(text) for text in re.findall(r"<pre>(curl .*?)</pre>", page, re.DOTALL)]


def _run(command: str) -> tuple[int, Any]:
    """Sends the request that a shell would have curl send."""
    words = shlex.split(command)
    assert words[:2] == ["curl", "-s"]
    url, options = urlsplit(words[2]), dict(zip(words[3::2], words[4::2], strict=True))
    assert sorted(options) == ["-H", "-d"]
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    name, _, value = options["-H"].partition(": ")
    connection.request("POST", url.path, options["-d"].encode(), {name: value})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


def test_every_command_works_when_pasted(server: Client) -> None:
    commands = _commands(server.get("/docs").body.decode())
    assert len(commands) == 8  # the signatures of both models
    for command in commands:
        status, content = _run(command)
        if '"total"' in command:  # whose outputs are no rows
            assert status == 400
        else:
            assert status == 200, content
            assert len(content["predictions"]) == 1


def test_it_describes_features(server: Client) -> None:
    page = server.get("/docs").body.decode()
    assert "<code>trip_miles</code></td><td>number</td><td>required</td><td>from 0 to 100</td>" in page
    assert "<td>one of: Cash, Credit Card</td>" in page
    assert "<code>stops</code></td><td>integer, or a list of them</td>" in page
    assert "<code>corner</code></td><td>numbers, [2]</td>" in page
    assert "tips" not in page


def test_it_needs_nothing_else(server: Client) -> None:
    page = server.get("/docs").body.decode()
    assert re.findall(r"<script|<link|src=|@import|url\(", page) == []
    assert re.findall(r'href="([^"]*)"', page) == ["openapi.json"]


def test_a_browser_is_sent_to_it(server: Client) -> None:
    answer = server.ask("GET", "/", Accept="text/html,application/xhtml+xml")
    assert (answer.status, answer.headers["location"]) == (307, "docs")
    assert server.get("/").json == {"status": "alive"}


@pytest.mark.parametrize("host", ["evil'$(reboot)", "<script>", "a b", ""])
def test_an_odd_host_is_left_out(host: str) -> None:
    class Nothing:
        names = ()

    assert host == "" or host not in docs.html(Nothing(), "http", host)  # type: ignore[arg-type]
