"""What is drawn: the same by its number, with the truth in its box."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from acutance.errors import ConfigError
from acutance.evaluation.recognition.items import FINER, Artist, Kind, kinds_of, reduced


@pytest.mark.parametrize("label", ["serif@20", "sans@20", "plates@14"])
def test_a_number_gives_one_item(artist, label):
    (kind,) = kinds_of(label)
    one, again, other = artist.draw(kind, 3), artist.draw(kind, 3), artist.draw(kind, 4)
    assert one.text == again.text != other.text
    assert np.array_equal(one.sharp, again.sharp)
    inside = one.sharp[one.box.slices]
    assert inside.shape[0] == one.box.size.height > 14
    assert int(inside.max()) - int(inside.min()) > 100  # ink on paper


def test_kinds_differ_at_one_number(artist):
    serif, sans = kinds_of("serif@20,sans@20")
    assert artist.draw(serif, 0).text != artist.draw(sans, 0).text


def test_larger_letters_make_larger_pictures(artist):
    small, large = (artist.draw(Kind(name="plates", size_px=size), 0) for size in (10.0, 20.0))
    assert small.text == large.text
    assert large.box.size.width == pytest.approx(2 * small.box.size.width, rel=0.06)


def test_plates_lie_on_photos_that_are_given(artist, tmp_path):
    Image.new("RGB", (400, 300), (10, 200, 30)).save(tmp_path / "green.png")
    kind = Kind(name="plates", size_px=14.0)
    on_photo = Artist(fonts=artist.fonts, photos=(tmp_path / "green.png",)).draw(kind, 0)
    assert on_photo.sharp[0, 0].tolist() == [10, 200, 30]
    assert on_photo.text == artist.draw(kind, 0).text


def test_a_code_is_drawn_with_its_quiet_zone():
    zxingcpp = pytest.importorskip("zxingcpp", reason="zxing-cpp makes the codes")
    (kind,) = kinds_of("qr@4")
    item = Artist().draw(kind, 1)
    assert zxingcpp.read_barcode(item.sharp).text == item.text
    assert (item.sharp[:16] > 200).all()


def test_reduction_is_the_mean_of_each_pixel():
    fine = np.random.default_rng(0).integers(0, 256, (2 * FINER, 3 * FINER, 3), dtype=np.uint8)
    assert reduced(fine)[1, 2].tolist() == np.rint(fine[FINER:, 2 * FINER :].mean(axis=(0, 1))).tolist()


def test_kinds_are_read_from_words():
    assert [kind.label for kind in kinds_of("qr, text@20,plates")] == [
        "qr@6",
        "serif@20",
        "sans@20",
        "chinese@20",
        "plates@22",
    ]


@pytest.mark.parametrize("text", ["", "faces!", "qr@0", "plates@x", "plates@1000", "qr,qr", "serif,text"])
def test_what_is_no_kind_is_refused(text):
    with pytest.raises(ConfigError, match="--recognise"):
        kinds_of(text)


def test_a_font_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "none.ttf").write_bytes(b"no font")
    artist = Artist(fonts=(("serif", str(tmp_path / "none.ttf")),))
    with pytest.raises(ConfigError, match=r"none\.ttf: no font"):
        artist.check(kinds_of("serif"))
