"""Synthetic patients that the tests share, made once."""

from __future__ import annotations

import pytest

from regrowth.phantom import PhantomParameters, SyntheticPatient, Template, icbm_template, synthetic_patient

COARSE = PhantomParameters(spacing_mm=3.0, lattice_mm=3.0, patients=3)


@pytest.fixture(scope="session")
def template() -> Template:
    return icbm_template(3.0)


@pytest.fixture(scope="session")
def patients(template: Template) -> tuple[SyntheticPatient, ...]:
    """One patient of each recurrence class."""
    return tuple(synthetic_patient(index, COARSE, template) for index in range(3))


@pytest.fixture(scope="session")
def clean_patient(template: Template) -> SyntheticPatient:
    """The first patient without noise, bias and gain."""
    quiet = PhantomParameters(spacing_mm=3.0, lattice_mm=3.0, noise=0.0, bias=0.0, gain=0.0, thick_slices=1.0)
    return synthetic_patient(0, quiet, template)
