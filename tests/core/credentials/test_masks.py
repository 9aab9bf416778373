"""Credentials in texts, values and streams: what is masked, and what stays as it is."""

import io
import json
import sys
import time
from pathlib import Path

import pytest

from penstock.core.credentials import masks
from penstock.core.credentials.masks import fingerprinted, masked, masked_value

# Made up, in pieces, so that nobody's scanner takes this file for a leak.
HEX = "0123456789abcdef"
BASE62 = "a1B2c3D4e5F6g7H8i9J0kLmNoPqRsTuVwXyZ"
KEYS = {
    "aws": "AKIA" + "ABCDEFGH234567QR",
    "google": "AIza" + BASE62[:35],
    "google access": "ya29." + BASE62,
    "google client": "GOCSPX-" + BASE62[:28],
    "azure client": "abc8Q~" + BASE62[:34],
    "github": "ghp_" + BASE62,
    "github fine-grained": "github_pat_" + BASE62 + "_" + BASE62,
    "gitlab": "glpat-" + BASE62[:20],
    "slack": "xoxb-" + "123456789012-" + BASE62[:24],
    "jwt": "eyJ" + BASE62 + ".eyJ" + BASE62 + "." + BASE62,
    "openai": "sk-" + "proj-" + BASE62 + BASE62,
    "stripe": "sk_" + "live_" + BASE62[:24],
    "hugging face": "hf_" + BASE62[:34],
    "npm": "npm_" + BASE62,
    "docker": "dckr_pat_" + BASE62[:27],
    "databricks": "dapi" + HEX * 2,
    "vault": "hvs." + BASE62,
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_keys_of_known_formats(key: str) -> None:
    assert masked(f"the key {key}, of which nobody knows") == "the key ***, of which nobody knows"
    assert masked(json.dumps({"a": [key]})) == '{"a": ["***"]}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://u:PASS@h", "postgres://u:***@h"),
        ("https://u:PASS@h:80/a?b=c", "https://u:***@h:80/a?b=c"),
        ("https://:PASS@h", "https://:***@h"),
        ("mysql+pymysql://u:p@ss@h/db", "mysql+pymysql://u:***@h/db"),
        ("s3://KEY:SEC/RET+=@bucket/x", "s3://KEY:***@bucket/x"),
        (r"https:\/\/u:PASS@h", r"https:\/\/u:***@h"),
        (f"https://{HEX}{HEX}@o0.ingest.sentry.io/1", "https://***@o0.ingest.sentry.io/1"),
        ("u:PASS@tcp(h:3306)/db", "u:***@tcp(h:3306)/db"),
        ("https://alice@corp.com:PASS@h/x", "https://alice@corp.com:***@h/x"),
        ("https://alice@corp.com:PA/SS@h/x", "https://alice@corp.com:***@h/x"),
        ("postgres://u@server:p@ss@h:5432/db", "postgres://u@server:***@h:5432/db"),
        (r"smb://CORP\alice:PASS@h/x", r"smb://CORP\alice:***@h/x"),
        ("curl -u alice:PASS https://h", "curl -u alice:*** https://h"),
        (r"curl -u alice:P,A]S\$S https://h", "curl -u alice:*** https://h"),
        ("curl -sSu 'alice:two words' https://h", "curl -sSu 'alice:***' https://h"),
        ("curl https://h?a=1&b=2 \\\n  -ualice:PASS", "curl https://h?a=1&b=2 \\\n  -ualice:***"),
        ('["curl", "--user", "alice:PASS"]', '["curl", "--user", "alice:***"]'),
        (r"[\"curl\", \"-u\", \"alice:PASS\"]", r"[\"curl\", \"-u\", \"alice:***\"]"),
        ("curl --proxy-user=alice:pass https://h", "curl --proxy-user=alice:*** https://h"),
        ("http -a alice:pass h/x", "http -a alice:*** h/x"),
        ("fetch --user alice:PASS h", "fetch --user alice:*** h"),
        ("jdbc:oracle:thin:scott/PASS@h:1521:x", "jdbc:oracle:thin:scott/***@h:1521:x"),
        ("jdbc:oracle:oci:scott/p@ss@//h/x", "jdbc:oracle:oci:scott/***@//h/x"),
        ("dsn=alice/PASS@//h:1521/svc", "dsn=alice/***@//h:1521/svc"),
        ("alice/PASS@h.example:1521/svc", "alice/***@h.example:1521/svc"),
        ("sqlplus -S alice/PASS@svc", "sqlplus -S alice/***@svc"),
        ("tool --password=PASS --x=y", "tool --password=*** --x=y"),
        ("https://h/x?to=/y?password=PASS", "https://h/x?to=/y?password=***"),
        ("https://h/x?user=a%26password%3DPASS", "https://h/x?user=a%26password%3D***"),
        ("https://h/x?to=y%3Fapi_key%3dPA%20SS%26z=1", "https://h/x?to=y%3Fapi_key%3d***%26z=1"),
        ("x?to=https%3A%2F%2Fu%3APASS%40h%2Fx", "x?to=https%3A%2F%2Fu%3A***%40h%2Fx"),
        ("x?to=a%2526password%253DPASS%2526b", "x?to=a%2526password%253D***%2526b"),
        ("x?body=%7B%22password%22%3A%22PASS%22%7D", "x?body=%7B%22password%22%3A%22***%22%7D"),
        ("x?body=%7B%22password%22%3A%20%22PASS%22%7D", "x?body=%7B%22password%22%3A%20%22***%22%7D"),
        (r'"x?user=a\u0026password\u003dPASS\u0026b"', r'"x?user=a\u0026password\u003d***\u0026b"'),
        ("two: a://u:P@h and b://u:Q@h", "two: a://u:***@h and b://u:***@h"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
        ("{'Authorization': 'Basic dTpw'}", "{'Authorization': '***'}"),
        ("curl -H bearer%20abc.def-1", "curl -H bearer%20***"),
        ("sent Basic dXNlcjpwYXNz to it", "sent Basic *** to it"),
        ("host=h user=u password=PASS", "host=h user=u password=***"),
        ("password = 'two words'", "password = '***'"),
        ("Server=h;Uid=u;Pwd=P4SS;Encrypt=yes", "Server=h;Uid=u;Pwd=***;Encrypt=yes"),
        ("AccountName=x;AccountKey=" + "Ab1+" * 21 + "Ab==;x=y", "AccountName=x;AccountKey=***;x=y"),
        ("https://h/x?access_token=abc&y=1", "https://h/x?access_token=***&y=1"),
        (f"https://h/x?se=2026&sig={BASE62}%3D", "https://h/x?se=2026&sig=***"),
        ('{"password": "PASS", "port": 5432}', '{"password": "***", "port": 5432}'),
        (r'"{\"api_key\": \"PASS\"}"', r'"{\"api_key\": \"***\"}"'),
        ("{password: PASS, port: 5432}", "{password: ***, port: 5432}"),
        ('{"password": 1234}', '{"password": ***}'),
        ("tool --password PASS --port 1", "tool --password *** --port 1"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nAbc=\n-----END RSA PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\n",
        ),
        ("X-Api-Key: abc123", "X-Api-Key: ***"),
        ("Cookie: session=abc; other=def", "Cookie: ***"),
        ("machine h login u password PASS", "machine h login u password ***"),
        (f"aws_secret_access_key = {BASE62}", "aws_secret_access_key = ***"),
        ((BASE62 * 3)[:86] + "==", "***"),
        ("https://discord.com/api/webhooks/123/" + BASE62, "https://discord.com/api/webhooks/123/***"),
        ("https://hooks.slack.com/services/T0/B0/" + BASE62[:24], "https://hooks.slack.com/services/***"),
    ],
)
def test_a_credential_in_a_text(text: str, expected: str) -> None:
    assert masked(text) == expected
    assert masked(expected) == expected, "what is masked stays as it is"


