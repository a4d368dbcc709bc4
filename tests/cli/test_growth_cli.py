"""``regrowth growth`` on plain tables and images: what it writes and says, and what it refuses in one line."""

from __future__ import annotations

import html
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import regrowth as package
from regrowth.cli.main import main
from regrowth.io.dicom_seg import read_seg_probability
from regrowth.io.nifti import read_image
from regrowth.io.tables import read_tsv, write_tsv
from regrowth.space import resample_image
from tests.conftest import make_grid
from tests.growth_cases import QUICK, Files, radius_mm, write_head
from tests.io.test_dicom_rt import dose_dataset, written
from tests.io.test_dicom_seg import write_series

FEW = ("--draws", "50", "--models", "exponential")
RATES = ("--diffusivity", "0.2", "--proliferation", "0.03", "--days", "30")
SCHEME = ("--label-scheme", "brats-2023")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    error: str

    def refused(self, *words: str) -> None:
        """Check for exit code 2 and one line that holds the words."""
        assert self.code == 2, self.out + self.error
        line = self.error.strip()
        assert line.startswith("regrowth: "), line
        assert "\n" not in line
        assert "Traceback" not in line
        for word in words:
            assert word in line, line

    def fine(self) -> Said:
        assert self.code == 0, self.error
        return self

    def told(self) -> dict[str, str]:
        """Lines ``name: value`` of the output."""
        return dict(re.findall(r"^([\w ]+?): (.*)$", self.out, re.M))


@pytest.fixture
def growth(monkeypatch, capsys) -> Callable[..., Said]:
    """Call ``regrowth growth`` as the shell does, in this process."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["regrowth", "growth", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, error = capsys.readouterr()
        return Said(int(stop.value.code or 0), out, error)

    return call


@pytest.fixture(scope="module", autouse=True)
def two_patients_on_a_page():
    """Draw two patients a page: what differs between the pages of twelve is not what these tests are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regrowth.api.growth._MOST_PATIENTS", 2)
        yield


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Files:
    return write_head(tmp_path_factory.mktemp("head"))


Exam = tuple[object, object, object]


def volumes(path: Path, exams: Sequence[Exam], **more: object) -> Path:
    write_tsv([dict(zip(("participant_id", "day", "volume_ml"), exam, strict=True)) | more for exam in exams], path)
    return path


def cohort(n: int = 24, seed: int = 2) -> list[Exam]:
    """Tumours that grow at rates of their own, with a little noise."""
    rng = np.random.default_rng(seed)
    out: list[Exam] = []
    for k in range(n):
        rate, start = float(np.exp(rng.normal(np.log(0.012), 0.2))), float(rng.uniform(2, 20))
        for day in (0, 40, 85, 130):
            out.append((f"sub-{k:02}", day, start * math.exp(rate * day + 0.05 * rng.standard_normal())))
    return out


# Tables: synthesise, fit, forecast, learn


@pytest.fixture(scope="module")
def forecast_folder(tmp_path_factory) -> Path:
    """Forecast of a cohort that grows, with patients of whom little is known among them."""
    folder = tmp_path_factory.mktemp("forecast")
    odd: list[Exam] = [
        ("one-scan", 0, 4),
        ("equal-days", 10, 4),
        ("equal-days", 10, 5),
        ("all-zero", 0, 0),
        ("all-zero", 50, 0),
        ("zero-visit", 0, 3),
        ("zero-visit", 40, 0),
        ("zero-visit", 90, 2),
        ("all-equal", 0, 7),
        ("all-equal", 40, 7),
        ("all-equal", 90, 7),
        ("early-treatment", 0, 7),
        ("early-treatment", 40, 9),
        ("late-surgery", 0, 7),
        ("late-surgery", 40, 9),
    ]
    table = volumes(folder / "v.tsv", [*cohort(), *odd])
    events = [
        {"participant_id": "early-treatment", "day": -60, "kind": "course", "dose_gy": 2, "fractions": 30},
        {"participant_id": "late-surgery", "day": 60, "kind": "surgery", "dose_gy": None, "fractions": None},
    ]
    write_tsv(events, folder / "t.tsv")
    package.forecast_growth_table(table, folder / "out", treatment=folder / "t.tsv", models="exponential", draws=50)
    return folder / "out"


