"""FlowFiles that are pulled: every row once, wherever the pull is killed and whatever NiFi does."""

import datetime
import io
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock.core.errors import ConfigError, DataError, PenstockError, ServerError, ServerUnavailable
from tests.components.example_gen.sources.conftest import SourceRun
from tests.servers import ports
from tests.servers.api import Api, Reply
from tests.servers.nifi_site_to_site import PORT, NifiSiteToSite

Run = Callable[..., SourceRun]


def of(nifi: NifiSiteToSite, **options: Any) -> dict[str, Any]:
    """The options of the source."""
    own = {key: options.pop(key) for key in ("batch_count", "max_mb", "token_env", "keep", "skip") if key in options}
    return {"site_to_site": {"url": nifi.url, "port": PORT, **own}, **options}


def lines(*numbers: int) -> bytes:
    return "\n".join(json.dumps({"x": number}) for number in numbers).encode()


def numbers(found: SourceRun) -> list[int]:
    return sorted(row["x"] for row in found.rows())


def test_flow_files_of_several_transactions_are_a_span(nifi: NifiSiteToSite, run_source: Run) -> None:
    for start in range(0, 50, 10):
        nifi.offer(lines(*range(start, start + 10)))
    first = run_source("nifi", of(nifi, batch_count=2))
    assert numbers(first) == list(range(50))
    assert (first.found.span, first.found.version) == (1, 1)
    again = run_source("nifi", of(nifi, batch_count=2))
    assert again.found == first.found
    assert again.content() == first.content()
    nifi.offer(lines(99))
    second = run_source("nifi", of(nifi, batch_count=2))
    assert (second.found.span, numbers(second)) == (2, [99])
    both = run_source("nifi", of(nifi, batch_count=2), range_config=json.dumps({"rolling_range": {"num_spans": 2}}))
    assert numbers(both) == [*range(50), 99]


def test_flow_files_of_every_format(nifi: NifiSiteToSite, run_source: Run) -> None:
    nifi.offer(b'{"data": {"rows": [{"x": 1}, {"x": 2}]}}')
    nifi.offer(b'{"data": {"rows": {"x": 3}}}')
    assert numbers(run_source("nifi", of(nifi, format="json", records="data.rows"))) == [1, 2, 3]


def test_tables_with_one_header_are_one_table(nifi: NifiSiteToSite, run_source: Run) -> None:
    for content in (b"x,y", b"x,y\n1,a\n", b"x,y\r\n2,b", b"x,y\n3,c\n"):
        nifi.offer(content)
    found = run_source("nifi", of(nifi, format="csv"))
    assert found.rows() == [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}, {"x": 3, "y": "c"}]
    nifi.offer(b"4;d\n")
    nifi.offer(b"4;d\n")
    written = {"delimiter": ";", "column_names": ["x", "y"]}
    assert run_source("nifi", of(nifi, format="csv", csv=written)).rows() == [{"x": 4, "y": "d"}] * 2


def test_avro_has_its_own_types(nifi: NifiSiteToSite, run_source: Run) -> None:
    fastavro = pytest.importorskip("fastavro")
    moment = {"type": "long", "logicalType": "timestamp-millis"}
    fields = [("x", "long"), ("at", moment), ("raw", "bytes"), ("tags", {"type": "array", "items": "string"})]
    fields += [("none", ["null", "double"])]  # type: ignore[list-item]
    schema = {"type": "record", "name": "row", "fields": [{"name": name, "type": kind} for name, kind in fields]}
    at = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    rows = [{"x": number, "at": at, "raw": b"\xff", "tags": ["a", "b"], "none": None} for number in range(3)]
    for row in rows:
        file = io.BytesIO()
        fastavro.writer(file, schema, [row])
        nifi.offer(file.getvalue())
    found = run_source("nifi", of(nifi, format="avro", columns=["x", "at", "tags"]))
    assert found.rows() == [{"x": n, "at": "2026-01-31 12:00:00.000000Z", "tags": ["a", "b"]} for n in range(3)]


