"""How a tumour grows: in time, in space, and what a forecast or a plan is worth."""

from regrowth.growth.series import QUANTILE_LEVELS, Forecast, VolumeSeries

__all__ = [
    "QUANTILE_LEVELS",
    "Forecast",
    "VolumeSeries",
]
