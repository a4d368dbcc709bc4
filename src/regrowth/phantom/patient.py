"""How one synthetic glioma patient is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from regrowth.clinical import SEQUENCES
from regrowth.errors import ParameterError
from regrowth.labels import label_scheme
from regrowth.phantom.acquisition import acquired, drawn_motion, exam_grid, pictured, sequence_grid
from regrowth.phantom.anatomy import sharpened
from regrowth.phantom.parameters import PhantomParameters
from regrowth.phantom.scene import Scene, drawn_scene
from regrowth.phantom.survival import SurvivalModel, covariate_row
from regrowth.phantom.template import Template
from regrowth.phantom.truth import Landmarks, RecurrenceTruth, drawn_landmarks, recurrence_truth, true_inverse
from regrowth.space import Image, LabelMap, Transform, resample_labels

__all__ = ["SyntheticExam", "SyntheticPatient", "synthetic_patient"]

_ORIENTATIONS = ("LPS", "RAS", "LAS")


@dataclass(frozen=True, eq=False)
class SyntheticExam:
    """One exam.

    Parameters
    ----------
    label
        Session label: ``preop`` or ``progression``.
    day
        Days from baseline.
    phase
        As in `regrowth.clinical.PHASES`.
    images
        ``T1wce``, ``T1w``, ``T2w``, ``FLAIR``, each on its own grid, background 0.
    segmentation
        True labels in ``brats-2024-post`` on the grid of the T1wce.
    brain
        (X, Y, Z) bool on the grid of the T1wce.
    motions
        Sequence to the true ``from-<sequence>_to-T1wce``, which maps points of the T1wce to the sequence; the identity
        for the T1wce.
    """

    label: str
    day: int
    phase: str
    images: Mapping[str, Image]
    segmentation: LabelMap
    brain: np.ndarray
    motions: Mapping[str, Transform]


@dataclass(frozen=True, eq=False)
class SyntheticPatient:
    """A patient with the truth.

    Parameters
    ----------
    label
        Participant label without ``sub-``.
    exams
        Before surgery and at progression.
    followup_to_baseline
        True ``from-progression_to-preop``: maps points of the baseline T1wce to the follow-up T1wce (the numerical inverse
        of the next one).
    baseline_to_followup
        ``from-preop_to-progression``: maps points of the follow-up to the baseline; exact, the scene is built with it.
    recurrence_in_baseline
        Follow-up segmentation on the grid of the baseline T1wce; the recurrence is its ``CE_core``.
    recurrence
        True pattern and migration.
    landmarks
        True pairs of points.
    clinical
        Columns of ``participants.tsv``: age (years), sex, mgmt, idh, eor, os_days, os_event, ttp_days, ttp_event.
    scene
        What the images were made from.
    """

    label: str
    exams: tuple[SyntheticExam, SyntheticExam]
    followup_to_baseline: Transform
    baseline_to_followup: Transform
    recurrence_in_baseline: LabelMap
    recurrence: RecurrenceTruth
    landmarks: Landmarks
    clinical: Mapping[str, int | float | str]
    scene: Scene

    @property
    def recurrence_class(self) -> str:
        """``local``, ``marginal`` or ``distant``."""
        return self.recurrence.pattern

    def exam_to_template(self, exam: int) -> Transform:
        """Give the true ``from-template_to-<exam>`` of exam 0 or 1: maps points of its T1wce to the template, exactly.

        Lesions included: at a point inside of one it tells which healthy tissue was pushed away or replaced there.

        Raises
        ------
        ParameterError
            If there is no such exam.
        """
        if exam not in (0, 1):
            raise ParameterError(f"a synthetic patient has the exams 0 and 1, not {exam}")
        head = () if exam == 0 else self.scene.followup_to_baseline_points.steps
        steps = (*head, *self.scene.baseline_to_template.steps)
        fixed = self.exams[exam].segmentation.grid
        return Transform(steps, "template", self.exams[exam].label, self.scene.template.grid, fixed)

    def true_error_mm(self, transform: Transform, baseline_mm: np.ndarray) -> np.ndarray:
        """Error of an estimate of `followup_to_baseline`, without any inversion.

        Parameters
        ----------
        transform
            Estimate T: maps points of the baseline T1wce to the follow-up T1wce.
        baseline_mm
            (..., 3) points x.

        Returns
        -------
        numpy.ndarray
            (...) of |psi(T(x)) - x| in mm, measured in the baseline exam.
        """
        x = np.asarray(baseline_mm, dtype=np.float64)
        return np.asarray(np.linalg.norm(self.baseline_to_followup.map_points(transform.map_points(x)) - x, axis=-1))


def synthetic_patient(
    index: int, parameters: PhantomParameters, template: Template, survival: SurvivalModel | None = None
) -> SyntheticPatient:
    """Make a patient from (seed, index) alone: it never depends on how many others there are.

    Parameters
    ----------
    index
        Number of the patient from 0.
    parameters
        Resolution, deformation and image quality.
    template
        The healthy brain, from `regrowth.phantom.template.icbm_template`.
    survival
        The survival model; the default one when left out.

    Raises
    ------
    ParameterError
        If `index` is negative.
    """
    if index < 0:
        raise ParameterError(f"patients are counted from 0, not {index}")
    # Separate streams: what depends on the number of voxels cannot shift what does not.
    root = np.random.default_rng([parameters.seed, index])
    scene_rng, clinical_rng, landmark_rng, *exam_rngs = root.spawn(5)
    scene = drawn_scene(index, parameters, sharpened(template), scene_rng)
    baseline, followup = (_exam(scene, number, index, parameters, rng) for number, rng in enumerate(exam_rngs))
    psi = replace(
        scene.followup_to_baseline_points,
        from_space=baseline.label,
        to_space=followup.label,
        moving=baseline.segmentation.grid,
        fixed=followup.segmentation.grid,
    )
    truth = true_inverse(psi)
    moved = resample_labels(followup.segmentation, baseline.segmentation.grid, truth)
    clinical = _clinical(scene, baseline.segmentation, survival or SurvivalModel(), clinical_rng)
    return SyntheticPatient(
        label=f"{index + 1:02d}",
        exams=(baseline, replace(followup, day=int(clinical["ttp_days"]))),
        followup_to_baseline=truth,
        baseline_to_followup=psi,
        recurrence_in_baseline=moved,
        recurrence=recurrence_truth(baseline.segmentation, moved),
        landmarks=drawn_landmarks(scene, truth, parameters.landmarks, landmark_rng),
        clinical=MappingProxyType(clinical),
        scene=scene,
    )


def _exam(scene: Scene, exam: int, index: int, parameters: PhantomParameters, rng: np.random.Generator) -> SyntheticExam:
    orientation = str(rng.choice(_ORIENTATIONS))
    grid = exam_grid(scene, exam, parameters.spacing_mm, orientation)
    picture = pictured(scene, exam, grid, label_scheme("brats-2024-post"))
    thick = exam == 1 and parameters.has_thick_slices(index)
    images, motions = {}, {}
    for sequence, stream in zip(SEQUENCES, rng.spawn(len(SEQUENCES)), strict=True):
        own, motion, thickness = grid, Transform(from_space="T1wce", to_space="T1wce"), 1
        if sequence != "T1wce":
            motion = drawn_motion(grid, sequence, parameters, stream)
            if thick and sequence in ("T2w", "FLAIR"):
                thickness = max(round(parameters.slice_thickness_mm / parameters.spacing_mm), 2)
            axes = orientation if sequence == "T1w" else str(stream.choice(_ORIENTATIONS))
            own = sequence_grid(grid, thickness * parameters.spacing_mm, axes, stream.uniform(-1, 1, 3))
        images[sequence] = acquired(picture, sequence, own, motion, thickness, parameters, stream)
        motions[sequence] = replace(motion, moving=own, fixed=grid)
    label, phase = (("preop", "preop"), ("progression", "progression"))[exam]
    maps = MappingProxyType(images), picture.segmentation, picture.brain, MappingProxyType(motions)
    return SyntheticExam(label, 0, phase, *maps)


def _clinical(scene: Scene, primary: LabelMap, model: SurvivalModel, rng: np.random.Generator) -> dict[str, int | float | str]:
    age = int(np.clip(rng.normal(61, 11), 25, 84))
    methylated = bool(rng.random() < 0.42)
    gross_total = scene.facts["resection"] == "GTR"
    row = covariate_row(age, methylated, gross_total, primary.volume_ml("CE_core"), primary.volume_ml("NE"))
    outcome = model.outcome_after_progression(row, rng)
    return {
        "age": age,
        "sex": "F" if rng.random() < 0.42 else "M",
        "mgmt": "methylated" if methylated else "unmethylated",
        "idh": "mutant" if rng.random() < 0.06 else "wildtype",
        "eor": "GTR" if gross_total else "STR",
        "os_days": int(outcome.os_days[0]),
        "os_event": int(outcome.os_event[0]),
        "ttp_days": int(outcome.ttp_days[0]),
        "ttp_event": int(outcome.ttp_event[0]),
    }