def test_splits_are_flow_files_by_their_names(nifi: NifiSiteToSite, run_source: Run) -> None:
    nifi.offer(lines(1, 2), filename="train-1.jsonl")
    nifi.offer(lines(3), filename="eval-1.jsonl")
    nifi.offer(b"", filename="eval-2.jsonl")
    splits = [{"name": name, "pattern": f"{name}-*"} for name in ("train", "eval")]
    found = run_source("nifi", of(nifi), input_config=json.dumps({"splits": splits}))
    assert [row["x"] for row in found.rows("eval")] == [3]
    assert [row["x"] for row in found.rows("train")] == [1, 2]
    origin = json.loads(found.metadata["origin"])
    assert origin["port"] == PORT
    assert len(origin["train.snapshot"]) == 64


def test_rows_that_were_not_written_are_read_with_what_has_come_since(nifi: NifiSiteToSite, run_source: Run) -> None:
    nifi.offer(lines(1))
    nifi.offer(b'{"x": 7}\nnonsense', filename="bad", uuid="1234")
    with pytest.raises(DataError, match=r"^FlowFile bad \(1234\), record 2: expected JSON on each line, .*'nonsense'"):
        run_source("nifi", of(nifi))
    assert not nifi.queue  # they are safe, though not read
    nifi.offer(lines(2))
    with pytest.raises(DataError, match="FlowFile bad"):
        run_source("nifi", of(nifi))
    found = run_source("nifi", of(nifi, skip=["1234"]))
    assert numbers(found) == [1, 2]
    assert (found.found.span, found.found.version) == (1, 2)


def test_the_pull_ends_at_its_limit_and_goes_on_with_the_next_run(nifi: NifiSiteToSite, run_source: Run) -> None:
    for number in range(3):
        nifi.offer(json.dumps({"x": number, "long": "x" * 700_000}).encode())
    assert numbers(run_source("nifi", of(nifi, batch_count=1, max_mb=1, columns=["x"]))) == [0, 1]
    assert numbers(run_source("nifi", of(nifi, batch_count=1, max_mb=1, columns=["x"]))) == [2]


@pytest.mark.parametrize("fault", ["cut", "half", "damaged", 503, 409])
def test_one_failure_costs_nothing(fault: str | int, nifi: NifiSiteToSite, run_source: Run) -> None:
    nifi.offer(lines(1, 2, 3))
    faults = iter([fault])
    nifi.fault = lambda method, path: next(faults, None) if path.endswith("/flow-files") else None
    assert numbers(run_source("nifi", of(nifi))) == [1, 2, 3]
    assert not nifi.queue
    nifi.offer(lines(4))
    assert numbers(run_source("nifi", of(nifi))) == [4]


def test_a_lost_confirmation_is_no_lost_row(nifi: NifiSiteToSite, run_source: Run) -> None:
    nifi.offer(lines(1, 2, 3))
    nifi.fault = lambda method, path: "cut" if method == "DELETE" else None
    assert numbers(run_source("nifi", of(nifi))) == [1, 2, 3]
    nifi.fault = lambda method, path: None
    nifi.take_back()
    nifi.offer(lines(4))
    assert [len(one.content) for one in nifi.queue] == [26, 8]  # the first one comes again, and is known
    assert numbers(run_source("nifi", of(nifi))) == [4]


@pytest.mark.parametrize("fault", ["half", "damaged"])
def test_what_fails_every_time_ends_in_a_sentence(fault: str, nifi: NifiSiteToSite, run_source: Run) -> None:
    nifi.offer(lines(1, 2, 3))
    nifi.fault = lambda method, path: fault if path.endswith("/flow-files") else None
    with pytest.raises(
        ServerUnavailable, match=r"http://127.0.0.1:.*(was cut|another checksum than NiFi's): try again"
    ):
        run_source("nifi", of(nifi))
    nifi.fault = lambda method, path: None
    nifi.take_back()
    assert numbers(run_source("nifi", of(nifi))) == [1, 2, 3]