def test_every_table_of_a_forecast_is_in_the_data_dictionary(forecast_folder):
    dictionary = json.loads((forecast_folder / "dictionary.json").read_text())
    tables = sorted(forecast_folder.glob("*.tsv"))
    assert {p.stem for p in tables} == set(dictionary)
    for path in tables:
        assert path.read_text().splitlines()[0].split("\t") == list(dictionary[path.stem]), path.name
        assert all(entry["Description"] for entry in dictionary[path.stem].values())


def test_the_patient_of_whom_nothing_can_be_told_has_a_status_and_the_reason(forecast_folder):
    rows = {r["participant_id"].removeprefix("sub-"): r for r in read_tsv(forecast_folder / "patients.tsv")}
    assert {name: rows[name]["status"] for name in ("one-scan", "zero-visit", "all-equal", "early-treatment")} == dict.fromkeys(
        ("one-scan", "zero-visit", "all-equal", "early-treatment"), "ok"
    )
    assert rows["equal-days"]["status"] == "invalid_series"
    assert "day 10" in rows["equal-days"]["notes"]
    assert rows["all-zero"]["status"] == "no_tumour"
    assert rows["late-surgery"]["status"] == "no_scan"
    for name in ("equal-days", "all-zero", "late-surgery"):
        assert rows[name]["median_ml"] == rows[name]["lower_ml"] == "n/a"


def test_baselines_stand_beside_every_forecast_and_intervals_only_where_they_are_calibrated(forecast_folder):
    rows = [r for r in read_tsv(forecast_folder / "forecast.tsv") if r["participant_id"] == "sub-03"]
    assert {"persistence", "common_growth"} <= {r["model"] for r in rows}
    assert {r["role"] for r in rows} == {"chosen", "baseline"}
    for row in rows:
        assert (row["lower_ml"] == "n/a") == (row["coverage"] == "n/a")
        assert row["coverage"] == "n/a" or int(row["n_calibration"]) >= 2 / (1 - float(row["coverage"])) - 2
    assert {r["baseline"] for r in read_tsv(forecast_folder / "comparisons.tsv")} == {
        "persistence",
        "common_growth",
        "log_linear",
    }


def test_the_page_of_a_forecast_has_the_cohort_and_patients_and_loads_nothing_from_outside(forecast_folder):
    text = html.unescape((forecast_folder / "forecast.html").read_text())
    anchors = re.findall(r'<section id="([\w-]+)">', text)
    assert "forecast" in anchors
    assert "patient-1" in anchors
    assert "further patients have no part of their own here" in text
    assert 'src="http' not in text
    assert "Synthetic data" not in text
    figures = {p.name for p in (forecast_folder / "figures").iterdir()}
    assert {"forecasts.svg", "patient_01_00_forecast.svg"} <= figures


def test_the_model_of_one_cohort_forecasts_a_patient_of_another_from_one_scan(growth, tmp_path):
    model = tmp_path / "model.json"
    said = growth("learn", volumes(tmp_path / "a.tsv", cohort()), model, *FEW).fine()
    assert said.told()["n_patients"] == "24"
    assert "calibrated intervals: 90%" in said.out
    single = volumes(tmp_path / "b.tsv", [("x", 0, 10)])
    growth("forecast", single, tmp_path / "out", "--cohort-model", model, "--draws", "50").fine()
    (row,) = read_tsv(tmp_path / "out" / "patients.tsv")
    assert float(row["lower_ml"]) < float(row["median_ml"]) < float(row["upper_ml"])
    assert row["coverage"] == "0.9"
    assert json.loads((tmp_path / "out" / "model.json").read_text()) == json.loads(model.read_text())  # not learned anew
    growth("fit", single, tmp_path / "f.tsv", *FEW).fine()
    assert read_tsv(tmp_path / "f.tsv")[0]["status"] == "one_scan"
    growth("fit", single, tmp_path / "g.tsv", *FEW, "--cohort-model", model).fine()
    assert read_tsv(tmp_path / "g.tsv")[0]["status"] == "ok"


def test_too_few_patients_get_a_forecast_without_an_interval_and_it_is_said(growth, tmp_path):
    said = growth("forecast", volumes(tmp_path / "v.tsv", cohort(2)), tmp_path / "out", *FEW).fine()
    assert "too few other patients to calibrate an interval" in said.out
    for row in read_tsv(tmp_path / "out" / "forecast.tsv"):
        assert row["lower_ml"] == row["upper_ml"] == "n/a"
        assert float(row["median_ml"]) > 0


