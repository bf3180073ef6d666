"""Who is let in: tokens, names of hosts, pages of other sites; and the headers of every answer."""

from __future__ import annotations

import base64
import errno
import os
import ssl
import subprocess
import urllib.request

import pytest

from acutance.errors import ConfigError
from acutance.server.access import Access, client_of, is_loopback, read_token_file
from acutance.server.limits import Limits
from acutance.server.refusals import Refused
from acutance.server.running import Certificate, listen, make_server

TOKEN = "correct-horse-battery-staple"
OTHER = "another-token-that-is-long"


@pytest.fixture(scope="module")
def guarded(start, tmp_path_factory):
    served = start(tmp_path_factory.mktemp("guarded") / "data", access=Access.with_tokens([OTHER, TOKEN]))
    yield served
    served.stop()


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {OTHER}", basic(TOKEN)])
def test_a_right_token_is_let_in(guarded, picture, header: str) -> None:
    assert guarded.post(picture(), Authorization=header).status == 200
    assert guarded.ask("GET", "/metrics", headers={"Authorization": header}).status == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Token {TOKEN}",
        TOKEN,
        basic("wrong"),
        "Basic !!!",
        "Basic " + base64.b64encode(TOKEN.encode()).decode(),
        "Bearer \xff\xfe",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/sharpen"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
    ],
)
def test_wrong_tokens_are_not(guarded, picture, header: str | None, method: str, path: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    reply = guarded.ask(method, path, picture() if method == "POST" else None, headers)
    assert (reply.status, reply.json["error"]) == (401, "wrong_token")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in reply.json["detail"]


def test_supervisors_need_no_token(guarded) -> None:
    assert guarded.ask("GET", "/healthz").status == 200
    assert guarded.ask("GET", "/readyz").status == 200


def test_with_a_token_any_name_will_do(guarded) -> None:
    headers = {"Host": "photos.example", "Authorization": f"Bearer {TOKEN}"}
    assert guarded.ask("GET", "/v1/models", headers=headers).status == 200


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost", True),
        ("LOCALHOST:8090", True),
        ("127.0.0.1:8090", True),
        ("[::1]:8090", True),
        ("192.168.0.7", True),
        ("photos.example", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("[", False),
    ],
)
def test_without_a_token_the_name_must_be_ours(host: str, is_ours: bool) -> None:
    """Or a page of evil.example reads what is here, by letting its name point to 127.0.0.1."""
    access = Access.with_tokens([], host_names=["Photos.Example"])
    ask = {"method": "GET", "path": "/v1/models", "headers": {"host": host}}
    if is_ours:
        access.check(**ask)
    else:
        with pytest.raises(Refused) as refused:
            access.check(**ask)
        assert refused.value.problem.error == "wrong_host"


def test_another_name_over_the_wire(shared) -> None:
    assert shared.ask("GET", "/v1/models", headers={"Host": "evil.example"}).status == 421


@pytest.mark.parametrize(
    ("headers", "is_foreign"),
    [
        ({}, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"origin": "http://127.0.0.1:8090"}, False),
        ({"origin": "http://127.0.0.1:8091"}, True),
        ({"origin": "http://localhost:8090"}, True),
        ({"origin": "http://evil.example"}, True),
        ({"origin": "http://127.0.0.1"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://["}, True),
        ({"origin": "http://evil.example", "sec-fetch-site": "same-origin"}, True),
    ],
)
def test_pages_of_other_sites_change_nothing(headers: dict[str, str], is_foreign: bool) -> None:
    ask = {"path": "/v1/sharpen", "headers": {"host": "127.0.0.1:8090", **headers}}
    Access().check(method="GET", **ask)
    if not is_foreign:
        Access().check(method="POST", **ask)
        return
    for method in ("POST", "DELETE"):
        with pytest.raises(Refused) as refused:
            Access().check(method=method, **ask)
        assert refused.value.problem.error == "cross_site"


def test_behind_a_proxy_that_speaks_tls_the_origin_is_https() -> None:
    headers = {"host": "photos.example", "origin": "https://photos.example", "authorization": f"Bearer {TOKEN}"}
    Access.with_tokens([TOKEN]).check(method="POST", path="/v1/sharpen", headers=headers)


def test_a_cross_site_post_over_the_wire(shared, picture) -> None:
    reply = shared.post(picture(), Origin="https://evil.example")
    assert (reply.status, reply.json["error"]) == (403, "cross_site")
    assert "access-control-allow-origin" not in reply.headers
    preflight = shared.ask("OPTIONS", "/v1/sharpen", headers={"Origin": "https://evil.example"})
    assert preflight.status == 405
    assert "access-control-allow-origin" not in preflight.headers


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/nothing", "/v1/jobs/0", "/openapi.json"])
def test_every_answer_is_guarded(shared, path: str) -> None:
    headers = shared.ask("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "strict-transport-security" not in headers


def test_token_files(tmp_path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# ours\n\n{TOKEN}\n  {OTHER}  \n")
    assert read_token_file(path) == (TOKEN, OTHER)
    path.write_text("# none\n\n")
    with pytest.raises(ConfigError, match="holds no token"):
        read_token_file(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not text"):
        read_token_file(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token_file(tmp_path / "none")


@pytest.mark.parametrize("token", ["", "short", "x" * 15, "with spaces in the middle", "schlüssel-mit-umlaut-drin"])
def test_tokens_that_are_no_secrets(token: str) -> None:
    with pytest.raises(ConfigError, match="token"):
        Access.with_tokens([token])


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("photos.example", False),
        ("", False),
    ],
)
def test_loopback(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer


def test_clients() -> None:
    assert client_of("10.0.0.7") == "10.0.0.7"
    assert client_of("::ffff:10.0.0.7") == "10.0.0.7"
    assert client_of("2001:db8:1:2:3:4:5:6") == client_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::"
    assert client_of("fe80::1%eth0") == "fe80::"
    assert client_of(None) == client_of("not an address\n") == "unknown"


def test_only_a_proxy_that_is_named_is_believed(serve, picture, tmp_path) -> None:
    def clients(served) -> list[str]:
        served.post(picture(), "/v1/jobs", X_Forwarded_For="10.1.2.3")
        return [job.client for job in served.service.store.in_states("queued", "running", "done")]

    assert clients(serve(tmp_path / "a")) == ["127.0.0.1"]
    assert clients(serve(tmp_path / "b", proxies=("127.0.0.1",))) == ["10.1.2.3"]


def test_tls(serve, tmp_path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", chain),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("needs openssl")
    served = serve(certificate=Certificate(chain=chain, key=key))
    trusting = ssl.create_default_context(cafile=chain)
    with urllib.request.urlopen(f"https://127.0.0.1:{served.port}/healthz", context=trusting, timeout=20) as reply:
        assert reply.status == 200
        assert reply.headers["Strict-Transport-Security"] == "max-age=31536000"
    chain.write_text("no certificate")
    with pytest.raises(ConfigError, match="PEM"):
        make_server(served.server.config.app, Limits(), certificate=Certificate(chain=chain, key=key))


def test_a_port_that_is_taken() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            listen("127.0.0.1", port)
    reason = os.strerror(errno.EADDRINUSE)
    assert str(refused.value) == (
        f"127.0.0.1, port {port}: cannot be listened on ({reason}); choose another --port or --host."
    )
    with pytest.raises(ConfigError, match="cannot be listened on"):
        listen("203.0.113.1", 0)
