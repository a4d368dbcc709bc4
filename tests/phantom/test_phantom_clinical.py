from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.phantom.clinical import LOCATION_SHARES, LOCATIONS, TRANSITIONS, clinical_truth, synthetic_clinical

COLUMNS = [
    "participant_id",
    "age",
    "sex",
    "mgmt",
    "idh",
    "eor",
    "os_days",
    "os_event",
    "ttp_days",
    "ttp_event",
    "primary_CE_core_ml",
    "primary_NE_ml",
    "ratio_CE_core_NE",
    "location_primary",
    "location_recurrence",
    "laterality_primary",
    "migration_mm",
    "recurrence_day",
    "pattern",
]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    return synthetic_clinical(3000, seed=4)


def column(rows: list[dict[str, object]], name: str) -> np.ndarray:
    return np.array([np.nan if r[name] is None else r[name] for r in rows], dtype=float)


def test_every_row_has_the_columns_of_the_cohort_table(rows):
    assert all(set(r) == set(COLUMNS) for r in rows)
    assert len({r["participant_id"] for r in rows}) == len(rows)


def test_a_patient_does_not_depend_on_how_many_others_there_are(rows):
    assert synthetic_clinical(7, seed=4) == rows[:7]
    assert synthetic_clinical(7, seed=5) != rows[:7]


def test_times_are_positive_and_nothing_happens_after_the_end_of_observation(rows):
    os_days, ttp = column(rows, "os_days"), column(rows, "ttp_days")
    assert (ttp >= 1).all()
    assert (ttp <= os_days).all()
    exam = column(rows, "recurrence_day")
    assert (exam[~np.isnan(exam)] < os_days[~np.isnan(exam)]).all()


def test_recurrence_columns_are_empty_without_a_recurrence(rows):
    without = [r for r in rows if not r["ttp_event"]]
    assert without
    assert all(r["migration_mm"] is None and r["location_recurrence"] is None for r in without)


def test_some_die_without_recurrence(rows):
    dead = [r for r in rows if r["os_event"]]
    share = np.mean([not r["ttp_event"] for r in dead])
    assert share == pytest.approx(clinical_truth()["died_without_recurrence_share"], abs=0.02)


def test_values_are_missing_at_the_share_asked_for():
    some = synthetic_clinical(2000, seed=1, missing_share=0.2)
    for name in ("mgmt", "idh", "eor", "ratio_CE_core_NE"):
        assert np.mean([r[name] is None for r in some]) == pytest.approx(0.2, abs=0.03)
    assert not any(r["mgmt"] is None for r in synthetic_clinical(200, seed=1, missing_share=0))


def test_locations_follow_the_published_shares_and_the_known_transitions(rows):
    shares = [np.mean([r["location_primary"] == place for r in rows]) for place in LOCATIONS]
    np.testing.assert_allclose(shares, LOCATION_SHARES, atol=0.03)
    np.testing.assert_allclose(np.sum(TRANSITIONS, axis=1), 1)
    pairs = [r for r in rows if r["location_recurrence"] and r["location_primary"] == "temporal"]
    stay = np.mean([r["location_recurrence"] == "temporal" for r in pairs])
    assert stay == pytest.approx(TRANSITIONS[4][4], abs=0.05)


def test_migration_distance_grows_with_time_as_the_truth_says(rows):
    distance, time = column(rows, "migration_mm"), column(rows, "ttp_days")
    known = ~np.isnan(distance)
    slope = np.polyfit(np.log(time[known]), np.log(distance[known]), 1)[0]
    assert slope == pytest.approx(clinical_truth()["migration"]["exponent"], abs=0.05)


@pytest.mark.parametrize("bad", [{"patients": -1}, {"seed": -1}, {"missing_share": 1.0}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(ParameterError):
        synthetic_clinical(**{"patients": 2, "seed": 0, **bad})
