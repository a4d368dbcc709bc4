"""``regrowth radiotherapy`` on plain DICOM folders: what it writes and says, what it flags, and what it refuses in one line."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, RLELossless

import regrowth as package
from regrowth.cli.main import main
from regrowth.io.dicom_seg import read_seg_probability
from regrowth.io.dicom_volume_writing import write_image_series, write_rtdose
from regrowth.io.nifti import read_grid, read_image, write_image
from regrowth.io.rtstruct import write_rtstruct
from regrowth.io.tables import read_tsv, write_tsv
from regrowth.phantom.radiotherapy import write_radiotherapy_phantom
from regrowth.radiotherapy import Contour, Structure
from regrowth.radiotherapy.schemes import load_schemes
from regrowth.radiotherapy.uncertainty import cohort_residuals, position_uncertainty
from regrowth.space import Grid, Image
from tests.cli.test_growth_cli import Said
from tests.io.dicom_folder import AFFINE, SHAPE, STUDY, ct_image, dose_image, export, of_patient, spoil, square

Call = Callable[..., Said]
GRID = Grid((24, 24, 24), np.array([[2.0, 0, 0, -23], [0, 2.0, 0, -23], [0, 0, 2.0, -23], [0, 0, 0, 1]]))
SECRETS = ("Q-4711", "Q_4711", "Nachtigall", "Ilse")


@pytest.fixture
def rt(monkeypatch, capsys) -> Call:
    """Call ``regrowth radiotherapy`` as the shell does, in this process."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["regrowth", "radiotherapy", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, error = capsys.readouterr()
        return Said(int(stop.value.code or 0), out, error)

    return call


