"""Not a speed: broken files of every format are posted to the server, and each must be answered well.

Answered well: with a picture that can be read, or with 4xx and one sentence; never with 5xx, and within ten seconds.
Linux only: each kind comes from an address of its own (127.0.1.1, …), as the server counts posts by address.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from corpus import broken_versions, further_files, good_files
from server_load import served

from acutance.errors import AcutanceError
from acutance.media import open_pictures

PER_KIND = 64
HANG_S = 10.0
MAX_PIXELS = "4000000"
PAUSE_S = 1.0


def post(port: int, content: bytes, client: int) -> tuple[int, bytes]:
    """Post a file from a client's own address; wait where the server says that it is too often."""
    while True:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(f"127.0.1.{1 + client}", 0))
        try:
            line.request("POST", "/v1/sharpen", content)
            answer = line.getresponse()
            body = answer.read()
        finally:
            line.close()
        if answer.status != 429:
            return answer.status, body
        time.sleep(PAUSE_S)


def judged(status: int, body: bytes, seconds: float) -> str:
    """Say how a post was answered: a status if that is well, what is wrong if not."""
    if seconds > HANG_S:
        return "took too long"
    if status == 200:
        try:
            with open_pictures(body, max_bits=16) as pictures:
                return "200" if sum(1 for _ in pictures.photos()) == pictures.count else "part of a picture"
        except AcutanceError:
            return "a picture that cannot be read"
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError):
        return "no sentence"
    return str(status) if 400 <= status < 500 and detail.endswith(".") and "\n" not in detail else f"{status}: {detail}"


def main() -> None:
    """Post the corpus and print the counts; exit with 1 when one of them should not be."""
    per_kind = int(sys.argv[1]) if len(sys.argv) > 1 else PER_KIND
    files = {**good_files(), **further_files()}
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), "--max-pixels", MAX_PIXELS) as (port, _):
        for kind, (_, data) in enumerate(sorted(files.items())):
            for broken in broken_versions(data, per_kind, seed=kind):
                start = time.monotonic()
                status, body = post(port, broken, kind)
                found[judged(status, body, time.monotonic() - start)] += 1
    print(f"{sum(found.values())} broken files of {len(files)} kinds: {dict(found.most_common())}")
    if any(not kind.isdecimal() or kind.startswith("5") for kind in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
