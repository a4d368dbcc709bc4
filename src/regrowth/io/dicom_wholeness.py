"""Whether a DICOM file is all there, found by walking from element to element without reading the values."""

from __future__ import annotations

from io import BufferedReader
from typing import Literal

__all__ = ["what_is_missing"]

Order = Literal["big", "little"]
_PREAMBLE = 132
_UNDEFINED = 0xFFFFFFFF
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_PADDING = (0, 0xFFFCFFFC)


def what_is_missing(file: BufferedReader, size: int, *, implicit: bool, big_endian: bool, needs_pixels: bool) -> str:
    """Tell what is missing at the end of a file.

    A file without pixels that ends exactly between two of its elements cannot be told from a whole one.

    Parameters
    ----------
    file, size
        File, open for reading, and its length in bytes.
    implicit, big_endian
        Its transfer syntax; not for deflated files.
    needs_pixels
        Whether it should hold pixels.

    Returns
    -------
    str
        Empty if nothing is missing.
    """
    order: Order = "big" if big_endian else "little"
    inside: list[bool] = []  # of every sequence and item that is open, whether its elements are implicit
    at, has_pixels = _PREAMBLE, False
    while at < size:
        file.seek(at)
        head = file.read(12)
        if len(head) < 8:
            return "" if not any(head) and not inside else "it ends within an element"
        in_meta = not inside and head[:2] == b"\x02\x00"
        byteorder: Order = "little" if in_meta else order
        group, number = (int.from_bytes(head[k : k + 2], byteorder) for k in (0, 2))
        tag = group << 16 | number
        if not inside and tag in _PADDING:
            break
        if group == 0xFFFE:
            at += 8
            length = int.from_bytes(head[4:8], byteorder)
            if tag in (_ITEM_END, _SEQUENCE_END):
                if inside:
                    inside.pop()
            elif tag == _ITEM and length == _UNDEFINED:
                inside.append(inside[-1] if inside else implicit)
            else:
                at += length
            continue
        is_implicit = not in_meta and (inside[-1] if inside else implicit)
        length, start = _length(head, is_implicit, byteorder)
        at += start
        has_pixels = has_pixels or (not inside and tag in _PIXELS)
        if length == _UNDEFINED:
            inside.append(is_implicit or head[4:6] == b"UN")
        else:
            at += length
    if at > size:
        return f"{at - size} bytes are missing"
    if inside:
        return "it ends within a sequence"
    return "it ends before the pixels" if needs_pixels and not has_pixels else ""


def _length(head: bytes, is_implicit: bool, byteorder: Order) -> tuple[int, int]:
    """Give the length of a value and where it begins after the start of its element."""
    if is_implicit:
        return int.from_bytes(head[4:8], byteorder), 8
    if head[4:6] in _LONG:
        return int.from_bytes(head[8:12], byteorder), 12
    return int.from_bytes(head[6:8], byteorder), 8
