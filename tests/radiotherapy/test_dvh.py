from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.io.dicom_rt import read_rtdose
from regrowth.io.rtstruct import read_rtstruct_with_problems
from regrowth.radiotherapy import Contour, Structure
from regrowth.radiotherapy.dose_points import dose_at
from regrowth.radiotherapy.dvh import DVH, dose_volume_histogram
from regrowth.radiotherapy.rasterise import rasterise, rasterise_share
from regrowth.space import Grid, Image
from tests.conftest import make_grid

CENTRE = np.array([3.0, -2.0, 5.0])  # of make_grid
ANGLES = np.linspace(0, 2 * np.pi, 361)[:-1]
RADIUS, HEIGHT = 12.0, 24.0


def circle(radius: float, z: float) -> Contour:
    """A circle in a transverse plane, z mm above the centre."""
    xyz = np.column_stack([radius * np.cos(ANGLES), radius * np.sin(ANGLES), np.full(ANGLES.shape, z)])
    return Contour(CENTRE + xyz)


def planes(step_mm: float) -> np.ndarray:
    """Middles of the slabs that make up the height."""
    return np.arange(-HEIGHT / 2 + step_mm / 2, HEIGHT / 2, step_mm)


def cylinder(step_mm: float = 3.0) -> Structure:
    return Structure("cylinder", tuple(circle(RADIUS, z) for z in planes(step_mm)))


