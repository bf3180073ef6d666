"""Options of `acutance sharpen` about who signs the results (C2PA)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.options import given_path
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.media import PlannedFile
    from acutance.provenance.credential import SigningCredential

PANEL = "Signing (C2PA)"
PASSPHRASE = "ACUTANCE_C2PA_PASSPHRASE"
"""Variable with the passphrase of an encrypted key: on a command line, others could read it."""

Certificate = Annotated[
    Path | None,
    typer.Option(
        "--c2pa-certificate",
        parser=given_path,
        metavar="PEM",
        help="Sign results with this certificate: a manifest in the file says what was done, and to which photo.",
        rich_help_panel=PANEL,
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--c2pa-key",
        parser=given_path,
        metavar="PEM",
        help=f"The private key to it, unless it is in the same file. Its passphrase: the variable {PASSPHRASE}.",
        rich_help_panel=PANEL,
    ),
]
Timestamp = Annotated[
    str | None,
    typer.Option(
        "--c2pa-timestamp",
        metavar="URL",
        help="Have this authority confirm the time: the only thing for which somebody on the network is asked.",
        rich_help_panel=PANEL,
    ),
]


def credential_of(certificate: Path | None, key: Path | None, timestamp: str | None) -> SigningCredential | None:
    """Return who signs, if anybody is to.

    Raises:
        ConfigError: When there is a key or an authority without a certificate, or they are not fit for it.
        JobError: When the extra is not installed.
    """
    if certificate is None:
        for name, value in (("--c2pa-key", key), ("--c2pa-timestamp", timestamp)):
            if value is not None:
                raise ConfigError(f"{name}: says nothing without a certificate; name that, too (--c2pa-certificate).")
        return None
    from acutance.provenance.credential import SigningCredential

    return SigningCredential.read(
        certificate, key, passphrase=os.environ.get(PASSPHRASE), timestamp_url=timestamp or None
    )


def check_only_photos(credential: SigningCredential | None, plan: Sequence[PlannedFile]) -> None:
    """Refuse to sign where there are videos.

    Raises:
        ConfigError: When there is one.
    """
    if credential is not None and any(file.kind == "video" for file in plan):
        raise ConfigError("--c2pa-certificate: only photos are signed, and there is a video among them; leave it out.")
