"""Results carry a manifest that holds for them, and says what was done."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageCms

pytest.importorskip("c2pa", reason="needs the extra `c2pa`")

from acutance import Sharpener, ToldBlur
from acutance.engines.fake import FakeEngine
from acutance.engines.model_file import read_spec
from acutance.errors import ConfigError, OutputError
from acutance.inference.picture_files import sharpen_file
from acutance.inference.sealing import is_for_truth
from acutance.media import FORMATS, Metadata, Patch, Photo, encode_photo, read_photo
from acutance.provenance.manifest import COMPOSITE, ENHANCED, Edit
from acutance.provenance.signing import Parent, signed_parts
from acutance.zoo.catalogue import find_model

SIGNABLE = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "GIF"]
LOST = "content credentials (C2PA), which hold for the unchanged picture only"
LINK = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
    b'dcterms:provenance="http://manifests.example.org/1.c2pa"/></rdf:RDF></x:xmpmeta>'
)


def opened(credential=None, model="fast", **how) -> Sharpener:
    return Sharpener(model, engine="onnxruntime", threads=1, signed_by=credential, **how)


def coded(pixels: np.ndarray, format_: str = "JPEG", metadata: Metadata | None = None) -> bytes:
    if format_ == "HEIF":
        pytest.importorskip("pillow_heif", reason="needs the extra `heif`")
    return encode_photo(Photo(pixels=pixels, metadata=metadata or Metadata()), format=format_)


@pytest.mark.parametrize("format_", SIGNABLE)
def test_a_signed_result_holds_until_a_byte_is_flipped(desk, judge, soft, format_):
    media_type, photo = FORMATS[format_].media_type, coded(soft, format_)
    with opened() as plain, opened(desk.credential()) as signing:
        without, signed = plain(photo), signing(photo)
    assert judge(signed, media_type).state == "Trusted"
    np.testing.assert_array_equal(read_photo(signed).pixels, read_photo(without).pixels)
    flipped = bytearray(signed)
    flipped[signed.rfind(without[-40:-30])] ^= 1  # within the pixels, which come last
    assert judge(bytes(flipped), media_type).state == "Invalid"


@pytest.mark.parametrize("format_", SIGNABLE)
def test_metadata_stay_as_they_do_without_signing(desk, soft, format_):
    exif = Image.Exif()
    exif[0x010E] = "a pier in the fog"
    metadata = Metadata(
        exif=exif.tobytes()[6:],
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        xmp=LINK.replace(b"provenance", b"title"),
        dpi=(300.0, 300.0),
    )
    photo = coded(soft, format_, metadata)
    with opened() as plain, opened(desk.credential()) as signing:
        without, signed = (replace(read_photo(one(photo)).metadata, left_out=()) for one in (plain, signing))
    assert signed == without
    assert without.xmp is not None


def test_it_says_what_was_done_and_to_what(desk, judge, soft):
    source = desk.write("photo.jpg", coded(soft))
    with opened(desk.credential()) as sharpener:
        result = sharpen_file(sharpener, source, desk.folder / "out.jpg", strength=0.5)
    told = judge(desk.folder / "out.jpg")
    assert result.signed == ("signed by A. Photographer (C2PA)",)
    assert result.words[-1] == result.signed[0]
    assert [(one["name"], one["version"]) for one in told.active["claim_generator_info"]] == [("acutance", "0.1.0")]
    assert told.active["title"] == "out.jpg"
    assert (told.parent["title"], told.parent["relationship"]) == ("photo.jpg", "parentOf")
    assert told.names == ["c2pa.opened", "c2pa.enhanced"]
    did = told.actions[1]
    assert did["digitalSourceType"] == ENHANCED
    assert did["description"].startswith("sharpened by fast")
    settings = did["parameters"]
    assert settings["acutance.models"] == ["fast"]
    assert (settings["acutance.strength"], settings["acutance.fidelity"]) == (0.5, 1.0)
    assert settings["acutance.input_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert len(settings["acutance.weights_sha256"][0]) == 64
    assert "acutance.told" not in settings
    assert "thumbnail" not in told.active


def test_what_may_have_added_texture_is_said_to_be_a_composite(desk, judge, soft):
    with opened(desk.credential(), fidelity=0.5) as sharpener:
        told = judge(sharpener(coded(soft)))
    assert told.names == ["c2pa.opened", "c2pa.edited"]
    assert told.actions[1]["digitalSourceType"] == COMPOSITE
    assert "texture" in told.actions[1]["description"]


def test_of_a_network_that_does_not_ship_it_is_not_known_what_it_adds(desk, judge, soft):
    shipped = find_model("night").fidelity.read_bytes()
    other = shipped.replace(read_spec(shipped).weights_sha256.encode(), b"0" * 64)
    for content, name in ((shipped, "c2pa.enhanced"), (other, "c2pa.edited")):
        with opened(desk.credential(), desk.write("mine.onnx", content)) as sharpener:
            told = judge(sharpener(coded(soft)))
        assert told.names[1] == name
        assert told.actions[1]["parameters"]["acutance.models"] == ["night"]


def test_what_was_left_as_it_is_is_said_to_be_coded_anew(desk, judge, soft):
    with opened(desk.credential()) as sharpener:
        told = judge(sharpener(coded(soft), strength=0.0))
        target = desk.folder / "other.png"
        sharpen_file(sharpener, coded(soft), target, strength=0.0)
    assert told.names == ["c2pa.opened", "c2pa.transcoded"]
    assert told.actions[1]["description"] == "left as it is, and coded anew"
    other = judge(target, "image/png")
    assert other.names == ["c2pa.opened", "c2pa.converted"]
    assert "acutance.input_sha256" in other.actions[1]["parameters"]


def test_enlarging_and_another_format_are_said(desk, judge, soft):
    target = desk.folder / "large.png"
    with opened(desk.credential(), "fast-x2") as sharpener:
        sharpen_file(sharpener, coded(soft), target)
    assert judge(target, "image/png").names == ["c2pa.opened", "c2pa.enhanced", "c2pa.resized", "c2pa.converted"]


def test_what_was_told_of_the_blur_is_said(desk, judge, soft):
    with opened(desk.credential(), "motion", told=ToldBlur.gaussian(1.5)) as sharpener:
        told = judge(sharpener(coded(soft)))
    assert "gaussian" in told.actions[1]["parameters"]["acutance.told"]


def test_the_photos_own_manifest_is_kept(desk, judge, soft):
    with opened(desk.credential()) as sharpener:
        first = desk.write("first.jpg", sharpener(coded(soft)))
        result = sharpen_file(sharpener, first, desk.folder / "second.jpg")
    told = judge(desk.folder / "second.jpg")
    assert told.state == "Trusted"
    assert len(told.values["manifests"]) == 2
    assert told.parent["active_manifest"] == judge(first).values["active_manifest"]
    assert result.signed[1] == "the photo's own manifest is kept inside"
    assert LOST not in result.lost


def test_a_manifest_that_does_not_hold_for_the_photo_is_kept_with_that_finding(desk, judge, soft):
    with opened(desk.credential()) as sharpener:
        flipped = bytearray(sharpener(coded(soft)))
        flipped[-30] ^= 1
        result = sharpen_file(sharpener, desk.write("first.jpg", bytes(flipped)), desk.folder / "second.jpg")
    told = judge(desk.folder / "second.jpg")
    assert told.state == "Trusted"
    failures = told.parent["validation_results"]["activeManifest"]["failure"]
    assert [failure["code"] for failure in failures] == ["assertion.dataHash.mismatch"]
    assert "does not hold" in result.signed[1]


def test_a_manifest_that_lies_elsewhere_is_not_fetched(desk, judge, soft):
    buffer = io.BytesIO()
    Image.fromarray(soft).save(buffer, "JPEG", xmp=LINK)
    source = desk.write("linked.jpg", buffer.getvalue())
    with opened(desk.credential()) as sharpener:
        result = sharpen_file(sharpener, source, desk.folder / "out.jpg")
    assert judge(desk.folder / "out.jpg").state == "Trusted"
    assert b"provenance" not in read_photo(desk.folder / "out.jpg").metadata.xmp
    assert "lies elsewhere" in result.signed[1]
    assert LOST in result.lost


def test_without_signing_a_manifest_is_dropped_and_that_is_said(desk, soft):
    with opened(desk.credential()) as signing, opened() as plain:
        first = desk.write("first.tif", signing(coded(soft, "TIFF")))
        result = sharpen_file(plain, first, desk.folder / "out.tif")
    assert LOST in result.lost
    assert result.signed == ()
    assert b"c2pa" not in (desk.folder / "out.tif").read_bytes()


def test_a_format_that_holds_no_manifest_is_refused_before_any_work(desk, soft):
    with (
        opened(desk.credential()) as sharpener,
        pytest.raises(OutputError, match="BMP: holds no C2PA manifest") as told,
    ):
        sharpen_file(sharpener, coded(soft), desk.folder / "out.bmp")
    assert "JPEG, PNG" in str(told.value)
    assert not (desk.folder / "out.bmp").exists()


def test_what_comes_of_one_that_cannot_be_signed_is_kept(desk, judge, soft):
    with opened(desk.credential()) as sharpener:
        sharpen_file(sharpener, coded(soft, "BMP"), desk.folder / "out.png")
    told = judge(desk.folder / "out.png", "image/png")
    assert told.state == "Trusted"
    assert told.parent["format"] == "image/bmp"


def test_pages_and_animations_are_signed(desk, judge, soft):
    pages = io.BytesIO()
    images = [Image.fromarray(soft), Image.fromarray(soft[::-1].copy())]
    images[0].save(pages, "TIFF", save_all=True, append_images=images[1:])
    moving = io.BytesIO()
    images[0].save(moving, "WEBP", save_all=True, append_images=images[1:], duration=100)
    with opened(desk.credential()) as sharpener:
        assert judge(sharpener(pages.getvalue()), "image/tiff").state == "Trusted"
        assert judge(sharpener(moving.getvalue()), "image/webp").state == "Trusted"


def test_content_that_is_patched_is_signed_as_it_is_at_the_end(desk, judge, soft):
    photo = coded(soft, "PNG")
    parts = [b"\0\0\0\0" + photo[4:], Patch(0, photo[:4])]
    edit = Edit(title="", models=(), adds_texture=False, is_enlarged=False, is_converted=False, found=(), settings={})
    told = []
    signed = signed_parts(
        parts,
        "PNG",
        desk.credential(),
        Parent(file=io.BytesIO(photo), media_type="image/png", title="p.png"),
        edit=lambda: edit,
        told=told.append,
    )
    assert judge(b"".join(signed), "image/png").state == "Trusted"
    assert [one.parent for one in told] == ["none"]


def test_pictures_that_are_no_files_are_refused(desk, soft):
    with opened(desk.credential()) as sharpener:
        for image in (soft, Image.fromarray(soft)):
            with pytest.raises(ConfigError, match="lies in a file"):
                sharpener(image)


def test_an_opened_engine_is_refused(desk):
    with pytest.raises(ConfigError, match="name the engine"):
        Sharpener(engine=FakeEngine(), signed_by=desk.credential())


def test_an_authority_that_does_not_answer_leaves_nothing_behind(desk, soft):
    credential = desk.credential(timestamp_url="http://127.0.0.1:9/none")
    with opened(credential) as sharpener, pytest.raises(OutputError, match="--c2pa-timestamp"):
        sharpen_file(sharpener, coded(soft), desk.folder / "out.jpg")
    assert sorted(path.name for path in desk.folder.iterdir()) == ["chain.pem", "key.pem"]


def test_a_model_without_perceptual_weights_adds_no_texture_at_any_fidelity():
    """`auto` runs it as it is."""
    specs = {name: read_spec(find_model(name).fidelity.read_bytes()) for name in ("fast", "motion")}
    assert not is_for_truth(specs["fast"], fidelity=0.5)
    assert is_for_truth(specs["fast"], fidelity=1.0)
    assert is_for_truth(specs["motion"], fidelity=0.5)