def linear_dose(grid: Grid, direction: tuple[float, float, float]) -> Image:
    """1 Gy per mm along a direction, 40 Gy in the centre: trilinear interpolation is exact."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return Image(40 + (grid.world(index) - CENTRE) @ np.array(direction), grid, "Gy")


def uniform(grid: Grid, gy: float) -> Image:
    return Image(np.full(grid.shape, gy), grid, "Gy")


def cylinder_dose_at(percent: float, along: str) -> float:
    """Dose that a share of the cylinder gets, in closed form."""
    if along == "axis":
        return 40 + HEIGHT / 2 - HEIGHT * percent / 100
    x = np.linspace(-1, 1, 20001)
    above = (np.arccos(x) - x * np.sqrt(1 - x**2)) / np.pi
    return 40 + RADIUS * float(np.interp(-percent / 100, -above, x))


def cone_dose_at(percent: float) -> float:
    """The same for a cone with its tip up: the part above height h is a smaller cone."""
    return 40 + HEIGHT / 2 - HEIGHT * (percent / 100) ** (1 / 3)


def capped(structure: Structure, dose: Image, **options: object) -> DVH:
    """Histogram of slabs whose planes lie in their middles."""
    return dose_volume_histogram(structure, dose, **{"end_cap_mm": None, **options})


@pytest.fixture
def plain_grid() -> Grid:
    return make_grid("LPS", (2.5, 2.5, 3.0))


def test_cylinder_in_a_gradient_has_its_closed_form_histogram_on_every_grid(grid: Grid):
    for along, direction in (("axis", (0.0, 0.0, 1.0)), ("across", (0.6, 0.8, 0.0))):
        dvh = capped(cylinder(), linear_dose(grid, direction))
        assert dvh.status == "ok", dvh.reason
        assert dvh.volume_ml == pytest.approx(np.pi * RADIUS**2 * HEIGHT / 1000, rel=0.005)
        assert dvh.mean_gy == pytest.approx(40.0, abs=0.01)
        for percent in (98, 95, 50, 5, 2):
            assert dvh.dose_at_volume(percent=percent) == pytest.approx(cylinder_dose_at(percent, along), abs=0.1)
        assert (dvh.min_gy, dvh.max_gy) == pytest.approx((28.0, 52.0), abs=0.05)


@pytest.mark.parametrize("between", ["nearest", "shape"])
def test_cone_in_an_axial_gradient_has_its_closed_form_histogram(plain_grid: Grid, between: str):
    radii = [(z, RADIUS * (0.5 - z / HEIGHT)) for z in planes(1.0)]
    cone = Structure("cone", tuple(circle(r, z) for z, r in radii))
    dvh = capped(cone, linear_dose(plain_grid, (0, 0, 1)), between=between)
    assert dvh.volume_ml == pytest.approx(np.pi * RADIUS**2 * HEIGHT / 3000, rel=0.005)
    assert dvh.mean_gy == pytest.approx(40 - HEIGHT / 4, abs=0.05)
    for percent in (98, 95, 50, 5):
        assert dvh.dose_at_volume(percent=percent) == pytest.approx(cone_dose_at(percent), abs=0.1)


@pytest.mark.parametrize("radius", [2.0, 4.0])
def test_a_structure_smaller_than_the_dose_voxels_keeps_its_volume(radius: float):
    heights = np.arange(-radius + 0.25, radius, 0.5)
    ball = Structure("ball", tuple(circle(float(np.sqrt(radius**2 - z**2)), z) for z in heights))
    dvh = capped(ball, linear_dose(make_grid("RAS", (3.0, 3.0, 5.0)), (1, 0, 0)))
    assert dvh.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.01)
    assert dvh.mean_gy == pytest.approx(40.0, abs=0.01)


def test_zero_dose_counts_half_of_a_structure_at_zero_and_half_at_50_has_mean_25(plain_grid: Grid):
    half = plain_grid.world(np.argwhere(np.ones(plain_grid.shape)))[:, 2].reshape(plain_grid.shape) > CENTRE[2]
    mask = Image(np.ones(plain_grid.shape, bool), plain_grid, "1")
    dvh = dose_volume_histogram(mask, Image(50.0 * half, plain_grid, "Gy"), supersampling=1)
    share = half.mean()
    assert dvh.mean_gy == pytest.approx(50 * share)
    assert dvh.percent_at_dose(20) == pytest.approx(100 * share)
    assert (dvh.min_gy, dvh.max_gy) == (0.0, 50.0)
    assert dvh.dose_at_volume(percent=100 * share) == 50.0  # the far end of the level part
    drawn = capped(cylinder(), Image(50.0 * half, plain_grid, "Gy"))
    assert drawn.mean_gy == pytest.approx(25.0, abs=2.0)  # the step of the dose lies up to half a voxel off the middle


def test_uniform_dose_gives_that_dose_for_everything(plain_grid: Grid):
    dvh = capped(cylinder(), uniform(plain_grid, 14.0))
    assert {dvh.min_gy, dvh.max_gy, dvh.d95_gy, dvh.d50_gy, dvh.dose_at_volume(ml=0.001)} == {14.0}
    assert dvh.mean_gy == 14.0
    assert dvh.volume_at_dose(14.0) == pytest.approx(dvh.volume_ml)
    assert dvh.volume_at_dose(14.001) == 0.0


def test_there_are_no_caps_unless_they_are_asked_for(plain_grid: Grid):
    dose = uniform(plain_grid, 1.0)
    half, bare, wide = (capped(cylinder(), dose, end_cap_mm=cap).volume_ml for cap in (None, 0.0, 3.0))
    assert dose_volume_histogram(cylinder(), dose).volume_ml == bare
    assert bare / half == pytest.approx(21 / 24, rel=1e-6)
    assert wide / half == pytest.approx(27 / 24, rel=1e-6)


def test_a_single_plane_is_as_thick_as_the_dose_planes_and_says_so_or_as_told(plain_grid: Grid):
    one = Structure("one", (circle(RADIUS, 0.0),))
    area = np.pi * RADIUS**2 / 1000
    alone = dose_volume_histogram(one, uniform(plain_grid, 1.0))
    assert alone.volume_ml == pytest.approx(3 * area, rel=0.01)
    assert "single plane" in alone.reason
    assert dose_volume_histogram(one, uniform(plain_grid, 1.0), plane_step_mm=5.0).volume_ml == pytest.approx(
        5 * area, rel=0.01
    )


def test_holes_take_no_part(plain_grid: Grid):
    ring = Structure("ring", tuple(circle(r, z) for r in (12.0, 6.0) for z in planes(3.0)))
    dvh = capped(ring, uniform(plain_grid, 1.0))
    assert dvh.volume_ml == pytest.approx(np.pi * (144 - 36) * HEIGHT / 1000, rel=0.005)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.94, 0.94, 6.5)])
def test_mask_share_and_contours_agree(orientation: str, spacing: tuple[float, float, float]):
    grid = make_grid(orientation, spacing)
    dose = linear_dose(make_grid("oblique", (2.5, 2.5, 3.0)), (0.6, 0.0, 0.8))
    drawn = capped(cylinder(), dose)
    share = rasterise_share(cylinder(), grid, supersampling=3)
    for part in (share, Image(share.share, grid, "1")):
        dvh = dose_volume_histogram(part, dose, name="share")
        assert dvh.name == "share"
        assert dvh.volume_ml == pytest.approx(share.volume_ml, rel=1e-5)
        assert dvh.mean_gy == pytest.approx(drawn.mean_gy, abs=0.1)
        assert dvh.d50_gy == pytest.approx(drawn.d50_gy, abs=0.3)


def test_a_mask_read_at_its_centres_has_the_mean_of_its_voxels(plain_grid: Grid, rng: np.random.Generator):
    values = rng.uniform(0, 60, plain_grid.shape)
    mask = rasterise(cylinder(), plain_grid)
    dvh = dose_volume_histogram(mask, Image(values, plain_grid, "Gy"), supersampling=1)
    inside = values[mask.mask]
    assert dvh.mean_gy == pytest.approx(inside.mean())
    assert (dvh.min_gy, dvh.max_gy) == pytest.approx((inside.min(), inside.max()))
    assert dvh.volume_at_dose(30.0) == pytest.approx((inside >= 30).sum() * plain_grid.voxel_volume_ml, abs=0.05)
    assert dvh.d95_gy == pytest.approx(np.quantile(inside, 0.05), abs=0.2)


def test_dose_at_volume_and_volume_at_dose_are_inverse_and_the_curve_falls(plain_grid: Grid):
    dvh = capped(cylinder(), linear_dose(plain_grid, (0.6, 0, 0.8)))
    assert (np.diff(dvh.doses_gy) > 0).all()
    assert (np.diff(dvh.volumes_ml) <= 0).all()
    assert dvh.volumes_ml[0] == pytest.approx(dvh.volume_ml)
    for percent in (99.5, 80, 33, 1):
        assert dvh.percent_at_dose(dvh.dose_at_volume(percent=percent)) == pytest.approx(percent, abs=1e-3)
    assert dvh.dose_at_volume(ml=dvh.volume_ml) == pytest.approx(dvh.dose_at_volume(percent=100))


@pytest.fixture
def cut(plain_grid: Grid) -> tuple[DVH, DVH]:
    """Histograms of the cylinder, whole, and where the dose grid ends within it."""
    whole = linear_dose(plain_grid, (0, 0, 1))
    n = int(plain_grid.index(CENTRE + np.array([0, 0, 6.0]))[2])
    short = Grid((*plain_grid.shape[:2], n), plain_grid.affine)
    return capped(cylinder(), whole), capped(cylinder(), Image(whole.data[..., :n], short, "Gy"))


def test_a_part_beyond_the_dose_is_unknown_and_its_bounds_hold_the_least_dose(cut: tuple[DVH, DVH]):
    whole, part = cut
    assert part.status == "dose_unknown"
    assert "does not reach" in part.reason
    assert part.volume_ml == pytest.approx(whole.volume_ml)
    assert 0.1 < part.unknown_share < 0.5
    assert part.n_outside / part.n_samples == pytest.approx(part.unknown_share, abs=0.01)
    assert np.isnan([part.mean_gy, part.min_gy, part.max_gy, part.d95_gy, part.percent_at_dose(30.0)]).all()
    for gy in (0.0, 29.0, 35.0, 40.0):
        low, high = part.volume_at_dose_bounds(gy)
        assert low - 1e-9 <= whole.volume_at_dose(gy) <= high + 1e-9
    assert part.volume_at_dose(0.0) == pytest.approx(whole.volume_ml)
    low, high = part.mean_bounds_gy()
    assert low < high == pytest.approx(low + part.unknown_share * part.highest_gy)
    assert low == pytest.approx(part.known().mean_gy * (1 - part.unknown_share))


def test_bounds_are_reached_when_the_unknown_part_is_filled_with_nothing_or_the_largest_dose(cut: tuple[DVH, DVH]):
    _, part = cut
    unknown = part.unknown_share
    known = part.known()
    for percent in (99, 60, 20, 2):
        low, high = part.dose_at_volume_bounds(percent=percent)
        share = percent / 100
        least = known.dose_at_volume(percent=percent / (1 - unknown)) if share <= 1 - unknown else 0.0
        assert low == pytest.approx(least)
        filled = 100 * (share - unknown) / (1 - unknown)
        assert high == pytest.approx(known.dose_at_volume(percent=filled) if filled > 0 else part.highest_gy)


def test_known_gives_the_part_with_a_dose_and_says_what_it_leaves_out(cut: tuple[DVH, DVH]):
    whole, part = cut
    known = part.known()
    assert known.status == "ok"
    assert "without" in known.reason
    assert known.volume_ml + part.unknown_ml == pytest.approx(part.volume_ml)
    assert known.max_gy <= part.highest_gy
    assert whole.known() is whole


def test_voxels_without_a_dose_are_unknown(plain_grid: Grid):
    data = np.full(plain_grid.shape, 10.0)
    data[plain_grid.shape[0] // 2 :] = np.nan
    dvh = capped(cylinder(), Image(data, plain_grid, "Gy"))
    assert dvh.status == "dose_unknown"
    assert dvh.unknown_share == pytest.approx(0.5, abs=0.1)
    assert dvh.known().mean_gy == 10.0


def test_a_structure_beyond_the_dose_is_outside_and_has_no_dose():
    far = Grid((5, 5, 5), np.array([[2, 0, 0, 300], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]]))
    dvh = capped(cylinder(), uniform(far, 5.0))
    assert dvh.status == "outside"
    assert dvh.unknown_ml == dvh.volume_ml == pytest.approx(np.pi * RADIUS**2 * HEIGHT / 1000, rel=0.005)
    assert np.isnan([dvh.mean_gy, dvh.d95_gy, dvh.volume_at_dose(2.0)]).all()
    assert dvh.mean_bounds_gy() == (0.0, 5.0)
    assert dvh.dose_at_volume_bounds(percent=50) == (0.0, 5.0)


@pytest.mark.parametrize(
    "empty",
    [
        Structure("none"),
        Structure("point", (Contour(CENTRE[None], "POINT"),)),
        Structure("open", (Contour(circle(5.0, 0.0).points_mm, "OPEN_PLANAR"),)),
    ],
)
def test_a_structure_that_encloses_nothing_is_empty_with_a_reason(plain_grid: Grid, empty: Structure):
    dvh = dose_volume_histogram(empty, uniform(plain_grid, 5.0))
    assert dvh.status == "empty"
    assert dvh.reason
    assert np.isnan([dvh.volume_ml, dvh.mean_gy, dvh.d95_gy, dvh.percent_at_dose(1.0), dvh.unknown_share]).all()


def test_an_empty_mask_is_empty(plain_grid: Grid):
    dvh = dose_volume_histogram(Image(np.zeros(plain_grid.shape, bool), plain_grid, "1"), uniform(plain_grid, 5.0))
    assert dvh.status == "empty"
    assert np.isnan(dvh.mean_gy)


def test_a_volume_larger_than_the_structure_has_no_dose(plain_grid: Grid):
    assert np.isnan(capped(cylinder(), uniform(plain_grid, 5.0)).dose_at_volume(ml=1000.0))


def test_tilted_contours_on_a_straight_dose_keep_volume_and_mean(plain_grid: Grid):
    tilt = np.deg2rad(20)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    tilted = Structure("tilted", tuple(Contour((c.points_mm - CENTRE) @ turn.T + CENTRE) for c in cylinder().contours))
    dvh = capped(tilted, linear_dose(plain_grid, tuple(turn[:, 2])))
    assert dvh.volume_ml == pytest.approx(np.pi * RADIUS**2 * HEIGHT / 1000, rel=0.005)
    assert dvh.d95_gy == pytest.approx(cylinder_dose_at(95, "axis"), abs=0.1)


def test_contours_in_two_directions_are_one_body(plain_grid: Grid):
    crossed = tuple(Contour(CENTRE + (c.points_mm - CENTRE)[:, [2, 0, 1]]) for c in cylinder(1.0).contours)
    both = Structure("both", cylinder(1.0).contours + crossed)
    dvh = capped(both, linear_dose(plain_grid, (1, 0, 0)), supersampling=4)
    assert dvh.volume_ml == pytest.approx((2 * np.pi * RADIUS**2 * HEIGHT - 16 / 3 * RADIUS**3) / 1000, rel=0.02)
    assert dvh.mean_gy == pytest.approx(40.0, abs=0.1)


def test_dose_at_is_trilinear_and_unknown_beyond_the_voxels(grid: Grid, rng: np.random.Generator):
    dose = linear_dose(grid, (0.3, -0.5, 0.4))
    inside = grid.world(rng.uniform(0, 1, (50, 3)) * (np.array(grid.shape) - 1))
    assert dose_at(inside, dose) == pytest.approx(40 + (inside - CENTRE) @ [0.3, -0.5, 0.4])
    assert np.isnan(dose_at(grid.world([[-0.6, 0, 0], [0, 0, grid.shape[2] - 0.4]]), dose)).all()
    assert dose_at(grid.world([-0.4, 0.0, 0.0]), dose) == pytest.approx(float(dose.data[0, 0, 0]))


def test_whole_numbers_as_doses_are_interpolated_too(plain_grid: Grid):
    dose = Image(np.arange(plain_grid.shape[0])[:, None, None] * np.ones(plain_grid.shape, int), plain_grid, "Gy")
    assert dose_at(plain_grid.world([3.5, 2.0, 2.0]), dose) == pytest.approx(3.5)


def test_a_point_at_a_voxel_has_a_dose_even_beside_voxels_without_one(plain_grid: Grid):
    data = np.full(plain_grid.shape, 7.0)
    data[5] = np.nan
    dose = Image(data, plain_grid, "Gy")
    found = dose_at(plain_grid.world([[4.0, 3, 3], [4.5, 3, 3], [5, 3, 3]]), dose)
    assert found[0] == 7.0
    assert np.isnan(found[1:]).all()


def test_what_does_not_fit_is_refused(plain_grid: Grid):
    dose = uniform(plain_grid, 1.0)
    framed = Grid(plain_grid.shape, plain_grid.affine, "1.2.3")
    with pytest.raises(GridMismatchError, match="frames of reference"):
        dose_volume_histogram(Structure("s", cylinder().contours, frame_of_reference_uid="9.9"), uniform(framed, 1.0))
    with pytest.raises(ParameterError, match="unit Gy"):
        capped(cylinder(), Image(np.ones(plain_grid.shape), plain_grid, "HU"))
    with pytest.raises(InputError, match="negative"):
        capped(cylinder(), uniform(plain_grid, -1.0))
    with pytest.raises(InputError, match="shares from 0 to 1"):
        dose_volume_histogram(Image(np.full(plain_grid.shape, 3), plain_grid, "1"), dose)
    with pytest.raises(ParameterError, match="for contours"):
        dose_volume_histogram(rasterise(cylinder(), plain_grid), dose, end_cap_mm=1.0)
    for wrong in ({"supersampling": 0}, {"bin_gy": 0.0}, {"between": "none"}, {"plane_step_mm": -1.0}, {"end_cap_mm": -1.0}):
        with pytest.raises(ParameterError):
            capped(cylinder(), dose, **wrong)
    dvh = capped(cylinder(), dose)
    for wrong in ({}, {"percent": 0}, {"percent": 101}, {"ml": -1}, {"percent": 5, "ml": 5}):
        with pytest.raises(ParameterError):
            dvh.dose_at_volume(**wrong)
    with pytest.raises(ParameterError):
        dvh.volume_at_dose(-1.0)


@pytest.fixture(scope="module")
def planned(real_data: Path) -> dict[str, tuple[Structure, Image, np.ndarray, float]]:
    """Structure, dose, the planning system's curve (dose, volume) and mean for each embedded histogram."""
    from pydicom import dcmread

    folder = real_data / "breast-boost-plan"
    dose = read_rtdose(folder / "rtdose.dcm")
    structures = {s.number: s for s in read_rtstruct_with_problems(folder / "rtss.dcm")[0].structures}
    out = {}
    for item in dcmread(folder / "rtdose.dcm", stop_before_pixels=True).DVHSequence:
        own = structures[int(item.DVHReferencedROISequence[0].ReferencedROINumber)]
        widths, volumes = np.array(item.DVHData, float).reshape(-1, 2).T
        mean = float(item.DVHMeanDose) * 0.14  # percent of 14 Gy
        out[own.name] = (own, dose, np.array([np.cumsum(widths) - widths, volumes]), mean)
    return out


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["Breast", "Heart", "Lt Lung", "Tumor Bed", "Tumor Bed Block"])
def test_real_plan_has_the_volume_mean_and_d95_of_its_planning_system(planned: dict, name: str):
    structure, dose, (doses, volumes), mean = planned[name]
    dvh = dose_volume_histogram(structure, dose)
    assert dvh.status == "ok"
    assert dvh.volume_ml == pytest.approx(volumes[0], rel=0.02)
    assert dvh.mean_gy == pytest.approx(mean, abs=0.1)
    assert dvh.d95_gy == pytest.approx(np.interp(-0.95 * volumes[0], -volumes, doses), abs=0.1)


@pytest.mark.realdata
def test_real_body_has_the_drawn_volume_and_the_doses_of_its_planning_system(planned: dict):
    """The planning system counts 5 % less of the body than was drawn, all of it below 0.2 Gy."""
    structure, dose, (doses, volumes), mean = planned["BODY"]
    dvh = capped(structure, dose)
    grid = Grid(dose.grid.shape, dose.grid.affine, dose.grid.frame_of_reference_uid)
    assert dvh.volume_ml == pytest.approx(rasterise(structure, grid).volume_ml, rel=0.002)
    assert dvh.mean_gy == pytest.approx(mean, abs=0.1)
    assert dvh.d95_gy == pytest.approx(np.interp(-0.95 * volumes[0], -volumes, doses), abs=0.1)
    for gy in (0.5, 1.0, 5.0, 10.0, 13.0):
        assert dvh.volume_at_dose(gy) == pytest.approx(np.interp(gy, doses, volumes), rel=0.02)
