"""What a run is about: the patients, the folders, the parameters, and how result files are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from regrowth import __version__
from regrowth.anatomy import AnatomyParameters, LocationParameters
from regrowth.clinical import Patient, Session
from regrowth.growth.parameters import GrowthParameters
from regrowth.io.bids import Cohort, bids_name
from regrowth.recurrence import RecurrenceParameters
from regrowth.registration import RegistrationParameters
from regrowth.response import ResponseParameters
from regrowth.statistics.parameters import StatisticsParameters

__all__ = ["TEMPLATE_SPACE", "RunParameters", "Study", "methods_settings", "registration_settings", "space_of"]


TEMPLATE_SPACE = "ICBM2009aSym"
"""Name of the space of the embedded template in file names."""


@dataclass(frozen=True)
class RunParameters:
    """All parameters that change results, by the part of the work that they belong to."""

    registration: RegistrationParameters = field(default_factory=RegistrationParameters)
    recurrence: RecurrenceParameters = field(default_factory=RecurrenceParameters)
    anatomy: AnatomyParameters = field(default_factory=AnatomyParameters)
    location: LocationParameters = field(default_factory=LocationParameters)
    response: ResponseParameters = field(default_factory=ResponseParameters)
    statistics: StatisticsParameters = field(default_factory=StatisticsParameters)
    growth: GrowthParameters = field(default_factory=GrowthParameters)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Give plain nested values, as they are written to sidecars and ``run.json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, Any]]) -> RunParameters:
        """Read back what `as_dict` gave."""
        kinds = get_type_hints(cls)
        given = {f.name: values[f.name] for f in fields(cls)}
        # JSON knows lists only where a parameter is a tuple.
        return cls(
            **{n: kinds[n](**{k: tuple(v) if isinstance(v, list) else v for k, v in g.items()}) for n, g in given.items()}
        )


@dataclass(frozen=True)
class Study:
    """A data set, an output folder and the parameters of a run.

    Parameters
    ----------
    bids_dir, out_dir
        Folders.
    cohort
        Patients and problems found in the data set.
    parameters
        Parameters of all steps.
    engine_versions
        Engine name to version, part of what makes results up to date.
    options
        How the data set was read (derivatives, labels, scheme), so that it can be read again.
    """

    bids_dir: Path
    out_dir: Path
    cohort: Cohort
    parameters: RunParameters = field(default_factory=RunParameters)
    engine_versions: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of registration that are done."""
        every = ("rigid", "affine", "deformable")
        return every[: every.index(self.parameters.registration.kind) + 1]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Registrations under which results are reported: rigid, and the last stage if that is another."""
        return tuple(dict.fromkeys(("rigid", self.stages[-1])))

    def path(self, patient: Patient, session: Session, suffix: str, extension: str, **entities: str) -> Path:
        """Name a result of a session: ``OUT/sub-X/ses-Y/anat/sub-X_ses-Y_<entities>_<suffix><extension>``."""
        name = bids_name(suffix, extension, sub=patient.label, ses=session.label, **entities)
        return self.out_dir / f"sub-{patient.label}" / f"ses-{session.label}" / "anat" / name

    def patient_path(self, patient: Patient, suffix: str, extension: str) -> Path:
        """Name a result of a patient: ``OUT/sub-X/sub-X_<suffix><extension>``."""
        return self.out_dir / f"sub-{patient.label}" / f"sub-{patient.label}_{suffix}{extension}"

    def sections(self, patient: Patient, step: str) -> Path:
        """Path of the sections that a step leaves for the page of a patient."""
        return self.out_dir / f"sub-{patient.label}" / "sections" / f"{step}.json"

    def segmentation(self, patient: Patient, session: Session) -> Path:
        """Path of the checked tumour segmentation of a session, on the grid of its reference image."""
        return self.path(patient, session, "dseg", ".nii.gz", space=space_of(session), seg="tumour")

    def brain_mask(self, patient: Patient, session: Session) -> Path:
        """Path of the brain mask of a session, on the grid of its reference image."""
        return self.path(patient, session, "mask", ".nii.gz", space=space_of(session), label="brain")

    def transform(self, patient: Patient, session: Session, kind: str) -> Path:
        """Path of the transform that moves a follow-up onto the baseline."""
        spaces = {"from_": f"ses{session.label}", "to": f"ses{patient.baseline.label}", "mode": "image"}
        extension = ".nii.gz" if kind == "deformable" else ".txt"
        return self.path(patient, session, "xfm", extension, desc=kind, **spaces)

    def mapped(self, patient: Patient, session: Session, suffix: str, kind: str, **entities: str) -> Path:
        """Path of an image of a follow-up on the grid of the baseline."""
        return self.path(patient, session, suffix, ".nii.gz", space=f"ses{patient.baseline.label}", desc=kind, **entities)

    def mapped_image(self, patient: Patient, session: Session, kind: str) -> Path:
        """Path of the reference image of a follow-up on the grid of the baseline, named after its own contrast."""
        sequence = space_of(session)
        return self.mapped(patient, session, "T1w" if sequence == "T1wce" else sequence, kind)

    def regions(self, patient: Patient) -> Path:
        """Path of the map of regions of the baseline exam, on the grid of its reference image."""
        return self.path(patient, patient.baseline, "dseg", ".nii.gz", space=space_of(patient.baseline), seg="lobes")

    def to_template(self, patient: Patient) -> Path:
        """Path of the transform that moves the baseline exam onto the template."""
        spaces = {"from_": space_of(patient.baseline), "to": TEMPLATE_SPACE, "mode": "image"}
        kind = self.parameters.anatomy.kind
        return self.path(patient, patient.baseline, "xfm", ".nii.gz" if kind == "deformable" else ".txt", desc=kind, **spaces)

    def in_template(self, patient: Patient, session: Session) -> Path:
        """Path of the mask of the tumour of an exam in the space of the template."""
        return self.path(patient, session, "mask", ".nii.gz", space=TEMPLATE_SPACE, label="tumour")

    def aligned(self, patient: Patient, session: Session, sequence: str) -> Path:
        """Path of a sequence on the grid of the reference image of its session."""
        suffix = "T1w" if sequence == "T1wce" else sequence
        contrast = {"ce": "gadolinium"} if sequence == "T1wce" else {}
        return self.path(patient, session, suffix, ".nii.gz", space=space_of(session), desc="preproc", **contrast)

    def quality(self, patient: Patient, session: Session) -> Path:
        """Path of the table on the alignment of the sequences of a session."""
        return self.path(patient, session, "quality", ".tsv", desc="coregistration")

    def registration_quality(self, patient: Patient, session: Session) -> Path:
        """Path of the table on the registration of a follow-up."""
        return self.path(patient, session, "quality", ".tsv", desc="registration")


def methods_settings(study: Study, sources: Sequence[str] = (), *, without: Sequence[str] = ()) -> dict[str, object]:
    """Give what the methods text and the provenance of a page are made of.

    Parameters
    ----------
    study
        The study.
    sources
        Where the maps of regions come from.
    without
        Groups of parameters that the page does not depend on.
    """
    values = study.parameters.as_dict()
    registration = values["registration"]
    engine = {"engine": registration["engine"]}
    shown = {k: v for k, v in registration.items() if not k.startswith("flag_")}
    regions = {"source": ", ".join(sources), "kind": values["anatomy"]["kind"]} if sources else {}
    said = {
        "locate": ("min_core_ml", "dominant_share", "junction_share", "side_share"),
        "respond": ("progression_volume_share", "progression_product_share"),
        "grow": ("core_threshold", "oedema_threshold", "white_to_grey", "members", "margin_mm"),
        "forecast": ("models", "folds"),
        "statistics": ("penalty", "bootstraps", "cut", "permutations"),
    }
    groups = {
        "locate": "location",
        "respond": "response",
        "grow": "growth",
        "forecast": "growth",
        "statistics": "statistics",
    }
    engines = {n: v for n, v in study.engine_versions.items() if n not in ("template", "synthseg")}
    return {
        "versions": {"regrowth": __version__, **engines},
        "methods": {
            "coregister": engine,
            "parcellate": {**engine, **regions},
            "register": shown,
            "recurrence": values["recurrence"],
            **{s: {name: values[groups[s]][name] for name in names} for s, names in said.items() if groups[s] not in without},
        },
        "provenance": {
            "data set": study.bids_dir.name,
            **{f"engine {name}": version for name, version in study.engine_versions.items()},
            **{f"{group} {k}": v for group, options in values.items() if group not in without for k, v in options.items()},
        },
    }


def registration_settings(study: Study, *names: str) -> dict[str, object]:
    """Give the named registration parameters (all of them under ``registration`` without names) and the engine's version."""
    values = asdict(study.parameters.registration)
    version = {"engine version": study.engine_versions.get(values["engine"])}
    return {**version, **({n: values[n] for n in names} if names else {"registration": values})}


def space_of(session: Session) -> str:
    """Name the space of a session after its reference image."""
    return session.reference() or "none"
