"""Formats by Accept, names of results."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acutance.server.options import (
    FORMATS,
    MEDIA_TYPES,
    SUFFIXES,
    negotiate,
    result_stem,
)
from acutance.server.refusals import Refused
from acutance.server.responses import disposition


def test_every_format_has_a_name_a_type_and_a_suffix() -> None:
    assert set(FORMATS.values()) == set(MEDIA_TYPES) == set(SUFFIXES)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "JPEG"),
        ("*/*", "JPEG"),
        ("image/*", "JPEG"),
        ("IMAGE/PNG", "PNG"),
        ("image/avif,image/webp,image/apng,image/*,*/*;q=0.8", "JPEG"),  # a browser's, for <img>
        ("text/html,application/xhtml+xml,*/*;q=0.8", "JPEG"),
        ("image/png;q=0.5, image/tiff;q=0.6", "TIFF"),
        ("image/jpeg;q=0, */*", "PNG"),
        ("image/png ; level=1 ; q=1.0", "PNG"),
        ("image/webp;q=high, image/bmp;q=0.1", "BMP"),
        ("image/webp;q=nan, image/bmp;q=0.1", "BMP"),
        (",,image/gif,", "GIF"),
    ],
)
def test_accept(accept: str, expected: str) -> None:
    assert negotiate(accept, "JPEG") == expected


@pytest.mark.parametrize("accept", ["text/html", "image/svg+xml", "*/*;q=0", "image/*;q=0, text/*", "rubbish"])
def test_nothing_acceptable(accept: str) -> None:
    with pytest.raises(Refused) as refused:
        negotiate(accept, "JPEG")
    assert refused.value.problem.status == 406


@given(st.text(max_size=60))
def test_any_accept_is_understood_or_refused(accept: str) -> None:
    with suppress(Refused):
        assert negotiate(accept, "PNG") in MEDIA_TYPES


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("cat.jpg", "cat.sharp"),
        ("my.cat.tar.jpg", "my.cat.tar.sharp"),
        ("C:\\Users\\me\\cat.jpg", "cat.sharp"),
        ("../../cat.jpg", "cat.sharp"),
        (".jpg", "jpg.sharp"),
        ("..", "photo.sharp"),
        ("", "photo.sharp"),
        ("a\tb\0c.png", "abc.sharp"),
        ("猫 写真.png", "猫 写真.sharp"),
        ("x" * 300 + ".png", "x" * 100 + ".sharp"),
    ],
)
def test_stems(name: str, stem: str) -> None:
    assert result_stem(name) == stem


@given(st.text(max_size=200))
def test_no_name_leaves_its_header(name: str) -> None:
    value = disposition(result_stem(name) + ".png")
    value.encode("ascii")
    assert value.isprintable()
    assert unquote(value.partition("filename*=UTF-8''")[2]) == result_stem(name) + ".png"
