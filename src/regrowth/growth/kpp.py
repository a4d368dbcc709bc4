"""How a tumour spreads: the Fisher-KPP equation on a tissue map, solved in float32 by stable super steps.

``du/dt = div(D grad u) + rho u (1 - u)``, u from 0 to 1, no flux through CSF, skull, cavity and the border of the array.

Growth and spread alternate (Strang splitting, second order): growth has a closed form; spread takes RKL2 super steps, whose
s stages cover (s^2 + s - 2)/4 explicit steps. Only the box around the tumour is computed, which widens with its front.

References
----------
.. [1] Meyer, Balsara, Aslam, J. Comput. Phys. 257 (2014), doi:10.1016/j.jcp.2013.08.021 (RKL2).
.. [2] Swanson, Alvord, Murray, Cell Prolif. 33 (2000), doi:10.1046/j.1365-2184.2000.00177.x (the model of gliomas).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.growth.tissue import ExchangeRates
from regrowth.space import bounding_box

__all__ = ["Kill", "KppParameters", "Removal", "Stepping", "TumourField", "solve_kpp"]


@dataclass(frozen=True)
class KppParameters:
    """How fast cells move and divide.

    Parameters
    ----------
    diffusivity_mm2_per_day
        In pure white matter.
    proliferation_per_day
        Net rate of division.
    white_to_grey
        Diffusivity in white over that in grey matter.
    """

    diffusivity_mm2_per_day: float
    proliferation_per_day: float
    white_to_grey: float = 10.0

    def __post_init__(self) -> None:
        for name in ("diffusivity_mm2_per_day", "proliferation_per_day"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} must be 0 or positive, not {value}")
        if not (np.isfinite(self.white_to_grey) and self.white_to_grey > 0):
            raise ParameterError(f"white_to_grey must be positive, not {self.white_to_grey}")

    @property
    def front_speed_mm_per_day(self) -> float:
        """Speed of the front in white matter that it nears with time, 2 sqrt(D rho)."""
        return float(2 * np.sqrt(self.diffusivity_mm2_per_day * self.proliferation_per_day))

    @property
    def front_length_mm(self) -> float:
        """Length over which the front falls off in white matter, sqrt(D / rho); infinite without proliferation."""
        if not self.proliferation_per_day:
            return float("inf")
        return float(np.sqrt(self.diffusivity_mm2_per_day / self.proliferation_per_day))


@dataclass(frozen=True)
class Stepping:
    """How finely time is divided.

    Parameters
    ----------
    growth_per_step
        Largest rho times step; the error of the front speed is about its square over 12.
    most_stages
        Largest number of RKL2 stages in one super step.
    cutoff
        Density at the edge of the active box that widens it.
    explicit_days
        Take explicit Euler steps of this length instead, as TumorGrowthToolkit does; must be stable.
    """

    growth_per_step: float = 0.2
    most_stages: int = 15
    cutoff: float = 1e-12
    explicit_days: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.growth_per_step <= 1 or self.most_stages < 2 or not 0 <= self.cutoff < 1e-3:
            raise ParameterError("growth_per_step lies in (0, 1], most_stages is at least 2, cutoff in [0, 0.001)")
        if self.explicit_days is not None and not self.explicit_days > 0:
            raise ParameterError(f"explicit_days must be positive, not {self.explicit_days}")


@dataclass(frozen=True, eq=False)
class Kill:
    """On a day, each voxel keeps a share of its cells: `survival` (X, Y, Z), 0 to 1."""

    day: float
    survival: np.ndarray


@dataclass(frozen=True, eq=False)
class Removal:
    """On a day, all cells of `cavity` (X, Y, Z) bool are gone, and no cell enters it from then on."""

    day: float
    cavity: np.ndarray


class TumourField:
    """The density of a tumour on its way through time; `solve_kpp` is the plain function around it.

    Parameters
    ----------
    rates
        Exchange rates between voxels.
    start
        (X, Y, Z) density, 0 to 1, 0 outside of the tissue.
    stepping
        How finely time is divided.
    """

    def __init__(self, rates: ExchangeRates, start: np.ndarray, stepping: Stepping | None = None) -> None:
        start = np.asarray(start)
        if start.shape != rates.tissue.shape:
            raise GridMismatchError(f"a density of shape {start.shape} does not fit tissue of shape {rates.tissue.shape}")
        if not np.isfinite(start).all() or start.min() < 0 or start.max() > 1 + 1e-6:
            raise ParameterError("a density must lie between 0 and 1")
        if (start[~rates.tissue] > 0).any():
            raise ParameterError("cells lie outside of the tissue, where none can live; set them to 0 first")
        if not start.any():
            raise ParameterError("there is no tumour: the density is 0 everywhere")
        self._stepping = stepping or Stepping()
        self._faces, self._largest = rates.along, rates.largest
        self._tissue = rates.tissue
        self._u = np.pad(start.astype(np.float32), 1)
        self._work = [np.zeros_like(self._u) for _ in range(3)]
        self._low, self._high = _row_bounds(np.pad(rates.tissue, 1))
        box = bounding_box(self._u > min(self._stepping.cutoff, float(start.max()) / 2), 1)
        ends = [v for s, n in zip(box, self._u.shape, strict=True) for v in (max(s.start, 1), min(s.stop, n - 1))]
        self._box = np.array(ends, np.int64)
        self._clear_outside()

    def _clear_outside(self) -> None:
        i0, i1, j0, j1, k0, k1 = self._box
        inside = self._u[i0:i1, j0:j1, k0:k1].copy()
        self._u[...] = 0
        self._u[i0:i1, j0:j1, k0:k1] = inside

    @property
    def density(self) -> np.ndarray:
        """(X, Y, Z) float32, a copy."""
        return self._u[1:-1, 1:-1, 1:-1].copy()

    def at(self, voxels: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """Density at voxels given by three arrays of indices."""
        return np.asarray(self._u[voxels[0] + 1, voxels[1] + 1, voxels[2] + 1])

    def apply(self, event: Kill | Removal) -> None:
        """Kill or remove cells now."""
        inner = self._u[1:-1, 1:-1, 1:-1]
        field = event.survival if isinstance(event, Kill) else event.cavity
        if field.shape != inner.shape:
            raise GridMismatchError(f"an event of shape {field.shape} does not fit tissue of shape {inner.shape}")
        if isinstance(event, Kill):
            if not ((field >= 0) & (field <= 1)).all():
                raise ParameterError("the share of cells that survive must lie between 0 and 1 everywhere")
            inner *= event.survival.astype(np.float32)
            return
        cavity = np.asarray(event.cavity, bool)
        inner[cavity] = 0
        faces = []
        for axis, face in enumerate(self._faces):
            face = face.copy()  # the rates may serve other runs
            face[1:-1, 1:-1, 1:-1][cavity] = 0
            before = tuple(slice(0, -2) if d == axis else slice(1, -1) for d in range(3))
            face[before][cavity] = 0
            faces.append(face)
        self._faces = (faces[0], faces[1], faces[2])

    def advance(self, days: float, parameters: KppParameters) -> None:
        """Let the tumour grow for some days; `parameters.white_to_grey` has no effect here, it is part of the rates."""
        if days <= 0:
            return
        if self._stepping.explicit_days is not None:
            self._advance_explicitly(days, parameters)
            return
        from regrowth.growth import kernel

        diffusivity, rho = parameters.diffusivity_mm2_per_day, parameters.proliferation_per_day
        stable = 0.98 / (self._largest * diffusivity) if self._largest * diffusivity > 0 else np.inf  # 2 / largest eigenvalue
        most = self._stepping.most_stages
        longest = min(_reach(most) * stable, self._stepping.growth_per_step / rho if rho > 0 else np.inf, days)
        steps = int(np.ceil(days / longest * (1 - 1e-12)))
        step = days / steps
        stages = next(s for s in _STAGES if _reach(s) * stable >= step * (1 - 1e-9) or s >= most)
        half, whole = np.float32(np.exp(rho * step / 2)), np.float32(np.exp(rho * step))
        for n in range(steps):
            self._box = kernel.widened(self._u, self._box, stages + 1, np.float32(self._stepping.cutoff))
            if n == 0 and rho > 0:
                kernel.grow(self._u, self._box, self._low, self._high, half)
            if diffusivity > 0:
                self._spread(np.float32(step * diffusivity), stages)
            if rho > 0:
                kernel.grow(self._u, self._box, self._low, self._high, whole if n < steps - 1 else half)

    def _spread(self, amount: np.float32, stages: int) -> None:
        """One RKL2 super step of diffusion by `amount` (mm2)."""
        from regrowth.growth import kernel

        older, newer, rate = self._work
        place = (self._box, self._low, self._high)
        i0, i1, j0, j1, k0, k1 = self._box
        older[i0:i1, j0:j1, k0:k1] = self._u[i0:i1, j0:j1, k0:k1]  # elsewhere all four arrays hold 0
        scale = 4.0 / (stages * stages + stages - 2)
        kernel.first_stage(newer, rate, self._u, *self._faces, *place, amount, np.float32(scale / 3))
        for j in range(2, stages + 1):
            mu = (2 * j - 1) / j * _weight(j) / _weight(j - 1)
            nu = -(j - 1) / j * _weight(j) / _weight(j - 2)
            gamma = -(1 - _weight(j - 1)) * mu * scale
            numbers = (np.float32(v) for v in (mu, nu, mu * scale, gamma))
            kernel.later_stage(older, newer, self._u, rate, *self._faces, *place, amount, *numbers)
            older, newer = newer, older
        self._work = [older, self._u, rate]
        self._u = newer

    def _advance_explicitly(self, days: float, parameters: KppParameters) -> None:
        from regrowth.growth import kernel

        steps = max(int(np.ceil(days / float(self._stepping.explicit_days or days) - 1e-9)), 1)
        step = days / steps  # whole steps, none longer than asked for
        rate = self._largest * parameters.diffusivity_mm2_per_day + parameters.proliferation_per_day
        if step * rate > 1:
            raise ParameterError(f"explicit steps of {step:.3g} days are unstable here; take at most {1 / rate:.3g} days")
        for _ in range(steps):
            self._box = kernel.widened(self._u, self._box, 2, np.float32(self._stepping.cutoff))
            out = self._work[0]
            spread = np.float32(step * parameters.diffusivity_mm2_per_day)
            growth = np.float32(step * parameters.proliferation_per_day)
            kernel.explicit_step(out, self._u, *self._faces, self._box, self._low, self._high, spread, growth)
            self._u, self._work[0] = out, self._u


_STAGES = (2, *range(3, 1000, 2))  # odd numbers damp the shortest waves best


def _reach(stages: int) -> float:
    """How many explicit steps one super step covers."""
    return (stages * stages + stages - 2) / 4


def _weight(j: int) -> float:
    return 1 / 3 if j < 3 else (j * j + j - 2) / (2 * j * (j + 1))


def _row_bounds(tissue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and one past the last tissue voxel of each row along the last axis; equal where there is none."""
    some = tissue.any(axis=2)
    low = np.where(some, tissue.argmax(axis=2), 1)
    high = np.where(some, tissue.shape[2] - tissue[:, :, ::-1].argmax(axis=2), 1)
    return low.astype(np.int64), high.astype(np.int64)


