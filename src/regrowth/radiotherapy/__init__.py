"""Radiotherapy: structures, doses, how sure a mapped position is, and at which dose a tumour came back."""

from regrowth.radiotherapy.structure import Contour, Structure, StructureSet

__all__ = ["Contour", "Structure", "StructureSet"]