def test_where_tumours_hold_still_a_baseline_is_used_and_it_is_said(growth, tmp_path):
    rng = np.random.default_rng(5)
    still: list[Exam] = [
        (f"p{k:02}", day, (3 + k) * math.exp(0.1 * rng.standard_normal())) for k in range(22) for day in (0, 50, 100, 150)
    ]
    said = growth("forecast", volumes(tmp_path / "v.tsv", still), tmp_path / "out", *FEW).fine()
    assert "no growth model is used: the baseline persistence" in said.out
    assert "chosen forecaster against persistence, log error of the volume, all: " in said.out
    assert "A baseline wins" in html.unescape((tmp_path / "out" / "forecast.html").read_text())


def test_a_synthetic_cohort_is_called_synthetic_in_every_file(growth, tmp_path):
    table = tmp_path / "v.tsv"
    growth("synthesise", table, "--patients", 3, "--seed", 4).fine()
    truth = json.loads((tmp_path / "v.json").read_text())
    assert truth["Synthetic"] is True
    assert len(truth["patients"]) == 3
    for path in (table, tmp_path / "v_treatment.tsv"):
        assert {r["synthetic"] for r in read_tsv(path)} == {"true"}
    growth("forecast", table, tmp_path / "out", "--treatment", tmp_path / "v_treatment.tsv", *FEW).fine()
    assert "Synthetic data" in (tmp_path / "out" / "forecast.html").read_text()
    for path in ("forecast", "patients", "parameters", "scores"):
        assert {r["synthetic"] for r in read_tsv(tmp_path / "out" / f"{path}.tsv")} == {"true"}
    assert json.loads((tmp_path / "out" / "model.json").read_text())["source"].startswith("synthetic data")


def test_the_same_seed_gives_the_same_cohort_and_another_seed_another(growth, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        growth("synthesise", tmp_path / f"{name}.tsv", "--patients", 4, "--seed", seed).fine()
    a, b, c = ((tmp_path / f"{name}.tsv").read_text() for name in "abc")
    assert a == b != c


def test_a_column_of_a_run_is_fitted(growth, tmp_path):
    rows = [{"participant_id": "p", "day": d, "CE_core_ml": 2 + 0.1 * d, "WT_ml": 50 + d} for d in (0, 30, 60)]
    write_tsv(rows, tmp_path / "v.tsv")
    growth("fit", tmp_path / "v.tsv", tmp_path / "f.tsv", *FEW, "--column", "WT_ml").fine()
    found = {r["parameter"]: float(r["map_value"]) for r in read_tsv(tmp_path / "f.tsv")}
    assert found["initial_ml"] == pytest.approx(50, rel=0.2)
    said = growth("fit", tmp_path / "v.tsv", tmp_path / "g.tsv", *FEW)
    said.refused("volume_ml", "CE_core_ml, WT_ml")


GOOD: list[Exam] = [("p", 0, 3), ("p", 40, 4)]
BAD_TABLES: dict[str, tuple[list[dict[str, object]], tuple[str, ...]]] = {
    "no volume": ([{"participant_id": "p", "day": 0}], ("volume_ml",)),
    "no day": ([{"participant_id": "p", "volume_ml": 0}], ("day",)),
    "no patient": ([{"day": 0, "volume_ml": 0}], ("participant_id",)),
    "date for a day": ([{"participant_id": "p", "day": "2021-03-04", "volume_ml": 3}], ("row 2", "'2021-03-04'", "date")),
    "date as a number": ([{"participant_id": "p", "day": 20210304, "volume_ml": 3}], ("row 2", "date")),
    "day unknown": ([{"participant_id": "p", "day": None, "volume_ml": 3}], ("row 2", "days from the first exam")),
    "negative volume": ([{"participant_id": "p", "day": 0, "volume_ml": -3}], ("row 2", "-3", "at least 0")),
    "volume in words": ([{"participant_id": "p", "day": 0, "volume_ml": "big"}], ("row 2", "'big'")),
    "infinite volume": ([{"participant_id": "p", "day": 0, "volume_ml": "inf"}], ("row 2", "'inf'")),
    "decimal comma": ([{"participant_id": "p", "day": 0, "volume_ml": "3,5"}], ("row 2", "'3,5'")),
    "nameless patient": ([{"participant_id": "n/a", "day": 0, "volume_ml": 3}], ("row 2", "participant_id")),
}


@pytest.mark.parametrize("verb", ["fit", "forecast", "learn"])
@pytest.mark.parametrize("fault", BAD_TABLES)
def test_a_faulty_table_is_refused_in_one_line_and_nothing_is_written(growth, tmp_path, verb, fault):
    rows, words = BAD_TABLES[fault]
    write_tsv(rows, tmp_path / "faulty.tsv")
    growth(verb, tmp_path / "faulty.tsv", tmp_path / "out", *FEW).refused("faulty.tsv", *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["fit", "forecast", "learn", "score"])
@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (None, "no such table"), (b"a\tb\n1\n", "row 2")])
def test_a_file_that_is_no_table_is_refused(growth, tmp_path, verb, content, words):
    if content is not None:
        (tmp_path / "faulty.tsv").write_bytes(content)
    growth(verb, tmp_path / "faulty.tsv", tmp_path / "out").refused("faulty.tsv", words)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"participant_id": "p", "day": "2021-03-04", "kind": "drug"}, ("row 2", "date")),
        ({"participant_id": "p", "day": 3, "kind": "magic"}, ("row 2", "magic")),
        ({"participant_id": "p", "day": 3, "kind": "fraction", "dose_gy": 200}, ("row 2", "dose_gy")),
        ({"participant_id": "other", "day": 3, "kind": "drug"}, ("none of the patients",)),
        ({"day": 3, "kind": "drug"}, ("participant_id",)),
    ],
)
def test_faulty_treatment_is_refused_in_one_line(growth, tmp_path, event, words):
    write_tsv([event], tmp_path / "t.tsv")
    table = volumes(tmp_path / "v.tsv", GOOD)
    growth("forecast", table, tmp_path / "out", "--treatment", tmp_path / "t.tsv").refused("t.tsv", *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--models", "magic"), "magic"),
        (("--coverage", "90"), "coverage"),
        (("--horizon-days", "0"), "horizon_days"),
        (("--cohort-model", "nothing.json"), "nothing.json"),
        (("--folds", "1"), "folds"),
    ],
)
def test_a_wrong_parameter_is_refused_before_any_work(growth, tmp_path, words, message):
    growth("forecast", volumes(tmp_path / "v.tsv", GOOD), tmp_path / "out", *words).refused(message)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_cohort_model_is_named(growth, tmp_path):
    (tmp_path / "m.json").write_text('{"a": 1}')
    table = volumes(tmp_path / "v.tsv", GOOD)
    growth("fit", table, tmp_path / "f.tsv", "--cohort-model", tmp_path / "m.json").refused("m.json", "growth learn")


