"""``regrowth parcellate`` and ``regrowth locate`` on plain files."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from regrowth.anatomy import LOBES
from regrowth.cli.main import main
from regrowth.io.nifti import read_image
from regrowth.io.tables import read_tsv
from regrowth.phantom import PhantomParameters
from regrowth.phantom.dataset import write_phantom
from regrowth.space import require_same_grid
from tests.workflow.copies import Case, flip_storage, mirror, parcel_at, rewrite, world_of, write_parcels

SCHEME = ("--label-scheme", "brats-2024-post")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    error: str

    def refused(self, *words: str) -> None:
        """Check for exit code 2 and one line that holds the words."""
        assert self.code == 2, self.out
        line = self.error.strip()
        assert "\n" not in line
        assert "Traceback" not in line
        for word in words:
            assert word in line, line

    def told(self) -> dict[str, str]:
        """Lines ``name: value`` of the output."""
        return dict(re.findall(r"^([\w ]+?): (.*)$", self.out, re.M))


@pytest.fixture
def regrowth(monkeypatch, capsys) -> Callable[..., Said]:
    """Call the command line as the shell does, in this process."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["regrowth", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, error = capsys.readouterr()
        return Said(int(stop.value.code or 0), out, error)

    return call


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Case:
    """One synthetic patient at 4 mm, the tumour on the right."""
    data = tmp_path_factory.mktemp("phantom") / "bids"
    write_phantom(data, PhantomParameters(patients=1, spacing_mm=4.0, lattice_mm=4.0, seed=3))
    return Case(data / "sub-01", data / "derivatives" / "truth" / "sub-01", "01")


@dataclass(frozen=True)
class Files:
    """One exam as plain files."""

    image: Path
    mask: Path
    brain: Path
    labels: Path

    def each(self, change: Callable[[Path], None]) -> Files:
        for path in (self.image, self.mask, self.brain, self.labels):
            change(path)
        return self


@pytest.fixture
def exam(phantom, tmp_path) -> Files:
    """Files of the first exam that a test may change, with a map of FreeSurfer ids."""
    write_parcels(phantom)
    sources = (phantom.image("preop", "ce-gadolinium_T1w"), phantom.mask("preop"), phantom.brain("preop"), phantom.regions())
    files = Files(*(tmp_path / f"{name}.nii.gz" for name in ("image", "mask", "brain", "labels")))
    for source, target in zip(sources, (files.image, files.mask, files.brain, files.labels), strict=True):
        shutil.copyfile(source, target)
    return files


def located(regrowth, files: Files, regions: Path, out: Path) -> dict[str, str]:
    said = regrowth("locate", files.mask, regions, *SCHEME, "--out", out)
    assert said.code == 0, said.error
    return read_tsv(out)[0]


# The embedded template


def test_the_template_finds_the_side_and_lobe_however_the_voxels_are_stored(regrowth, phantom, exam, tmp_path):
    lobe = json.loads((phantom.truth / "sub-01_truth.json").read_text())["scene"]["lobe_drawn"]
    config = tmp_path / "c.toml"
    config.write_text('[anatomy]\nkind = "affine"\nparcellator = "template"\n')  # the last stage costs most of the time
    found = {}
    for name, change in (("stored", lambda _: None), ("flipped", flip_storage), ("mirrored", mirror)):
        exam.each(change)
        out = tmp_path / f"{name}.nii.gz"
        masks = ("--lesion", exam.mask, "--brain", exam.brain)
        said = regrowth("parcellate", exam.image, out, *masks, "--config", config)
        assert said.code == 0, said.error
        assert said.told()["method"] == "template"
        assert float(said.told()["mask_dice"]) > 0.85
        require_same_grid(read_image(out).grid, read_image(exam.image).grid)
        facts = json.loads(out.with_name(f"{name}.json").read_text())
        assert facts["Regions"] == {r.label: r.value for r in LOBES}
        assert "affine" in facts["Reason"]
        found[name] = located(regrowth, exam, out, tmp_path / f"{name}.tsv")
        assert found[name]["lobe"] == lobe
    assert found["stored"]["laterality"] == "right"
    assert found["flipped"]["laterality"] == "right"
    assert float(found["flipped"]["lobe_share"]) == pytest.approx(float(found["stored"]["lobe_share"]), abs=0.03)
    assert found["mirrored"]["laterality"] == "left"  # and not because right is always the answer


# A map that the user brings


@pytest.mark.parametrize("change", [lambda _: None, flip_storage], ids=["stored", "flipped"])
def test_a_label_map_is_grouped_and_the_shares_are_those_of_the_coordinates(regrowth, exam, tmp_path, change):
    exam.each(change)
    said = regrowth("parcellate", exam.image, tmp_path / "regions.nii.gz", "--labels", exam.labels, "--brain", exam.brain)
    assert said.code == 0, said.error
    told = said.told()
    assert told["method"] == "labelmap"
    assert told["is_fallback"] == "False"
    data = read_image(tmp_path / "regions.nii.gz").data
    volume = (data == LOBES.region("right temporal").value).sum() * 0.064  # ml of a voxel of 4 mm
    assert float(told["right temporal_ml"]) == pytest.approx(volume, rel=1e-3)

    words = ("--out", tmp_path / "l.tsv", "--overlap", tmp_path / "o.tsv")
    said = regrowth("locate", exam.mask, tmp_path / "regions.nii.gz", *SCHEME, *words)
    assert said.code == 0, said.error
    whole = read_tsv(tmp_path / "l.tsv")[0]
    assert whole["part"] == "whole"
    assert whole["laterality"] == said.told()["laterality"] == "right"
    values = np.asarray(nib.load(exam.mask).dataobj)
    from regrowth.labels import label_scheme

    core = np.isin(values, label_scheme("brats-2024-post").region_values("TC"))
    ids = parcel_at(world_of(exam.mask))[core & (np.asarray(nib.load(exam.brain).dataobj) > 0)]
    shares = {r["region"]: float(r["share"]) for r in read_tsv(tmp_path / "o.tsv")}
    for name, value in (("right temporal", 2030), ("right parietal", 2029), ("right frontal", 2028)):
        assert shares[name] == pytest.approx((ids == value).sum() / core.sum(), abs=1e-5)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)


