"""Protobuf's wire format, as far as ONNX files need it: walked in place, and written.

A message is a row of fields, each a number, a wire type and a value. Nothing here knows what a field means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

VARINT, BYTES = 0, 2
FIXED_BYTES = {1: 8, 5: 4}
"""Wire types; of those of a fixed size, that size."""


def fields_of(file: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Walk a message: the number of each field, and where its value begins and ends.

    Raises:
        ValueError, IndexError: When the bytes are no message.
    """
    for number, _, first, last in records_of(file, start, end):
        yield number, first, last


def records_of(file: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Walk a message: the number of each field, where it begins itself, and where its value begins and ends.

    Raises:
        ValueError, IndexError: When the bytes are no message.
    """
    position = start
    while position < end:
        begin = position
        key, position = varint_at(file, position)
        wire = key & 7
        if wire == VARINT:
            stop = varint_at(file, position)[1]
        elif wire == BYTES:
            length, position = varint_at(file, position)
            stop = position + length
        elif wire in FIXED_BYTES:
            stop = position + FIXED_BYTES[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if stop > end:
            raise ValueError("a field ends behind its message")
        yield key >> 3, begin, position, stop
        position = stop


def rewritten(file: bytes, start: int, end: int, change: Callable[[int, int, int], bytes | None]) -> bytes:
    """Return a message with other fields in place of some.

    `change` takes the number of a field, and where its value begins and ends. It returns what is written instead, whole
    fields or nothing; None keeps the field.

    Raises:
        ValueError, IndexError: When the bytes are no message.
    """
    written = bytearray()
    for number, begin, first, last in records_of(file, start, end):
        new = change(number, first, last)
        written += file[begin:last] if new is None else new
    return bytes(written)


def varint_at(file: bytes, position: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; return it and where it ends.

    Raises:
        ValueError, IndexError: When there is none.
    """
    value = shift = 0
    while True:
        byte = file[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:  # the eighth bit says that more follow
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def number_field(number: int, value: int) -> bytes:
    """Write a field that is a whole number, not below 0."""
    return _varint(number << 3 | VARINT) + _varint(value)


def bytes_field(number: int, value: bytes | str) -> bytes:
    """Write a field that is text, bytes or a message."""
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