def test_a_cohort_without_two_scans_teaches_nothing(growth, tmp_path):
    growth("learn", volumes(tmp_path / "v.tsv", GOOD[:1]), tmp_path / "m.json").refused("v.tsv", "two usable scans")


@pytest.mark.parametrize("words", [("--patients", "0"), ("--seed", "-1")])
def test_a_cohort_that_cannot_be_made_is_refused(growth, tmp_path, words):
    growth("synthesise", tmp_path / "v.tsv", *words).refused()
    assert not list(tmp_path.iterdir())


def test_options_of_a_configuration_file_are_read_and_unknown_ones_refused(growth, tmp_path):
    table = volumes(tmp_path / "v.tsv", GOOD)
    config = tmp_path / "c.toml"
    config.write_text('[growth]\nmodels = "logistic"\nfolds = 5\n')  # fit has no option --folds, a run has
    growth("fit", table, tmp_path / "f.tsv", "--config", config).fine()
    assert {r["model"] for r in read_tsv(tmp_path / "f.tsv")} == {"logistic"}
    config.write_text("[growth]\nmodel = 3\n")
    growth("fit", table, tmp_path / "f.tsv", "--config", config).refused("'model'", "models")


# Images: simulate, map, plan, container


def test_a_simulation_with_a_dicom_dose_says_how_many_fractions_were_given(growth, head, tmp_path):
    dataset = dose_dataset(offsets=(0, 30, 60, 90, 120))
    dataset.ImagePositionPatient = [-60.0, -60.0, -60.0]
    dataset.PixelSpacing, dataset.Rows, dataset.Columns = [30.0, 30.0], 5, 5
    dataset.PixelData = np.full(125, 60_000, "<u4").tobytes()
    dose = written(dataset, tmp_path)
    words = ("--start", head.path("core"), *head.tissue, *RATES, "--dose", dose, "--fractions", 30, "--start-day", 1)
    said = growth("simulate", tmp_path / "out", *words).fine()
    assert said.told()["events"] == "22"  # weekdays of the days 1 to 30
    assert "frame of reference" in said.out
    assert "resampled linearly" in said.out