@pytest.fixture(scope="module")
def brain(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rt") / "brain"
    write_radiotherapy_phantom(folder, "brain", 5.0, seed=3)
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A small export without faults; copied by those who spoil it."""
    folder = tmp_path_factory.mktemp("sound") / "x"
    export(folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "x"))


def beside(folder: Path, identifier: str = "Other-77") -> Path:
    """Put a second, sound patient into the same folder."""
    export(folder / "second", replace(of_patient(identifier), seed="second"))
    return folder


def failures(folder: Path) -> list[dict[str, str]]:
    with (folder / "failure.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(folder: Path) -> str:
    """Names and texts of all files that came out."""
    paths = [p for p in folder.rglob("*") if p.is_file()]
    return "\n".join([str(p.relative_to(folder)) + "\n" + p.read_bytes().decode("utf-8", "replace") for p in paths])


def ball(path: Path, centre_mm: tuple[float, float, float], radius_mm: float, grid: Grid = GRID) -> Path:
    places = grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    inside = np.linalg.norm(places - np.array(centre_mm), axis=-1) <= radius_mm
    write_image(Image(inside, grid, "1"), path, np.uint8)
    return path


def constant(path: Path, gy: float) -> Path:
    write_image(Image(np.full(GRID.shape, gy, np.float32), GRID, "Gy"), path)
    return path


# --- index ------------------------------------------------------------------------------------------------------------------


def test_index_writes_objects_links_with_their_basis_plans_and_structures(rt, sound, tmp_path):
    rt("index", sound, tmp_path / "i.tsv").fine()
    assert [row["kind"] for row in read_tsv(tmp_path / "i.tsv")] == ["IMAGE", "RTSTRUCT", "RTPLAN", "RTDOSE"]
    links = {(r["kind"], r["belongs_to"], r["basis"]) for r in read_tsv(tmp_path / "i_links.tsv")}
    assert links == {("RTSTRUCT", "IMAGE", "uid"), ("RTPLAN", "RTSTRUCT", "uid"), ("RTDOSE", "RTPLAN", "uid")}
    (plan,) = read_tsv(tmp_path / "i_plans.tsv")
    assert (plan["n_fractions"], plan["prescription_gy"], plan["status"], plan["max_gy"]) == ("30", "60", "ok", "60")
    (structure,) = read_tsv(tmp_path / "i_structures.tsv")
    assert (structure["structure"], structure["n_contours"]) == ("PTV", "2")
    assert read_tsv(tmp_path / "i_problems.tsv") == []
    about = json.loads((tmp_path / "i.json").read_text())
    assert about["counts"] == {"n_files": 8, "n_other": 0, "n_patients": 1}
    assert set(about["tables"]["objects"]) == set(read_tsv(tmp_path / "i.tsv")[0])


def test_a_manifest_links_what_the_files_do_not_and_is_named_as_basis(rt, folder, tmp_path):
    spoil(folder / "rd.dcm", lambda d: d.pop("ReferencedRTPlanSequence"))
    (tmp_path / "m.tsv").write_text("path\trefers_to\nrd.dcm\trp.dcm\n")
    rt("index", folder, tmp_path / "i.tsv", "--manifest", tmp_path / "m.tsv").fine()
    assert ("RTDOSE", "manifest") in {(r["kind"], r["basis"]) for r in read_tsv(tmp_path / "i_links.tsv")}


def test_identifiers_reach_no_output_unless_they_are_kept(rt, sound, tmp_path):
    source = Path(shutil.copytree(sound, tmp_path / "in" / "Nachtigall_Ilse", dirs_exist_ok=True)).parent
    (source / "Nachtigall_Ilse" / "rs.dcm").rename(source / "Nachtigall_Ilse" / "Q-4711_rs.dcm")
    spoil(
        source / "Nachtigall_Ilse" / "Q-4711_rs.dcm", lambda d: setattr(d.StructureSetROISequence[0], "ROIName", "PTV Q-4711")
    )
    spoil(source / "Nachtigall_Ilse" / "rp.dcm", lambda d: setattr(d, "FractionGroupSequence", []))
    out = tmp_path / "out"
    said = [rt("index", source, out / "i.tsv").fine(), rt("dvh", source, out / "d.tsv").fine()]
    said.append(rt("rasterise", source, source, out / "masks").fine())
    told = written(out) + "".join(s.out + s.error for s in said)
    assert "PTV [patient]" in told
    (label,) = {r["patient"] for r in read_tsv(out / "i.tsv")}
    assert f"[{label}]" in said[0].out
    assert not [word for word in SECRETS if word.lower() in told.lower()]
    rt("index", source, tmp_path / "kept" / "i.tsv", "--keep-identifiers").fine()
    assert {r["patient"] for r in read_tsv(tmp_path / "kept" / "i.tsv")} == {"Q-4711"}


def test_the_same_salt_gives_the_same_labels(rt, sound, tmp_path):
    labels = []
    for salt in ("a", "a", "b"):
        rt("index", sound, tmp_path / "i.tsv", "--salt", salt).fine()
        labels.append(read_tsv(tmp_path / "i.tsv")[0]["patient"])
    assert labels[0] == labels[1] != labels[2]


def no_identifiers(folder: Path) -> None:
    for path in folder.rglob("*.dcm"):
        spoil(path, lambda d: (setattr(d, "PatientID", ""), setattr(d, "PatientName", "")))


def tilt(folder: Path) -> None:
    for k, path in enumerate(sorted((folder / "ct").iterdir(), key=lambda p: dcmread(p).ImagePositionPatient[2])):
        spoil(
            path,
            lambda d, k=k: setattr(
                d, "ImagePositionPatient", [*d.ImagePositionPatient[:1], 0.6 * k, d.ImagePositionPatient[2]]
            ),
        )


def cut(path: Path, share: float = 0.6) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def second_dose(folder: Path) -> None:
    plan = str(dcmread(folder / "rp.dcm").SOPInstanceUID)
    write_rtdose(dose_image(50), folder / "again.dcm", STUDY, "again", plan_uid=plan)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda f: (f / "rp.dcm").unlink(), "refers to a plan that is not here"),
        (lambda f: (f / "rs.dcm").unlink(), "refers to a structure set that is not here"),
        (second_dose, "2 doses say that they are the dose of the plan"),
        (lambda f: cut(f / "rd.dcm"), "rd.dcm"),
        (lambda f: spoil(f / "rd.dcm", lambda d: setattr(d, "PatientID", "Else")), "its patient identifier is not that of"),
        (no_identifiers, "has no patient identifier"),
        (tilt, "tilted gantry"),
    ],
)
def test_a_fault_is_a_row_of_the_problems_and_the_other_patient_goes_on(rt, folder, tmp_path, fault, words):
    fault(folder)
    beside(folder)
    rt("index", folder, tmp_path / "i.tsv").fine()
    assert words in (tmp_path / "i_problems.tsv").read_text()
    rt("dvh", folder, tmp_path / "d.tsv").fine()
    fine = [r for r in read_tsv(tmp_path / "d.tsv") if r["plan_path"].startswith("second") and r["status"] == "ok"]
    assert [float(r["mean_gy"]) for r in fine] == [60.0]


def test_a_compressed_series_and_a_dose_that_cannot_be_decompressed(rt, folder, tmp_path):
    for path in (folder / "ct").iterdir():
        dataset = dcmread(path)
        dataset.compress(RLELossless)
        dataset.save_as(path)
    rt("rasterise", folder, folder, tmp_path / "m").fine()
    dose = dcmread(folder / "rd.dcm")
    dose.file_meta.TransferSyntaxUID, dose.PixelData = JPEG2000Lossless, encapsulate([b"no codestream at all"])
    dose.save_as(folder / "rd.dcm")
    beside(folder)
    rt("dvh", folder, tmp_path / "d.tsv").fine()
    rows = {r["plan_path"]: r for r in read_tsv(tmp_path / "d.tsv")}
    assert (rows["rp.dcm"]["status"], rows["rp.dcm"]["dose_status"]) == ("no_dose", "unreadable")
    assert "export it again" in rows["rp.dcm"]["reason"]
    assert rows["second/rp.dcm"]["mean_gy"] == "60"


def test_a_folder_without_dicom_is_refused(rt, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    rt("index", tmp_path, tmp_path / "out" / "i.tsv").refused("none of its 1 files is DICOM")
    rt("index", tmp_path / "nowhere", tmp_path / "out" / "i.tsv").refused("no such folder")
    assert not (tmp_path / "out").exists()


# --- rasterise --------------------------------------------------------------------------------------------------------------


def test_masks_lie_on_the_grid_of_the_series_and_the_table_tells_their_volume(rt, brain, tmp_path):
    series = brain / "dicom" / "planning" / "ct"
    structures = brain / "dicom" / "planning" / "structures.dcm"
    rt("rasterise", structures, series, tmp_path / "m", "--structure", "*ptv*", "--structure", "nothing").fine()
    rows = read_tsv(tmp_path / "m" / "structures.tsv")
    assert [(r["structure"], r["status"]) for r in rows] == [("PTV_60", "ok"), ("PTV_46", "ok"), ("n/a", "missing")]
    mask = read_image(tmp_path / "m" / "PTV_46.nii.gz")
    assert set(np.unique(mask.data)) == {0, 1}
    assert mask.data.sum() * mask.grid.voxel_volume_ml == pytest.approx(float(rows[1]["volume_ml"]), rel=1e-4)
    truth = json.loads((brain / "truth" / "truth.json").read_text())["volumes_ml"]
    rt("rasterise", structures, tmp_path / "m" / "PTV_46.nii.gz", tmp_path / "s", "--structure", "PTV_46", "--share").fine()
    share = read_image(tmp_path / "s" / "PTV_46.nii.gz")
    assert share.grid.is_close(mask.grid)
    assert ((share.data > 0) & (share.data < 1)).sum() > 100
    assert share.data.sum() * share.grid.voxel_volume_ml == pytest.approx(truth["PTV_46"], rel=0.05)


def write_odd_structures(folder: Path) -> Path:
    """A sound structure, one with a name that no file can have, one never drawn, one half and one wholly beyond the images."""
    grid = ct_image().grid
    far = Contour(square(grid, 2).points_mm + np.array([500, 0, 0]))
    half = Contour(square(grid, 2).points_mm + np.array([6, 0, 0]))
    named = (
        ("Größe/链 *?", (square(grid, 1), square(grid, 2))),
        ("große_链", (square(grid, 2),)),
        ("never drawn", ()),
        ("half out", (half,)),
        ("far away", (far,)),
    )
    structures = [Structure(n, c, k, None, "", STUDY.frame_uid) for k, (n, c) in enumerate(named, 1)]
    write_rtstruct(structures, folder / "ct", folder / "rs.dcm")
    return folder / "rs.dcm"


def test_odd_structures_are_flagged_and_the_others_are_drawn(rt, folder, tmp_path):
    structures = write_odd_structures(folder)
    said = rt("rasterise", structures, folder / "ct", tmp_path / "m").fine()
    rows = read_tsv(tmp_path / "m" / "structures.tsv")
    assert [r["status"] for r in rows] == ["ok", "ok", "empty", "partly_outside", "outside"]
    assert [r["file"] != "n/a" for r in rows] == [True, True, False, True, False]
    assert sorted(p.name for p in (tmp_path / "m").glob("*.nii.gz")) == sorted(r["file"] for r in rows if r["file"] != "n/a")
    assert rows[0]["structure"] == "Größe/链 *?"
    assert "has no contours" in rows[2]["reason"]
    assert "far away: all 1 contours lie outside of the grid" in said.out
    rt("dvh", structures, folder / "rd.dcm", tmp_path / "d.tsv").fine()
    assert {r["structure"]: r["status"] for r in read_tsv(tmp_path / "d.tsv")} == {
        "Größe/链 *?": "ok",
        "große_链": "ok",
        "never drawn": "empty",
        "half out": "dose_unknown",
        "far away": "outside",
    }


def test_what_cannot_be_drawn_at_all_is_refused_and_leaves_nothing(rt, sound, folder, brain, tmp_path):
    out = tmp_path / "m"
    structures = folder / "rs.dcm"
    rt("rasterise", structures, brain / "dicom" / "planning" / "ct", out).refused("different DICOM frames of reference")
    rt("rasterise", structures, folder / "ct", out, "--structure", "*CTV*").refused("no structure fits '*CTV*'", "PTV")
    rt("rasterise", folder / "rd.dcm", folder / "ct", out).refused("is RTDOSE, not RTSTRUCT")
    rt("rasterise", structures, folder / "rd.dcm", out).refused("is no NIfTI image")
    rt("rasterise", brain / "dicom", folder / "ct", out).refused("holds 2 structure sets; give the file")
    rt("rasterise", structures, folder / "ct", out, "--share", "--supersampling", "0").refused("supersampling")
    tilt(folder)
    rt("rasterise", structures, folder / "ct", out).refused("tilted gantry")
    for share in (0.5, 0.9):
        shutil.copy(sound / "rs.dcm", structures)
        cut(structures, share)
        rt("rasterise", structures, folder / "ct", out).refused("rs.dcm", "export it again")
    assert not out.exists()


# --- dvh --------------------------------------------------------------------------------------------------------------------


def test_doses_of_a_folder_are_found_by_their_links_and_plans_add_up(rt, brain, tmp_path):
    rt("dvh", brain / "dicom", tmp_path / "d.tsv", "--structure", "GTV", "--sum-plans", "--volume-doses", "10,57").fine()
    rows = {r["plan_path"]: r for r in read_tsv(tmp_path / "d.tsv")}
    assert set(rows) == {"planning/plan_1.dcm", "planning/plan_2.dcm", "all plans"}
    means = [float(rows[p]["mean_gy"]) for p in ("planning/plan_1.dcm", "planning/plan_2.dcm", "all plans")]
    assert means[0] == pytest.approx(46, abs=1)
    assert means[1] == pytest.approx(14, abs=0.5)
    assert means[2] == pytest.approx(means[0] + means[1], abs=0.02)
    assert (float(rows["all plans"]["v57gy_percent"]), float(rows["planning/plan_2.dcm"]["v57gy_percent"])) == (100, 0)
    curve = [r for r in read_tsv(tmp_path / "d_curves.tsv") if r["plan_path"] == "all plans"]
    volumes = [float(r["volume_ml"]) for r in curve]
    assert volumes == sorted(volumes, reverse=True)
    assert volumes[0] == pytest.approx(float(rows["all plans"]["volume_ml"]))
    assert set(json.loads((tmp_path / "d.json").read_text())["tables"]["structures"]) == set(next(iter(rows.values())))


def test_each_plan_is_converted_with_its_own_fractions(rt, sound, tmp_path):
    rt("dvh", sound, tmp_path / "d.tsv", "--alpha-beta-gy", "10").fine()
    (row,) = read_tsv(tmp_path / "d.tsv")
    assert float(row["mean_gy"]) == pytest.approx(60)  # 30 fractions of 2 Gy
    assert row["unit"] == "Gy EQD2 10"


def test_an_unclear_dose_is_a_row_with_a_reason(rt, folder, tmp_path):
    second_dose(folder)
    said = rt("dvh", folder, tmp_path / "d.tsv").fine()
    (row,) = read_tsv(tmp_path / "d.tsv")
    assert (row["status"], row["dose_status"]) == ("no_dose", "ambiguous")
    assert "2 doses say that they are the dose of the plan" in said.out
    (tmp_path / "m.tsv").write_text("path\tignore\nagain.dcm\tyes\n")
    rt("dvh", folder, tmp_path / "d.tsv", "--manifest", tmp_path / "m.tsv").fine()
    assert read_tsv(tmp_path / "d.tsv")[0]["mean_gy"] == "60"


def test_the_part_that_the_dose_does_not_reach_is_unknown_and_bounded(rt, folder, tmp_path):
    half = Grid((4, 6, 5), AFFINE)
    write_rtdose(Image(np.full(half.shape, 40, np.float32), half, "Gy"), tmp_path / "half.dcm", STUDY, "half", plan_uid="1.2.3")
    rt("dvh", folder / "rs.dcm", tmp_path / "half.dcm", tmp_path / "d.tsv").fine()
    (row,) = read_tsv(tmp_path / "d.tsv")
    assert row["status"] == "dose_unknown"
    assert row["mean_gy"] == "n/a"
    assert float(row["mean_low_gy"]) == pytest.approx(40 * (1 - float(row["unknown_share"])), rel=1e-4)
    assert float(row["mean_high_gy"]) == pytest.approx(40)


def test_a_mask_half_at_zero_has_half_the_mean(rt, tmp_path):
    data = np.zeros(GRID.shape, np.float32)
    data[:12] = 50
    write_image(Image(data, GRID, "Gy"), tmp_path / "dose.nii.gz")
    write_image(Image(np.ones(GRID.shape), GRID, "1"), tmp_path / "mask.nii.gz", np.uint8)
    words = ("dvh", tmp_path / "mask.nii.gz", tmp_path / "dose.nii.gz", tmp_path / "d.tsv")
    rt(*words, "--supersampling", "1").fine()
    assert read_tsv(tmp_path / "d.tsv")[0]["mean_gy"] == "25"


def test_wrong_files_for_doses_are_refused(rt, folder, tmp_path):
    out, structures = tmp_path / "out" / "d.tsv", folder / "rs.dcm"
    rt("dvh", structures, out).refused("needs a dose")
    rt("dvh", structures, folder / "rp.dcm", out).refused("is RTPLAN, not RTDOSE")
    rt("dvh", structures, folder / "rd.dcm", folder / "rd.dcm", out).refused("3 sources")
    rt("dvh", structures, folder / "rd.dcm", out, "--sum-plans").refused("needs the folder of the plans")
    rt("dvh", structures, folder / "rd.dcm", out, "--dose-percents", "95,half").refused("--dose-percents is '95,half'")
    rt("dvh", structures, folder / "rd.dcm", out, "--dose-percents", "105").refused("up to 100")
    rt("dvh", structures, constant(tmp_path / "cgy.nii.gz", 6000), out).refused("divide cGy by 100")
    rt("dvh", folder / "ct", out).refused("holds no plan")
    cut(folder / "rd.dcm")
    rt("dvh", structures, folder / "rd.dcm", out).refused("rd.dcm")
    assert not out.parent.exists()


def test_every_verb_says_in_one_line_that_its_output_cannot_be_written(rt, sound, tmp_path):
    (tmp_path / "file").write_text("in the way")
    rt("index", sound, tmp_path / "file" / "i.tsv").refused("cannot be written")
    rt("rasterise", sound, sound, tmp_path / "file").refused("cannot be written")
    rt("dvh", sound, tmp_path / "file" / "d.tsv").refused("cannot be written")
    mask = ball(tmp_path / "r.nii.gz", (0, 0, 0), 5)
    words = ("classify", mask, constant(tmp_path / "d.nii.gz", 60), tmp_path / "file", "--prescription", "60")
    rt(*words).refused("cannot be written")


# --- classify ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brain_case(brain, tmp_path_factory) -> dict[str, Path]:
    """Masks of targets and recurrences of the phantom, where they are on the planning CT."""
    out = tmp_path_factory.mktemp("case")
    package.rasterise_structures(
        brain / "dicom" / "planning" / "structures.dcm", brain / "dicom" / "planning" / "ct", out, patterns=("PTV*", "GTV")
    )
    coarse = read_grid(out / "GTV.nii.gz")
    fine = Grid(tuple(2 * n for n in coarse.shape), coarse.affine @ np.diag([0.5, 0.5, 0.5, 1]))
    truth = json.loads((brain / "truth" / "truth.json").read_text())
    whole = np.zeros(fine.shape, bool)
    for row in truth["recurrences"]:
        radius = (row["volume_ml"] * 750 / np.pi) ** (1 / 3)
        whole |= read_image(ball(out / "one.nii.gz", tuple(row["planning_mm"]), radius, fine)).data > 0.5
    write_image(Image(whole, fine, "1"), out / "recurrence.nii.gz", np.uint8)
    return {p.name.removesuffix(".nii.gz"): p for p in out.glob("*.nii.gz")} | {"dicom": brain / "dicom"}


@pytest.fixture
def brain_words(brain_case) -> tuple[object, ...]:
    return (
        *("--prescription", "high=60,low=46", "--first-tumour", brain_case["GTV"]),
        *("--target", f"high={brain_case['PTV_60']}", "--target", f"low={brain_case['PTV_46']}"),
    )


def test_the_recurrences_of_the_phantom_get_the_classes_they_were_made_with(rt, brain, brain_case, brain_words, tmp_path):
    words = ("--r95-mm", "5", "--draws", "200", "--patient", "p1")
    said = rt("classify", brain_case["recurrence"], brain_case["dicom"], tmp_path / "c", *brain_words, *words).fine()
    rows = failures(tmp_path / "c")
    parts = read_tsv(tmp_path / "c" / "parts.tsv")
    truth = json.loads((brain / "truth" / "truth.json").read_text())["recurrences"]
    assert len(parts) == len(truth)
    assert {r["scheme"] for r in rows} == set(load_schemes())
    for part in parts:
        place = [float(part[k]) for k in ("r_mm", "a_mm", "s_mm")]
        true = min(truth, key=lambda t: np.linalg.norm(np.subtract(t["planning_mm"], place)))
        own = {r["scheme"]: r for r in rows if r["component"] == part["component"]}
        assert own["mohamed_2016"]["class"][0] == true["origin"]
        assert own["gebhardt_2014"]["class"] == {"central": "in-field"}.get(
            true["coverage"], true["coverage"].replace("_", "-")
        )
        assert float(own["lee_1999"]["dose_centroid_gy"]) == pytest.approx(true["dose_at_centroid_gy"], abs=0.5)
        codes = [r for r in read_tsv(tmp_path / "c" / "welsh2025.tsv") if r["component"] == part["component"]]
        assert {r["level"]: int(r["right_centroid_code"]) for r in codes} == {
            "high": true["centroid_codes"]["PTV_60"],
            "low": true["centroid_codes"]["PTV_46"],
        }
    for row in rows:
        assert (row["patient"], row["r95_mm"]) == ("p1", "5")
        chances = dict(p.split("=") for p in row["probabilities"].split(";"))
        assert sum(map(float, chances.values())) == pytest.approx(1, abs=1e-3)
        assert 0 <= float(row["p_inside"]) <= 1
    levels = {(r["component"], r["level"]): r for r in read_tsv(tmp_path / "c" / "levels.tsv")}
    assert all(float(r["p_centroid"]) <= float(levels[part, "low"]["p_centroid"]) for (part, _), r in levels.items())
    groups = {r["component"]: r["agree"] for r in read_tsv(tmp_path / "c" / "agreement.tsv")}
    assert set(groups.values()) == {"true", "false"}
    assert said.out.count("schemes disagree") == list(groups.values()).count("false")
    pairs = read_tsv(tmp_path / "c" / "scheme_pairs.tsv")
    assert all(int(p["n"]) + int(p["n_missing"]) == len(parts) for p in pairs)
    about = json.loads((tmp_path / "c" / "failure.json").read_text())
    assert about["uncertainty"]["r95_mm"] == 5
    assert set(about["tables"]["failure"]) >= set(rows[0])


def test_the_same_seed_gives_the_same_files(rt, brain_case, brain_words, tmp_path):
    words = ("--r95-mm", "4", "--draws", "50", "--scheme", "lee_1999", "--scheme", "welsh2025")
    for name in ("a", "b"):
        rt("classify", brain_case["recurrence"], brain_case["dicom"], tmp_path / name, *brain_words, *words).fine()
    assert written(tmp_path / "a") == written(tmp_path / "b")


@pytest.mark.parametrize("gap", ["empty", "small", "outside"])
def test_a_recurrence_that_cannot_be_classified_keeps_its_rows_with_a_reason(rt, tmp_path, gap):
    radius = {"empty": 0.1, "small": 3, "outside": 3}[gap]
    mask = ball(tmp_path / "r.nii.gz", (0, 0, 0), radius)
    dose = constant(tmp_path / "d.nii.gz", 60)
    if gap == "outside":
        far = Grid(GRID.shape, GRID.affine + np.array([[0, 0, 0, 300.0], [0] * 4, [0] * 4, [0] * 4]))
        write_image(Image(np.full(GRID.shape, 60, np.float32), far, "Gy"), dose)
    words = (
        "--prescription",
        "60",
        "--scheme",
        "lee_1999",
        "--scheme",
        "minniti_2010",
        "--min-volume-ml",
        "1",
        "--r95-mm",
        "5",
    )
    words = words[:-4] + words[-2:] if gap == "outside" else words
    said = rt("classify", mask, dose, tmp_path / "c", *words, "--draws", "20").fine()
    rows = failures(tmp_path / "c")
    assert [(r["scheme"], r["class"]) for r in rows] == [("lee_1999", "unclassified"), ("minniti_2010", "unclassified")]
    reason = {"empty": "is empty", "small": "below min_volume_ml", "outside": "outside of the dose grid"}[gap]
    assert all(reason in r["qc_flags"] for r in rows)
    assert reason in said.out
    assert (tmp_path / "c" / "levels.tsv").exists() == (gap == "outside")
    assert {r["dose_centroid_gy"] for r in rows} == {"n/a"}


def test_the_arm_of_a_trial_follows_from_the_mean_dose_or_is_said(rt, tmp_path):
    mask = ball(tmp_path / "r.nii.gz", (0, 0, 0), 6)
    target = ball(tmp_path / "t.nii.gz", (0, 0, 0), 14)
    words = ("--trial", "import_high", "--target", f"high={target}", "--scheme", "welsh2025")
    for gy, name, levels in ((48, "test 1", 3), (56, "control", 2), (44, None, 0)):
        dose = constant(tmp_path / "d.nii.gz", gy)
        said = rt("classify", mask, dose, tmp_path / "c", *words).fine()
        about = json.loads((tmp_path / "c" / "failure.json").read_text())
        assert about["arm"]["name"] == name
        assert about["arm"]["mean_dose_gy"] == pytest.approx(gy)
        rows = failures(tmp_path / "c")
        assert len({r["level"] for r in rows if r["class"] != "unclassified"}) == levels
        assert (tmp_path / "c" / "welsh2025.tsv").exists() == (levels > 0)
        assert ("no arm: a mean of 44.00 Gy" in said.out) == (name is None)
    rt("classify", mask, dose, tmp_path / "c", *words, "--arm", "test 2").fine()
    assert json.loads((tmp_path / "c" / "failure.json").read_text())["prescriptions_gy"]["high"] == 53
    low = ("--trial", "import_low", "--target", f"low={target}")
    rt("classify", mask, dose, tmp_path / "c", *low).refused("--arm", "different highest levels")


def test_landmarks_of_the_patient_lean_on_those_of_the_cohort(rt, rng, tmp_path):
    mask = ball(tmp_path / "r.nii.gz", (0, 0, 0), 6)
    dose = constant(tmp_path / "d.nii.gz", 60)
    groups = {f"sub-{k}": rng.normal(0, 1 + k, (6, 3)).round(3) for k in range(4)}
    rows = [
        {"participant_id": p, **dict(zip(("r_mm", "a_mm", "s_mm"), map(float, v), strict=True))}
        for p, g in groups.items()
        for v in g
    ]
    write_tsv(rows, tmp_path / "l.tsv")
    words = ("--prescription", "60", "--scheme", "lee_1999", "--landmarks", tmp_path / "l.tsv", "--picking-sd-mm", "0.5")
    rt("classify", mask, dose, tmp_path / "c", *words, "--patient", "sub-2", "--draws", "20").fine()
    others = cohort_residuals([g for p, g in groups.items() if p != "sub-2"])
    wanted = position_uncertainty(groups["sub-2"], others, picking_sd_mm=0.5, grid=GRID)
    assert float(failures(tmp_path / "c")[0]["r95_mm"]) == pytest.approx(wanted.r95_mm, rel=1e-4)
    rt("classify", mask, dose, tmp_path / "c", *words).refused("several patients", "--patient")


def test_a_scheme_of_ones_own_is_read_from_toml(rt, tmp_path):
    scheme = tmp_path / "own.toml"
    scheme.write_text(
        'name = "own"\nmeasure = "isodose_share"\nisodose_fraction = 0.9\n'
        '[[classes]]\nname = "hot"\ngroup = "inside"\nat_least = 0.5\n[[classes]]\nname = "cold"\ngroup = "outside"\n'
    )
    mask, dose = ball(tmp_path / "r.nii.gz", (0, 0, 0), 6), constant(tmp_path / "d.nii.gz", 55)
    rt("classify", mask, dose, tmp_path / "c", "--prescription", "60", "--scheme", scheme).fine()
    assert [(r["scheme"], r["class"], r["threshold_gy"]) for r in failures(tmp_path / "c")] == [("own", "hot", "54")]


def test_wrong_usage_of_classify_is_refused_before_anything_is_written(rt, sound, tmp_path):
    mask, dose = ball(tmp_path / "r.nii.gz", (0, 0, 0), 6), constant(tmp_path / "d.nii.gz", 60)
    empty = ball(tmp_path / "e.nii.gz", (0, 0, 0), 0.1)
    labels = tmp_path / "labels.nii.gz"
    write_image(Image(np.full(GRID.shape, 3), GRID, "1"), labels, np.uint8)
    write_tsv([{"r_mm": 1, "a_mm": 2}], tmp_path / "l.tsv")
    write_tsv([{"r_mm": 1, "a_mm": 2, "s_mm": "n/a"}], tmp_path / "n.tsv")
    out = tmp_path / "c"
    gy = ("--prescription", "60")
    for words, message in (
        ((), "either prescriptions"),
        ((*gy, "--trial", "import_high"), "either prescriptions"),
        (("--prescription", "high=a lot"), "--prescription is 'high=a lot'"),
        (("--prescription", "60", "--prescription", "50"), "twice"),
        ((*gy, "--target", f"high={mask}"), "levels without a prescription: high"),
        ((*gy, "--target", empty), "is empty"),
        ((*gy, "--target", labels), "one file per region"),
        ((*gy, "--scheme", "lee_1066"), "no scheme is called 'lee_1066'"),
        (("--trial", "import_medium"), "no trial is called"),
        (("--trial", "import_high", "--arm", "test 9"), "has no arm 'test 9'"),
        (("--trial", "import_high"), "needs the target of level high"),
        ((*gy, "--arm", "test 1"), "needs its trial"),
        ((*gy, "--r95-mm", "0"), "above 0 mm"),
        ((*gy, "--r95-mm", "5", "--landmarks", tmp_path / "l.tsv"), "either a radius"),
        ((*gy, "--landmarks", tmp_path / "l.tsv"), "r_mm, a_mm, s_mm"),
        ((*gy, "--landmarks", tmp_path / "n.tsv"), "row 2: s_mm is 'n/a'"),
        ((*gy, "--picking-sd-mm", "1"), "--landmarks"),
        ((*gy, "--draws", "1"), "at least 2"),
        ((*gy, "--isodose-fraction", "95"), "isodose_fraction"),
        ((*gy, "--min-volume-ml", "-1"), "min_volume_ml"),
    ):
        rt("classify", mask, dose, out, *words).refused(message)
    rt("classify", labels, dose, out, *gy).refused("one file per region")
    rt("classify", tmp_path / "none.nii.gz", dose, out, *gy).refused("no such file")
    rt("classify", mask, sound / "rp.dcm", out, *gy).refused("not RTDOSE")
    rt("classify", sound / "rs.dcm", dose, out, *gy).refused("rasterise")
    two = beside(Path(shutil.copytree(sound, tmp_path / "two")))
    rt("classify", mask, two, out, *gy).refused("holds plans of 2 patients")
    second_dose(tmp_path / "two")
    shutil.rmtree(two / "second")
    rt("classify", mask, two, out, *gy).refused("2 doses say", "name the file of the dose")
    assert not out.exists()


def test_a_single_prescription_and_its_target_need_no_name_of_a_level(rt, tmp_path):
    mask, target = ball(tmp_path / "r.nii.gz", (0, 0, 0), 6), ball(tmp_path / "t.nii.gz", (3, 0, 0), 14)
    dose = constant(tmp_path / "d.nii.gz", 60)
    rt("classify", mask, dose, tmp_path / "c", "--prescription", "60", "--target", target, "--scheme", "chao_2003").fine()
    (row,) = failures(tmp_path / "c")
    assert (row["class"], row["level"], row["p_class"], row["r95_mm"]) == ("in-field", "prescription", "n/a", "n/a")


def test_a_dose_that_is_only_part_of_the_treatment_is_said_to_be_so(rt, folder, tmp_path):
    spoil(folder / "rd.dcm", lambda d: setattr(d, "DoseSummationType", "BEAM"))
    mask = ball(tmp_path / "r.nii.gz", (0, 0, -25), 4)
    said = rt("classify", mask, folder / "rd.dcm", tmp_path / "c", "--prescription", "60", "--scheme", "lee_1999").fine()
    assert "says that it is a BEAM dose" in said.out


# --- export, phantom --------------------------------------------------------------------------------------------------------


def test_an_exported_structure_reads_back_as_the_same_mask_on_its_series(rt, folder, rng, tmp_path):
    mask = rng.random(SHAPE) > 0.5
    write_image(Image(mask, Grid(SHAPE, AFFINE), "1"), tmp_path / "m.nii.gz", np.uint8)
    words = ("export", tmp_path / "m.nii.gz", folder / "ct", tmp_path / "rs.dcm", "--name", "rGTV Größe", "--roi-type", "GTV")
    said = rt(*words, "--as", "rtstruct").fine()
    assert float(said.told()["volume_ml"]) == pytest.approx(mask.sum() * 0.012, rel=1e-3)
    rt("rasterise", tmp_path / "rs.dcm", folder / "ct", tmp_path / "back").fine()
    (row,) = read_tsv(tmp_path / "back" / "structures.tsv")
    back = read_image(tmp_path / "back" / row["file"])
    assert row["structure"] == "rGTV Größe"
    assert np.array_equal(back.data > 0.5, mask)
    rt("index", folder.parent, tmp_path / "i" / "i.tsv").fine()
    assert {r["patient"] for r in read_tsv(tmp_path / "i" / "i.tsv")} == {read_tsv(tmp_path / "i" / "i.tsv")[0]["patient"]}


def test_an_exported_segmentation_holds_the_mask_and_its_name(rt, folder, rng, tmp_path):
    mask = rng.random(SHAPE) > 0.5
    write_image(Image(mask, Grid(SHAPE, AFFINE), "1"), tmp_path / "m.nii.gz", np.uint8)
    words = ("export", tmp_path / "m.nii.gz", folder / "ct", tmp_path / "s.dcm", "--as", "seg", "--name", "recurrence")
    rt(*words, "--synthetic").fine()
    seg = read_seg_probability(tmp_path / "s.dcm")
    back = seg.grid.index(Grid(SHAPE, AFFINE).world(np.argwhere(mask))).round().astype(int)
    assert (seg.data[tuple(back.T)] == 1).all()
    assert seg.data.sum() == mask.sum()
    dataset = dcmread(tmp_path / "s.dcm")
    assert dataset.SegmentSequence[0].SegmentLabel == "recurrence (synthetic)"


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(rt, folder, tmp_path):
    grid = Grid(SHAPE, AFFINE)
    write_image(Image(np.ones(SHAPE), grid, "1"), tmp_path / "m.nii.gz", np.uint8)
    write_image(Image(np.zeros(SHAPE), grid, "1"), tmp_path / "e.nii.gz", np.uint8)
    far = ball(tmp_path / "far.nii.gz", (900, 0, 0), 8, Grid(GRID.shape, GRID.affine + np.eye(4, k=3) * 900))
    name = ("--as", "rtstruct", "--name", "rGTV")
    out = tmp_path / "out" / "rs.dcm"
    before = sorted(p.name for p in (folder / "ct").iterdir())
    rt("export", tmp_path / "e.nii.gz", folder / "ct", out, *name).refused("is empty")
    rt("export", far, folder / "ct", out, *name).refused("give the series that it was drawn on")
    rt("export", tmp_path / "m.nii.gz", tmp_path / "none", out, *name).refused("no such folder")
    rt("export", tmp_path / "m.nii.gz", folder / "ct", folder / "ct" / "rs.dcm", *name).refused("among the images")
    rt("export", tmp_path / "m.nii.gz", folder / "ct", out, "--as", "rtstruct", "--name", "x" * 70).refused("no DICOM text")
    write_image_series(ct_image(), folder / "more", replace(STUDY, study="more", frame="more"), "more")
    rt("export", tmp_path / "m.nii.gz", folder, out, *name).refused("holds 2 series of images; give the folder of one")
    assert sorted(p.name for p in (folder / "ct").iterdir()) == before
    assert not out.parent.exists()


def test_the_phantom_is_written_once_and_its_folder_can_be_indexed(rt, brain, tmp_path):
    said = rt("phantom", tmp_path / "p", "--case", "brain", "--spacing-mm", "5", "--seed", "3").fine()
    assert "truth.json" in said.out
    assert (tmp_path / "p" / "truth" / "truth.json").read_bytes() == (brain / "truth" / "truth.json").read_bytes()
    rt("phantom", tmp_path / "p", "--case", "brain").refused("no empty folder")
    rt("phantom", tmp_path / "q", "--case", "brain", "--spacing-mm", "9").refused("spacing")
    assert not (tmp_path / "q").exists()


@pytest.mark.realdata
def test_structures_of_real_patients_equal_their_published_masks(rt, real_data, tmp_path):
    source = real_data / "sarcoma-ct-mr-contours" / "STS_002" / "CT"
    rt("rasterise", source / "mask", source / "image", tmp_path, "--between", "none").fine()
    (row,) = read_tsv(tmp_path / "structures.tsv")
    ours, published = read_image(tmp_path / row["file"]), read_image(source.with_name("CT_mask.nii.gz"))
    places = published.grid.world(np.argwhere(published.data > 0.5))
    back = ours.grid.index(places).round().astype(int)
    assert (ours.data[tuple(back.T)] == 1).all()
    assert ours.data.sum() == (published.data > 0.5).sum()
