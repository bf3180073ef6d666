"""An authority of the tests' own, who it certifies, and the library's own reader as the judge."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if find_spec("c2pa") is not None:  # which brings cryptography; without it, each file of tests says that it is skipped
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    from acutance import SigningCredential
    from acutance.provenance.silent_c2pa import c2pa


def named(words: str) -> Any:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, words),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "The Evening Test"),
        ]
    )


@dataclass
class Authority:
    """Certifies whom a test wants."""

    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def certify(
        self,
        key: Any,
        holder: str = "A. Photographer",
        *,
        usage: Any = None,
        is_authority: bool = False,
        begin: int = 2024,
        end: int = 2124,
    ) -> bytes:
        """Return a certificate, PEM."""
        made = (
            x509.CertificateBuilder()
            .subject_name(named(holder))
            .issuer_name(named("The Authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(begin, 1, 1))
            .not_valid_after(datetime(end, 1, 1))
            .add_extension(x509.BasicConstraints(is_authority, None), True)
            .add_extension(
                x509.KeyUsage(not is_authority, False, False, False, False, is_authority, is_authority, False, False),
                True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        )
        if not is_authority:
            kind = ExtendedKeyUsageOID.EMAIL_PROTECTION if usage is None else usage
            made = made.add_extension(x509.ExtendedKeyUsage([kind]), usage is ExtendedKeyUsageOID.TIME_STAMPING)
        return made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    @property
    def own(self) -> bytes:
        """Its own certificate, PEM."""
        return self.certify(self.key, "The Authority", is_authority=True)


def pem(key: Any, passphrase: str = "", *, form: str = "PKCS8") -> bytes:
    hidden = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, getattr(PrivateFormat, form), hidden)


@dataclass(frozen=True)
class Desk:
    """A photographer's files."""

    folder: Path
    authority: Authority
    key: Any

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    @property
    def chain(self) -> Path:
        return self.folder / "chain.pem"

    @property
    def key_file(self) -> Path:
        return self.folder / "key.pem"

    def credential(self, **how: Any) -> SigningCredential:
        return SigningCredential.read(self.chain, self.key_file, **how)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def desk(tmp_path: Path, authority: Authority) -> Desk:
    folder = tmp_path / "desk"
    folder.mkdir()
    made = Desk(folder, authority, ec.generate_private_key(ec.SECP256R1()))
    made.write("chain.pem", authority.certify(made.key) + authority.own)
    made.write("key.pem", pem(made.key))
    return made


@pytest.fixture
def pem_of() -> Callable[..., bytes]:
    """Give what writes a private key."""
    return pem


@dataclass(frozen=True)
class Told:
    """What the library's reader says of a file, by a trust list that holds the tests' authority alone."""

    values: dict[str, Any]

    @property
    def state(self) -> str:
        return self.values["validation_state"]

    @property
    def active(self) -> dict[str, Any]:
        return self.values["manifests"][self.values["active_manifest"]]

    @property
    def actions(self) -> list[dict[str, Any]]:
        (told,) = [one["data"] for one in self.active["assertions"] if one["label"].startswith("c2pa.actions")]
        return told["actions"]

    @property
    def names(self) -> list[str]:
        return [action["action"] for action in self.actions]

    @property
    def parent(self) -> dict[str, Any]:
        (parent,) = self.active["ingredients"]
        return parent


@pytest.fixture
def judge(authority: Authority) -> Callable[..., Told]:
    """Give what asks the library's reader."""

    def told(file: bytes | Path, media_type: str = "image/jpeg") -> Told:
        content = file if isinstance(file, bytes) else file.read_bytes()
        settings = {
            "trust": {"user_anchors": authority.own.decode()},
            "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        }
        with (
            c2pa().Context.from_dict(settings) as trusting,
            c2pa().Reader(media_type, io.BytesIO(content), context=trusting) as reader,
        ):
            return Told(json.loads(reader.json()))

    return told


@pytest.fixture
def soft() -> np.ndarray:
    """Smooth colours, 40 × 48 px, uint8: soft, so that sharpening changes them."""
    y, x = np.mgrid[:40, :48]
    planes = [128 + 90 * np.sin(y / 5 + x / 6), 40 + 3 * x, 230 - 4 * y]
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)