def test_an_origin_with_negative_coordinates_is_understood(growth, head, tmp_path):
    x, y, z = head.place((-10, -4, -8))
    words = (f"--origin={x},{y},{z}", *head.tissue, *RATES)
    growth("simulate", tmp_path / "a", *words).fine()
    growth("simulate", tmp_path / "b", "--origin", f"{x},{y},{z}", *words[1:]).fine()
    assert (tmp_path / "a" / "simulation.tsv").read_text() == (tmp_path / "b" / "simulation.tsv").read_text()


def test_a_tumour_at_the_border_of_the_image_is_warned_of(growth, head, tmp_path):
    grid = make_grid("RAS", (4.0, 4.0, 4.0), 24.0)
    small = Files(tmp_path, grid)
    small.write("white", np.ones(grid.shape))
    small.write("grey", np.zeros(grid.shape))
    edge = np.zeros(grid.shape)
    edge[:3, 2:5, 2:5] = 1
    said = growth("simulate", tmp_path / "out", "--start", small.write("start", edge), *small.tissue, *RATES).fine()
    assert said.told()["status"] == "warning"
    assert "border of the image" in said.told()["reason"]


BAD_SIMULATIONS: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "negative diffusivity": (("--diffusivity", "-1"), ("diffusivity", "-1")),
    "negative proliferation": (("--proliferation", "-0.1"), ("proliferation", "-0.1")),
    "dates for days": (("--days", "2021-03-04"), ("--days", "2021-03-04")),
    "falling days": (("--days", "60,30"), ("days",)),
    "days before the start": (("--days", "-5"), ("day",)),
    "fractions without a dose": (("--fractions", "3", "--start-day", "0"), ("--dose",)),
    "dose without days": (("--dose", "dose"), ("--fraction-days",)),
    "days of fractions twice": (("--dose", "dose", "--fraction-days", "1", "--fractions", "3"), ("not both",)),
    "treatment before the start": (("--dose", "dose", "--fraction-days", "-3"), ("before",)),
    "cavity without a day": (("--cavity", "core"), ("its day",)),
    "empty cavity": (("--cavity", "nothing", "--cavity-day", "3"), ("nothing.nii.gz", "no voxel")),
    "dose grid elsewhere": (("--dose", "far", "--fraction-days", "3"), ("far.nii.gz", "does not reach the tissue")),
    "dose in cGy": (("--dose", "cgy", "--fraction-days", "3"), ("cgy.nii.gz", "cGy")),
    "labels for a density": (("--start", "seg"), ("seg.nii.gz", "density from 0 to 1")),
    "empty start": (("--start", "nothing"), ("there is no tumour",)),
    "tumour outside of the brain": (("--start", "outside"), ("outside of the brain",)),
    "origin outside of the brain": (("--start", None, "--origin", "400,0,0"), ("outside of white and grey matter",)),
    "origin of two numbers": (("--start", None, "--origin", "4,0"), ("three numbers",)),
    "no start": (("--start", None), ("--start", "--origin")),
    "two starts": (("--origin", "0,0,0"), ("--start", "--origin")),
    "start on another grid": (("--start", "other"), ("other.nii.gz", "same grid")),
    "tissue in percent": (("--white", "percent"), ("percent.nii.gz", "shares between 0 and 1")),
    "thresholds the wrong way": (("--core-threshold", "0.1"), ("oedema_threshold",)),
}


@pytest.fixture(scope="module")
def faults(head) -> Files:
    """Files that a simulation cannot use, beside those that it can."""
    other = make_grid("RAS", (4.0, 4.0, 4.0), 60.0)
    affine = other.affine.copy()
    affine[:3, 3] += 500
    head.write("far", np.full(other.shape, 60.0), type(other)(other.shape, affine))
    head.write("dose", np.full(head.grid.shape, 60.0))
    head.write("cgy", np.full(head.grid.shape, 6000.0))
    head.write("other", np.ones(other.shape), other)
    head.write("percent", read_image(head.path("white")).data * 100)
    head.write("outside", radius_mm(head.grid) > 44)
    return head


