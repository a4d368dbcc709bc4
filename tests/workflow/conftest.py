"""A small synthetic cohort, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from regrowth.phantom import PhantomParameters
from regrowth.phantom.dataset import write_phantom


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BIDS data set of two synthetic patients at 4 mm, with the truth in derivatives/truth; tests copy what they change."""
    out = tmp_path_factory.mktemp("cohort") / "bids"
    write_phantom(out, PhantomParameters(patients=2, spacing_mm=4.0, lattice_mm=4.0, seed=3))
    return out
