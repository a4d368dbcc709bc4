"""Which class a recurrence has: on plans whose classes are known, with probabilities, and when something is missing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy.exposure import Target
from regrowth.radiotherapy.failure import UNCLASSIFIED, classify, classify_all
from regrowth.radiotherapy.parts import RecurrencePart, recurrence_parts
from regrowth.radiotherapy.schemes import load_schemes, scheme_from_toml
from regrowth.radiotherapy.uncertainty import isotropic_uncertainty, unknown_uncertainty
from regrowth.space import Grid, Image
from tests.conftest import make_grid
from tests.radiotherapy.failure_cases import PRESCRIPTIONS, ball, box, flat, nested_targets, one_part, ramp

SCHEMES = load_schemes()
SHARE_SCHEMES = ("dawson_2000", "mcdonald_2010", "minniti_2010", "gebhardt_2014", "lee_1999")


def only(parts, dose, targets, name, prescriptions=PRESCRIPTIONS, **kwargs):
    (found,) = classify(parts, dose, prescriptions, targets, SCHEMES[name], **kwargs)
    return found


def slab_with_share(grid: Grid, share: float) -> tuple[RecurrencePart, Image]:
    """A part of 100 slices of voxels along R of which exactly a share lies at 60 Gy, the rest at 10 Gy."""
    n = 100
    part = RecurrencePart(np.argwhere(np.ones((n, 4, 4), bool)), grid)
    data = np.full(grid.shape, 10.0)
    data[: round(share * n)] = 60.0
    return part, Image(data, grid, "Gy")


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1.00, ("in-field", "central", "central", "in-field", "central")),
        (0.90, ("marginal", "infield", "in-field", "in-field", "in-field")),
        (0.50, ("marginal", "marginal", "marginal", "marginal", "marginal")),
        (0.10, ("out-of-field", "distant", "distant", "distant", "outside")),
    ],
)
def test_share_inside_the_isodose_gives_the_class_of_each_source(share, expected):
    part, dose = slab_with_share(Grid((100, 4, 4), np.eye(4)), share)
    found = [only([part], dose, [], name) for name in SHARE_SCHEMES]
    assert tuple(f.name for f in found) == expected
    for f in found:
        assert f.value == pytest.approx(share, abs=0.006)
        assert f.prescription_gy == 60.0


@pytest.mark.parametrize(
    ("centre_mm", "gy", "expected"),
    [
        ((0, 0, 0), 60.0, "A central high dose"),
        ((0, 0, 0), 56.0, "B peripheral high dose"),
        ((18, 0, 0), 54.0, "C central elective dose"),
        ((0, 18, 0), 50.0, "D peripheral elective dose"),
        ((0, 0, 28), 60.0, "E extraneous dose"),
    ],
)
def test_mohamed_types_a_to_e(grid, centre_mm, gy, expected):
    part = one_part(ball(grid, centre_mm, 4.0), grid)
    found = only([part], flat(grid, gy), nested_targets(grid), "mohamed_2016")
    assert found.name == expected
    if expected[0] in "ABCD":
        assert found.value == pytest.approx(gy / (60 if expected[0] in "AB" else 54), rel=1e-5)
        assert found.level == ("high" if expected[0] in "AB" else "elective")


@pytest.mark.parametrize(("centre_mm", "expected"), [((0, 0, 0), "high"), ((0, 18, 0), "lower"), ((0, 0, 28), "outside")])
def test_the_point_of_origin_is_tested_against_nested_targets(grid, centre_mm, expected):
    part = one_part(ball(grid, centre_mm, 4.0), grid)
    found = only([part], None, nested_targets(grid), "point_of_origin")
    assert found.name.startswith(expected)


def test_a_given_point_of_origin_goes_before_the_deepest_point():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    voxels = np.argwhere(ball(grid, (0, 18, 0), 4.0))
    given = RecurrencePart(voxels, grid, origin_mm=np.array([0.0, 5.0, 0.0]))
    assert only([RecurrencePart(voxels, grid)], None, nested_targets(grid), "point_of_origin").name == "lower dose target"
    found = only([given], None, nested_targets(grid), "point_of_origin")
    assert found.name == "high dose target"
    assert "given" in found.measure


def test_share_inside_the_target_is_the_overlap(grid):
    target = Target("CTV1", box(grid, (-20, -20, -20), (0, 20, 20)), grid, "high")
    part = one_part(box(grid, (-12, -12, -12), (12, 12, 12)), grid)
    voxels = np.asarray(target.mask)[tuple(part.voxels.T)].mean()
    found = only([part], None, [target], "chao_2003", {"high": 60.0})
    assert found.value == pytest.approx(voxels, abs=1e-6)
    assert found.name == "marginal"


def test_a_recurrence_equal_to_the_target_is_wholly_inside(grid):
    mask = ball(grid, (0, 0, 0), 9.0)
    found = only([one_part(mask, grid)], None, [Target("CTV1", mask, grid, "high")], "chao_2003", {"high": 60.0})
    assert found.value == 1.0


def test_two_targets_of_the_highest_level_count_together():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    left, right = (
        Target(n, box(grid, *b), grid, "high")
        for n, b in (("l", ((-20, -9, -9), (-1, 9, 9))), ("r", ((0, -9, -9), (20, 9, 9))))
    )
    part = one_part(box(grid, (-8, -8, -8), (8, 8, 8)), grid)
    assert only([part], None, [left, right], "chao_2003", {"high": 60.0}).value == pytest.approx(1.0)


@pytest.mark.parametrize(("gap_mm", "expected"), [(19.0, "local"), (21.0, "distant"), (-3.0, "local")])
def test_distance_counts_from_the_first_tumour(gap_mm, expected):
    grid = make_grid("LPS", (1.0, 1.0, 1.0))
    x = grid.world(np.array([[i, 0, 0] for i in range(grid.shape[0])]))[:, 0]
    near = x[np.abs(x - (-20)).argmin()]
    tumour = Target("GTV", box(grid, (-40, -5, -5), (near, 5, 5)), grid, is_first_tumour=True)
    part = one_part(box(grid, (near + gap_mm, -3, -3), (near + gap_mm + 6, 3, 3)), grid)
    found = only([part], None, [tumour], "distance_2cm")
    assert found.name == expected
    assert found.value == pytest.approx(max(gap_mm, 0), abs=1e-6)


def test_each_part_is_classed_on_its_own():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    parts, _ = recurrence_parts(ball(grid, (0, 0, 0), 6) | ball(grid, (0, 22, 0), 4), grid)
    target = [Target("CTV1", ball(grid, (0, 0, 0), 9), grid, "high")]
    found = classify(parts, None, {"high": 60.0}, target, SCHEMES["chao_2003"])
    assert [(f.part, f.name) for f in found] == [(1, "in-field"), (2, "out-of-field")]


def test_levels_without_dose_are_left_out_and_the_order_does_not_matter():
    part, dose = slab_with_share(Grid((100, 4, 4), np.eye(4)), 0.5)
    for prescriptions in ({"low": 0.0, "high": 60.0, "mid": 54.0}, {"high": 60.0, "mid": 54.0}):
        assert only([part], dose, [], "gebhardt_2014", prescriptions).level == "high"


def test_a_scheme_may_refer_to_the_lowest_prescription():
    text = """
    name = "treated volume"
    measure = "isodose_share"
    isodose_fraction = 0.95
    reference = "lowest"
    classes = [{name = "in", group = "inside", above = 0.95}, {name = "out", group = "outside"}]
    """
    grid = make_grid("LPS", (3.0, 3.0, 3.0))
    part = one_part(ball(grid, (0, 0, 0), 6.0), grid)
    (found,) = classify([part], flat(grid, 53.0), PRESCRIPTIONS, [], scheme_from_toml(text))
    assert (found.name, found.level, found.threshold_gy) == ("in", "elective", pytest.approx(51.3))
    assert only([part], flat(grid, 53.0), [], "gebhardt_2014").name == "distant"


# --- uncertainty ----------------------------------------------------------------------------------------------------


def test_class_probabilities_are_the_normal_integrals(rng):
    """A thin slab across the gradient: its share is 1 or 0 by which side of the isodose it lies."""
    grid = make_grid("LPS", (1.0, 1.0, 1.0))
    x = grid.world(np.array([[i, 0, 0] for i in range(grid.shape[0])]))[:, 0]
    at = x[np.abs(x - 2).argmin()]
    part = one_part(box(grid, (at, -6, -6), (at, 6, 6)), grid)
    u = isotropic_uncertainty(6.0)
    sd = np.sqrt(u.covariance_mm2[0, 0])
    found = only([part], ramp(grid, 57.0, -0.5), [], "gebhardt_2014", uncertainty=u, rng=rng, draws=3000)
    # voxels are 1 mm thick: 80 % of them are inside while the slab lies 0.3 mm below the isodose, 20 % 0.3 mm above
    assert found.probabilities["in-field"] == pytest.approx(stats.norm.cdf((-0.3 - at) / sd), abs=0.04)
    assert found.probabilities["distant"] == pytest.approx(1 - stats.norm.cdf((0.3 - at) / sd), abs=0.04)
    assert sum(found.probabilities.values()) == pytest.approx(1.0)
    assert found.probability == found.probabilities[found.name]


@pytest.mark.parametrize("name", SCHEMES)
def test_probabilities_of_every_scheme_add_up_to_1(rng, name):
    grid = make_grid("oblique", (3.0, 3.0, 3.0))
    part = one_part(ball(grid, (6, 0, 0), 6.0), grid)
    found = classify(
        [part],
        ramp(grid, 62.0, -0.8),
        PRESCRIPTIONS,
        nested_targets(grid),
        SCHEMES[name],
        isotropic_uncertainty(5.0),
        rng,
        draws=100,
    )
    for f in found:
        assert f.status == "ok"
        assert sum(f.probabilities.values()) == pytest.approx(1.0)


def test_a_small_uncertainty_leaves_the_class_certain(rng):
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    part = one_part(ball(grid, (0, 0, 0), 4.0), grid)
    found = only(
        [part], flat(grid, 60.0), nested_targets(grid), "mohamed_2016", uncertainty=isotropic_uncertainty(1.0), rng=rng
    )
    assert found.probability == 1.0


def test_probability_of_the_distance_rule_follows_the_gap(rng):
    grid = make_grid("LPS", (1.0, 1.0, 1.0))
    tumour = Target("GTV", box(grid, (-40, -30, -30), (-20, 30, 30)), grid, is_first_tumour=True)
    mask = box(grid, (1, -3, -3), (7, 3, 3))
    part = one_part(mask, grid)
    u = isotropic_uncertainty(5.0)
    found = only([part], None, [tumour], "distance_2cm", uncertainty=u, rng=rng, draws=800)
    expected = stats.norm.cdf((20.0 - found.value) / np.sqrt(u.covariance_mm2[0, 0]))
    assert found.probabilities["local"] == pytest.approx(expected, abs=0.06)


def test_the_same_seed_gives_the_same_classes():
    grid = make_grid("LPS", (3.0, 3.0, 3.0))
    part = one_part(ball(grid, (6, 0, 0), 6.0), grid)
    args = ([part], ramp(grid, 62.0, -0.8), PRESCRIPTIONS, nested_targets(grid), None, isotropic_uncertainty(5.0))
    a, b = (classify_all(*args, np.random.default_rng(5), draws=60) for _ in "ab")
    assert [str(f.as_row()) for f in a] == [str(f.as_row()) for f in b]
    assert any(0 < f.probability < 1 for f in a)


def test_without_an_uncertainty_there_are_no_probabilities_and_the_reason_is_kept(rng):
    grid = make_grid("LPS", (3.0, 3.0, 3.0))
    part = one_part(ball(grid, (0, 0, 0), 6.0), grid)
    plain = only([part], flat(grid, 60.0), [], "gebhardt_2014")
    assert not plain.probabilities
    assert np.isnan(plain.probability)
    told = only([part], flat(grid, 60.0), [], "gebhardt_2014", uncertainty=unknown_uncertainty("no landmarks"), rng=rng)
    assert told.name == "in-field"
    assert told.reason == "no landmarks"


def test_an_uncertainty_without_a_generator_is_refused():
    grid = make_grid("LPS", (3.0, 3.0, 3.0))
    part = one_part(ball(grid, (0, 0, 0), 6.0), grid)
    with pytest.raises(ParameterError, match="generator"):
        classify_all([part], None, {}, [], None, isotropic_uncertainty(5.0))


# --- the seed's scheme ----------------------------------------------------------------------------------------------


def test_the_seeds_scheme_gives_two_codes_per_level_and_the_probability_beside_them(rng):
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    part = one_part(ball(grid, (0, 0, 0), 6.0), grid)
    found = classify([part], ramp(grid, 57.0, -0.5), PRESCRIPTIONS, [], SCHEMES["welsh2025"], isotropic_uncertainty(5.0), rng)
    assert [(f.level, f.method) for f in found] == [(lev, m) for lev in ("high", "elective") for m in ("centroid", "sphere")]
    sphere = found[1]
    assert (sphere.name, sphere.code, sphere.group) == ("peripheral", 2, "marginal")
    assert np.isnan(sphere.probability)  # "peripheral" is no statement that could be true or false
    assert sphere.probabilities["inside"] == pytest.approx(0.5, abs=0.05)
    assert found[3].code == 1
    assert found[3].threshold_gy == pytest.approx(0.95 * 54)


def test_the_seeds_scheme_needs_no_uncertainty():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    part = one_part(ball(grid, (0, 0, 0), 6.0), grid)
    found = classify([part], flat(grid, 60.0), {"high": 60.0}, [], SCHEMES["welsh2025"])
    assert [f.code for f in found] == [1, 1]
    assert not any(f.probabilities for f in found)


# --- what is missing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
def test_without_dose_prescription_and_targets_nothing_vanishes(name):
    grid = make_grid("LPS", (3.0, 3.0, 3.0))
    part = one_part(ball(grid, (0, 0, 0), 6.0), grid)
    (found,) = classify([part], None, {}, [], SCHEMES[name])
    assert found.status == "unclassified"
    assert found.name == UNCLASSIFIED
    assert found.reason
    assert found.as_row()["class"] == UNCLASSIFIED


def test_a_recurrence_outside_of_the_dose_grid_is_unclassified_and_not_distant(rng):
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    small = Grid((8, 8, 8), grid.affine)
    part = one_part(ball(grid, (0, 0, 0), 6.0), grid)
    for name in SHARE_SCHEMES:
        found = only([part], flat(small, 60.0), [], name, uncertainty=isotropic_uncertainty(4.0), rng=rng, draws=50)
        assert found.status == "unclassified"
        assert "outside of the dose grid" in found.reason
        assert np.isnan(found.value)
        assert found.probabilities[UNCLASSIFIED] == 1.0


def test_a_class_that_does_not_depend_on_the_unknown_dose_stands():
    grid = Grid((100, 4, 4), np.eye(4))
    part, dose = slab_with_share(grid, 1.0)
    most = Image(dose.data[:90], Grid((90, 4, 4), np.eye(4)), "Gy")
    found = only([part], most, [], "gebhardt_2014")
    assert found.name == "in-field"
    assert np.isnan(found.value)
    assert "same class" in found.reason
    assert only([part], most, [], "dawson_2000").status == "unclassified"


def test_d95_that_depends_on_unknown_dose_leaves_mohamed_open_but_not_type_e():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    part = one_part(ball(grid, (0, 0, 0), 6.0), grid)
    half = Image(
        np.full((grid.shape[0] // 2, *grid.shape[1:]), 60.0), Grid((grid.shape[0] // 2, *grid.shape[1:]), grid.affine), "Gy"
    )
    assert only([part], half, nested_targets(grid), "mohamed_2016").status == "unclassified"
    far = one_part(ball(grid, (0, 0, 28), 3.0), grid)
    assert only([far], half, nested_targets(grid), "mohamed_2016").name == "E extraneous dose"


def test_no_part_gives_no_class_and_bad_input_is_refused():
    grid = make_grid("LPS", (3.0, 3.0, 3.0))
    assert classify_all([], None, {}, []) == []
    with pytest.raises(ParameterError, match="doses in Gy"):
        classify_all([], None, {"high": -1.0}, [])
    with pytest.raises(ParameterError, match="without a prescription: boost"):
        classify_all([], None, {"high": 60.0}, [Target("x", np.zeros(grid.shape, bool), grid, "boost")])
    with pytest.raises(GridMismatchError):
        Target("x", np.zeros((2, 2, 2), bool), grid)


def test_a_hollow_recurrence_is_told_that_its_centroid_lies_outside():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    shell = one_part(ball(grid, (0, 0, 0), 11) & ~ball(grid, (0, 0, 0), 6), grid)
    assert "hollow" in only([shell], flat(grid, 60.0), nested_targets(grid), "mohamed_2016").reason
