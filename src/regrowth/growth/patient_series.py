"""Which scans of a patient a forecast of the volume can use, and what treatment it is made under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.record import TreatmentRecord
from regrowth.growth.series import VolumeSeries
from regrowth.growth.treatment import DrugCourse, Treatment

__all__ = ["PatientSeries", "UsableSeries", "usable_series"]


@dataclass(frozen=True, eq=False)
class PatientSeries:
    """All volumes of one patient and what is known of the treatment.

    Parameters
    ----------
    label
        Who; without ``sub-``.
    series
        All volumes, before and after surgery; None unless `status` is ``ok``.
    record
        Treatment on the day count of the exams.
    status, reason
        ``ok``, ``no_scan`` or ``invalid_series`` (two exams on one day, a negative volume) with a sentence.
    notes
        What was left out.
    """

    label: str
    series: VolumeSeries | None
    record: TreatmentRecord = field(default_factory=TreatmentRecord)
    status: str = "ok"
    reason: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def from_exams(
        cls, label: str, days: Sequence[float], volumes_ml: Sequence[float], record: TreatmentRecord | None = None
    ) -> PatientSeries:
        """Make a series from a table; what cannot be used becomes a status and a reason instead of an error.

        Parameters
        ----------
        label
            Who.
        days, volumes_ml
            Day and volume of every exam; an exam without volume (NaN) is left out and noted.
        record
            Treatment; none known if None.
        """
        record = record or TreatmentRecord()
        at, volumes = np.asarray(days, float), np.asarray(volumes_ml, float)
        known = np.isfinite(volumes)
        left_out = int((~known).sum())
        notes = (f"{left_out} exam(s) without a volume are left out",) if left_out else ()
        if not known.any():
            return cls(label, None, record, "no_scan", "no exam has a volume of this region", notes)
        try:
            return cls(label, VolumeSeries(at[known], volumes[known], label), record, notes=notes)
        except ParameterError as error:
            return cls(label, None, record, "invalid_series", str(error), notes)


@dataclass(frozen=True, eq=False)
class UsableSeries:
    """The part of a series that a forecast stands on.

    Parameters
    ----------
    label
        The patient.
    series
        Scans after the last resection of unknown extent; None unless `status` is ``ok``.
    treatment
        What the models are told.
    status, reason
        ``ok``, or ``no_scan``, ``invalid_series``, ``no_tumour`` with a sentence.
    notes
        What was left out or assumed.
    """

    label: str
    series: VolumeSeries | None
    treatment: Treatment
    status: str
    reason: str
    notes: tuple[str, ...]

    @property
    def can_be_tested(self) -> bool:
        """Whether the last scan can be foretold from earlier ones that show a tumour."""
        return self.series is not None and len(self.series) >= 2 and bool((self.series.volumes_ml[:-1] > 0).any())

    @property
    def can_be_learned_from(self) -> bool:
        """Whether a growth law can be fitted without knowing other patients."""
        return self.series is not None and len(self.series) >= 2 and bool((self.series.volumes_ml > 0).any())


def usable_series(patient: PatientSeries) -> UsableSeries:
    """Cut a series at the last resection of unknown extent, and say what the models are told of the treatment.

    Exams count from the day after the resection on: an exam on its day was before it. Where no recorded treatment acts on the
    exams that are left, the models are given an unnamed drug of unknown strength from the first of them on, so that net growth
    may have either sign; else a law of growth could not tell a tumour that holds still from one that grows.
    """
    notes = [*patient.record.notes, *patient.notes]
    series = patient.series
    if series is None:
        return UsableSeries(patient.label, None, patient.record.treatment, patient.status, patient.reason, tuple(notes))
    if patient.record.resections:
        day = max(patient.record.resections)
        after = series.days > day
        if not after.any():
            reason = f"no exam after the resection of unknown extent on day {day:g}"
            return UsableSeries(patient.label, None, patient.record.treatment, "no_scan", reason, tuple(notes))
        if not after.all():
            notes.append(f"{int((~after).sum())} exam(s) up to the resection of unknown extent on day {day:g} are not used")
            series = VolumeSeries(series.days[after], series.volumes_ml[after], series.label)
    treatment = patient.record.treatment
    first = float(series.days[0])
    if not _acts_after(treatment, first):
        notes.append("no treatment is known to act during these exams: the models let net growth have either sign")
        treatment = replace(treatment, drugs=(*treatment.drugs, DrugCourse(first)))
    if not (series.volumes_ml > 0).any():
        reason = "the volume is 0 at all exams: what reappears is a new lesion, which these forecasts do not foretell"
        return UsableSeries(patient.label, series, treatment, "no_tumour", reason, tuple(notes))
    return UsableSeries(patient.label, series, treatment, "ok", "", tuple(notes))


def _acts_after(treatment: Treatment, day: float) -> bool:
    return any(f.day >= day for f in treatment.fractions) or any(d.stop_day > day and d.intensity > 0 for d in treatment.drugs)
