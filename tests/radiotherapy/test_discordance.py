"""How often schemes disagree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from regrowth.radiotherapy.discordance import part_agreement, scheme_discordance
from regrowth.radiotherapy.failure import FailureClass, classify_all
from tests.conftest import make_grid
from tests.radiotherapy.failure_cases import PRESCRIPTIONS, ball, flat, nested_targets, one_part, ramp


def said(scheme: str, group: str, part: int = 1, rx: float = 60.0, method: str = "volume") -> FailureClass:
    nan = math.nan
    return FailureClass(scheme, part, method if group else "", "", rx, nan, group or "unclassified", group, None, nan, "")


def test_schemes_that_all_say_the_same_agree():
    (found,) = part_agreement([said("a", "inside"), said("b", "inside"), said("c", "")])
    assert found.agree is True
    assert found.n_unclassified == 1
    assert dict(found.groups) == {"a": "inside", "b": "inside"}


def test_parts_are_compared_on_their_own():
    rows = [said("a", "inside", 1), said("b", "marginal", 1), said("a", "outside", 2), said("b", "outside", 2)]
    assert [(p.part, p.agree) for p in part_agreement(rows)] == [(1, False), (2, True)]


def test_one_class_alone_neither_agrees_nor_disagrees():
    assert part_agreement([said("a", "inside"), said("b", "")])[0].agree is None


def test_discordance_counts_kappa_and_missing_ones():
    first = ["inside"] * 6 + ["outside"] * 4
    second = ["inside"] * 5 + ["outside"] * 4 + ["inside"]
    cases = [[said("a", a), said("b", b)] for a, b in zip(first, second, strict=True)]
    cases.append([said("a", "inside"), said("b", "")])
    (pair,) = scheme_discordance(cases)
    assert (pair.n, pair.n_agree, pair.n_missing) == (10, 8, 1)
    assert pair.discordance == pytest.approx(0.2)
    assert pair.kappa == pytest.approx((0.8 - 0.52) / (1 - 0.52))
    assert pair.counts["inside", "outside"] == 1


def test_a_pair_never_seen_together_is_nan_and_not_zero():
    (pair,) = scheme_discordance([[said("a", "inside")], [said("b", "inside")]])
    assert (pair.n, pair.n_missing) == (0, 2)
    assert math.isnan(pair.discordance)
    assert math.isnan(pair.kappa)


def test_a_scheme_of_several_levels_and_methods_is_compared_at_its_highest_level():
    rows = [
        said("seed", "inside", rx=54.0, method="sphere"),
        said("seed", "marginal", rx=60.0, method="sphere"),
        said("seed", "inside", rx=60.0, method="centroid"),
        said("b", "marginal"),
    ]
    (found,) = part_agreement(rows)
    assert dict(found.groups) == {"seed sphere": "marginal", "seed centroid": "inside", "b": "marginal"}


def test_ten_schemes_disagree_at_the_edge_of_the_high_dose_and_agree_in_its_middle():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    edge = one_part(ball(grid, (9, 0, 0), 6.0), grid)
    middle = one_part(ball(grid, (0, 0, 0), 5.0), grid)
    targets = nested_targets(grid)
    apart = part_agreement(classify_all([edge], ramp(grid, 60.0, -0.6), PRESCRIPTIONS, targets))[0]
    together = part_agreement(classify_all([middle], flat(grid, 60.0), PRESCRIPTIONS, targets))[0]
    assert apart.agree is False
    assert together.agree is True
    assert len(together.groups) == 11
    pairs = scheme_discordance([classify_all([p], ramp(grid, 60.0, -0.6), PRESCRIPTIONS, targets) for p in (edge, middle)])
    assert len(pairs) == 55
    assert np.nanmax([p.discordance for p in pairs]) > 0
