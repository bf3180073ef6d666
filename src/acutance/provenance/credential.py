"""Who signs: a certificate with its chain and the private key to it, checked before anything is worked on."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from acutance.errors import ConfigError, first_line
from acutance.provenance.silent_c2pa import c2pa, context

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

_SMALLEST_PICTURE = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
_CREATED = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
_OF_CURVE = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_LARGEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningCredential:
    """A certificate and its private key, with which results are signed (C2PA). `read` is how to get one.

    It can be pickled, and the key goes with it.
    """

    chain: bytes = field(repr=False)
    """The certificate, and those that vouch for it, PEM."""
    key: bytes = field(repr=False)
    """The private key, PKCS #8 in PEM."""
    algorithm: str
    """By C2PA's names: es256, es384, es512, ps256 or ed25519."""
    holder: str
    """Whom the certificate names."""
    fingerprint: str
    """SHA-256 of the certificate, in hex."""
    timestamp_url: str | None = None
    """Of the authority that is asked for the time; None: nobody is."""

    @classmethod
    def read(
        cls,
        certificate: str | Path,
        key: str | Path | None = None,
        *,
        passphrase: str | None = None,
        timestamp_url: str | None = None,
    ) -> Self:
        """Read a certificate and its key, and try them.

        Args:
            certificate: A PEM file with the certificate and those that vouch for it, in any order.
            key: A PEM file with the private key; None: it is in the same file.
            passphrase: Of the key, where it is encrypted.
            timestamp_url: An RFC 3161 authority, which is sent the hash of each signature; None: nothing is sent.

        Raises:
            ConfigError: When a file cannot be read, the two do not belong together, or C2PA does not let that
                certificate sign.
            JobError: When the extra is not installed.
        """
        c2pa()  # which brings what reads certificates
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        _check_url(timestamp_url)
        place, key_place = Path(certificate), Path(certificate if key is None else key)
        found = _certificates(place)
        private = _private_key(key_place, passphrase)
        chain = _chain_of(private, found)
        if not chain:
            raise ConfigError(
                f"{key_place}: is not the key to a certificate in {place}; name the key for which the certificate was "
                "made."
            )
        _check_dates(chain[0], place)
        credential = cls(
            chain=b"".join(one.public_bytes(Encoding.PEM) for one in chain),
            key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            algorithm=_algorithm(private, key_place),
            holder=_name_of(chain[0]),
            fingerprint=chain[0].fingerprint(SHA256()).hex(),
            timestamp_url=timestamp_url,
        )
        credential._try(place)
        return credential

    def signer(self, *, is_trial: bool = False) -> Any:  # noqa: ANN401  # the library's
        """Return a `c2pa.Signer`, to be closed; on trial, nobody is asked for the time."""
        library = c2pa()
        url = None if is_trial else self.timestamp_url
        return library.Signer.from_info(library.C2paSignerInfo(self.algorithm, self.chain, self.key, url))

    def _try(self, place: Path) -> None:
        """Sign the smallest picture in memory: what the library has against a certificate, it says now.

        Raises:
            ConfigError: With that.
        """
        library = c2pa()
        actions = {"label": "c2pa.actions.v2", "data": {"actions": [_CREATED]}}
        try:
            with (
                library.Builder({"assertions": [actions]}, context()) as builder,
                self.signer(is_trial=True) as signer,
            ):
                builder.sign(signer, "image/gif", io.BytesIO(_SMALLEST_PICTURE), io.BytesIO())
        except library.C2paError as error:
            raise ConfigError(
                f"{place}: C2PA does not let this certificate sign ({first_line(error)}); it wants the usage "
                "digitalSignature and an extended usage such as emailProtection or documentSigning, and no authority's "
                "own certificate: ask whoever issued it."
            ) from error


