"""Which arm of a trial a plan belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.radiotherapy.arms import TrialArm, detect_arm, load_trials, trial_from_toml

TRIALS = load_trials()
EXAMPLE = TRIALS["welsh2025_example"].arms


def seed_arm(mean, prescriptions):
    """The seed's rule for three arms, written down again: index of the arm, or 'nan'."""
    ranked = sorted(enumerate(prescriptions), key=lambda pair: pair[1])
    for index, dose in reversed(ranked):
        if mean >= dose - 0.5:
            return index
    return "nan"


def test_trials_are_data_with_any_number_of_levels():
    assert {len(a.prescriptions_gy) for a in EXAMPLE} == {1, 2, 3}
    assert dict(TRIALS["import_high"].arms[1].prescriptions_gy) == {"low": 36, "intermediate": 40, "high": 48}
    assert TRIALS["import_low"].mark == "M"


@pytest.mark.parametrize(("mean", "name"), [(64.2, "control"), (66.5, "control"), (60.4, "arm one"), (49.1, "arm two")])
def test_the_nearest_arm_within_the_tolerance_is_found(mean, name):
    match = detect_arm(mean, EXAMPLE)
    assert match.status == "ok"
    assert match.arm is not None
    assert match.arm.name == name


@pytest.mark.parametrize("mean", [30.0, 55.0, 80.0])
def test_a_plan_that_fits_no_arm_says_so_and_names_the_nearest(mean):
    match = detect_arm(mean, EXAMPLE)
    assert (match.status, match.arm) == ("no_match", None)
    assert match.candidates[0].name in match.reason


def test_arms_that_cannot_be_told_apart_are_ambiguous():
    match = detect_arm(40.1, TRIALS["import_low"].arms)
    assert match.status == "ambiguous"
    assert len(match.candidates) == 3
    assert match.arm is None


def test_a_mean_dose_that_is_not_known_is_no_arm():
    assert detect_arm(np.nan, EXAMPLE).status == "no_dose"


@pytest.mark.parametrize("mean", np.arange(40.0, 80.0, 0.25))
def test_the_seeds_rule_is_reproduced(mean):
    match = detect_arm(mean, EXAMPLE, 0.5, rule="welsh2025")
    expected = seed_arm(mean, [a.prescriptions_gy["high"] for a in EXAMPLE])
    assert match.arm is (None if expected == "nan" else EXAMPLE[expected])
    assert match.status == ("no_match" if expected == "nan" else "ok")


def test_the_seeds_rule_takes_the_later_of_equal_arms():
    arms = [TrialArm("a", {"high": 50.0}), TrialArm("b", {"high": 50.0})]
    assert detect_arm(50, arms, 0.5, rule="welsh2025").arm is arms[seed_arm(50, [50.0, 50.0])]


def test_the_seeds_rule_drops_an_arm_for_a_mean_slightly_below():
    """64.4 Gy under 65 Gy is given to the arm of 60 Gy; the nearest rule is right."""
    assert detect_arm(64.4, EXAMPLE, 0.5, rule="welsh2025").arm is EXAMPLE[1]
    assert detect_arm(64.4, EXAMPLE).arm is EXAMPLE[0]


def test_no_arm_and_an_arm_without_dose_are_refused():
    with pytest.raises(ParameterError, match="no arm"):
        detect_arm(50, [])
    with pytest.raises(ParameterError, match="above 0 Gy"):
        TrialArm("empty", {"high": 0.0})


@pytest.mark.parametrize("text", ["name = ", 'name = "x"', 'name = "x"\narms = []', 'name = "x"\n[[arms]]\nname = "a"'])
def test_a_trial_that_makes_no_sense_is_refused(text):
    with pytest.raises(ParameterError, match="trial"):
        trial_from_toml(text)
