"""What is measured on masks: surface distances, overlap, volumes."""

from regrowth.metrics.mesh import SurfaceMesh, surface_mesh
from regrowth.metrics.overlap import Overlap, dice
from regrowth.metrics.surface import SurfaceDistance, assd, hausdorff
from regrowth.metrics.volume import ExamVolumes, exam_volumes

__all__ = [
    "ExamVolumes",
    "Overlap",
    "SurfaceDistance",
    "SurfaceMesh",
    "assd",
    "dice",
    "exam_volumes",
    "hausdorff",
    "surface_mesh",
]
