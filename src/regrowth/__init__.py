"""Tell where a glioma comes back, why there, and where it will grow next.

>>> import regrowth
>>> regrowth.label_scheme("brats-2023").regions["CE_core"]
('NCR', 'ET')

The names below load what they need when they are first used, so that ``import regrowth`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "ClusterParameters": "regrowth.workflow.cluster",
    "Grid": "regrowth.space",
    "Image": "regrowth.space",
    "LabelMap": "regrowth.space",
    "LabelScheme": "regrowth.labels",
    "PhantomParameters": "regrowth.phantom",
    "RecurrenceParameters": "regrowth.recurrence",
    "RegistrationParameters": "regrowth.registration",
    "RegrowthError": "regrowth.errors",
    "RunParameters": "regrowth.workflow.study",
    "Transform": "regrowth.space",
    "label_scheme": "regrowth.labels",
    "measure": "regrowth.api",
    "register": "regrowth.api",
    "run": "regrowth.api",
    "write_phantom": "regrowth.phantom.dataset",
}

__all__ = [
    "ClusterParameters",
    "Grid",
    "Image",
    "LabelMap",
    "LabelScheme",
    "PhantomParameters",
    "RecurrenceParameters",
    "RegistrationParameters",
    "RegrowthError",
    "RunParameters",
    "Transform",
    "__version__",
    "label_scheme",
    "measure",
    "register",
    "run",
    "write_phantom",
]

if TYPE_CHECKING:
    from regrowth.api import measure, register, run
    from regrowth.errors import RegrowthError
    from regrowth.labels import LabelScheme, label_scheme
    from regrowth.phantom import PhantomParameters
    from regrowth.phantom.dataset import write_phantom
    from regrowth.recurrence import RecurrenceParameters
    from regrowth.registration import RegistrationParameters
    from regrowth.space import Grid, Image, LabelMap, Transform
    from regrowth.workflow.cluster import ClusterParameters
    from regrowth.workflow.study import RunParameters


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'regrowth' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
