"""How bright each tissue is on each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from regrowth.phantom.anatomy import Tissue
from regrowth.phantom.fields import smoothstep
from regrowth.phantom.template import CSF_T1, GREY_T1, WHITE_T1

__all__ = ["SIGNALS", "LesionDepths", "signal"]

SIGNALS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "T1w": MappingProxyType(
            {"WM": 800, "GM": 610, "CSF": 210, "oedema": 540, "ET": 590, "necrosis": 330, "cavity": 230, "gliosis": 560}
        ),
        "T1wce": MappingProxyType(
            {"WM": 800, "GM": 625, "CSF": 215, "oedema": 540, "ET": 1230, "necrosis": 350, "cavity": 240, "gliosis": 600}
        ),
        "T2w": MappingProxyType(
            {"WM": 330, "GM": 460, "CSF": 1080, "oedema": 800, "ET": 620, "necrosis": 900, "cavity": 1100, "gliosis": 760}
        ),
        "FLAIR": MappingProxyType(
            {"WM": 430, "GM": 540, "CSF": 120, "oedema": 900, "ET": 740, "necrosis": 560, "cavity": 150, "gliosis": 900}
        ),
    }
)
"""Sequence to tissue to typical signal in arbitrary units before gain, bias and noise."""

_BLOOD = {"T1w": 560.0, "T1wce": 1180.0, "T2w": 240.0, "FLAIR": 260.0}
_TEXTURE = {"T1w": 0.022, "T1wce": 0.022, "T2w": 0.035, "FLAIR": 0.035}
_BORDER_MM = 0.7  # half width of the soft border of core and cavity


@dataclass(frozen=True, eq=False)
class LesionDepths:
    """Lesions at some points: (n,) depths in mm as in `regrowth.phantom.scene.Lesions`, and fields of the scene."""

    core: np.ndarray
    rim: np.ndarray
    oedema: np.ndarray
    cavity: np.ndarray
    texture: np.ndarray
    vessels: np.ndarray


def signal(sequence: str, tissue: Tissue, lesion: LesionDepths) -> np.ndarray:
    """Give the noiseless signal at some points.

    Healthy tissue first, then oedema, cavity with its gliotic wall, and tumour, each laid over what lies below with a
    soft border.

    Parameters
    ----------
    sequence
        A key of `SIGNALS`.
    tissue, lesion
        What lies at the points, (n,) each.

    Returns
    -------
    numpy.ndarray
        (n,) float32, arbitrary units of about 0 to 1300.
    """
    level = SIGNALS[sequence]
    out = _healthy(sequence, tissue)
    out = _over(out, _BLOOD[sequence], _vessel_share(sequence, tissue, lesion))
    # Oedema is faint in the cortex and fades towards its border; fluid has none.
    share = smoothstep((lesion.oedema + 1.0) / 5.0) * (0.25 + 0.67 * np.clip(1.3 * tissue.wm, 0, 1)) * (1 - tissue.csf) ** 2
    out = _over(out, level["oedema"] * (1 + 0.05 * lesion.texture), share)
    wall = np.exp(-((lesion.cavity / 1.6) ** 2))
    out = _over(out, level["gliosis"], np.where(lesion.cavity > -6, 0.75 * wall, 0) * (1 - tissue.csf))
    out = _over(out, level["cavity"], _inside(lesion.cavity))
    core = _inside(lesion.core)
    necrosis = _inside(lesion.core - lesion.rim)
    # Rims are patchy: stronger and weaker in places, and so is the pulp inside.
    enhancing = level["ET"] * (1 + 0.05 * lesion.texture) + _patchiness(sequence, lesion)
    pulp = level["necrosis"] * (1 + 0.10 * lesion.texture)
    out = _over(out, enhancing * (1 - necrosis) + pulp * necrosis, core)
    return np.asarray(out * (1 + _TEXTURE[sequence] * lesion.texture), dtype=np.float32)


def _healthy(sequence: str, tissue: Tissue) -> np.ndarray:
    level = SIGNALS[sequence]
    by_share = level["WM"] * tissue.wm + level["GM"] * tissue.gm + level["CSF"] * tissue.csf
    expected = WHITE_T1 * tissue.wm + GREY_T1 * tissue.gm + CSF_T1 * tissue.csf
    detail = np.clip(tissue.t1 - expected, -0.2, 0.15)
    # T1 detail of the template carries over, turned round for T2 and FLAIR.
    slope = {"T1w": 700.0, "T1wce": 700.0, "T2w": -520.0, "FLAIR": -260.0}[sequence]
    return by_share + slope * detail * (1 - tissue.csf)


def _vessel_share(sequence: str, tissue: Tissue, lesion: LesionDepths) -> np.ndarray:
    in_sulcus = np.clip(4 * tissue.csf, 0, 1) * (tissue.ventricle_distance_mm > 2)
    # The same tubes, wider, serve as choroid plexus in the ventricles.
    plexus = (tissue.ventricle_distance_mm < -0.5) * np.sqrt(lesion.vessels) * 0.6
    return np.asarray(np.maximum(lesion.vessels * in_sulcus * (0.9 if sequence == "T1wce" else 0.35), plexus))


def _patchiness(sequence: str, lesion: LesionDepths) -> np.ndarray | float:
    return 90.0 * lesion.texture if sequence == "T1wce" else 0.0


def _inside(depth: np.ndarray) -> np.ndarray:
    return smoothstep(0.5 + depth / (2 * _BORDER_MM))


def _over(below: np.ndarray, above: np.ndarray | float, share: np.ndarray) -> np.ndarray:
    return np.asarray(below + (above - below) * share, dtype=np.float32)
