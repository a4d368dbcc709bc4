"""SynthSeg as an engine, tried with fake programs: shell scripts named mri_synthseg and mri_synthsr that only pretend."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from regrowth.anatomy import LOBES, AnatomyParameters
from regrowth.engines.synthseg import SynthSegParcellator, find_synthseg
from regrowth.errors import EngineFailedError, EngineNotInstalledError, InputError
from regrowth.space import Grid, Image
from tests.conftest import make_grid

# The fake paints the right half of the world (x > 0) with right ids and the left half with left ids, on a 1 mm RAS grid
# as the real program does: cortex (superior frontal) outside, white matter inside.
FAKE = """
import sys, json
import numpy as np, nibabel as nib
args = sys.argv[1:]
get = lambda name: args[args.index(name) + 1]
source = nib.load(get("--i"))
open("{record}", "a").write(json.dumps({{"args": args, "mean": float(np.mean(source.dataobj))}}) + "\\n")
print("fake: reading")
if "{kind}" == "synthsr":
    nib.save(nib.Nifti1Image(np.asarray(source.dataobj, np.float32) + 1, source.affine), get("--o"))
    sys.exit(0)
corners = np.array([[i, j, k, 1] for i in (0, source.shape[0]) for j in (0, source.shape[1]) for k in (0, source.shape[2])])
world = (corners @ source.affine.T)[:, :3]
low, high = np.floor(world.min(axis=0)) - 2, np.ceil(world.max(axis=0)) + 2
shape = (high - low).astype(int)
affine = np.eye(4); affine[:3, 3] = low
x = low[0] + np.arange(shape[0])[:, None, None] + np.zeros(shape)
r = np.abs(x)
labels = np.where(x > 0, np.where(r > 10, 2028, 41), np.where(r > 10, 1028, 2)).astype(np.float32)
{change}
nib.save(nib.Nifti1Image(labels.astype(np.float32), affine), get("--o"))
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, change: str = "", kind: str = "synthseg", script: str | None = None):
    """Put a fake program on PATH (in place of everything else but the system's folders); gives its record of calls."""
    folder.mkdir(exist_ok=True)
    record = folder / f"{kind}.jsonl"
    code = folder / f"fake_{kind}.py"
    code.write_text(FAKE.format(record=record, kind=kind, change=change))
    program = folder / f"mri_{kind}"
    program.write_text(script or f'#!/bin/sh\nexec "{sys.executable}" "{code}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("FREESURFER_HOME", raising=False)
    return record


def image_on(grid: Grid) -> Image:
    return Image(np.ones(grid.shape, np.float32), grid)


def test_labels_come_back_on_the_grid_of_the_image_with_the_sides_of_its_affine(grid, tmp_path, monkeypatch):
    install(tmp_path / "bin", monkeypatch)
    result = SynthSegParcellator().parcellate(image_on(grid), brain=np.ones(grid.shape, bool))
    assert result.regions.data.shape == grid.shape
    x = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0]
    sure = np.abs(x) > 8
    assert (result.regions.mask_of(side="right") == (x > 0))[sure].all()
    assert (result.regions.mask_of(side="left") == (x < 0))[sure].all()
    assert (result.labels[x > 11] == 2028).all()
    assert result.method == "synthseg"
    assert not result.is_fallback
    assert result.quality["label_coverage"] == 1.0


def test_program_is_asked_for_parcels_robustness_threads_and_no_gpu(tmp_path, monkeypatch):
    record = install(tmp_path / "bin", monkeypatch)
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    brain = np.ones(grid.shape, bool)
    result = SynthSegParcellator().parcellate(image_on(grid), brain=brain, threads=3)
    call = record.read_text()
    for expected in ('"--parc"', '"--robust"', '"--cpu"', '"--threads", "3"'):
        assert expected in call
    assert result.quality["label_coverage"] == 1.0
    assert {r.label for r in LOBES if result.regions.mask(r.label).any()} == {
        "left frontal",
        "right frontal",
        "corpus callosum",
    }


