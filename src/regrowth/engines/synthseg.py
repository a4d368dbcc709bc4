"""Parcellation by SynthSeg of FreeSurfer (mri_synthseg), where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regrowth.anatomy.labelmap import label_parcellation
from regrowth.anatomy.parameters import AnatomyParameters
from regrowth.anatomy.parcellation import Parcellation
from regrowth.errors import EngineFailedError, EngineNotInstalledError, GridMismatchError, InputError, LabelSchemeError
from regrowth.space import Grid, Image

__all__ = ["SynthSegParcellator", "find_synthseg"]

_LOG_LINES = 15


def find_synthseg(program: str = "mri_synthseg") -> Path | None:
    """Find a program of FreeSurfer on PATH, or in ``$FREESURFER_HOME/bin``; None where it is in neither."""
    found = shutil.which(program)
    if found is None and os.environ.get("FREESURFER_HOME"):
        found = shutil.which(program, path=str(Path(os.environ["FREESURFER_HOME"]) / "bin"))
    return None if found is None else Path(found)


@dataclass(frozen=True)
class SynthSegParcellator:
    """Region map by ``mri_synthseg --parc --robust``, a network that takes any contrast and resolution.

    It was not trained on tumours: look at the labels in and around the lesion. SynthSeg labels no corpus callosum; it is
    found by geometry (`regrowth.anatomy.freesurfer.callosum`).

    Parameters
    ----------
    parameters
        ``synthsr`` (make a 1 mm T1 by ``mri_synthsr`` first, as Hannisdal et al. do) and ``min_label_coverage``.
    timeout_s
        Seconds after which a program is stopped; None waits for ever.

    References
    ----------
    .. [1] Billot et al., PNAS 120 (2023), doi:10.1073/pnas.2216399120 (robust version).
    """

    parameters: AnatomyParameters = field(default_factory=AnatomyParameters)
    timeout_s: float | None = 3 * 3600.0
    name: str = "synthseg"
    citation: str = (
        "Billot et al. 2023, SynthSeg, doi:10.1016/j.media.2023.102789; Robust machine learning segmentation, "
        "doi:10.1073/pnas.2216399120"
    )

    @property
    def version(self) -> str:
        """Version of the FreeSurfer that the program belongs to (its build stamp), and whether SynthSR runs before.

        Raises
        ------
        EngineNotInstalledError
            If ``mri_synthseg`` is not found.
        """
        program = _required("mri_synthseg")
        stamps = [program.parents[1] / "build-stamp.txt", program.parents[1] / "VERSION"]
        found = next((s.read_text(errors="replace").strip() for s in stamps if s.is_file()), "")
        version = re.sub(r"\s+", " ", found)[:80] or "unknown build"
        return f"{version}, --parc --robust" + (", after mri_synthsr" if self.parameters.synthsr else "")

    def parcellate(
        self, image: Image, *, lesion: np.ndarray | None = None, brain: np.ndarray | None = None, threads: int = 1
    ) -> Parcellation:
        """Find the regions (see `Parcellator.parcellate`); the lesion is only left out of the coverage.

        Raises
        ------
        EngineNotInstalledError
            If ``mri_synthseg``, or ``mri_synthsr`` where asked for, is not found.
        EngineFailedError
            If a program fails or its labels are not understood; with the end of its log.
        """
        if image.data.ndim != 3:
            raise InputError(f"SynthSeg needs one volume, not an array of shape {image.data.shape}; pick a time point")
        for what, mask in (("lesion", lesion), ("brain mask", brain)):
            if mask is not None and np.shape(mask) != image.grid.shape:
                raise GridMismatchError(f"a {what} of shape {np.shape(mask)} does not fit an image of shape {image.grid.shape}")
        segment = _required("mri_synthseg")
        restore = _required("mri_synthsr") if self.parameters.synthsr else None
        count = str(max(int(threads), 1))
        with tempfile.TemporaryDirectory(prefix="regrowth-synthseg-") as name:
            folder = Path(name)
            source = folder / "image.nii.gz"
            _write(image, source)
            if restore is not None:
                better = folder / "restored.nii.gz"
                self._run((restore, "--i", source, "--o", better, "--threads", count, "--cpu"), folder, count, better)
                source = better
            out = folder / "labels.nii.gz"
            command = (segment, "--i", source, "--o", out, "--parc", "--robust", "--threads", count, "--cpu")
            log = self._run(command, folder, count, out)
            labels, grid = _read(out, log)
        try:
            return label_parcellation(
                labels,
                grid,
                image.grid,
                "the output of mri_synthseg",
                self.parameters,
                lesion=lesion,
                brain=brain,
                method="synthseg",
                reason="mri_synthseg --parc --robust" + (" after mri_synthsr" if restore else ""),
            )
        except (LabelSchemeError, InputError) as error:
            raise EngineFailedError(f"mri_synthseg gave no usable labels: {error}; end of its log:\n{_tail(log)}") from error

    def _run(self, command: Sequence[str | Path], folder: Path, threads: str, result: Path) -> str:
        """Run a program in the folder and wait for its result; its log comes back."""
        program = Path(command[0]).name
        env = os.environ | {"OMP_NUM_THREADS": threads, "TF_NUM_INTRAOP_THREADS": threads, "PYTHONHASHSEED": "0"}
        path = folder / "log.txt"
        try:
            with path.open("wb") as log:
                code = _waited([str(c) for c in command], folder, env, log, self.timeout_s)
        except OSError as error:
            raise EngineFailedError(f"{program} cannot be started: {error}; repair the FreeSurfer installation") from error
        except subprocess.TimeoutExpired as error:
            text = path.read_text(errors="replace")
            raise EngineFailedError(
                f"{program} was stopped after {self.timeout_s:g} s; end of its log:\n{_tail(text)}"
            ) from error
        text = path.read_text(errors="replace")
        if code != 0:
            raise EngineFailedError(f"{program} {_ending(code)}; end of its log:\n{_tail(text)}")
        if not result.is_file():
            raise EngineFailedError(f"{program} ended well but wrote no {result.name}; end of its log:\n{_tail(text)}")
        return text


def _waited(command: list[str], folder: Path, env: Mapping[str, str], log: BinaryIO, timeout_s: float | None) -> int:
    # mri_synthseg is a shell script around Python: a group of its own, so that all of it is stopped.
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(timeout_s)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _required(program: str) -> Path:
    found = find_synthseg(program)
    if found is None:
        raise EngineNotInstalledError(
            f"{program} is not on PATH nor in $FREESURFER_HOME/bin: install FreeSurfer 7.4 or newer and source its set-up "
            "script, give a label map with --derivatives, or choose --parcellator template"
        )
    return found


def _write(image: Image, path: Path) -> None:
    import nibabel as nib

    nii = nib.Nifti1Image(np.asarray(image.data, np.float32), image.grid.affine)
    nii.header.set_xyzt_units("mm")
    nib.save(nii, path)


def _read(path: Path, log: str) -> tuple[np.ndarray, Grid]:
    import nibabel as nib

    try:
        nii = nib.load(path)
        data = np.asarray(nii.dataobj)
        grid = Grid(data.shape, nii.affine)
    except (OSError, EOFError, ValueError, InputError, nib.filebasedimages.ImageFileError) as error:
        raise EngineFailedError(f"mri_synthseg wrote an unreadable file ({error}); end of its log:\n{_tail(log)}") from error
    return np.asarray(np.rint(data), np.int32), grid


def _ending(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code} (9: often out of memory)"


def _tail(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return "\n".join(lines[-_LOG_LINES:]) or "(empty)"