def test_mistakes_are_sentences(nifi: NifiSiteToSite, run_source: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no FlowFile has come to the output port 'trips' yet: start the flow"):
        run_source("nifi", of(nifi))
    with pytest.raises(ConfigError, match=r"has no output port 'tripz' .*: did you mean 'trips'\?"):
        run_source("nifi", {"site_to_site": {"url": nifi.url, "port": "tripz"}})
    with pytest.raises(ConfigError, match=r"nifi.site_to_site.token_env: the environment variable NONE is not set"):
        run_source("nifi", of(nifi, token_env="NONE"))
    nifi.token = "hunter2"
    with pytest.raises(ServerError, match=r"wants a sign-in \(401\): check the credentials"):
        run_source("nifi", of(nifi))
    monkeypatch.setenv("NIFI_TOKEN", "hunter2")
    nifi.offer(lines(1))
    assert numbers(run_source("nifi", of(nifi, token_env="NIFI_TOKEN"))) == [1]
    nifi.state = "STOPPED"
    with pytest.raises(ServerError, match=r"the output port 'trips' does not run: start it in NiFi"):
        run_source("nifi", of(nifi, token_env="NIFI_TOKEN"))


def test_no_nifi_is_a_sentence(run_source: Run) -> None:
    url = f"http://127.0.0.1:{ports.reserve()}/nifi"
    with pytest.raises(ServerError, match=r"no server answers at http://127.0.0.1:.*check nifi.site_to_site.url"):
        run_source("nifi", {"site_to_site": {"url": url, "port": PORT}})
    with (
        Api(lambda asked: Reply(b"<html>", {"Content-Type": "text/html"})) as api,
        pytest.raises(DataError, match="expected NiFi's JSON, received something else"),
    ):
        run_source("nifi", {"site_to_site": {"url": api.url, "port": PORT}})


def test_old_spans_are_removed(nifi: NifiSiteToSite, run_source: Run, tmp_path: Path) -> None:
    for number in range(4):
        nifi.offer(lines(number))
        run_source("nifi", of(nifi, keep=2))
    (state,) = tmp_path.glob("state/nifi-*")
    assert [span["number"] for span in json.loads((state / "state.json").read_text())["spans"]] == [3, 4]
    assert len(list((state / "content").iterdir())) == 2


def test_every_node_of_a_cluster_is_pulled_from(nifi: NifiSiteToSite, run_source: Run) -> None:
    with NifiSiteToSite() as second:
        nifi.others.append(second)
        nifi.offer(lines(1))
        second.offer(lines(2))
        second.offer(lines(3))
        assert numbers(run_source("nifi", of(nifi))) == [1, 2, 3]
        assert not second.queue


def test_nifi_is_told_to_wait_while_flow_files_come(run_source: Run) -> None:
    with NifiSiteToSite(ttl=1.0) as nifi:
        nifi.pause = 0.4
        nifi.offer(json.dumps({"x": 1, "long": "x" * 300_000}).encode())
        assert numbers(run_source("nifi", of(nifi, columns=["x"]))) == [1]
        assert [one.split()[0] for one in nifi.requests].count("PUT") >= 2
        (state,) = run_source("nifi", of(nifi, columns=["x"])).examples.root.parent.glob("state/*/state.json")
        assert json.loads(state.read_text())["doubts"] == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PEM file with a key and a certificate for localhost, which the server and the client sign in with."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    path.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(pem))
    return str(path)


def test_a_certificate_signs_in(certificate: str, run_source: Run) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate)
    context.load_cert_chain(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with NifiSiteToSite(context=context) as nifi:
        nifi.offer(lines(1))
        port = {"url": nifi.url, "port": PORT}
        with pytest.raises(ServerError, match=r"its certificate is not trusted: name the certificates .* in ca_cert"):
            run_source("nifi", {"site_to_site": port})
        with pytest.raises(PenstockError, match="https://localhost"):
            run_source("nifi", {"site_to_site": {**port, "ca_cert": certificate}})
        secure = {**port, "ca_cert": certificate, "client_cert": certificate}
        assert numbers(run_source("nifi", {"site_to_site": secure})) == [1]
        with pytest.raises(ConfigError, match=r"client_cert: /none.pem: No such file or directory"):
            run_source("nifi", {"site_to_site": {**secure, "client_cert": "/none.pem"}})