def solve_kpp(
    start: np.ndarray,
    rates: ExchangeRates,
    parameters: KppParameters,
    days: Sequence[float],
    *,
    first_day: float = 0.0,
    events: Sequence[Kill | Removal] = (),
    stepping: Stepping | None = None,
) -> np.ndarray:
    """Density of a tumour on given days.

    Parameters
    ----------
    start
        (X, Y, Z) density on `first_day`, 0 to 1, 0 outside of the tissue.
    rates
        Exchange rates between voxels, made with the same `white_to_grey`.
    parameters
        Diffusivity and proliferation.
    days
        (n,) days of the output, rising, none before `first_day`.
    first_day
        Day of `start`.
    events
        Kill and removal; on one day, in the order given, and before the output of that day. Those after the last day are left
        out.
    stepping
        How finely time is divided.

    Returns
    -------
    numpy.ndarray
        (n, X, Y, Z) float32.

    Raises
    ------
    ParameterError
        No tumour, cells outside of the tissue, days that fall, an event before `first_day`, an unstable explicit step.
    """
    wanted = np.asarray(days, np.float64)
    if wanted.ndim != 1 or not wanted.size or not np.isfinite(wanted).all() or (np.diff(wanted) < 0).any():
        raise ParameterError("days must be a list of at least one number that does not fall")
    if wanted[0] < first_day:
        raise ParameterError(f"day {wanted[0]:g} lies before day {first_day:g}, on which the tumour is given")
    early = [e.day for e in events if not e.day >= first_day]
    if early:
        raise ParameterError(f"a treatment on day {early[0]:g} lies before day {first_day:g}, on which the tumour is given")
    field = TumourField(rates, start, stepping)
    out = np.empty((wanted.size, *rates.tissue.shape), np.float32)
    queue: list[tuple[float, int, Kill | Removal | int]] = [(e.day, 0, e) for e in events]
    queue += [(float(day), 1, n) for n, day in enumerate(wanted)]
    now = first_day
    for day, _, what in sorted(queue, key=lambda item: item[:2]):
        if day > wanted[-1]:
            break
        field.advance(day - now, parameters)
        now = day
        if isinstance(what, int):
            out[what] = field.density
        else:
            field.apply(what)
    return out
