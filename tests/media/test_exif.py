from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from acutance.media.exif import first_directory, orientation_of, with_orientation, without_prefix


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read_in_both_byte_orders(make_exif, orientation, order):
    exif = make_exif(orientation=orientation, order=order)
    assert exif[:2] == (b"II" if order == "<" else b"MM")
    assert orientation_of(exif) == orientation


@pytest.mark.parametrize("order", "<>")
def test_setting_it_changes_nothing_else(make_exif, order):
    exif = make_exif(orientation=6, order=order)
    changed = with_orientation(exif, 1)
    assert orientation_of(changed) == 1
    assert len(changed) == len(exif)
    assert sum(a != b for a, b in zip(exif, changed, strict=True)) == 1
    assert with_orientation(changed, 6) == exif


def test_a_block_without_the_tag_is_upright_and_stays_as_it_is(make_exif):
    exif = make_exif(orientation=None)
    assert orientation_of(exif) == 1
    assert with_orientation(exif, 3) is exif


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_values_count_as_upright(make_exif, value):
    assert orientation_of(with_orientation(make_exif(orientation=6), value)) == 1


def test_the_orientation_is_found_in_a_block_that_is_damaged_elsewhere(make_exif):
    exif = make_exif(orientation=8)
    cut = exif[: exif.index(b"Maker of cameras")]  # the values are gone, the table is there
    assert first_directory(cut) is None
    assert orientation_of(cut) == 8


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0"]))
def test_no_bytes_make_it_fail(tail, head):
    orientation = orientation_of(head + tail)
    assert 1 <= orientation <= 8
    assert len(with_orientation(head + tail, 1)) == len(head + tail)
    first_directory(head + tail)


def test_the_prefix_is_taken_off_once(make_exif):
    exif = make_exif()
    assert without_prefix(b"Exif\0\0" + exif) == exif
    assert without_prefix(exif) == exif


def test_pillow_reads_the_changed_block(make_exif):
    exif = Image.Exif()
    exif.load(with_orientation(make_exif(orientation=5), 2))
    assert exif[274] == 2
    assert exif[271] == "Maker of cameras"
    assert io.BytesIO(exif.get_ifd(34665)[37500]).read(3) == b"\1\2\3"
