"""How parts and patients are classified, and when a recurrence may be called local regrowth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regrowth.errors import ParameterError
from regrowth.recurrence import RecurrenceComponent, RecurrenceParameters, patient_pattern, recurrence_label, volume_trend
from regrowth.recurrence.pattern import component_kind

DEFAULT = RecurrenceParameters()


def part(kind: str, touches: bool = True) -> RecurrenceComponent:
    return RecurrenceComponent(1.0, 0.0, 1.0, 0.5, 0.5, (0.0, 0.0, 0.0), kind, touches)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "gap_mm", "kind"),
    [
        (1.0, 0.0, "local"),
        (0.5, 0.0, "local"),
        (0.49, 0.0, "marginal"),
        (0.0, 20.0, "marginal"),
        (0.0, 20.1, "distant"),
    ],
)
def test_a_part_is_local_by_its_share_and_distant_by_its_gap(share, gap_mm, kind):
    assert component_kind(share, gap_mm, DEFAULT) == kind


@pytest.mark.parametrize(
    ("parts", "pattern"),
    [
        ([], "undefined"),
        ([part("local")], "local"),
        ([part("marginal")], "marginal"),
        ([part("marginal", touches=False)], "marginal"),
        ([part("distant", touches=False)], "distant"),
        ([part("local"), part("local")], "local"),
        ([part("marginal"), part("marginal")], "marginal"),
        ([part("local"), part("marginal")], "multifocal"),
        ([part("marginal"), part("marginal", touches=False)], "multifocal"),
        ([part("distant", touches=False), part("distant", touches=False)], "multifocal"),
    ],
)
def test_a_patient_is_multifocal_with_parts_of_two_kinds_or_with_a_satellite(parts, pattern):
    assert patient_pattern(parts) == pattern


@pytest.mark.parametrize(
    ("before_ml", "after_ml", "trend"),
    [
        (10.0, 14.0, "growth"),
        (10.0, 13.9, "stable"),
        (10.0, 3.5, "shrinkage"),
        (10.0, 3.6, "stable"),
        (0.2, 0.39, "stable"),  # almost twice as much, but less than 0.2 ml
        (0.2, 0.41, "growth"),
        (0.0, 1.0, "new"),
        (1.0, 0.0, "gone"),
        (0.0, 0.0, "unknown"),
        (None, 1.0, "unknown"),
        (np.nan, 1.0, "unknown"),
    ],
)
def test_the_trend_follows_the_volumetric_thresholds_of_rano_2(before_ml, after_ml, trend):
    assert volume_trend(before_ml, after_ml, DEFAULT) == trend


@given(before_ml=st.floats(0.01, 500), after_ml=st.floats(0.01, 500))
def test_more_volume_never_turns_the_trend_towards_shrinkage(before_ml, after_ml):
    order = ["shrinkage", "stable", "growth"]
    more = volume_trend(before_ml, after_ml * 1.5, DEFAULT)
    assert order.index(more) >= order.index(volume_trend(before_ml, after_ml, DEFAULT))


def test_only_a_local_tumour_known_to_have_grown_is_called_local_regrowth():
    patterns = ("local", "marginal", "distant", "multifocal", "undefined")
    trends = ("growth", "stable", "shrinkage", "new", "gone", "unknown")
    named = {(p, t) for p in patterns for t in trends if recurrence_label(p, t) == "local regrowth"}
    assert named == {("local", "growth"), ("local", "new")}


def test_every_threshold_has_a_help_text_and_a_unit():
    for f in dataclasses.fields(RecurrenceParameters):
        assert f.metadata["help"]
        assert f.metadata["unit"]


@pytest.mark.parametrize(
    "wrong", [{"local_share": 0.0}, {"growth_share": 0.0}, {"distant_gap_mm": -1.0}, {"shrinkage_share": 2.0}]
)
def test_thresholds_without_meaning_are_refused(wrong):
    with pytest.raises(ParameterError):
        RecurrenceParameters(**wrong)
