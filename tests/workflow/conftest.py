"""A small synthetic cohort, written once, and one whole run on it that the tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

import regrowth
from regrowth.phantom import PhantomParameters
from regrowth.phantom.dataset import write_phantom


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BIDS data set of two synthetic patients at 4 mm, with the truth in derivatives/truth; tests copy what they change."""
    out = tmp_path_factory.mktemp("cohort") / "bids"
    write_phantom(out, PhantomParameters(patients=2, spacing_mm=4.0, lattice_mm=4.0, seed=3))
    return out


@pytest.fixture(scope="session")
def full_run(small_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All steps with the default parameters, from Python; who runs it again with others ends with the default ones."""
    out = tmp_path_factory.mktemp("full") / "out"
    result = regrowth.run(small_cohort, out, derivatives=["truth"])
    assert not result.failures
    assert {p.name for p in result.reports} == {"sub-01.html", "sub-02.html", "group.html"}
    return out
