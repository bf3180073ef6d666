"""The one file of a multipart form, taken out of the stream of bytes as it comes in."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from acutance.server.refusals import Refused

FIELD = b"file"
"""Name of the field that holds the picture."""

HEADER_BYTES = 8 * 1024
"""All headers of one part."""

OVERHEAD_BYTES = 64 * 1024
"""What a form may have besides its file: headers, boundaries, text around them."""


class FormReader:
    """Takes a form's bytes piece by piece and gives those of its file."""

    def __init__(self, content_type: str) -> None:
        """Begin with the request's Content-Type.

        Raises:
            Refused: When it names no boundary, or one that is too long.
        """
        _, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary", b"")
        if not boundary or len(boundary) > 70:  # RFC 2046
            raise _bad("the Content-Type must name a boundary of 1 to 70 characters.")
        self.filename = ""
        """The name that the file was uploaded under."""
        self._header = (bytearray(), bytearray())
        self._header_bytes = 0
        self._disposition = b""
        self._found = bytearray()
        self._has_file = False
        self._is_complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the form; return what of it belongs to the file.

        Raises:
            Refused: When the form is malformed, or has another field than `file`, or that twice.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise _bad("it does not follow multipart/form-data (RFC 7578).") from None
        found = bytes(self._found)
        self._found.clear()
        return found

    def finish(self) -> None:
        """Say that the form is at its end.

        Raises:
            Refused: When it was cut off, or has no file.
        """
        if not self._is_complete:
            raise _bad("it is cut off.")
        if not self._has_file:
            raise _bad("it has no field named file.")

    def _on_part_begin(self) -> None:
        self._header_bytes = 0
        self._disposition = b""
        if self._has_file:
            raise _bad("it has more than one field; send one picture a request, options go into the query.")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._add_header(0, data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._add_header(1, data[start:end])

    def _add_header(self, part: int, data: bytes) -> None:
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_BYTES:
            raise _bad("the headers of its field are too long.")
        self._header[part].extend(data)

    def _on_header_end(self) -> None:
        name, value = (bytes(part) for part in self._header)
        for part in self._header:
            part.clear()
        if name.lower() == b"content-disposition":
            self._disposition = value

    def _on_headers_finished(self) -> None:
        _, parameters = parse_options_header(self._disposition)
        if parameters.get(b"name") != FIELD:
            raise _bad("its only field must be named file; options go into the query.")
        self._has_file = True
        self.filename = parameters.get(b"filename", b"").decode("utf-8", "replace")  # what browsers send

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._found += data[start:end]

    def _on_end(self) -> None:
        self._is_complete = True


def _bad(reason: str) -> Refused:
    return Refused(400, "bad_form", f"the form cannot be read: {reason}")
