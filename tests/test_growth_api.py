"""Growth on plain files from Python: what comes out agrees with what is known of what went in."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest

import regrowth
from regrowth.api.growth_columns import growth_dictionary
from regrowth.api.growth_files import filled_tissue, read_dose, tumour_of
from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.growth.plan import standard_plan
from regrowth.growth.tissue import tissue_map
from regrowth.io.nifti import read_image
from regrowth.io.predictgbm import ContainerCase, DatasetCase, prediction_path, write_container_case, write_dataset_case
from regrowth.io.tables import read_tsv, write_tsv
from regrowth.labels import label_scheme
from regrowth.space import Image, LabelMap
from tests.conftest import make_grid
from tests.growth_cases import QUICK_PARAMETERS, Files, radius_mm, write_head


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Files:
    return write_head(tmp_path_factory.mktemp("head"))


def simulate(head: Files, out: Path, **changes: object) -> dict[str, object]:
    given = {"start": head.path("core"), "white": head.path("white"), "grey": head.path("grey")}
    rates = {"diffusivity": 0.2, "proliferation": 0.04, "days": (30, 60)}
    return regrowth.simulate_tumour(out, **{**given, **rates, **changes})


# Simulation


def test_without_proliferation_cells_are_conserved(head, tmp_path):
    rows = simulate(head, tmp_path, proliferation=0.0, diffusivity=0.5)["volumes"]
    start = float(read_image(head.path("core")).data.sum() * head.grid.voxel_volume_ml)
    assert [r["density_integral_ml"] for r in rows] == pytest.approx([start, start], rel=1e-4)
    assert [r["day"] for r in rows] == [30, 60]


def test_the_written_density_has_the_written_volume_and_says_that_it_is_made_up(head, tmp_path):
    facts = simulate(head, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "day-30_density.nii.gz",
        "day-60_density.nii.gz",
        "simulation.json",
        "simulation.tsv",
    ]
    for row in read_tsv(tmp_path / "simulation.tsv"):
        density = read_image(tmp_path / f"day-{row['day']}_density.nii.gz")
        assert float(row["core_ml"]) == pytest.approx((density.data > 0.6).sum() * density.grid.voxel_volume_ml, rel=1e-4)
        assert float(row["whole_ml"]) == pytest.approx((density.data > 0.2).sum() * density.grid.voxel_volume_ml, rel=1e-4)
    told = json.loads((tmp_path / "simulation.json").read_text())
    assert told["synthetic"] is True
    assert told["front_speed_mm_per_day"] == pytest.approx(2 * np.sqrt(0.2 * 0.04))
    assert facts["volumes"][1]["whole_ml"] > facts["volumes"][0]["whole_ml"]


def test_a_tumour_grows_from_an_origin_in_patient_coordinates(head, tmp_path):
    origin = head.place((10, 0, 0))
    simulate(head, tmp_path, start=None, origin_mm=origin.tolist(), days=(90,))
    density = read_image(tmp_path / "day-90_density.nii.gz")
    centre = density.grid.world(np.argwhere(density.data > 0.2)).mean(axis=0)
    assert centre == pytest.approx(origin, abs=2.0)


def test_a_dose_kills_as_the_linear_quadratic_model_says(head, tmp_path):
    """One fraction of d Gy on the last day leaves exp(-alpha (d + d^2 / 10)) of the cells."""
    dose = head.write("dose", np.full(head.grid.shape, 10.0))
    without = simulate(head, tmp_path / "a", proliferation=0.0, days=(10,))["volumes"][0]["density_integral_ml"]
    killed = simulate(head, tmp_path / "b", proliferation=0.0, days=(10,), dose=dose, fraction_days=(5,), alpha_per_gy=0.05)
    expected = without * np.exp(-0.05 * (10 + 100 / 10))
    assert killed["volumes"][0]["density_integral_ml"] == pytest.approx(expected, rel=1e-3)
    assert killed["events"] == 1


def test_fractions_from_a_monday_leave_out_weekends(head, tmp_path):
    dose = head.write("dose60", np.full(head.grid.shape, 60.0))
    facts = simulate(head, tmp_path, days=(7, 39), dose=dose, fractions=30, start_day=0)
    assert facts["events"] == 30  # six weeks: the last is on day 39
    assert simulate(head, tmp_path, days=(38,), dose=dose, fractions=30, start_day=0)["events"] == 29


def test_a_dose_on_another_grid_is_resampled_and_it_is_said(head, tmp_path):
    other = make_grid("RAS", (6.0, 6.0, 6.0), 120.0)
    dose = head.write("dose_elsewhere", np.full(other.shape, 60.0), other)
    facts = simulate(head, tmp_path, dose=dose, fraction_days=(1, 2, 3))
    assert "resampled" in " ".join(facts["notes"])
    same = simulate(head, tmp_path, dose=head.write("dose_here", np.full(head.grid.shape, 60.0)), fraction_days=(1, 2, 3))
    assert facts["volumes"][0]["density_integral_ml"] == pytest.approx(same["volumes"][0]["density_integral_ml"], rel=1e-3)
    assert same["notes"] == []


def test_part_of_the_tissue_outside_of_the_dose_grid_is_told(head):
    small = make_grid("LPS", (4.0, 4.0, 4.0), 60.0)
    path = head.write("dose_small", np.full(small.shape, 50.0), small)
    matter = read_image(head.path("brain")).data > 0
    found = read_dose(path, head.grid, matter)
    share = float(np.isnan(found.dose.data[matter]).mean())
    assert 0.1 < share < 0.9
    assert f"{share:.1%} of the tissue lies outside of the dose grid" in found.notes
    assert found.filled().data.min() == 0


def test_a_cavity_is_empty_after_the_resection(head, tmp_path):
    mask = read_image(head.path("core")).data > 0
    simulate(head, tmp_path, days=(5, 40), cavity=head.path("core"), cavity_day=10, first_day=0)
    before, after = (read_image(tmp_path / f"day-{d}_density.nii.gz").data for d in (5, 40))
    assert before[mask].max() > 0.5
    assert after[mask].max() == 0
    assert after[~mask].max() > 0


# Map


@pytest.fixture(scope="module")
def mapped(head, tmp_path_factory) -> tuple[Path, dict[str, object]]:
    out = tmp_path_factory.mktemp("map") / "map.nii.gz"
    common = {"label_scheme": "brats-2023", "white": head.path("white"), "grey": head.path("grey")}
    return out, regrowth.map_growth(head.path("seg"), out, day=60, members=6, **common, **QUICK_PARAMETERS)


def test_a_ball_of_tumour_began_in_its_centre(head, mapped):
    centre = head.place((12, 0, 0))
    assert np.linalg.norm(np.array(mapped[1]["origin_mm"]) - centre) < 4


def test_one_segmentation_gives_a_map_with_its_doubts_and_says_that_it_is_not_calibrated(mapped):
    out, facts = mapped
    assert facts["status"] == "warning"
    assert "rest on the prior" in " ".join(facts["doubts"])
    told = json.loads(out.with_name("map.json").read_text())
    assert told["is_calibrated"] is False
    assert not [key for key in told if "interval" in key]
    image = read_image(out)
    assert 0 <= image.data.min() <= image.data.max() <= 1
    assert facts["map_ml"] == pytest.approx((image.data >= 0.5).sum() * image.grid.voxel_volume_ml)


def test_a_second_segmentation_tells_the_speed(head, tmp_path):
    place = radius_mm(head.grid, (12, 0, 0))
    second = head.labels("second", np.where(place < 16, 3, np.where(place < 24, 2, 0)))
    common = {"label_scheme": "brats-2023", "white": head.path("white"), "grey": head.path("grey")}
    more = {"second": second, "second_day": 60, "day": 90, "region": "whole", "members": 4}
    facts = regrowth.map_growth(head.path("seg"), tmp_path / "m.nii.gz", **common, **more, **QUICK_PARAMETERS)
    assert "rest on the prior" not in " ".join(facts["doubts"])
    assert facts["front_speed_mm_per_day"] == pytest.approx(0.1, rel=0.6)  # 6 mm in 60 days, in the limit of a sharp front
    assert facts["threshold"] == 0.2


def test_a_lesion_that_was_taken_for_fluid_is_filled_with_tissue():
    grid = make_grid("RAS", (2.0, 2.0, 2.0), 20.0)
    white = np.full(grid.shape, 0.6, np.float32)
    grey = np.full(grid.shape, 0.2, np.float32)
    white[4:6, 4:6, 4:6] = grey[4:6, 4:6, 4:6] = 0
    lesion = np.zeros(grid.shape, bool)
    lesion[3:7, 3:7, 3:7] = True
    filled, notes = filled_tissue(tissue_map(white, grey, grid), lesion)
    assert np.allclose((filled.white + filled.grey)[lesion], 1)
    assert np.allclose(filled.white[4:6, 4:6, 4:6], 1)
    assert filled.white[3, 3, 3] == pytest.approx(0.75)  # in the ratio that the voxel has
    assert np.array_equal(filled.white[~lesion], white[~lesion])
    assert f"{8 * 8 / 1000:.3g} ml" in notes[0]


@pytest.mark.parametrize(
    ("scheme", "core", "whole"),
    [
        ("brats-2023", "CE_core", "WT"),
        ("picture-postop", "", "lesion"),
        ("binary-gtv", "GTV", "lesion"),
        ("hd-glio", "", "WT"),
    ],
)
def test_the_regions_of_a_scheme_are_taken_by_name(scheme, core, whole):
    grid = make_grid("RAS", (4.0, 4.0, 4.0), 20.0)
    found = tumour_of(LabelMap(np.ones(grid.shape, np.uint8), grid, label_scheme(scheme)))
    assert (found.core_region, found.whole_region) == (core, whole)
    if not core:
        with pytest.raises(InputError, match="region whole"):
            found.of("core", "seg")


# Plans


def plan(head: Files, out: Path, **more: object) -> dict[str, dict[str, object]]:
    given = {"label_scheme": "brats-2023", "brain": head.path("brain")}
    return {str(r["plan"]): r for r in regrowth.plan_treatment(head.path("seg"), out, **{**given, **more})}


def test_the_margin_plan_is_the_one_of_the_library_and_the_model_plan_has_its_volume(head, mapped, tmp_path):
    rows = plan(head, tmp_path, growth_map=mapped[0], recurrence=head.path("relapse"))
    core, brain = (read_image(head.path(name)).data > 0 for name in ("core", "brain"))
    wanted = standard_plan(core, brain, head.grid, 15.0)
    assert np.array_equal(read_image(tmp_path / "plan-margin_mask.nii.gz").data > 0, wanted.mask)
    assert rows["growth map"]["volume_ml"] == rows["15 mm margin"]["volume_ml"] == pytest.approx(wanted.volume_ml)
    came = radius_mm(head.grid, (16, 0, 0)) < 14
    assert rows["15 mm margin"]["coverage"] == pytest.approx((came & wanted.mask).sum() / came.sum())
    assert 0 < rows["growth map"]["coverage"] <= 1
    curve = [r for r in read_tsv(tmp_path / "curves.tsv") if r["ranking"] == "distance to tumour"]
    covered = [float(r["volume_ml"]) for r in curve if float(r["coverage"]) >= 0.95]
    assert rows["15 mm margin"]["volume_for_95_ml"] == pytest.approx(min(covered), rel=1e-4)
    page = (tmp_path / "plans.html").read_text()
    assert "Coverage against volume" in page
    assert "Here the 15 mm margin covers" in page
    assert 'src="http' not in page


def test_no_recurrence_gives_no_coverage_and_the_reason(head, tmp_path):
    row = plan(head, tmp_path, recurrence=head.path("nothing"))["15 mm margin"]
    assert np.isnan(row["coverage"])
    assert row["status"] == "no_recurrence"
    assert "no voxel" in row["reason"]
    assert read_tsv(tmp_path / "plans.tsv")[0]["coverage"] == "n/a"


def test_a_map_that_prefers_no_voxel_gives_no_plan(head, tmp_path):
    flat = head.write("flat", np.zeros(head.grid.shape))
    row = plan(head, tmp_path, growth_map=flat, recurrence=head.path("relapse"))["growth map"]
    assert row["status"] == "constant_map"
    assert np.isnan(row["coverage"])


def test_the_dose_that_was_given_covers_what_got_95_percent(head, tmp_path):
    came = radius_mm(head.grid, (16, 0, 0)) < 14
    half = head.write("half", np.where(np.indices(head.grid.shape)[2] >= head.grid.shape[2] // 2, 60.0, 50.0))
    rows = plan(head, tmp_path, recurrence=head.path("relapse"), dose=half, prescription_gy=60.0)
    row = rows["delivered dose of at least 57 Gy"]
    got = read_image(half).data >= 57
    assert row["coverage"] == pytest.approx((came & got).sum() / came.sum())
    assert row["missed_ml"] == pytest.approx((came & ~got).sum() * head.grid.voxel_volume_ml)


@pytest.mark.realdata
def test_a_published_plan_and_its_coverage_are_reproduced_from_files(real_data, tmp_path):
    folder = real_data / "glioblastoma-recurrence-001"
    if not folder.is_dir():
        pytest.skip("glioblastoma-recurrence-001 is absent from the real data folder")
    image = read_image(folder / "segm.nii.gz")
    files = Files(tmp_path, image.grid)
    core = files.labels("core", np.isin(image.data, (1, 4)), "binary-gtv")
    margin, model = regrowth.plan_treatment(
        core,
        tmp_path / "out",
        label_scheme="binary-gtv",
        brain=folder / "brainMask.nii.gz",
        growth_map=folder / "recurrencePrediction.nii.gz",
        recurrence=folder / "segm_rec.nii.gz",
    )
    published = read_image(folder / "standardPlan.nii.gz").data > 0.5
    assert np.array_equal(read_image(tmp_path / "out" / "plan-margin_mask.nii.gz").data > 0.5, published)
    assert (margin["volume_ml"], margin["coverage"]) == (pytest.approx(350.794), 1.0)
    assert model["coverage"] == pytest.approx(0.9920, abs=5e-5)


# Scores


def score_rows(better: float = 0.1, n: int = 12) -> list[dict[str, object]]:
    rows = []
    for k in range(n):
        base = {"participant_id": f"sub-{k:02}", "stratum": "growing" if k % 2 else "stable"}
        for measure, value in (("log_error", 0.5 + 0.02 * k), ("coverage", 1.0 if k < 4 else 0.6)):
            gain = -better if measure == "log_error" else min(better, 1 - value)
            rows.append(base | {"model": "persistence", "measure": measure, "value": value})
            rows.append(base | {"model": "gompertz", "measure": measure, "value": value + gain})
    return rows


def test_a_better_model_is_called_better_and_ceilings_are_counted(tmp_path):
    write_tsv(score_rows(), tmp_path / "scores.tsv")
    tables = regrowth.score_growth(tmp_path / "scores.tsv", tmp_path / "out", baselines=("persistence",))
    found = {(r["model"], r["measure"], r["stratum"]): r for r in tables["comparisons"]}
    row = found["gompertz", "log_error", "all"]
    assert row["difference"] == pytest.approx(-0.1)
    assert (row["n"], row["n_better"], row["n_worse"]) == (12, 12, 0)
    assert found["gompertz", "log_error", "growing"]["n"] == 6
    (plans,) = tables["plan_comparisons"]
    assert (plans["n_ceiling"], plans["n_better"], plans["n_tied"]) == (4, 8, 4)
    dictionary = json.loads((tmp_path / "out" / "dictionary.json").read_text())
    for path in (tmp_path / "out").glob("*.tsv"):
        assert path.read_text().splitlines()[0].split("\t") == list(dictionary[path.stem]), path.name


def test_where_the_baseline_wins_the_page_says_so(tmp_path):
    write_tsv(score_rows(better=-0.2), tmp_path / "scores.tsv")
    tables = regrowth.score_growth(tmp_path / "scores.tsv", tmp_path / "out")
    verdict = next(r["verdict"] for r in tables["comparisons"] if r["model"] == "gompertz" and r["measure"] == "log_error")
    assert "loses to the baseline" in verdict
    assert verdict in html.unescape((tmp_path / "out" / "scores.html").read_text())


def dataset(folder: Path, patients: int = 3) -> list[DatasetCase]:
    """Patients of the PREDICT-GBM data set whose recurrence lies on one side, and two models: one that knows, one that errs."""
    grid = make_grid("LPS", (4.0, 4.0, 4.0), 80.0)
    ball = radius_mm(grid)
    cases = []
    for n in range(patients):
        place, later = radius_mm(grid, (4 * n, 0, 0)), radius_mm(grid, (4 * n + 24, 0, 0))
        tumour = LabelMap(np.where(place < 8, 3, np.where(place < 14, 2, 0)).astype(np.uint8), grid, label_scheme("brats-2023"))
        came = np.where((later < 10) & (ball < 38), 3, 0).astype(np.uint8)
        maps = [Image(np.asarray(m, np.float32), grid, "1") for m in ((ball < 38) & (ball > 32), ball <= 32, ball > 40)]
        recurrence = LabelMap(came, grid, label_scheme("brats-2024-post"))
        case = DatasetCase(f"P{n}", ball < 38, *maps, tumour=tumour, recurrence=recurrence)
        write_dataset_case(case, folder / "cohort")
        cases.append(case)
        for model, far in (("knows", later), ("errs", radius_mm(grid, (4 * n - 24, 0, 0)))):
            density = Image(np.exp(-(far**2) / 800).astype(np.float32), grid, "1")
            path = prediction_path(folder / "cohort" / case.patient / "ses-preop", model)
            head = Files(path.parent, grid)
            head.write(path.name.removesuffix(".nii.gz"), density.data)
    return cases


def test_predictions_of_other_groups_are_scored_by_the_plans_they_lead_to(tmp_path):
    dataset(tmp_path / "data")
    tables = regrowth.score_growth(tmp_path / "data", tmp_path / "out", predict_gbm=True)
    mean = {r["model"]: r["mean"] for r in tables["scorecard"] if r["measure"] == "coverage" and r["stratum"] == "all"}
    assert mean["knows"] > mean["15 mm margin"] > mean["errs"]
    assert {r["measure"] for r in tables["scores"]} == {"coverage", "volume_for_95_ml", "average_precision"}
    assert len(tables["scores"]) == 3 * 3 * 3
    (knows,) = [r for r in tables["plan_comparisons"] if r["model"] == "knows"]
    assert knows["n_better"] == 3


def test_a_missing_prediction_is_counted_and_not_scored_as_0(tmp_path):
    dataset(tmp_path / "data")
    prediction_path(tmp_path / "data" / "cohort" / "P1" / "ses-preop", "knows").unlink()
    tables = regrowth.score_growth(tmp_path / "data", tmp_path / "out", predict_gbm=True)
    (row,) = [r for r in tables["scores"] if (r["participant_id"], r["model"], r["measure"]) == ("P1", "knows", "coverage")]
    assert np.isnan(row["value"])
    assert row["reason"] == "there is no prediction"
    (knows,) = [r for r in tables["plan_comparisons"] if r["model"] == "knows"]
    assert (knows["n"], knows["n_incomplete"]) == (2, 1)


def test_our_model_runs_as_a_container_and_its_prediction_can_be_scored(tmp_path):
    cases = dataset(tmp_path / "data", 1)
    case = cases[0]
    write_container_case(ContainerCase("P0", case.gm, case.wm, case.csf, tumour=case.tumour), tmp_path / "in")
    empty = case.tumour.data * 0
    nothing = LabelMap(empty, case.grid, case.tumour.scheme)
    write_container_case(ContainerCase("P9", case.gm, case.wm, case.csf, tumour=nothing), tmp_path / "in")
    out = tmp_path / "predictions" / "ours"
    rows = {r["subject"]: r for r in regrowth.run_growth_container(tmp_path / "in", out, **QUICK_PARAMETERS)}
    assert sorted(p.name for p in out.iterdir()) == ["P0.json", "P0.nii.gz"]
    assert rows["P9"]["status"] == "not_fitted"
    assert "empty" in rows["P9"]["reason"]
    density = read_image(out / "P0.nii.gz").data
    core, healthy = case.tumour.mask("CE_core"), (case.wm.data > 0.5) & ~case.tumour.mask("WT")
    assert density[core].mean() > 0.5 > density[healthy].mean()
    scored = regrowth.score_growth(tmp_path / "data", tmp_path / "out", predict_gbm=True, predictions=out.parent)
    assert {r["model"] for r in scored["scores"]} == {"15 mm margin", "ours"}


# Fits


def volumes(path: Path, rows: list[tuple[object, ...]]) -> Path:
    write_tsv([dict(zip(("participant_id", "day", "volume_ml"), row, strict=True)) for row in rows], path)
    return path


def test_the_fit_of_an_exponential_series_finds_its_rate(tmp_path):
    days = np.arange(0, 241, 30)
    table = volumes(tmp_path / "v.tsv", [("sub-1", d, 5 * np.exp(0.01 * d)) for d in days])
    rows = regrowth.fit_growth_table(table, tmp_path / "fits.tsv", models="exponential")
    found = {r["parameter"]: r for r in rows}
    assert found["growth_per_day"]["map_value"] == pytest.approx(0.01, rel=0.1)
    assert found["initial_ml"]["map_value"] == pytest.approx(5, rel=0.05)
    assert 0 < found["growth_per_day"]["posterior_sd_log"] < 0.5
    dictionary = json.loads((tmp_path / "fits.json").read_text())
    assert "was not calibrated on other patients" in dictionary["fits"]["posterior_sd_log"]["Description"]
    assert not [c for c in read_tsv(tmp_path / "fits.tsv")[0] if "lower" in c or "upper" in c or "interval" in c]


def test_the_order_of_patients_and_rows_does_not_change_a_fit(tmp_path):
    rows = [(p, d, v * (1 + 0.01 * d)) for p, v in (("a", 3.0), ("b", 8.0)) for d in (0, 30, 90)]
    one = regrowth.fit_growth_table(volumes(tmp_path / "a.tsv", rows), tmp_path / "fa.tsv", models="exponential")
    two = regrowth.fit_growth_table(volumes(tmp_path / "b.tsv", rows[::-1]), tmp_path / "fb.tsv", models="exponential")
    key = ("participant_id", "parameter")
    assert sorted(one, key=lambda r: [r[k] for k in key]) == sorted(two, key=lambda r: [r[k] for k in key])


@pytest.mark.parametrize(
    ("exams", "status", "reason"),
    [
        ([(0, 3)], "one_scan", "one scan tells nothing about growth"),
        ([(0, 3), (0, 4)], "invalid_series", "on day 0"),
        ([(0, 0), (30, 0)], "no_tumour", "0 at all scans"),
        ([(0, 3), (30, 3), (60, 3)], "ok", "all volumes are equal"),
        ([(0, 3), (30, 0), (60, 4)], "ok", "upper limits"),
        ([(0, "n/a"), (30, "n/a")], "no_scan", "no exam has a volume"),
        ([(0, 3), (30, "n/a"), (60, 4)], "ok", "1 exam(s) without a volume"),
    ],
)
def test_a_series_with_little_to_say_gets_a_status_and_a_reason(tmp_path, exams, status, reason):
    table = volumes(tmp_path / "v.tsv", [("p", *exam) for exam in exams] + [("other", 0, 1), ("other", 50, 2)])
    rows = regrowth.fit_growth_table(table, tmp_path / "f.tsv", models="exponential")
    mine = [r for r in rows if r["participant_id"] == "sub-p"]
    assert {r["status"] for r in mine} == {status}
    assert reason in mine[0]["reason"]
    assert any(r["participant_id"] == "sub-other" and r["status"] == "ok" for r in rows)
    if status != "ok":
        assert [r["map_value"] for r in mine] == [None]


def test_exams_before_a_resection_are_left_out_and_treatment_before_the_first_scan_is_allowed(tmp_path):
    table = volumes(tmp_path / "v.tsv", [("p", d, v) for d, v in ((0, 40), (20, 3), (60, 4), (100, 5))])
    events = [
        {"participant_id": "p", "day": 10, "kind": "surgery", "dose_gy": None, "fractions": None},
        {"participant_id": "p", "day": -40, "kind": "course", "dose_gy": 2, "fractions": 5},
    ]
    write_tsv(events, tmp_path / "t.tsv")
    rows = regrowth.fit_growth_table(table, tmp_path / "f.tsv", treatment=tmp_path / "t.tsv", models="exponential")
    assert rows[0]["status"] == "ok"
    assert (rows[0]["n_scans"], rows[0]["first_day"]) == (3, 20)
    assert "1 exam(s) up to the resection of day 10" in rows[0]["reason"]


def test_a_column_without_a_description_is_found():
    with pytest.raises(ParameterError, match="no description"):
        growth_dictionary({"t": [{"nonsense": 1}]})


def test_a_dose_that_does_not_reach_the_tissue_is_refused(head):
    far = make_grid("LPS", (4.0, 4.0, 4.0), 60.0)
    affine = far.affine.copy()
    affine[:3, 3] += 500
    path = head.write("far", np.full(far.shape, 60.0), type(far)(far.shape, affine))
    with pytest.raises(GridMismatchError, match="does not reach the tissue"):
        read_dose(path, head.grid, read_image(head.path("brain")).data > 0)
