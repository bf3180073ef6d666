"""The record: what is written is read again, and nothing can be changed unnoticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acutance.errors import InputError
from acutance.trust.consistency import consistency
from acutance.trust.guesses import GuessMap
from acutance.trust.page import record_page
from acutance.trust.questioning import Pair
from acutance.trust.record import (
    ConsistencyFacts,
    FileFacts,
    GuessFacts,
    Machine,
    ModelFacts,
    Record,
    Settings,
    read_record,
    record_of,
)

FILE = FileFacts(name="<b>é</b>.png", bytes=12, sha256="ab" * 32)
RECORD = Record(
    source=FILE,
    result=FileFacts(name="a.sharp.png", bytes=13, sha256="cd" * 32),
    width=3,
    height=4,
    model=ModelFacts(name="fast", task="sharpen", scale=1, weights_sha256="ef" * 32, files=(FILE,)),
    settings=Settings(strength=1.0, fidelity=0.1, engine="onnxruntime", precision="float32", tile_px=None, threads=2),
    machine=Machine(acutance="0", python="3", system="s", processor="p", packages={"numpy": "2"}),
    made="2026-01-01T00:00:00+00:00",
    found=("sharp already", "</script>"),
    lost=(),
    blur="sharp already",
    noise_levels=0.25,
    consistency=ConsistencyFacts(
        is_exact=False,
        contradicted=0.01,
        unsupported=0.1,
        uncarried=0.11,
        misfit_levels=0.5,
        noise_levels=0.3,
        kernel=((1.0,),),
    ),
    guesses=GuessFacts(
        interval=0.9, is_calibrated=True, median_levels=3.0, worst_tenth_levels=20.0, share=0.04, limit_levels=24.0
    ),
    seconds={"sharpening": 1e-05},
)


def page() -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    told = consistency(pixels, pixels)
    guesses = GuessMap(is_calibrated=True, distance=np.full((40, 50), 30, np.float32))
    return record_page(RECORD, Pair(before=pixels, after=pixels), guesses=guesses, consistency=told)


def test_a_record_is_read_as_it_was_written():
    assert record_of(RECORD.to_json()) == RECORD
    bare = replace(RECORD, consistency=None, guesses=None, noise_levels=None)
    assert record_of(bare.to_json()) == bare


def test_a_page_is_a_record_and_shows_everything():
    text = page()
    assert replace(record_of(text), page_sha256="") == RECORD
    assert "&lt;b&gt;é&lt;/b&gt;.png" in text
    assert "<b>é" not in text
    assert text.count("data:image/") == 5
    assert text.count("</script>") == 1
    assert "http" not in text.replace("http-equiv", "")


def test_no_bit_of_a_record_can_be_flipped():
    """Values, names, white space, the seal itself."""
    content = RECORD.to_json().encode()
    for position in range(len(content)):
        for bit in (5, position % 5):  # 5 tells small from capital letters, and a space from nothing
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            with pytest.raises(InputError):
                record_of(damaged.decode(), name="damaged")


def test_no_bit_of_a_page_can_be_flipped(tmp_path):
    content = page().encode()
    path = tmp_path / "record.html"
    for position in range(0, len(content), 151):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read_record(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no record"),
        ("[]", "no record"),
        ('{"format": "other"}', "no record"),
        ("[" * 100_000, "no record"),
        (RECORD.to_json().replace('"version": 1', '"version": 2'), "version 2"),
        (RECORD.to_json().replace("0.1,", "0.10,"), "was changed"),
        (RECORD.to_json() + "\n", "was changed"),
    ],
)
def test_what_is_no_record_is_refused_in_a_sentence(text, reason):
    with pytest.raises(InputError, match=reason):
        record_of(text, name="x.json")


def test_a_missing_record_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_record(tmp_path / "none.json")
    with pytest.raises(InputError, match="is not a file"):
        read_record(tmp_path)
    (tmp_path / "b.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not text"):
        read_record(tmp_path / "b.json")