@pytest.mark.parametrize(
    "text",
    [
        "https://user@host/x",
        "git@github.com:owner/repository.git",
        "ssh://git@github.com:owner/repository.git@v1",
        "git+https://github.com/owner/repository@v1",
        "http://[::1]:8080/a@b, https://user@h:8080/a@b",
        "features/x@y:1234/z, npm i @scope/package@1.2.3",
        "mail alice@corp.com: bob@corp.com",
        "amqp://u@h1:5672,u@h2:5672/x",
        "runs/birds/a@b, data/a@b/c, https://h/a%40b%3Ac%40d",
        "owner/image@sha256:" + HEX,
        "docker run -u 1000:1000 --user alice:staff image",
        "docker run -e PROXY=http://h:3128 -u alice:staff image",
        "apt install curl && docker run -u alice:staff curl",
        "fetch --user https://h/Alice, --user-agent Mozilla:Five",
        "docker run --user $(id -u):$(id -g) image",
        "sort -u a:B, python -u x:Y, pip install --user a",
        "curl -u alice https://h",
        "curl -u $NAME:$PASS https://h -o a:b",
        "sqlplus / as sysdba, sqlplus /nolog",
        "100%3D, %26token, 5%20 of it",
        "https://h:8080/a@b",
        "oci://registry:5000/image@sha256:" + HEX,
        "s3://bucket/a@b",
        "abfss://data2024productionlogs@account.dfs.core.windows.net/x",
        "https://u:${PASS}@h",
        "password=${PASS}",
        "password=<password>",
        "https://u:{{password}}@h",
        "bearer tokens, basic information",
        "token: a text; password: expected one",
        "set object_store to {secret: NAME, key_file: key.json}",
        "eos_token=</s> max_tokens=5",
        '{"token": 100, "key": "customer_id"}',
        "token = next(tokens)",
        "parameter custom_config.db.password: a secret in plain text",
        "AKIA is how they begin, and eyJ how others do",
        "user_password_encoder, tokenizer, monkey=1",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert masked(text) == text


def test_values_by_their_names_and_their_shapes() -> None:
    value = {
        "db": {"password": 1234, "port": 5432, "hosts": ["a", "postgres://u:PASS@h"]},
        "tokens": ["a", "b"],
        "api_token": "PASS",
        "https://u:PASS@h": True,
        "settings": '{"password": "PASS"}',
    }
    assert masked_value(value) == {
        "db": {"password": "***", "port": 5432, "hosts": ["a", "postgres://u:***@h"]},
        "tokens": ["a", "b"],
        "api_token": "***",
        "https://u:***@h": True,
        "settings": '{"password": "***"}',
    }
    assert masked_value("PASS", "password") == "***"


def test_fingerprints_differ_where_the_secrets_do() -> None:
    one, same, other = (fingerprinted({"dsn": f"postgres://u:{word}@h"}) for word in ("PASS", "PASS", "WORD"))
    assert one == same != other
    assert "PASS" not in str(one)
    assert masked_value(one) == one, "a record that is read again is equal to what was written"
    assert "PASS" not in fingerprinted("https://u:PASS\udc80@h"), "a path may not be UTF-8"
    key = json.dumps(fingerprinted("PASS", "password"))
    assert masked_value({"parameters": {"password": key}}) == {"parameters": {"password": key}}


def test_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = io.StringIO()
    monkeypatch.setattr(sys, "stdout", streams)
    monkeypatch.setattr(sys, "stderr", streams)
    masks.mask_streams()
    masks.mask_streams()
    print("to", "https://u:PASS@h")
    assert sys.stderr.write("password=PASS\n") == len("password=PASS\n")
    sys.stdout.writelines(["Bearer PASS-123\n"])
    assert streams.getvalue() == "to https://u:***@h\npassword=***\nBearer ***\n"
    assert sys.stdout.getvalue() == streams.getvalue()  # type: ignore[attr-defined]  # all else is the stream's


def test_a_line_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", None)
    masks.mask_streams()
    sys.stdout.write("to https://u:PA")
    assert stream.getvalue() == ""
    sys.stdout.write("SS@h\n50%\rname")
    assert stream.getvalue() == "to https://u:***@h\n50%\r"
    sys.stdout.flush()
    assert stream.getvalue().endswith("\rname"), "a question waits for its answer"
    sys.stdout.write("a" * 100_000)
    assert stream.getvalue().endswith("aaa"), "memory is not filled by what has no lines"


def test_a_file(tmp_path: Path) -> None:
    log, lines = tmp_path / "log.txt", (b"a" * 120 + b"\n") * 10_000
    log.write_bytes(b"to https://u:PASS@h\r\n\xff" + lines + b"password=PASS")
    masks.mask_file(log)
    assert log.read_bytes() == b"to https://u:***@h\r\n\xff" + lines + b"password=***"
    before = log.stat()
    masks.mask_file(log)
    assert (log.stat().st_ino, [*tmp_path.iterdir()]) == (before.st_ino, [log]), "nothing to mask is nothing to write"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000 + "@ password :// key bearer private key",
        "a=b," * 20_000 + "password",
        "://a:" * 20_000 + "@",
        "eyJ" * 20_000,
        "curl -u " * 20_000,
        "%25" * 60_000 + "3Dpassword",
        "-----BEGIN PRIVATE KEY-----" * 2_000,
    ],
    ids=["long", "pairs", "urls", "jwt", "curl", "escapes", "keys"],
)
def test_no_text_takes_long(text: str) -> None:
    """A pattern that is quadratic takes minutes for these."""
    started = time.process_time()
    masked(text)
    assert time.process_time() - started < 5