@pytest.mark.parametrize("fault", BAD_SIMULATIONS)
def test_a_faulty_simulation_is_refused_in_one_line_and_nothing_is_written(growth, faults, tmp_path, fault):
    changes, words = BAD_SIMULATIONS[fault]
    given: dict[str, object] = {"--start": faults.path("core"), "--white": faults.path("white"), "--grey": faults.path("grey")}
    given |= dict(zip(RATES[::2], RATES[1::2], strict=True))
    for option, value in zip(changes[::2], changes[1::2], strict=True):
        is_file = option in ("--start", "--dose", "--white", "--cavity") and value is not None
        given[str(option)] = faults.path(str(value)) if is_file else value
    said = growth("simulate", tmp_path / "out", *(w for k, v in given.items() if v is not None for w in (k, v)))
    said.refused(*words)
    assert not (tmp_path / "out").exists()


def test_a_map_is_told_with_its_doubts_and_written_as_dicom_on_its_series(growth, head, tmp_path):
    write_series(tmp_path / "mr", ImagePositionPatient=lambda k: [-24.0, -8.0, 2.0 * k])
    out, seg = tmp_path / "map.nii.gz", tmp_path / "map.dcm"
    words = ("--day", "60", "--members", "4", *QUICK, "--dicom-series", tmp_path / "mr", "--dicom-out", seg)
    said = growth("map", head.path("seg"), out, *SCHEME, *head.tissue, *words).fine()
    told = said.told()
    assert told["is_calibrated"] == "False"
    assert "rest on the prior" in said.out
    origin = np.array([float(v) for v in told["origin_mm"].split(",")])
    assert np.linalg.norm(origin - head.place((12, 0, 0))) < 5
    stored, whole = read_seg_probability(seg), read_image(out)
    assert whole.data.max() > 0.5
    assert np.abs(stored.data - resample_image(whole, stored.grid).data).max() <= 0.5 / 255 + 1e-6
    assert stored.data.max() > 0.5


def test_the_same_seed_gives_the_same_map(growth, head, tmp_path):
    for name in ("a", "b"):
        words = ("--day", "40", "--members", "3", *QUICK, "--seed", "7")
        growth("map", head.path("seg"), tmp_path / f"{name}.nii.gz", *SCHEME, *head.tissue, *words).fine()
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_mask_that_touches_the_border_of_the_image_is_mapped_with_a_warning(growth, tmp_path):
    cut = Files(tmp_path, make_grid("LPS", (4.0, 4.0, 4.0), 48.0))
    cut.write("white", np.ones(cut.grid.shape))
    cut.write("grey", np.zeros(cut.grid.shape))
    place = radius_mm(cut.grid, (16, 0, 0))
    seg = cut.labels("seg", np.where(place < 6, 3, np.where(place < 12, 2, 0)))
    words = (*SCHEME, *cut.tissue, "--day", "10", "--members", "2", *QUICK)
    said = growth("map", seg, tmp_path / "m.nii.gz", *words).fine()
    assert said.told()["status"] == "warning"
    assert "touches the border of the image" in said.out


BAD_MAPS: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "empty segmentation": ({"segmentation": "nothing"}, ("nothing.nii.gz", "no voxel is tumour")),
    "tumour outside of the brain": ({"segmentation": "out_of_head"}, ("outside of the brain", "same exam")),
    "tissue on another grid": ({"segmentation": "elsewhere"}, ("white.nii.gz", "same grid")),
    "another label scheme": ({"--label-scheme": "binary-gtv"}, ("seg.nii.gz", "binary-gtv")),
    "day before the exam": ({"--day": "-5"}, ("-5", "before the last segmentation")),
    "second exam without a day": ({"--second": "relapse"}, ("--second-day",)),
    "second exam on the first day": ({"--second": "relapse", "--second-day": "0"}, ("not after day 0",)),
    "treatment between the exams": (
        {"--second": "relapse", "--second-day": "30", "--dose": "dose", "--fraction-days": "10"},
        ("before the last segmentation", "across treatment"),
    ),
    "DICOM without a series": ({"--dicom-out": "x.dcm"}, ("series",)),
    "tissue of another patient": ({"--white": "other"}, ("other.nii.gz", "same grid")),
    "one member": ({"--members": "1"}, ("members",)),
}


