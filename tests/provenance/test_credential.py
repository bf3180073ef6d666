"""Certificates and keys: what can sign, and why something cannot."""

from __future__ import annotations

import pickle

import pytest

pytest.importorskip("c2pa", reason="needs the extra `c2pa`")

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from acutance import Sharpener, SigningCredential
from acutance.errors import ConfigError
from acutance.media import Photo, encode_photo

KEYS = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_kinds_of_keys(desk, pem_of, algorithm):
    key = KEYS[algorithm]()
    desk.write("chain.pem", desk.authority.certify(key))
    desk.write("key.pem", pem_of(key))
    credential = desk.credential()
    assert (credential.algorithm, credential.holder) == (algorithm, "A. Photographer")
    assert len(credential.fingerprint) == 64


def test_one_file_may_hold_all_in_any_order(desk, pem_of):
    content = desk.authority.own + pem_of(desk.key, form="TraditionalOpenSSL") + desk.authority.certify(desk.key)
    credential = SigningCredential.read(desk.write("all.pem", content))
    assert credential.holder == "A. Photographer"
    assert credential.chain.count(b"BEGIN CERTIFICATE") == 2
    assert b"BEGIN PRIVATE KEY" in credential.key


def test_an_encrypted_key(desk, pem_of):
    desk.write("key.pem", pem_of(desk.key, "open sesame"))
    assert desk.credential(passphrase="open sesame").key.startswith(b"-----BEGIN PRIVATE KEY")
    with pytest.raises(ConfigError, match="is encrypted; give its passphrase"):
        desk.credential()
    with pytest.raises(ConfigError, match="or the passphrase is wrong"):
        desk.credential(passphrase="open barley")


def test_a_passphrase_that_is_not_needed_does_no_harm(desk):
    assert desk.credential(passphrase="open sesame").algorithm == "es256"


def test_a_key_does_not_show(desk):
    credential = desk.credential()
    assert "BEGIN" not in repr(credential)
    assert pickle.loads(pickle.dumps(credential)) == credential


def test_a_sharpener_that_signs_can_be_pickled(desk, soft):
    with Sharpener("fast", engine="onnxruntime", threads=1, signed_by=desk.credential()) as sharpener:
        again = pickle.loads(pickle.dumps(sharpener))
        with again:
            assert b"c2pa" in again(encode_photo(Photo(pixels=soft), format="PNG"))


CASES = {
    "no such file": (lambda desk, pem_of: desk.chain.unlink(), "cannot be read .No such file"),
    "no certificate": (lambda desk, pem_of: desk.write("chain.pem", b"nothing"), "holds no certificate in PEM form"),
    "no key": (lambda desk, pem_of: desk.write("key.pem", b"nothing"), "key.pem: holds no private key in PEM form"),
    "another's key": (
        lambda desk, pem_of: desk.write("key.pem", pem_of(KEYS["es256"]())),
        "key.pem: is not the key to a certificate in .*chain.pem",
    ),
    "over": (
        lambda desk, pem_of: desk.write("chain.pem", desk.authority.certify(desk.key, end=2025)),
        "holds from 2024-01-01 to 2025-01-01, and today is .*renewed",
    ),
    "not yet": (
        lambda desk, pem_of: desk.write("chain.pem", desk.authority.certify(desk.key, begin=2100)),
        "holds from 2100-01-01",
    ),
    "a server's": (
        lambda desk, pem_of: desk.write(
            "chain.pem", desk.authority.certify(desk.key, usage=ExtendedKeyUsageOID.SERVER_AUTH)
        ),
        "C2PA does not let this certificate sign",
    ),
    "an authority's": (
        lambda desk, pem_of: desk.write("chain.pem", desk.authority.certify(desk.key, is_authority=True)),
        "C2PA does not let this certificate sign",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_sign_is_refused_with_the_reason(desk, pem_of, case):
    spoil, words = CASES[case]
    spoil(desk, pem_of)
    with pytest.raises(ConfigError, match=words):
        desk.credential()


def test_a_curve_that_c2pa_does_not_know(desk, pem_of):
    key = ec.generate_private_key(ec.SECP256K1())
    desk.write("chain.pem", desk.authority.certify(key))
    desk.write("key.pem", pem_of(key))
    with pytest.raises(ConfigError, match="kind secp256k1 does not sign"):
        desk.credential()


@pytest.mark.parametrize("url", ["timestamp.example.org", "ftp://timestamp.example.org", "http://", "http://[", ""])
def test_what_is_no_address(desk, url):
    with pytest.raises(ConfigError, match="timestamp authority"):
        desk.credential(timestamp_url=url)
