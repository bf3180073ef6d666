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
