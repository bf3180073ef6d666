"""Forms: one file, taken out of the bytes as they come, and every other form refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acutance.server.form import HEADER_BYTES, FormReader
from acutance.server.options import result_stem
from acutance.server.refusals import Refused

TYPE = "multipart/form-data; boundary=xyz"


def part(headers: str, content: bytes = b"data") -> bytes:
    return b"--xyz\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n"


FILE = 'Content-Disposition: form-data; name="file"; filename="a.png"'
END = b"--xyz--\r\n"


def read(form: bytes, *, step: int = 10_000) -> tuple[bytes, str]:
    reader = FormReader(TYPE)
    found = b"".join(reader.feed(form[start : start + step]) for start in range(0, len(form), step))
    reader.finish()
    return found, reader.filename


@given(
    content=st.binary(max_size=300) | st.sampled_from([b"\r\n--xy", b"\r\n--xyz"[:-1] * 20, b"\r\n\r\n--"]),
    step=st.integers(1, 40),
)
def test_the_file_comes_out_whatever_the_pieces(content: bytes, step: int) -> None:
    if b"\r\n--xyz" not in b"\r\n" + content:
        assert read(part(FILE, content) + END, step=step) == (content, "a.png")


def test_names_are_utf_8() -> None:
    headers = 'content-disposition: form-data; name="file"; filename="猫.png"'
    assert read(part(headers) + END)[1] == "猫.png"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (b"", "cut off"),
        (part(FILE), "cut off"),
        (part(FILE)[:-8], "cut off"),
        (END, "no field named file"),
        (b"no form at all", "RFC 7578"),
        (part(FILE) + part(FILE) + END, "more than one field"),
        (part(FILE) + part('Content-Disposition: form-data; name="strength"') + END, "more than one"),
        (part('Content-Disposition: form-data; name="picture"') + END, "must be named file"),
        (part("Content-Type: image/png") + END, "must be named file"),
        (part("X: y\r\n" * 5000 + FILE) + END, "form"),
        (part("X: " + "y" * HEADER_BYTES + "\r\n" + FILE) + END, "form"),
        (b"--xyz\r\n: empty\r\n\r\n", "form"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_forms_that_are_refused(form: bytes, said: str, step: int) -> None:
    with pytest.raises(Refused, match=said) as refused:
        read(form, step=step)
    assert (refused.value.problem.status, refused.value.problem.error) == (400, "bad_form")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 71])
def test_boundaries_that_are_refused(content_type: str) -> None:
    with pytest.raises(Refused, match="boundary"):
        FormReader(content_type)


def test_a_form_in_a_form_is_no_picture(shared, picture, form_of) -> None:
    inner, _ = form_of(picture())
    reply = shared.form(inner.replace(b"boundary7f3a", b"other"))
    assert (reply.status, reply.json["error"]) == (415, "unsupported_image")


def test_a_refused_form_leaves_nothing(shared, picture, form_of) -> None:
    content, content_type = form_of(picture(), field_name="picture")
    reply = shared.ask("POST", "/v1/sharpen", content, {"Content-Type": content_type})
    assert (reply.status, reply.json["error"]) == (400, "bad_form")
    assert not list((shared.folder / "passing").iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\..\\windows\\system32\\cmd.exe",
        "/etc/cron.d/evil",
        "a\r\nSet-Cookie: a=b.png",
        'a"; filename=evil.exe; x=".png',
        "%0d%0aSet-Cookie: a=b",
        "\0.png",
        ".",
        "",
        "x" * 5000,
        "猫\u202egnp.exe",
    ],
)
def test_names_never_become_paths_nor_headers(shared, picture, name: str) -> None:
    stem = result_stem(name)
    assert not set(stem) & set('/\\\0\r\n"%;')
    assert 1 < len(stem) <= 106
    reply = shared.form(picture(), name=name.replace("\r\n", "%0D%0A").replace('"', "%22").replace("\0", "%00")[:3000])
    assert reply.status == 200
    assert "set-cookie" not in reply.headers
    assert "\n" not in reply.headers["content-disposition"]
    assert not list((shared.folder / "passing").iterdir())


def test_line_breaks_in_a_name_cannot_begin_a_header(shared, picture, form_of) -> None:
    content, content_type = form_of(picture(), "a\r\nX-Evil: 1\r\n.png")
    reply = shared.ask("POST", "/v1/sharpen", content, {"Content-Type": content_type})
    assert "x-evil" not in reply.headers
    assert reply.status in (200, 400)
