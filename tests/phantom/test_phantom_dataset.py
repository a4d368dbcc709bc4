from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from regrowth.errors import OutputError
from regrowth.io.nifti import read_image, read_labels
from regrowth.labels import label_scheme
from regrowth.phantom import PhantomParameters, SurvivalModel
from regrowth.phantom.dataset import write_phantom


def _parameters(patients: int) -> PhantomParameters:
    return PhantomParameters(patients=patients, spacing_mm=4.0, lattice_mm=4.0)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    seen: list[tuple[int, int]] = []
    out = write_phantom(tmp_path_factory.mktemp("phantom") / "bids", _parameters(2), lambda a, b: seen.append((a, b)))
    assert seen == [(1, 2), (2, 2)]
    return out


def _table(path: Path) -> list[dict[str, str]]:
    head, *rows = path.read_text().splitlines()
    return [dict(zip(head.split("\t"), row.split("\t"), strict=True)) for row in rows]


def test_scans_have_bids_names_and_say_that_they_are_synthetic(dataset: Path) -> None:
    for label in ("01", "02"):
        for session in ("preop", "progression"):
            folder = dataset / f"sub-{label}" / f"ses-{session}" / "anat"
            stems = [f"sub-{label}_ses-{session}_{s}" for s in ("ce-gadolinium_T1w", "T1w", "T2w", "FLAIR")]
            expected = {f"{stem}{suffix}" for stem in stems for suffix in (".nii.gz", ".json")}
            assert {p.name for p in folder.iterdir()} == expected
            for path in folder.glob("*.json"):
                facts = json.loads(path.read_text())
                assert facts["Synthetic"] is True
                assert ("ContrastBolusIngredient" in facts) == ("ce-gadolinium" in path.name)
    for folder in (dataset, dataset / "derivatives" / "truth"):
        description = json.loads((folder / "dataset_description.json").read_text())
        assert description["Synthetic"] is True
        assert description["GeneratedBy"][0]["Name"] == "regrowth"
        assert (folder / "README.md").is_file()
    assert json.loads((dataset / "derivatives/truth/dataset_description.json").read_text())["DatasetType"] == "derivative"


def test_tables_are_complete_and_explained(dataset: Path) -> None:
    people = _table(dataset / "participants.tsv")
    assert [row["participant_id"] for row in people] == ["sub-01", "sub-02"]
    explained = json.loads((dataset / "participants.json").read_text())
    assert set(people[0]) == set(explained)
    assert set(people[0]) >= {"age", "sex", "mgmt", "idh", "eor", "os_days", "os_event", "ttp_days", "ttp_event"}
    for row in people:
        assert 0 < int(row["ttp_days"]) < int(row["os_days"])
        assert row["ttp_event"] == "1"
        sessions = _table(dataset / row["participant_id"] / f"{row['participant_id']}_sessions.tsv")
        assert sessions == [
            {"session_id": "ses-preop", "days_from_baseline": "0", "phase": "preop"},
            {"session_id": "ses-progression", "days_from_baseline": row["ttp_days"], "phase": "progression"},
        ]
        for name in ("mgmt", "idh", "eor", "sex"):
            assert row[name] in explained[name]["Levels"]


def test_truth_lies_on_the_grid_of_the_t1wce(dataset: Path) -> None:
    for session in ("preop", "progression"):
        stem = dataset / "derivatives/truth/sub-01" / f"ses-{session}" / "anat" / f"sub-01_ses-{session}_space-T1wce"
        scan = read_image(dataset / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_ce-gadolinium_T1w.nii.gz")
        facts = json.loads(Path(f"{stem}_seg-tumour_dseg.json").read_text())
        labels = read_labels(Path(f"{stem}_seg-tumour_dseg.nii.gz"), label_scheme(facts["LabelScheme"]))
        brain = read_image(Path(f"{stem}_label-brain_mask.nii.gz"))
        assert labels.grid.is_close(scan.grid)
        assert brain.grid.is_close(scan.grid)
        np.testing.assert_array_equal(brain.data > 0, scan.data > 0)
        assert labels.volume_ml("CE_core") > 0


def test_simpleitk_maps_landmarks_with_the_written_field(dataset: Path) -> None:
    import SimpleITK as sitk

    for label in ("01", "02"):
        folder = dataset / "derivatives/truth" / f"sub-{label}"
        name = f"sub-{label}_ses-progression_from-sesprogression_to-sespreop_mode-image_xfm.nii.gz"
        field = sitk.ReadImage(str(folder / "ses-progression/anat" / name), sitk.sitkVectorFloat64)
        assert field.GetNumberOfComponentsPerPixel() == 3
        transform = sitk.DisplacementFieldTransform(field)
        rows = _table(folder / f"sub-{label}_landmarks.tsv")
        lps = np.array([-1, -1, 1])
        error, moved = [], []
        for row in rows:
            x = np.array([float(row[f"baseline_{a}_mm"]) for a in "xyz"])
            y = np.array([float(row[f"followup_{a}_mm"]) for a in "xyz"])
            mapped = np.array(transform.TransformPoint((x * lps).tolist())) * lps
            error.append(np.linalg.norm(mapped - y))
            moved.append(np.linalg.norm(x - y))
        assert len(rows) == 200
        assert np.quantile(error, 0.9) < 0.1
        assert max(error) < 0.3  # linear interpolation between voxels of 4 mm
        assert np.median(moved) > 1.5


def test_the_record_of_the_truth_holds_what_is_needed_to_check_a_pipeline(dataset: Path) -> None:
    model = json.loads((dataset / "derivatives/truth/survival.json").read_text())
    assert model["coefficients"] == dict(SurvivalModel().coefficients)
    for label, pattern in (("01", "local"), ("02", "marginal")):
        truth = json.loads((dataset / f"derivatives/truth/sub-{label}/sub-{label}_truth.json").read_text())
        assert truth["recurrence_class"] == pattern
        assert truth["recurrence"]["outward_p95_mm"] <= truth["recurrence"]["outward_max_mm"]
        assert truth["volumes"]["preop"]["CE_core_ml"] > 0
        assert truth["volumes"]["preop"]["RC_ml"] == 0
        assert np.shape(truth["motion_T1wce_to_sequence"]["progression"]["FLAIR"]) == (4, 4)
        assert np.shape(truth["scene"]["head_motion_followup_to_baseline"]) == (4, 4)
        path = dataset / f"derivatives/truth/sub-{label}/ses-preop/anat"
        moved = read_labels(
            path / f"sub-{label}_ses-preop_space-T1wce_desc-recurrence_dseg.nii.gz", label_scheme(truth["LabelScheme"])
        )
        assert moved.volume_ml("CE_core") == pytest.approx(truth["recurrence"]["volume_in_baseline_ml"])


def test_equal_parameters_give_equal_bytes_however_many_patients(dataset: Path, tmp_path: Path) -> None:
    alone = write_phantom(tmp_path / "alone", _parameters(1))
    files = [p for p in sorted(alone.rglob("sub-01*")) if p.is_file()]
    assert len(files) > 20
    for path in files:
        other = dataset / path.relative_to(alone)
        if path.name.endswith("truth.json"):
            a, b = (json.loads(p.read_text()) for p in (path, other))
            a["parameters"].pop("patients"), b["parameters"].pop("patients")
            assert a == b
        else:
            assert path.read_bytes() == other.read_bytes(), path.name


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not an empty folder"):
        write_phantom(tmp_path, _parameters(1))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
