"""What was done to a tumour and when: radiotherapy fractions, surgery and drugs, as events in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regrowth.errors import ParameterError
from regrowth.growth.series import as_numbers

__all__ = ["NO_TREATMENT", "DrugCourse", "Fraction", "Surgery", "Treatment"]


@dataclass(frozen=True, order=True)
class Fraction:
    """One fraction of radiotherapy: `dose_gy` on `day`."""

    day: float
    dose_gy: float


@dataclass(frozen=True, order=True)
class Surgery:
    """A resection on `day` that leaves `remaining_fraction` (0 to 1, not 0) of the volume."""

    day: float
    remaining_fraction: float


@dataclass(frozen=True, order=True)
class DrugCourse:
    """A drug from `start_day` to `stop_day` (infinite: until further notice); `intensity` is relative to the standard dose."""

    start_day: float
    stop_day: float = float("inf")
    intensity: float = 1.0


@dataclass(frozen=True)
class Treatment:
    """All treatment of a patient, on the same day count as the scans.

    What happens on the day of a scan happens after the scan. Events before the first scan are allowed: their effect on the
    volume is in the first volume already, and models with a memory (damaged cells, drug resistance) keep what is left of it.

    Parameters
    ----------
    fractions
        Fractions in any order; several on one day are allowed.
    surgeries
        Resections in any order.
    drugs
        Drug courses; where they overlap their intensities add up.
    alpha_beta_gy
        Ratio of the linear-quadratic model, Gy; 10 is usual for high-grade glioma.

    Raises
    ------
    ParameterError
        For a dose that is not positive, a remaining fraction outside of (0, 1], a course that stops before it starts, a
        negative intensity, or a day that is not a number.
    """

    fractions: tuple[Fraction, ...] = ()
    surgeries: tuple[Surgery, ...] = ()
    drugs: tuple[DrugCourse, ...] = ()
    alpha_beta_gy: float = 10.0

    def __post_init__(self) -> None:
        as_numbers(self.impulse_days, "days of treatment")
        as_numbers([d.start_day for d in self.drugs], "days of treatment")
        as_numbers([f.dose_gy for f in self.fractions], "doses of treatment")
        for name in ("fractions", "surgeries", "drugs"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))
        checks = [
            (self.alpha_beta_gy > 0, f"alpha_beta_gy is {self.alpha_beta_gy:g}; it must be positive"),
            *(
                (0 < f.dose_gy < np.inf, f"the fraction of day {f.day:g} has {f.dose_gy:g} Gy; give a positive dose")
                for f in self.fractions
            ),
            *(
                (
                    0 < s.remaining_fraction <= 1,
                    f"surgery of day {s.day:g} leaves {s.remaining_fraction:g}; give a part of the volume above 0 up to 1",
                )
                for s in self.surgeries
            ),
            *(
                (d.stop_day > d.start_day, f"the drug of day {d.start_day:g} stops on day {d.stop_day:g}; it must stop later")
                for d in self.drugs
            ),
            *(
                (0 <= d.intensity < np.inf, f"the drug of day {d.start_day:g} has intensity {d.intensity:g}; give 0 or more")
                for d in self.drugs
            ),
        ]
        for right, message in checks:
            if not right:
                raise ParameterError(message)

    @classmethod
    def fractionated(
        cls,
        start_day: float,
        n_fractions: int = 30,
        dose_gy: float = 2.0,
        *,
        start_weekday: int = 0,
        with_weekends: bool = False,
        **others: Any,
    ) -> Treatment:
        """Make a course of equal fractions, one a day, without weekends unless asked for.

        Parameters
        ----------
        start_day
            Day of the first fraction.
        n_fractions, dose_gy
            Number of fractions and dose of each, Gy.
        start_weekday
            Weekday of the first fraction, 0 (Monday) to 4 (Friday).
        with_weekends
            Whether fractions are given on all seven days.
        others
            Other fields of `Treatment`.
        """
        if n_fractions < 1 or not 0 <= start_weekday <= 4:
            raise ParameterError("a course has at least 1 fraction and starts on a weekday, 0 (Monday) to 4 (Friday)")
        at = start_weekday + np.arange(n_fractions)
        days = np.arange(n_fractions) if with_weekends else at // 5 * 7 + at % 5 - start_weekday
        return cls(tuple(Fraction(start_day + float(d), dose_gy) for d in days), **others)

    @classmethod
    def single_event(
        cls, day: float, total_dose_gy: float = 60.0, dose_per_fraction_gy: float = 2.0, **others: Any
    ) -> Treatment:
        """Make one kill on one day that stands for a whole course, as in the model of Laslo et al.

        The one event has the biologically effective dose of the whole course, so that ``alpha_per_gy`` means the same as for
        real fractions.
        """
        treatment = cls(**others)
        bed = total_dose_gy * (1 + dose_per_fraction_gy / treatment.alpha_beta_gy)
        ratio = treatment.alpha_beta_gy
        dose = (np.sqrt(ratio**2 + 4 * ratio * bed) - ratio) / 2  # d (1 + d / ratio) = BED
        return cls((Fraction(day, float(dose)),), treatment.surgeries, treatment.drugs, ratio)

    @property
    def impulse_days(self) -> tuple[float, ...]:
        """Days of fractions and resections."""
        return (*(f.day for f in self.fractions), *(s.day for s in self.surgeries))

    @cached_property
    def fraction_days(self) -> NDArray[np.float64]:
        """Days of the fractions, shape (f,), increasing."""
        return np.array([f.day for f in self.fractions], float)

    @cached_property
    def effective_dose_gy(self) -> NDArray[np.float64]:
        """Biologically effective dose d (1 + d / (alpha/beta)) of each fraction, Gy, shape (f,).

        A fraction leaves exp(-alpha BED) = exp(-alpha d - beta d^2) of the live cells: the linear-quadratic model.
        """
        dose = np.array([f.dose_gy for f in self.fractions], float)
        return dose * (1 + dose / self.alpha_beta_gy)

    @property
    def first_day(self) -> float:
        """Day of the earliest event; infinite without treatment."""
        return min((*self.impulse_days, *(d.start_day for d in self.drugs)), default=float("inf"))

    def edges(self, start_day: float, stop_day: float) -> list[float]:
        """List the days in [start, stop) on which something begins, ends or happens, `start_day` first."""
        days = set(self.impulse_days) | {x for d in self.drugs for x in (d.start_day, d.stop_day)}
        return [start_day, *sorted(x for x in days if start_day < x < stop_day)]

    def drug_intensity(self, start_day: float, stop_day: float) -> float:
        """Sum the intensities of the drugs that are given during the whole of an interval."""
        return sum(d.intensity for d in self.drugs if d.start_day <= start_day and stop_day <= d.stop_day)

    def log_remaining(self, days: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the logarithm of what all resections before each day leave."""
        out = np.zeros(days.shape)
        for surgery in self.surgeries:
            out += np.where(days > surgery.day, np.log(surgery.remaining_fraction), 0.0)
        return out


NO_TREATMENT = Treatment()
"""Nothing was done, or nothing is known to have been done."""
