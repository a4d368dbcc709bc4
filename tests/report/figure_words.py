"""What is written in a figure: letters are paths in the file, and matplotlib leaves the words beside them as comments."""

from __future__ import annotations

import html
import io
import re

import numpy as np
import PIL.Image

from regrowth.report import Figure


def words(figure: Figure) -> list[str]:
    found = re.findall(r"<!-- (.*?) -->", figure.data.decode("utf-8"), re.DOTALL)
    return [html.unescape(w).replace("\n", " ") for w in found]


def pixels(figure: Figure) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(figure.data)).convert("RGB")).astype(int)


def height_pt(figure: Figure) -> float:
    found = re.search(rb'<svg height="([\d.]+)pt"', figure.data) or re.search(rb'height="([\d.]+)pt"', figure.data)
    assert found
    return float(found.group(1))
