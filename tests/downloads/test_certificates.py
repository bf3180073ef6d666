"""An encrypted connection to a server that cannot prove who it is ends before a byte has come."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest

from acutance.downloads import fetch
from acutance.downloads.fake import FakeServer, Fault
from acutance.errors import DownloadError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a key and a certificate for 127.0.0.1 that nobody vouches for, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", f"{path}.key", "-out", path], check=True, capture_output=True)
    with open(path, "a") as file, open(f"{path}.key") as key:
        file.write(key.read())
    return path


@pytest.fixture
def tls_server(certificate, content):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FakeServer({"a.bin": content}, tls=context) as running:
        yield running


def test_an_unknown_certificate_is_refused(tls_server, target):
    with pytest.raises(DownloadError, match=r"certificate is not to be trusted \(self.signed certificate\)"):
        fetch(f"{tls_server.address}/a.bin", target)
    assert tls_server.requests == []
    assert list(target.parent.iterdir()) == []


def test_a_certificate_of_ones_own_can_be_named(  # noqa: PLR0917, fixtures
    tls_server, target, content, certificate, monkeypatch, patience
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_server.faults.append(Fault(drop_at=100_000))
    fetch(f"{tls_server.address}/a.bin", target, patience=patience)
    assert target.read_bytes() == content


def test_nothing_leads_from_an_encrypted_connection_to_an_open_one(
    tls_server, server, target, certificate, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_server.always = Fault(status=302, headers=(("Location", f"{server.address}/a.bin"),))
    with pytest.raises(DownloadError, match="not a safe web address"):
        fetch(f"{tls_server.address}/a.bin", target)
    assert server.requests == []


def test_a_server_without_encryption_is_not_asked_as_one_with(server, target):
    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch(server.address.replace("http:", "https:") + "/a.bin", target)
