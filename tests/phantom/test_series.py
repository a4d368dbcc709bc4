"""Synthetic series follow the law that their truth names, and say what treatment they had."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.growth.models import EXPONENTIAL
from regrowth.growth.treatment import DrugCourse, Treatment
from regrowth.io.tables import write_tsv
from regrowth.io.treatment import read_treatments
from regrowth.phantom.series import SeriesSettings, synthetic_series


@pytest.fixture(scope="module")
def made():
    return synthetic_series(120, np.random.default_rng(5), SeriesSettings(noise_sd_log=0.0))


def test_volumes_without_noise_are_those_of_the_law_with_the_true_parameters(made):
    for truth in made.truth[:25]:
        name = truth["participant_id"]
        seen = [r for r in made.volumes if r["participant_id"] == name]
        course, drug = (r for r in made.treatment if r["participant_id"] == name)
        given = Treatment.fractionated(
            course["day"], course["fractions"], course["dose_gy"], drugs=(DrugCourse(drug["day"], drug["stop_day"] or np.inf),)
        )
        values = EXPONENTIAL.array(**{k: truth[k] for k in EXPONENTIAL.parameter_names})
        days = [r["day"] for r in seen] + [truth["next_day"]]
        wanted = EXPONENTIAL.volumes_ml(values, days, given)
        volumes = np.array([r["volume_ml"] for r in seen])
        np.testing.assert_allclose(volumes, np.where(wanted[:-1] < 0.05, 0.0, wanted[:-1]), atol=6e-4)
        assert truth["next_ml"] == pytest.approx(wanted[-1])


def test_kinds_of_course_have_the_shares_and_the_fates_that_were_asked_for(made):
    kinds = Counter(t["kind"] for t in made.truth)
    assert set(kinds) == {"growing", "stable", "shrinking"}
    assert kinds["stable"] == pytest.approx(30, abs=14)
    for truth in made.truth:
        volumes = [r["volume_ml"] for r in made.volumes if r["participant_id"] == truth["participant_id"]]
        if truth["kind"] == "stable":
            assert max(volumes) < 1.15 * min(volumes)
        if truth["kind"] == "shrinking":
            assert volumes[-1] < volumes[0]


def test_noise_has_the_standard_deviation_that_was_asked_for():
    settings = SeriesSettings(stable_share=1.0, shrinking_share=0.0, noise_sd_log=0.2)
    noisy = synthetic_series(150, np.random.default_rng(1), settings)
    clean = {t["participant_id"]: t["initial_ml"] for t in noisy.truth}
    first = [np.log(r["volume_ml"] / clean[r["participant_id"]]) for r in noisy.volumes if r["day"] == 0]
    assert np.std(first) == pytest.approx(0.2, abs=0.04)


def test_a_patient_is_the_same_in_a_larger_cohort():
    few = synthetic_series(3, np.random.default_rng(9))
    many = synthetic_series(6, np.random.default_rng(9))
    assert many.truth[:3] == few.truth
    assert many.volumes[: len(few.volumes)] == few.volumes


def test_there_is_no_exam_after_one_that_is_larger_than_asked_for(made):
    for truth in made.truth:
        volumes = [r["volume_ml"] for r in made.volumes if r["participant_id"] == truth["participant_id"]]
        assert 2 <= len(volumes) <= 7
        assert all(v <= 120 for v in volumes[1:-1])


def test_the_treatment_table_is_one_that_can_be_read(made, tmp_path):
    write_tsv(made.treatment, tmp_path / "treatment.tsv")
    records = read_treatments(tmp_path / "treatment.tsv")
    assert len(records) == 120
    for record in records.values():
        assert len(record.treatment.fractions) == 30
        assert sum(f.dose_gy for f in record.treatment.fractions) == pytest.approx(60)
        assert len(record.treatment.drugs) == 1


@pytest.mark.parametrize(
    "settings",
    [{"stable_share": 0.8, "shrinking_share": 0.4}, {"fewest_exams": 5, "most_exams": 4}, {"noise_sd_log": -1.0}],
)
def test_settings_that_are_not_possible_are_refused(settings):
    with pytest.raises(ParameterError):
        SeriesSettings(**settings)


def test_a_negative_number_of_patients_is_refused_and_none_is_an_empty_cohort(rng):
    with pytest.raises(ParameterError, match="at least 0"):
        synthetic_series(-1, rng)
    assert synthetic_series(0, rng).volumes == ()
