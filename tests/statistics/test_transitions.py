from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.phantom.clinical import LOCATIONS, TRANSITIONS, synthetic_clinical
from regrowth.statistics.transitions import agreement_against_chance, bowker, flip_sensitivity, transitions

# 14 occipital primaries of which 8 came back elsewhere, as in Hannisdal et al. 2025; 4 temporal ones that stayed.
PRIMARY = ["occipital"] * 14 + ["temporal"] * 4
RECURRENCE = ["occipital"] * 6 + ["parietal"] * 5 + ["temporal"] * 3 + ["temporal"] * 4


def row(rows, primary, **others):
    return next(r for r in rows if r["primary"] == primary and all(r[k] == v for k, v in others.items()))


def test_eight_of_fourteen_that_came_back_elsewhere_are_57_percent_from_33_to_79():
    moved = row(transitions(PRIMARY, RECURRENCE).new_site_rows(), "occipital")
    assert (moved["count"], moved["total"]) == (8, 14)
    assert moved["probability"] == pytest.approx(0.571, abs=5e-4)
    assert (round(100 * moved["lower"]), round(100 * moved["upper"])) == (33, 79)


def test_rows_of_the_matrix_are_probabilities_with_counts():
    found = transitions(PRIMARY, RECURRENCE)
    assert found.classes == ("occipital", "parietal", "temporal")
    np.testing.assert_array_equal(found.counts, [[6, 5, 3], [0, 0, 0], [0, 0, 4]])
    np.testing.assert_allclose(found.probabilities[[0, 2]].sum(axis=1), 1)
    assert np.isnan(found.probabilities[1]).all()
    assert np.isnan(found.lower[1]).all()
    assert row(found.as_rows(), "occipital", recurrence="parietal")["probability"] == pytest.approx(5 / 14)


def test_all_patients_together_are_the_last_row():
    everyone = row(transitions(PRIMARY, RECURRENCE).new_site_rows(), "all")
    assert (everyone["count"], everyone["total"]) == (8, 18)


def test_patients_who_lack_a_class_are_left_out_and_counted():
    found = transitions(["frontal", "frontal", ""], ["frontal", "", "frontal"])
    assert (found.n, found.n_missing) == (1, 2)


def test_smoothing_pulls_towards_equal_shares_and_leaves_the_counts():
    found = transitions(PRIMARY, RECURRENCE, smoothing=1.0)
    np.testing.assert_allclose(found.probabilities[0], [7 / 17, 6 / 17, 4 / 17])
    assert found.counts[0, 0] == 6
    np.testing.assert_allclose(found.lower[0, 0], transitions(PRIMARY, RECURRENCE).lower[0, 0])


def test_no_patients_give_a_matrix_of_nothing_without_a_failure():
    found = transitions([""], ["frontal"], ["frontal"])
    assert found.n == 0
    assert np.isnan(found.probabilities).all()
    assert math.isnan(row(found.new_site_rows(), "all")["probability"])


@pytest.mark.parametrize("bad", [{"classes": ["occipital"]}, {"smoothing": -1.0}, {"recurrence": RECURRENCE[:-1]}])
def test_what_does_not_fit_is_refused(bad):
    with pytest.raises(ParameterError):
        transitions(**{"primary": PRIMARY, "recurrence": RECURRENCE, **bad})


def test_the_known_transitions_lie_in_the_intervals_of_a_synthetic_cohort():
    rows = synthetic_clinical(1500, seed=2)
    found = transitions(
        [str(r["location_primary"] or "") for r in rows], [str(r["location_recurrence"] or "") for r in rows], LOCATIONS
    )
    inside = (found.lower <= TRANSITIONS) & (np.array(TRANSITIONS) <= found.upper)
    assert inside.mean() >= 0.9


def test_agreement_against_chance_equals_all_permutations(rng):
    first, second = list("aabbc"), list("aabcb")
    stays = sum(x == y for x, y in zip(first, second, strict=True))
    every = [sum(x == y for x, y in zip(first, p, strict=True)) >= stays for p in permutations(second)]
    found = agreement_against_chance(first, second, rng, permutations=20_000)
    assert found.stays == stays
    assert found.p_value == pytest.approx(np.mean(every), abs=0.01)
    assert found.expected == pytest.approx(5 * (0.4 * 0.4 + 0.4 * 0.4 + 0.2 * 0.2))


def test_random_recurrences_agree_no_more_than_by_chance(rng):
    p_values = []
    for _ in range(200):
        first, second = rng.choice(list("abcd"), 40), rng.choice(list("abcd"), 40)
        p_values.append(agreement_against_chance(list(first), list(second), rng, 199).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.09  # 5 % and 2.6 standard errors
    assert math.isnan(agreement_against_chance(["a"], [""], rng).p_value)


def test_kappa_is_one_when_everything_stays(rng):
    assert agreement_against_chance(list("abab"), list("abab"), rng).kappa == pytest.approx(1)


def test_bowker_of_two_classes_is_mcnemar():
    found = bowker(np.array([[10, 9], [3, 5]]))
    assert found.statistic == pytest.approx((9 - 3) ** 2 / 12)
    assert found.degrees_of_freedom == 1
    assert found.p_value == pytest.approx(math.erfc(math.sqrt(3 / 2)))


def test_bowker_without_transitions_has_no_value():
    assert math.isnan(bowker(np.diag([3, 4])).p_value)


def test_without_label_errors_the_sensitivity_repeats_the_observed_share(rng):
    for found in flip_sensitivity(PRIMARY, RECURRENCE, 0.0, rng, repeats=20):
        assert found["flipped_lower"] == found["flipped_upper"] or math.isnan(found["observed"])
        np.testing.assert_equal(found["flipped_median"], found["observed"])


def test_wrong_labels_make_new_sites_on_paper(rng):
    stays = ["a", "b", "c", "d"] * 100
    everyone = row(flip_sensitivity(stays, stays, 0.1, rng), "all")
    # A pair stays if neither flips, or both flip to the same: 0.81 + 0.01 / 3.
    assert everyone["flipped_median"] == pytest.approx(1 - 0.81 - 0.01 / 3, abs=0.01)
    with pytest.raises(ParameterError, match="from 0 to below 1"):
        flip_sensitivity(stays, stays, 1.0, rng)
