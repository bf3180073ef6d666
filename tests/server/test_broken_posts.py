"""A lean sample of `benchmarks/broken_posts.py`: broken files are answered with a picture or one sentence."""

from __future__ import annotations

import pytest
from corpus import broken_versions, further_files, good_files

from acutance.media import open_pictures

PER_KIND = 3


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {**good_files(), **further_files()}


def test_good_ones_come_back_as_what_they_were(shared, files) -> None:
    for name, content in files.items():
        reply = shared.form(content, name=name)
        assert reply.status == 200, (name, reply.body)
        with open_pictures(content, max_bits=16) as before, open_pictures(reply.body, max_bits=16) as after:
            assert (after.format, after.size, after.count) == (before.format, before.size, before.count), name


def test_broken_ones_are_the_sender_s_fault(shared, files) -> None:
    statuses = set()
    for kind, (name, content) in enumerate(sorted(files.items())):
        for broken in broken_versions(content, PER_KIND, seed=5000 + kind):
            reply = shared.form(broken, name=name)
            statuses.add(reply.status)
            assert reply.status == 200 or 400 <= reply.status < 500, (name, reply.status, reply.body)
            if reply.status != 200:
                detail = reply.json["detail"]
                assert detail.endswith(".")
                assert "\n" not in detail
                assert "/" not in detail.replace("1/", ""), "no path"
    assert {200, 415} <= statuses


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n",
        "POST /v1/jobs HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity, chunked\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\n",
    ],
)
def test_a_body_that_has_two_lengths_hides_no_request(shared, head: str) -> None:
    """What a proxy took for a body is not answered as a request of its own; the connection ends."""
    hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    said = shared.raw(f"{head}0\r\n\r\n{hidden}".encode())
    answers = said.count(b"HTTP/1.1 ")
    assert answers == 1, said
    assert 400 <= int(said.split(b" ", 2)[1]) < 600
    assert b'"status":"ok"' not in said
