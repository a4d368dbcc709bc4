"""Cases and predictions in the layouts of PREDICT-GBM: there and back, and foreign layouts refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, ImageFileError, InputError, LabelSchemeError, ParameterError
from regrowth.growth import recurrence_coverage, standard_plan
from regrowth.io.nifti import write_image, write_labels
from regrowth.io.predictgbm import (
    ContainerCase,
    DatasetCase,
    prediction_path,
    read_container_case,
    read_container_prediction,
    read_dataset_case,
    run_container_model,
    write_container_case,
    write_container_prediction,
    write_dataset_case,
)
from regrowth.labels import label_scheme
from regrowth.space import Grid, Image, LabelMap
from tests.conftest import make_grid


@pytest.fixture
def lps() -> Grid:
    return make_grid("LPS", (2.0, 2.0, 3.0), 24.0)


def tissue(grid: Grid, value: float) -> Image:
    return Image(np.full(grid.shape, value, np.float32), grid, "1")


def tumour(grid: Grid, scheme: str = "brats-2023") -> LabelMap:
    data = np.zeros(grid.shape, np.uint8)
    data[3:9, 3:9, 2:6] = 2
    data[4:8, 4:8, 3:5] = 3
    data[5, 5, 3] = 1
    if scheme == "brats-2024-post":
        data[0, 0, 0] = 4
    return LabelMap(data, grid, label_scheme(scheme))


def container_case(grid: Grid, subject: str = "00000", **images: Image) -> ContainerCase:
    return ContainerCase(subject, tissue(grid, 0.3), tissue(grid, 0.6), tissue(grid, 0.1), tumour(grid), images)


def test_a_container_case_has_the_published_names_and_comes_back_the_same(tmp_path: Path, grid: Grid):
    case = container_case(grid, t1c=Image(np.ones(grid.shape, np.float32), grid))
    folder = write_container_case(case, tmp_path)
    assert folder == tmp_path / "Patient-00000"
    assert sorted(p.name for p in folder.iterdir()) == [f"00000-{n}.nii.gz" for n in ("csf", "gm", "t1c", "tumorseg", "wm")]
    back = read_container_case(folder)
    assert back.grid.is_close(case.grid, 1e-3)
    assert np.array_equal(back.tumour.data, case.tumour.data)
    assert np.array_equal(back.wm.data, case.wm.data)
    assert list(back.images) == ["t1c"]


def test_a_prediction_goes_out_under_the_bare_identifier_and_comes_back(tmp_path: Path, lps: Grid, rng):
    density = Image(rng.random(lps.shape).astype(np.float32), lps, "1")
    path = write_container_prediction(density, tmp_path)
    assert path == tmp_path / "00000.nii.gz"
    assert np.array_equal(read_container_prediction(tmp_path, lps).data, density.data)


def test_our_model_runs_as_a_container_does_on_all_cases(tmp_path: Path, lps: Grid):
    for subject in ("00000", "00001"):
        write_container_case(container_case(lps, subject), tmp_path / "in")
    made = run_container_model(tmp_path / "in", tmp_path / "out", lambda case: case.wm.with_data(case.tumour.mask("WT") * 0.5))
    assert [p.name for p in made] == ["00000.nii.gz", "00001.nii.gz"]
    prediction = read_container_prediction(tmp_path / "out", lps, "00001")
    assert float(prediction.data.max()) == 0.5


def test_a_bad_case_stops_the_run_before_the_first_prediction(tmp_path: Path, lps: Grid):
    write_container_case(container_case(lps, "00000"), tmp_path / "in")
    broken = write_container_case(container_case(lps, "00001"), tmp_path / "in")
    (broken / "00001-wm.nii.gz").unlink()
    with pytest.raises(InputError, match=r"lacks 00001-wm\.nii\.gz"):
        run_container_model(tmp_path / "in", tmp_path / "out", lambda case: case.wm)
    assert not (tmp_path / "out").exists()


def test_a_prediction_on_another_grid_is_refused_instead_of_resampled_without_a_word(tmp_path: Path, lps: Grid):
    other = lps.resized((4.0, 4.0, 6.0))
    write_container_prediction(tissue(other, 0.5), tmp_path)
    with pytest.raises(GridMismatchError, match="resample_image"):
        read_container_prediction(tmp_path, lps)
    write_container_case(container_case(lps), tmp_path / "in")
    with pytest.raises(GridMismatchError, match="the prediction and its case"):
        run_container_model(tmp_path / "in", tmp_path / "out", lambda _: tissue(other, 0.5))


def test_missing_negative_and_nan_predictions_are_refused(tmp_path: Path, lps: Grid):
    write_image(tissue(lps, 0.5), tmp_path / "wrong_name.nii.gz")
    with pytest.raises(InputError, match=r"no prediction under this name; it holds wrong_name\.nii\.gz"):
        read_container_prediction(tmp_path, lps)
    with pytest.raises(ImageFileError, match="0 or more"):
        write_container_prediction(tissue(lps, -0.5), tmp_path)
    with pytest.raises(ImageFileError, match="finite"):
        write_container_prediction(tissue(lps, np.nan), tmp_path)
    write_image(tissue(lps, -0.5), tmp_path / "00000.nii.gz")
    with pytest.raises(ImageFileError, match="0 or more"):
        read_container_prediction(tmp_path, lps)


def dataset_case(grid: Grid, patient: str = "RHUH-0001") -> DatasetCase:
    tissues = tissue(grid, 0.3), tissue(grid, 0.6), tissue(grid, 0.1)
    return DatasetCase(patient, np.ones(grid.shape, bool), *tissues, tumour(grid), tumour(grid, "brats-2024-post"))


def test_a_dataset_case_has_the_published_names_and_comes_back_the_same(tmp_path: Path, lps: Grid):
    folder = write_dataset_case(dataset_case(lps), tmp_path / "RHUH")
    assert sorted(p.name.removesuffix(".nii.gz") for p in folder.iterdir()) == [
        *("csf_pbmap", "gm_pbmap", "recurrence_preop", "t1c_bet_mask", "tumor_seg", "wm_pbmap"),
    ]
    back = read_dataset_case(folder)
    assert back.patient == "RHUH-0001"
    assert back.brain.dtype == bool
    assert back.recurrence.mask("RC").sum() == 1
    plan = standard_plan(back.tumour.mask("CE_core"), back.brain, back.grid, 15.0)
    assert recurrence_coverage(back.recurrence.mask("ET"), plan.mask, back.grid).value == 1.0


def test_predictions_lie_where_their_tool_looks_for_them():
    assert prediction_path(Path("ses-preop"), "gliodil") == Path("ses-preop/growth_models/gliodil/gliodil_pred.nii.gz")
    assert prediction_path(Path("s"), "u", "plan") == Path("s/growth_models/u/u_plan.nii.gz")
    with pytest.raises(ParameterError, match="'pred' and a 'plan'"):
        prediction_path(Path("s"), "u", "mask")
    with pytest.raises(ParameterError, match="name of a model"):
        prediction_path(Path("s"), "../u")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["tumor_seg.nii.gz"], "use read_dataset_case"),
        (["sub_segm_1.nii.gz", "sub_wm_1.nii.gz"], "GliODIL's layout"),
        (["00000-tumorseg.nii.gz"], "not called Patient-<id>"),
        (["growth_models"], "see prediction_path"),
        (["Patient-00000"], "run all with run_container_model"),
        (["notes.txt"], "it holds notes.txt"),
        ([], "it holds nothing"),
    ],
)
def test_foreign_layouts_are_refused_with_what_they_look_like(tmp_path: Path, files, message):
    folder = tmp_path / "case"
    folder.mkdir()
    for name in files:
        (folder / name).touch()
    with pytest.raises(InputError, match=message):
        read_container_case(folder)


def test_an_empty_input_folder_and_a_missing_one_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no folder Patient-<id>"):
        run_container_model(tmp_path, tmp_path / "out", lambda case: case.wm)
    with pytest.raises(InputError, match="there is no such folder"):
        read_container_case(tmp_path / "Patient-00009")
    with pytest.raises(InputError, match="there is no such folder"):
        read_dataset_case(tmp_path / "nobody")


def test_labels_of_gliodil_are_refused_with_the_meaning_of_each(tmp_path: Path, lps: Grid):
    folder = write_container_case(container_case(lps), tmp_path)
    ours = tumour(lps).data
    theirs = np.select([ours == 1, ours == 2, ours == 3], [4, 3, 1]).astype(np.uint8)
    write_labels(LabelMap(theirs, lps, label_scheme("brats-2013")), folder / "00000-tumorseg.nii.gz")
    with pytest.raises(LabelSchemeError, match="GliODIL has 1 enhancing, 3 oedema, 4 necrosis"):
        read_container_case(folder)


def test_cases_that_a_model_would_misread_cannot_be_made(lps: Grid):
    with pytest.raises(LabelSchemeError, match="convert it to brats-2023"):
        ContainerCase("0", tissue(lps, 0.3), tissue(lps, 0.6), tissue(lps, 0.1), tumour(lps, "brats-2024-post"))
    with pytest.raises(InputError, match="not a label map or intensities"):
        ContainerCase("0", tissue(lps, 3.0), tissue(lps, 0.6), tissue(lps, 0.1), tumour(lps))
    with pytest.raises(GridMismatchError, match="tumorseg and pet"):
        container_case(lps, pet=tissue(lps.resized((3.0, 3.0, 3.0)), 1.0))
    with pytest.raises(ParameterError, match="no image called t2"):
        container_case(lps, t2=tissue(lps, 1.0))
    with pytest.raises(ParameterError, match="identifier"):
        container_case(lps, "../0")
    with pytest.raises(LabelSchemeError, match="recurrence is in brats-2023"):
        DatasetCase("p", np.ones(lps.shape, bool), *(tissue(lps, 0.3),) * 3, tumour(lps), tumour(lps))
