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
    "AnatomyParameters": "regrowth.anatomy",
    "ClusterParameters": "regrowth.workflow.cluster",
    "Grid": "regrowth.space",
    "GrowthParameters": "regrowth.growth.parameters",
    "Image": "regrowth.space",
    "LabelMap": "regrowth.space",
    "LabelScheme": "regrowth.labels",
    "LocationParameters": "regrowth.anatomy",
    "PhantomParameters": "regrowth.phantom",
    "RecurrenceParameters": "regrowth.recurrence",
    "RegistrationParameters": "regrowth.registration",
    "RegrowthError": "regrowth.errors",
    "ResponseParameters": "regrowth.response",
    "RunParameters": "regrowth.workflow.study",
    "StatisticsParameters": "regrowth.statistics.parameters",
    "Transform": "regrowth.space",
    "analyse": "regrowth.api",
    "classify_failure": "regrowth.api",
    "dose_volumes": "regrowth.api",
    "export_mask": "regrowth.api",
    "fit_growth_table": "regrowth.api",
    "forecast_growth_table": "regrowth.api",
    "index_dicom": "regrowth.api",
    "label_scheme": "regrowth.labels",
    "learn_growth": "regrowth.api",
    "locate": "regrowth.api",
    "map_growth": "regrowth.api",
    "measure": "regrowth.api",
    "parcellate": "regrowth.api",
    "plan_treatment": "regrowth.api",
    "rasterise_structures": "regrowth.api",
    "register": "regrowth.api",
    "respond": "regrowth.api",
    "run": "regrowth.api",
    "run_growth_container": "regrowth.api",
    "score_growth": "regrowth.api",
    "simulate": "regrowth.api",
    "simulate_tumour": "regrowth.api",
    "synthesise_growth": "regrowth.api",
    "transitions": "regrowth.api",
    "write_phantom": "regrowth.phantom.dataset",
    "write_radiotherapy_phantom": "regrowth.phantom.radiotherapy",
}

__all__ = [
    "AnatomyParameters",
    "ClusterParameters",
    "Grid",
    "GrowthParameters",
    "Image",
    "LabelMap",
    "LabelScheme",
    "LocationParameters",
    "PhantomParameters",
    "RecurrenceParameters",
    "RegistrationParameters",
    "RegrowthError",
    "ResponseParameters",
    "RunParameters",
    "StatisticsParameters",
    "Transform",
    "__version__",
    "analyse",
    "classify_failure",
    "dose_volumes",
    "export_mask",
    "fit_growth_table",
    "forecast_growth_table",
    "index_dicom",
    "label_scheme",
    "learn_growth",
    "locate",
    "map_growth",
    "measure",
    "parcellate",
    "plan_treatment",
    "rasterise_structures",
    "register",
    "respond",
    "run",
    "run_growth_container",
    "score_growth",
    "simulate",
    "simulate_tumour",
    "synthesise_growth",
    "transitions",
    "write_phantom",
    "write_radiotherapy_phantom",
]

if TYPE_CHECKING:
    from regrowth.anatomy import AnatomyParameters, LocationParameters
    from regrowth.api import (
        analyse,
        classify_failure,
        dose_volumes,
        export_mask,
        fit_growth_table,
        forecast_growth_table,
        index_dicom,
        learn_growth,
        locate,
        map_growth,
        measure,
        parcellate,
        plan_treatment,
        rasterise_structures,
        register,
        respond,
        run,
        run_growth_container,
        score_growth,
        simulate,
        simulate_tumour,
        synthesise_growth,
        transitions,
    )
    from regrowth.errors import RegrowthError
    from regrowth.growth.parameters import GrowthParameters
    from regrowth.labels import LabelScheme, label_scheme
    from regrowth.phantom import PhantomParameters
    from regrowth.phantom.dataset import write_phantom
    from regrowth.phantom.radiotherapy import write_radiotherapy_phantom
    from regrowth.recurrence import RecurrenceParameters
    from regrowth.registration import RegistrationParameters
    from regrowth.response import ResponseParameters
    from regrowth.space import Grid, Image, LabelMap, Transform
    from regrowth.statistics.parameters import StatisticsParameters
    from regrowth.workflow.cluster import ClusterParameters
    from regrowth.workflow.study import RunParameters


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'regrowth' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
