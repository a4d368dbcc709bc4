"""How tables are read and written: tab-separated, ``n/a`` for what is not known, whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from regrowth.errors import BidsError, OutputError

__all__ = ["read_json", "read_tsv", "write_bytes", "write_json", "write_text", "write_tsv"]


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Read a BIDS table as one mapping of column to text per row.

    Raises
    ------
    BidsError
        If the file is missing, cannot be read, is not UTF-8 text, has no header, or a row has another number of cells than
        the header.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, delimiter="\t"))
    except FileNotFoundError:
        raise BidsError(f"{path}: no such table") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BidsError(f"{path}: cannot be read as tab-separated UTF-8 text ({error})") from error
    lines = [cells for cells in lines if any(c.strip() for c in cells)]
    if not lines:
        raise BidsError(f"{path}: the table is empty; it needs a header line")
    header = [c.strip() for c in lines[0]]
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(header):
            raise BidsError(f"{path}, row {number}: {len(cells)} cells where the header has {len(header)}; separate by tabs")
        rows.append({h: c.strip() for h, c in zip(header, cells, strict=True)})
    return rows


def write_tsv(rows: Iterable[Mapping[str, object]], path: Path, columns: Sequence[str] | None = None) -> None:
    """Write a BIDS table; the columns are those given, else those of the rows in order of appearance.

    Numbers are written with 6 significant digits, NaN and None as ``n/a``.
    """
    rows = list(rows)
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(row.get(c)) for c in columns) for row in rows]
    write_text("\n".join(lines) + "\n", path)


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object, such as a sidecar.

    Raises
    ------
    BidsError
        If the file cannot be read or does not hold an object.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BidsError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(value, dict):
        raise BidsError(f"{path}: holds a {type(value).__name__} where a JSON object is expected")
    return value


def write_json(value: Mapping[str, object], path: Path) -> None:
    """Write a JSON object; not-finite numbers become null."""
    write_text(json.dumps(_finite(value), indent=1, ensure_ascii=False) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a text file under a temporary name and rename it."""
    write_bytes(text.encode("utf-8"), path)


def write_bytes(data: bytes, path: Path) -> None:
    """Write a file under a temporary name and rename it.

    Raises
    ------
    OutputError
        If the folder cannot be made or the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); give a folder with room and permission"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "n/a"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).replace("\t", " ").replace("\n", " ")


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