def test_synthsr_runs_before_where_asked_for(tmp_path, monkeypatch):
    seen = install(tmp_path / "bin", monkeypatch)
    restored = install(tmp_path / "bin", monkeypatch, kind="synthsr")
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    SynthSegParcellator(AnatomyParameters(synthsr=True)).parcellate(image_on(grid))
    assert '"mean": 1.0' in restored.read_text()
    assert '"mean": 2.0' in seen.read_text()  # what the fake SynthSR made, not the image


def test_synthsr_that_is_asked_for_but_absent_is_refused(tmp_path, monkeypatch):
    install(tmp_path / "bin", monkeypatch)
    with pytest.raises(EngineNotInstalledError, match="mri_synthsr"):
        SynthSegParcellator(AnatomyParameters(synthsr=True)).parcellate(image_on(make_grid("RAS", (2.0, 2.0, 2.0))))


def test_absent_program_is_refused_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FREESURFER_HOME", raising=False)
    assert find_synthseg() is None
    with pytest.raises(EngineNotInstalledError, match=r"install FreeSurfer.*--derivatives"):
        SynthSegParcellator().parcellate(image_on(make_grid("RAS", (2.0, 2.0, 2.0))))
    with pytest.raises(EngineNotInstalledError, match="mri_synthseg"):
        _ = SynthSegParcellator().version


def test_program_is_found_in_freesurfer_home_and_its_build_is_the_version(tmp_path, monkeypatch):
    home = tmp_path / "freesurfer"
    home.mkdir()
    install(home / "bin", monkeypatch)
    (home / "build-stamp.txt").write_text("freesurfer-linux-7.4.1-20230614-7eb8460\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FREESURFER_HOME", str(home))
    assert find_synthseg() == home / "bin" / "mri_synthseg"
    assert SynthSegParcellator().version == "freesurfer-linux-7.4.1-20230614-7eb8460, --parc --robust"
    assert "mri_synthsr" in SynthSegParcellator(AnatomyParameters(synthsr=True)).version


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho 'no weights found'\nexit 3\n", r"exit code 3; end of its log:\nno weights found"),
        ("#!/bin/sh\nkill -9 $$\n", r"signal 9 .*out of memory"),
        ("#!/bin/sh\nexit 0\n", "wrote no labels"),
        ("#!/bin/sh\nshift 3\necho nonsense > $1\nexit 0\n", "unreadable file"),
        ("#!/no/such/interpreter\n", "cannot be started"),
    ],
)
def test_failing_program_is_an_error_with_the_end_of_its_log(tmp_path, monkeypatch, script, message):
    install(tmp_path / "bin", monkeypatch, script=script)
    with pytest.raises(EngineFailedError, match=message):
        SynthSegParcellator().parcellate(image_on(make_grid("RAS", (4.0, 4.0, 4.0))))


def test_hanging_program_is_stopped_with_what_it_started(tmp_path, monkeypatch):
    install(tmp_path / "bin", monkeypatch, script="#!/bin/sh\necho started\nsleep 600\n")
    with pytest.raises(EngineFailedError, match=r"stopped after 1 s; end of its log:\nstarted"):
        SynthSegParcellator(timeout_s=1.0).parcellate(image_on(make_grid("RAS", (4.0, 4.0, 4.0))))


def test_output_without_parcels_is_refused(tmp_path, monkeypatch):
    install(tmp_path / "bin", monkeypatch, change="labels[labels == 2028] = 42; labels[labels == 1028] = 3")
    with pytest.raises(EngineFailedError, match="--parc"):
        SynthSegParcellator().parcellate(image_on(make_grid("RAS", (4.0, 4.0, 4.0))))


def test_series_of_volumes_is_refused():
    grid = make_grid("RAS", (4.0, 4.0, 4.0))
    with pytest.raises(InputError, match="time point"):
        SynthSegParcellator().parcellate(Image(np.ones((*grid.shape, 2), np.float32), grid))