def test_options_of_the_location_come_from_a_configuration_file(regrowth, exam, tmp_path):
    regions = tmp_path / "regions.nii.gz"
    assert regrowth("parcellate", exam.image, regions, "--labels", exam.labels).code == 0
    assert located(regrowth, exam, regions, tmp_path / "l.tsv")["compartment"] == "TC"
    config = tmp_path / "c.toml"
    config.write_text("[location]\nmin_core_ml = 1000.0\n")
    said = regrowth("locate", exam.mask, regions, *SCHEME, "--config", config)
    assert said.told()["compartment"] == "WT"
    said = regrowth("locate", exam.mask, regions, *SCHEME, "--config", config, "--min-core-ml", "0.1")
    assert said.told()["compartment"] == "TC"
    config.write_text("[anatomy]\nmin_core_ml = 1000.0\n")
    regrowth("locate", exam.mask, regions, *SCHEME, "--config", config).refused("c.toml", "[anatomy]")


def test_an_empty_segmentation_has_no_place_and_says_so(regrowth, exam, tmp_path):
    regions = tmp_path / "regions.nii.gz"
    assert regrowth("parcellate", exam.image, regions, "--labels", exam.labels).code == 0
    rewrite(exam.mask, lambda d, a: (np.zeros_like(d), a))
    row = located(regrowth, exam, regions, tmp_path / "l.tsv")
    assert row["status"] == "empty"
    assert row["reason"]
    assert {row[n] for n in ("lobe_share", "coverage", "crosses_midline", "entropy")} == {"n/a"}


# Bad input


def test_another_grid_is_refused_with_the_distance(regrowth, exam, tmp_path):
    regions = tmp_path / "regions.nii.gz"
    assert regrowth("parcellate", exam.image, regions, "--labels", exam.labels).code == 0

    def move(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        affine[:3, 3] += [0, 0, 8]
        return data, affine

    rewrite(exam.mask, move)
    regrowth("locate", exam.mask, regions, *SCHEME, "--out", tmp_path / "l.tsv").refused("8.00 mm")
    assert not (tmp_path / "l.tsv").exists()
    said = regrowth("parcellate", exam.image, tmp_path / "again.nii.gz", "--labels", exam.labels, "--lesion", exam.mask)
    said.refused("mask.nii.gz", "8.00 mm")
    assert not (tmp_path / "again.nii.gz").exists()


def test_an_image_is_no_map_of_regions(regrowth, exam):
    regrowth("locate", exam.mask, exam.image, *SCHEME).refused("image.nii.gz")


def test_freesurfer_ids_are_no_map_of_regions_either(regrowth, exam):
    regrowth("locate", exam.mask, exam.labels, *SCHEME).refused("labels.nii.gz")


def test_an_interpolated_label_map_is_refused(regrowth, exam, tmp_path):
    rewrite(exam.labels, lambda d, a: (d.astype(np.float32) + 0.3 * (d > 0), a))
    said = regrowth("parcellate", exam.image, tmp_path / "r.nii.gz", "--labels", exam.labels)
    said.refused("labels.nii.gz", "no whole numbers")
    assert not (tmp_path / "r.nii.gz").exists()


def test_a_label_map_without_lobes_is_refused(regrowth, exam, tmp_path):
    rewrite(exam.labels, lambda d, a: (np.where(d > 2000, 42, np.where(d > 0, 3, 0)).astype(np.int32), a))
    regrowth("parcellate", exam.image, tmp_path / "r.nii.gz", "--labels", exam.labels).refused("labels.nii.gz", "--parc")
    assert not list(tmp_path.glob("r.*"))


def test_a_label_map_of_another_space_is_refused(regrowth, exam, tmp_path):
    def move(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        affine[:3, 3] += [0, 150, 0]
        return data, affine

    rewrite(exam.labels, move)
    regrowth("parcellate", exam.image, tmp_path / "r.nii.gz", "--labels", exam.labels).refused("labels.nii.gz", "another space")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("parcellate", "nowhere.nii.gz", "r.nii.gz"), "nowhere.nii.gz: no such file"),
        (("locate", "nowhere.nii.gz", "r.nii.gz", "--label-scheme", "brats-2023"), "nowhere.nii.gz: no such file"),
        (("locate", "a.nii.gz", "b.nii.gz", "--label-scheme", "brats-1066"), "brats-1066"),
        (("parcellate", "a.nii.gz", "r.nii.gz", "--min-mask-dice", "7"), "min_mask_dice"),
        (("locate", "a.nii.gz", "b.nii.gz", *SCHEME, "--dominant-share", "0.4"), "dominant_share"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(regrowth, words, message):
    said = regrowth(*words)
    assert said.code == 2
    assert message in " ".join(said.error.replace("│", " ").split())
    assert "Traceback" not in said.error


def test_asking_for_a_label_map_without_giving_one_is_refused(regrowth, exam, tmp_path):
    regrowth("parcellate", exam.image, tmp_path / "r.nii.gz", "--parcellator", "labelmap").refused("labels")


def test_an_unknown_parcellator_is_refused_by_name(regrowth):
    said = regrowth("parcellate", "a.nii.gz", "r.nii.gz", "--parcellator", "gut")
    assert said.code == 2
    assert "gut" in said.error
