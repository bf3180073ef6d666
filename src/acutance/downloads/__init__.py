"""Files from the web: resumed where they broke off, and checked by their hash, with the standard library alone."""

from acutance.downloads.fetch import Patience, fetch
from acutance.downloads.hashes import recorded_sha256

__all__ = ["Patience", "fetch", "recorded_sha256"]
