"""Files from the web: resumed where they broke off, and checked by their hash, with the standard library alone."""

from acutance.downloads.fetch import Patience, fetch
from acutance.downloads.hashes import checked_sha256, recorded_sha256

__all__ = ["Patience", "checked_sha256", "fetch", "recorded_sha256"]
