from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from acutance.media.ifd import DirectoryError, Entry, block_of, read_directory, read_header, read_tree


def values_of(exif: bytes) -> tuple[dict, dict, dict]:
    """All values of a block, as Pillow reads them."""
    parsed = Image.Exif()
    parsed.load(exif)
    main = {tag: value for tag, value in parsed.items() if tag not in (34665, 34853)}
    return main, dict(parsed.get_ifd(34665)), dict(parsed.get_ifd(34853))


@pytest.mark.parametrize("order", "<>")
def test_a_tree_that_is_written_anew_says_the_same(make_exif, order):
    exif = make_exif(order=order)
    file = io.BytesIO(exif)
    header = read_header(file)

    again = block_of(read_tree(file, header.first_offset, header, without=frozenset()), header.order)

    assert values_of(again) == values_of(exif)
    assert values_of(again)[2][2] == (48.0, 8.0, 15.0)


def test_entries_change_their_byte_order_by_unit():
    assert Entry(1, 3, 2, b"\1\0\2\0").reordered("<", ">").integers(">") == (1, 2)
    assert Entry(1, 4, 1, b"\1\2\3\4").reordered("<", ">").data == b"\4\3\2\1"
    rational = Entry(1, 5, 1, struct.pack("<II", 300, 7)).reordered("<", ">")
    assert struct.unpack(">II", rational.data) == (300, 7)
    assert Entry(1, 12, 1, struct.pack("<d", 0.3)).reordered("<", ">").data == struct.pack(">d", 0.3)
    assert Entry(1, 2, 3, b"abc").reordered("<", ">").data == b"abc"


def test_bigtiff_is_read():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((5, 7), dtype=np.uint8), bigtiff=True, description="a big one")
    header = read_header(buffer)
    directory = read_directory(buffer, header.first_offset, header)
    assert header.is_big
    assert directory.find(256).integers(header.order) == (7,)
    assert directory.find(270).data.rstrip(b"\0") == b"a big one"


def test_values_that_are_not_wanted_are_not_read(make_exif):
    file = io.BytesIO(make_exif())
    header = read_header(file)
    directory = read_directory(file, header.first_offset, header, without=frozenset({271}))
    assert directory.find(271).data == b""
    assert directory.find(271).integers("<") == ()


def test_entries_that_all_point_to_one_place_cannot_fill_the_memory():
    big = 60_000
    record = struct.pack("<HHII", 65000, 1, big, 0)
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 1000) + record * 1000 + b"\0" * 4 + b"\0" * big
    directory = read_directory(io.BytesIO(block), 8, read_header(io.BytesIO(block)))
    assert len(directory.entries) == 1
    assert len(directory.outside) == 999


def test_a_value_outside_of_the_file_costs_that_tag_alone():
    records = struct.pack("<HHII", 270, 2, 9, 5000) + struct.pack("<HHII", 271, 2, 4, 0x434241)
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + records + b"\0" * 4
    directory = read_directory(io.BytesIO(block), 8, read_header(io.BytesIO(block)))
    assert directory.entries == (Entry(271, 2, 4, b"ABC\0"),)
    assert directory.outside == ((270, 5000, 9),)


def test_directories_that_point_at_each_other_end():
    pointer = struct.pack("<HHHII", 1, 34665, 4, 1, 8) + b"\0" * 4
    block = b"II*\0\x08\0\0\0" + pointer
    tree = read_tree(io.BytesIO(block), 8, read_header(io.BytesIO(block)), without=frozenset())
    assert len(block_of(tree, "<")) < 100


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10", b""]))
def test_damage_raises_only_its_own_error(tail, head):
    file = io.BytesIO(head + tail)
    try:
        header = read_header(file)
        tree = read_tree(file, header.first_offset, header, without=frozenset())
    except DirectoryError:
        return
    assert len(tree.entries) <= 65535