@pytest.mark.parametrize("fault", BAD_MAPS)
def test_a_map_that_cannot_be_made_is_refused_in_one_line_and_nothing_is_written(growth, faults, tmp_path, fault):
    changes, words = BAD_MAPS[fault]
    far = Files(faults.folder, make_grid("LPS", (4.0, 4.0, 4.0), 60.0))
    far.labels("elsewhere", np.ones(far.grid.shape))
    faults.labels("out_of_head", np.where(radius_mm(faults.grid, (40, 40, 40)) < 16, 3, 0))
    given: dict[str, object] = {"--label-scheme": "brats-2023", "--white": "white", "--grey": "grey", "--day": "60", **changes}
    files = ("--white", "--grey", "--second", "--dose")
    options = [w for k, v in given.items() if k.startswith("--") for w in (k, faults.path(str(v)) if k in files else v)]
    growth("map", faults.path(str(given.get("segmentation", "seg"))), tmp_path / "m.nii.gz", *options).refused(*words)
    assert not list(tmp_path.iterdir())


def test_a_core_is_not_made_up_where_the_scheme_has_none(growth, head, tmp_path):
    head.labels("hd", np.where(radius_mm(head.grid, (12, 0, 0)) < 12, 2, 0), "hd-glio")
    words = (*head.tissue, "--label-scheme", "hd-glio", "--day", "30", "--members", "2", *QUICK)
    growth("map", head.path("hd"), tmp_path / "m.nii.gz", *words).refused("hd.nii.gz", "region whole")
    said = growth("map", head.path("hd"), tmp_path / "m.nii.gz", *words, "--region", "whole").fine()
    assert "only one border" in said.out


def test_plans_stand_side_by_side_with_pictures(growth, head, tmp_path):
    density = head.write("density", np.exp(-((radius_mm(head.grid, (16, 0, 0)) / 12) ** 2)))
    words = ("--brain", head.path("brain"), "--map", density, "--recurrence", head.path("relapse"))
    more = ("--reference", head.path("white"), "--margin-mm", "10")
    said = growth("plan", head.path("seg"), tmp_path / "out", *SCHEME, *words, *more).fine()
    assert "plans.html" in said.out
    margin, model = read_tsv(tmp_path / "out" / "plans.tsv")
    assert (margin["plan"], model["plan"]) == ("10 mm margin", "growth map")
    assert margin["volume_ml"] == model["volume_ml"]
    assert float(model["coverage"]) >= float(margin["coverage"])
    assert {p.name for p in (tmp_path / "out" / "figures").iterdir()} == {"coverage.svg", "coverage.png", "plans.png"}


def test_regions_stop_the_margin_and_spare_the_ventricles(growth, head, tmp_path):
    world = head.grid.world(np.moveaxis(np.indices(head.grid.shape), 0, -1))
    brain = read_image(head.path("brain")).data > 0
    middle = float(head.place((0, 0, 0))[0])
    regions = np.where(brain, np.where(world[..., 0] > middle, 21, 11), 0)  # right and left frontal
    regions[radius_mm(head.grid, (14, 14, 0)) < 5] = 29
    path = head.write("regions", regions)
    near = head.labels("near", np.where(brain & (radius_mm(head.grid, (8, 0, 0)) < 6), 3, 0))
    words = (near, *SCHEME, "--brain", head.path("brain"))
    masks = {}
    for name, more in (("plain", ()), ("stopped", ("--regions", path)), ("open", ("--regions", path, "--no-barriers"))):
        growth("plan", words[0], tmp_path / name, *words[1:], *more).fine()
        masks[name] = read_image(tmp_path / name / "plan-margin_mask.nii.gz").data > 0
    left, fluid = world[..., 0] < middle - 4, regions == 29
    assert (masks["plain"] & left).any()
    assert not (masks["stopped"] & left).any()
    assert (masks["open"] & left).any()
    assert (masks["plain"] & fluid).any()
    assert not (masks["stopped"] & fluid).any()


BAD_PLANS: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "brain elsewhere": (("--brain", "other"), ("other.nii.gz", "same grid")),
    "empty brain": (("--brain", "nothing"), ("brain mask is empty",)),
    "map elsewhere": (("--map", "other"), ("other.nii.gz", "same grid")),
    "recurrence elsewhere": (("--recurrence", "elsewhere_labels"), ("elsewhere_labels.nii.gz", "same grid")),
    "dose without a prescription": (("--dose", "dose", "--recurrence", "relapse"), ("--prescription",)),
    "dose without a recurrence": (("--dose", "dose", "--prescription", "60"), ("--recurrence",)),
    "regions that are none": (("--regions", "percent"), ("percent.nii.gz", "regrowth parcellate")),
    "negative margin": (("--margin-mm", "-3"), ("margin_mm",)),
}