def _check_url(url: str | None) -> None:
    """Refuse what is no address of a timestamp authority.

    Raises:
        ConfigError: When it is none.
    """
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and "\0" not in url
    except ValueError:
        is_good = False
    if not is_good:
        raise ConfigError(
            f"timestamp authority {url!r}: must be an address that begins with http:// or https://; ask whoever issued "
            "your certificate, or leave it out."
        )


def _content(place: Path, what: str) -> bytes:
    """Read a file of PEM.

    Raises:
        ConfigError: When it cannot be read.
    """
    try:
        with place.open("rb") as file:
            return file.read(_LARGEST_BYTES)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        raise ConfigError(f"{place}: cannot be read ({reason}); name the file with the {what}.") from error


def _certificates(place: Path) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(_content(place, "certificate"))
    except ValueError as error:
        raise ConfigError(
            f"{place}: holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); name the file with yours and "
            "those that vouch for it."
        ) from error


def _private_key(place: Path, passphrase: str | None) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _content(place, "private key")
    start = content.find(b"-----BEGIN")
    while start >= 0 and b"PRIVATE KEY-----" not in content[start : start + 40].partition(b"\n")[0]:
        start = content.find(b"-----BEGIN", start + 1)  # certificates, or parameters of a curve
    try:
        return load_pem_private_key(content[max(start, 0) :], passphrase.encode() if passphrase else None)
    except TypeError as error:  # what the library raises for a passphrase that is missing, or too many
        if not passphrase:
            raise ConfigError(
                f"{place}: is encrypted; give its passphrase in the variable ACUTANCE_C2PA_PASSPHRASE (passphrase=)."
            ) from error
        return load_pem_private_key(content[max(start, 0) :], None)
    except (ValueError, UnsupportedAlgorithm) as error:
        advice = ", or the passphrase is wrong; check both" if passphrase else "; name the file with the key"
        raise ConfigError(
            f"{place}: holds no private key in PEM form (-----BEGIN PRIVATE KEY-----){advice}."
        ) from error


def _chain_of(private: PrivateKeyTypes, found: Sequence[Certificate]) -> list[Certificate]:
    """Return the certificate of a key, and those that vouch for it, each behind what it vouches for."""
    public = private.public_key()
    chain = [one for one in found if one.public_key() == public][:1]
    while chain:
        above = [one for one in found if one.subject == chain[-1].issuer and one not in chain]
        if not above:
            break
        chain.append(above[0])
    return chain


def _check_dates(certificate: Certificate, place: Path) -> None:
    """Refuse a certificate that does not hold now.

    Raises:
        ConfigError: When it does not.
    """
    begin, end, now = certificate.not_valid_before_utc, certificate.not_valid_after_utc, datetime.now(UTC)
    if not begin <= now <= end:
        raise ConfigError(
            f"{place}: the certificate holds from {begin:%Y-%m-%d} to {end:%Y-%m-%d}, and today is {now:%Y-%m-%d}; "
            "have it renewed."
        )


def _algorithm(private: PrivateKeyTypes, place: Path) -> str:
    """Return how a key signs, by C2PA's names.

    Raises:
        ConfigError: When C2PA knows no way.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    kind = type(private).__name__.removesuffix("PrivateKey").lstrip("_")
    if isinstance(private, Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, RSAPrivateKey):
        return "ps256"
    if isinstance(private, EllipticCurvePrivateKey):
        kind = private.curve.name
        if kind in _OF_CURVE:
            return _OF_CURVE[kind]
    raise ConfigError(
        f"{place}: a key of the kind {kind} does not sign for C2PA; take one of P-256, P-384, P-521, Ed25519, or RSA "
        "of 2048 bits or more."
    )


def _name_of(certificate: Certificate) -> str:
    """Return whom a certificate names: a person or a house, else all that it says."""
    from cryptography.x509.oid import NameOID

    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        if found := certificate.subject.get_attributes_for_oid(kind):
            return str(found[0].value)
    return certificate.subject.rfc4514_string()