@pytest.mark.parametrize("fault", BAD_PLANS)
def test_a_plan_that_cannot_be_made_is_refused_in_one_line_and_nothing_is_written(growth, faults, tmp_path, fault):
    changes, words = BAD_PLANS[fault]
    other = Files(faults.folder, make_grid("LPS", (4.0, 4.0, 4.0), 60.0))
    other.labels("elsewhere_labels", np.ones(other.grid.shape))
    given = {"--brain": "brain", **dict(zip(changes[::2], changes[1::2], strict=True))}
    options = [w for k, v in given.items() for w in (k, v if k in ("--prescription", "--margin-mm") else faults.path(str(v)))]
    growth("plan", faults.path("seg"), tmp_path / "out", *SCHEME, *options).refused(*words)
    assert not (tmp_path / "out").exists()


# Scores and container


def scores(path: Path, rows: Sequence[tuple[object, ...]]) -> Path:
    names = ("participant_id", "model", "measure", "stratum", "value")
    write_tsv([dict(zip(names, row, strict=True)) for row in rows], path)
    return path


def test_a_score_card_is_written_and_told(growth, tmp_path):
    rows = [
        (f"p{k}", model, "dice", "growing", 0.5 + gain + 0.01 * k)
        for k in range(10)
        for model, gain in (("persistence", 0.0), ("mine", 0.1))
    ]
    said = growth("score", scores(tmp_path / "s.tsv", rows), tmp_path / "out", "--baselines", "persistence").fine()
    assert re.search(r"^mine against persistence, Dice, all: beats the baseline", said.out, re.M), said.out
    (row,) = [r for r in read_tsv(tmp_path / "out" / "comparisons.tsv") if (r["model"], r["stratum"]) == ("mine", "all")]
    assert float(row["difference"]) == pytest.approx(0.1)
    assert (tmp_path / "out" / "figures" / "scores.svg").exists()


@pytest.mark.parametrize(
    ("rows", "more", "words"),
    [
        ([("p", "mine", "dice", "growing", 0.5)], (), ("known baseline", "--baselines")),
        ([("p", "mine", "dice", "growing", 0.5)], ("--baselines", "other"), ("other", "mine")),
        ([("p", "persistence", "nonsense", "growing", 0.5)], (), ("nonsense", "dice")),
        ([("p", "persistence", "dice", "growing", 0.5)] * 2, (), ("two values",)),
        ([("p", "persistence", "dice", "sideways", 0.5)], (), ("row 2", "'sideways'", "growing")),
        ([("p", "persistence", "dice", "growing", "good")], (), ("row 2", "'good'")),
        ([("p", "persistence", "dice", "growing", 1), ("p", "mine", "dice", "stable", 1)], (), ("growing", "stable")),
        ([("p", "persistence", "dice", "growing", 1)], ("--predictions", "x"), ("--predict-gbm",)),
    ],
)
def test_scores_that_say_nothing_are_refused_in_one_line(growth, tmp_path, rows, more, words):
    growth("score", scores(tmp_path / "s.tsv", rows), tmp_path / "out", *more).refused(*words)
    assert not (tmp_path / "out").exists()


def test_folders_of_another_layout_are_refused(growth, tmp_path):
    growth("score", tmp_path, tmp_path / "out", "--predict-gbm").refused("tumor_seg.nii.gz")
    growth("container", tmp_path, tmp_path / "out").refused("Patient-<id>")
    assert not (tmp_path / "out").exists()


# The verbs themselves


def test_a_verb_offers_no_parameter_that_it_does_not_use(growth):
    offered = growth("simulate", "--help").fine().out
    assert "--white-to-grey" in offered
    assert "--folds" not in offered
    assert "--horizon-days" not in offered


def test_every_function_behind_a_verb_is_offered_by_the_package():
    names = "fit_growth_table forecast_growth_table learn_growth synthesise_growth simulate_tumour map_growth plan_treatment"
    for name in [*names.split(), "score_growth", "run_growth_container"]:
        assert callable(getattr(package, name))
        assert name in package.__all__
