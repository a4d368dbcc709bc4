"""Where the tumour of a patient may have begun, where it would be on a later day, and how that compares with what came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regrowth.clinical import Patient, Session
from regrowth.growth.case_scores import Strata
from regrowth.growth.coverage import volume_for_coverage
from regrowth.growth.front import TumourObservation
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.record import TreatmentRecord
from regrowth.growth.simulate import ResectionCavity
from regrowth.growth.spatial_case import DISTANCE_CURVE, GROWTH_MODEL, SpatialCase, SpatialForecast, forecast_in_space
from regrowth.growth.tissue import tissue_map
from regrowth.io.nifti import read_image, read_labels, write_image
from regrowth.io.tables import write_json, write_tsv
from regrowth.io.treatment import patient_record
from regrowth.labels import label_scheme
from regrowth.report.stored import section_values
from regrowth.space import Grid, Image, LabelMap, require_same_grid
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.pages.growth_space import space_section
from regrowth.workflow.steps.parcellate import read_regions, skip_reason
from regrowth.workflow.steps.tissue import tissue_paths
from regrowth.workflow.study import Study, space_of

__all__ = ["MAP_COLUMNS", "SCORE_COLUMNS", "STEP", "map_path"]

SCORE_COLUMNS = ("participant_id", "model", "measure", "stratum", "value", "reason")
MAP_COLUMNS = ("participant_id", "members", "lower", "upper", "n_voxels", "n_tumour", "mean_probability")
_CORES = ("CE_core", "TC", "GTV")
_OPTIONS = (
    *("region", "horizon_days", "space", "core_threshold", "oedema_threshold", "white_to_grey", "search_spacing_mm"),
    *("map_spacing_mm", "space_draws", "members", "margin_mm", "barriers", "seed"),
)
_TREATMENT = ("surgery_day", "eor")  # and what begins with rt_ or chemo_


def map_path(study: Study, patient: Patient, desc: str = "raw") -> Path:
    """Path of the map of probability, as simulated (``raw``) or corrected by other patients (``calibrated``)."""
    baseline = patient.baseline
    return study.path(patient, baseline, "probseg", ".nii.gz", space=space_of(baseline), label="growth", desc=desc)


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job per patient: from the baseline to the last follow-up that was brought onto it."""
    baseline, options = patient.baseline, study.parameters.as_dict()["growth"]
    reason = "" if options["space"] else "growth in space was switched off"
    if not reason and baseline.segmentation is None:
        reason = f"no tumour segmentation for ses-{baseline.label}"
    missing = skip_reason(study, patient)
    if not reason and missing:
        reason = f"no map of tissue: {missing}"
    if reason:
        return [Skip("grow", patient.label, "", reason)]
    tissue = tissue_paths(study, patient)
    inputs = {
        "image": baseline.images[space_of(baseline)],
        "primary": study.segmentation(patient, baseline),
        "white": tissue["white"],
        "grey": tissue["grey"],
    }
    optional = {"csf": tissue["csf"], "brain": study.brain_mask(patient, baseline), "regions": study.regions(patient)}
    if patient.treatment is not None:
        optional["treatment"] = patient.treatment
    for session in patient.followups:
        if _is_later(baseline, session):
            optional[f"native {session.label}"] = study.segmentation(patient, session)
            optional[f"mapped {session.label}"] = study.mapped(patient, session, "dseg", study.kinds[-1], seg="tumour")
    names = {"planmargin": "plan margin", "plangrowth": "plan growth"}
    settings = {
        "sessions": [_facts(s) for s in patient.sessions],
        "baseline": baseline.label,
        "later": [s.label for s in patient.followups if _is_later(baseline, s)],
        "clinical": {k: v for k, v in patient.clinical.items() if k in _TREATMENT or k.startswith(("rt_", "chemo_"))},
        "growth": {name: options[name] for name in _OPTIONS},
        "is_synthetic": any(s.is_synthetic for s in patient.sessions),
        "images": {
            "map": str(map_path(study, patient).relative_to(study.out_dir)),
            "density": str(map_path(study, patient, "density").relative_to(study.out_dir)),
            **{
                role: str(
                    study.path(patient, baseline, "mask", ".nii.gz", space=space_of(baseline), label=label).relative_to(
                        study.out_dir
                    )
                )
                for label, role in names.items()
            },
        },
    }
    outputs = {name: study.patient_path(patient, name, ".tsv") for name in ("growth", "growthscores", "growthmap")}
    outputs["sections"] = study.sections(patient, "growth")
    return [Job("grow", patient.label, "", inputs, outputs, optional, settings)]


def _is_later(baseline: Session, session: Session) -> bool:
    """Whether an exam can show what came: segmented, registered, on a later day."""
    return session.segmentation is not None and space_of(session) == space_of(baseline) and session.day > baseline.day


def _facts(session: Session) -> dict[str, object]:
    return {"label": session.label, "day": session.day, "phase": session.phase, "scheme": session.segmentation_scheme}


@dataclass(frozen=True, eq=False)
class _Later:
    """A later exam: as it was segmented, and on the grid of the baseline."""

    label: str
    day: float
    native: LabelMap
    mapped: LabelMap


def _compute(task: Task) -> None:
    settings = task.job.settings
    parameters = GrowthParameters(**settings["growth"])
    image = read_image(task.input("image"))
    sessions: dict[str, Mapping[str, object]] = {str(s["label"]): s for s in settings["sessions"]}
    first = sessions[settings["baseline"]]
    primary = read_labels(task.input("primary"), label_scheme(str(first["scheme"])))
    require_same_grid(primary.grid, image.grid, "the segmentation and the image")
    later, notes = _later(task, sessions, image.grid)
    target = later[-1] if later else None
    first_day = float(str(first["day"]))
    horizon = first_day + parameters.horizon_days
    day = target.day if target else horizon
    cavities, said, is_treated = _treatment(task, primary, (first_day, day), later)
    notes += said
    if target is None:
        notes.append(f"no later exam to compare with: the map is for day {day:g}, {parameters.horizon_days:g} days on")
    elif is_treated and day > horizon:
        notes.append(
            f"so its days mean little: the map shows {parameters.horizon_days:g} days of growth without treatment "
            f"(horizon_days), and is compared with day {day:g}"
        )
        day = horizon
    case, doubts = _case(task, parameters, primary, first_day, day, target, cavities)
    notes += doubts
    rng = np.random.default_rng([parameters.seed, *task.job.participant.encode()])
    found = forecast_in_space(case, parameters, rng)
    task.log.info("growth in space: %s %s", found.status, found.reason)
    row = _row(task, case, found, parameters, target, notes)
    write_tsv([row], task.outputs["growth"])
    task.describe("growth", Draws="p05 and p95 are quantiles of draws from the posterior; no interval calibrated on patients")
    who = {"participant_id": f"sub-{task.job.participant}"}
    scores = [{**who, **{n: getattr(s, n) for n in SCORE_COLUMNS[1:]}} for s in found.scores]
    write_tsv(scores, task.outputs["growthscores"], SCORE_COLUMNS)
    write_tsv(_levels(found, who), task.outputs["growthmap"], MAP_COLUMNS)
    _write_images(task, found)
    section = space_section(
        case,
        found,
        image,
        parameters,
        target=f"ses-{target.label}" if target else "",
        notes=tuple(notes),
        synthetic=bool(settings["is_synthetic"]),
    )
    write_json({"sections": [section_values(section)]}, task.outputs["sections"])


def _later(task: Task, sessions: Mapping[str, Mapping[str, object]], grid: Grid) -> tuple[list[_Later], list[str]]:
    """Read the later exams that were brought onto the baseline, in the order of their days."""
    out, notes = [], []
    for label in task.job.settings["later"]:
        native, mapped = task.given(f"native {label}"), task.given(f"mapped {label}")
        if native is None or mapped is None:
            notes.append(f"ses-{label} was not brought onto the baseline and is left out")
            continue
        scheme = label_scheme(str(sessions[label]["scheme"]))
        moved = read_labels(mapped, scheme)
        require_same_grid(moved.grid, grid, f"{mapped.name} and the baseline")
        out.append(_Later(label, float(str(sessions[label]["day"])), read_labels(native, scheme), moved))
    return out, notes


def _region(labels: LabelMap, region: str) -> str:
    """Name what stands for the core or the whole lesion in a label scheme; empty if it has none."""
    wanted = (*_CORES, "") if region == "core" else ("WT", "lesion")
    return next(r for r in wanted if not r or labels.has(r))


def _mask(labels: LabelMap, region: str) -> np.ndarray:
    name = _region(labels, region)
    return labels.mask(name) if name else np.zeros(labels.grid.shape, bool)


def _volume_ml(labels: LabelMap, region: str) -> float:
    name = _region(labels, region)
    return labels.volume_ml(name) if name else float("nan")


def _treatment(
    task: Task, primary: LabelMap, days: tuple[float, float], later: list[_Later]
) -> tuple[tuple[ResectionCavity, ...], list[str], bool]:
    """Find the cavity that the map may know of, and say what else was done that it does not know, and whether anything was.

    A cavity that is first seen on the exam that the map is compared with stays unknown: it would tell the map where tumour is
    not.
    """
    record, notes, (first_day, last) = _record(task), [], days
    notes += list(record.notes)
    cavities: list[ResectionCavity] = []
    if primary.has("RC") and primary.mask("RC").any():
        cavities.append(ResectionCavity(primary.mask("RC"), primary.grid, first_day))
        notes.append("the first exam shows a resection cavity: what grew back does not tell where the tumour began")
    operations = sorted((*record.resections, *(s.day for s in record.treatment.surgeries)))
    between = [d for d in operations if first_day <= d < last]
    seen = [x for x in later if x.mapped.has("RC") and x.mapped.mask("RC").any()]
    if seen and seen[0].day < last:
        day = next((d for d in reversed(between) if d <= seen[0].day), seen[0].day)
        cavities.append(ResectionCavity(seen[0].mapped.mask("RC"), primary.grid, day))
        notes.append(f"the cavity of ses-{seen[0].label} is empty of tumour in the map from day {day:g} on")
    elif seen:
        notes.append(
            f"the cavity is first seen on ses-{seen[0].label}, with which the map is compared: the map does not know of it "
            "and grows the tumour on as if nothing had been removed"
        )
    elif between:
        notes.append("a resection is not in the map, because no later exam labels its cavity")
    unknown = bool(between) and not cavities
    given = [f for f in record.treatment.fractions if first_day <= f.day < last]
    if given:
        notes.append(f"{len(given)} fractions of radiotherapy are not in the map: there is no dose grid")
    if record.treatment.drugs:
        notes.append("drugs are not in the map")
    return tuple(cavities), notes, unknown or bool(given)


def _record(task: Task) -> TreatmentRecord:
    """Read the treatment of the patient from the table or from the clinical columns that the job was given."""
    settings = task.job.settings
    sessions = tuple(Session(str(s["label"]), int(s["day"]), str(s["phase"])) for s in settings["sessions"])
    return patient_record(Patient(task.job.participant, sessions, dict(settings["clinical"]), task.given("treatment")))


def _case(
    task: Task,
    parameters: GrowthParameters,
    primary: LabelMap,
    first_day: float,
    day: float,
    target: _Later | None,
    cavities: tuple[ResectionCavity, ...],
) -> tuple[SpatialCase, list[str]]:
    """Put together what the forecast needs, on the grid of the baseline."""
    grid, notes = primary.grid, []
    maps = {}
    for name in ("white", "grey", "csf", "brain"):
        if path := task.given(name):
            image = read_image(path)
            require_same_grid(image.grid, grid, f"{path.name} and the segmentation")
            maps[name] = np.asarray(image.data)
    tissue = tissue_map(maps["white"], maps["grey"], grid)
    if "brain" in maps:
        brain = maps["brain"] > 0.5
    else:
        brain = sum((maps[n] for n in ("grey", "csf") if n in maps), maps["white"]) > 0.5
        notes.append("there is no brain mask: plans stay inside of the map of tissue")
    barriers: dict[str, np.ndarray] = {}
    excluded: dict[str, np.ndarray] = {}
    regions = read_regions(task) if parameters.barriers else None
    if regions is not None:
        from regrowth.anatomy.barriers import anatomical_barriers, ventricles

        require_same_grid(regions.grid, grid, "the map of regions and the segmentation")
        barriers, excluded = anatomical_barriers(regions), {"ventricles": ventricles(regions)}
    elif parameters.barriers:
        notes.append("there is no map of regions: falx, tentorium and ventricles do not stop the margin")
    core, whole = _mask(primary, "core"), _mask(primary, "whole")
    names = {_region(x, parameters.region) or "none" for x in (primary, *([target.mapped] if target else []))}
    if len(names) > 1:
        notes.append(f"the label schemes of the exams differ: compared are {' and '.join(sorted(names))}")
    case = SpatialCase(
        label=task.job.participant,
        tissue=tissue,
        observations=(TumourObservation(first_day, core, whole | core, grid),),
        brain=brain,
        excluded=excluded,
        barriers=barriers,
        day=day,
        recurrence=_mask(target.mapped, parameters.region) if target else None,
        reference_ml=_volume_ml(primary, parameters.region),
        observed_ml=_volume_ml(target.native, parameters.region) if target else float("nan"),
        resections=cavities,
    )
    return case, notes


def _row(
    task: Task,
    case: SpatialCase,
    found: SpatialForecast,
    parameters: GrowthParameters,
    target: _Later | None,
    notes: list[str],
) -> dict[str, object]:
    """Row of the table of the patient."""
    inverse, samples, grid = found.inverse, found.inverse.samples, case.grid
    low, high = samples.interval(samples.front_speed_mm_per_day) if samples else (np.nan, np.nan)
    volumes = found.probability.volumes_ml if found.probability else np.array([np.nan])
    likely = np.nan
    if found.probability:
        likely = float((found.probability.probability.data >= 0.5).sum() * grid.voxel_volume_ml)
    scores = {(s.model, s.measure): s.value for s in found.scores}
    curves = {n: volume_for_coverage(c, 0.95).volume_ml for n, c in found.curves.items()}
    return {
        "participant_id": f"sub-{task.job.participant}",
        "baseline": f"ses-{task.job.settings['baseline']}",
        "target": f"ses-{target.label}" if target else None,
        "first_day": case.observations[0].day,
        "day": case.day,
        "region": parameters.region,
        "status": found.status,
        "reason": found.reason,
        "notes": "; ".join(notes),
        **{f"origin_{axis}_mm": v for axis, v in zip("xyz", inverse.origin_mm, strict=True)},
        "diffusivity_mm2_per_day": inverse.diffusivity_mm2_per_day,
        "proliferation_per_day": inverse.proliferation_per_day,
        "age_days": inverse.age_days,
        "front_speed_mm_per_day": inverse.front_speed_mm_per_day,
        "front_speed_draws_p05": low,
        "front_speed_draws_p95": high,
        "effective_draws": samples.effective if samples else np.nan,
        "misfit_mm": inverse.misfit_mm,
        "members": found.probability.members if found.probability else 0,
        "reference_ml": case.reference_ml,
        "observed_ml": case.observed_ml,
        "stratum": Strata().of(case.reference_ml, case.observed_ml),
        "map_median_ml": float(np.median(volumes)),
        "map_draws_p05_ml": float(np.quantile(volumes, 0.05)),
        "map_draws_p95_ml": float(np.quantile(volumes, 0.95)),
        "map_likely_ml": likely,
        "margin_plan_ml": found.standard.volume_ml,
        "growth_plan_ml": found.model.volume_ml,
        "margin_coverage": scores.get((found.standard.name, "coverage"), np.nan),
        "growth_coverage": scores.get((GROWTH_MODEL, "coverage"), np.nan),
        "margin_volume_for_95_ml": curves.get(DISTANCE_CURVE, np.nan),
        "growth_volume_for_95_ml": curves.get(GROWTH_MODEL, np.nan),
    }


def _levels(found: SpatialForecast, who: Mapping[str, object]) -> list[dict[str, object]]:
    """Rows of the histogram of the map; levels without voxels are left out."""
    h = found.histogram
    if h is None or found.probability is None:
        return []
    return [
        {
            **who,
            "members": found.probability.members,
            "lower": float(h.edges[i]),
            "upper": float(h.edges[i + 1]),
            "n_voxels": int(h.n_voxels[i]),
            "n_tumour": int(h.n_tumour[i]),
            "mean_probability": float(h.mean_probability[i]),
        }
        for i in np.flatnonzero(h.n_voxels)
    ]


def _write_images(task: Task, found: SpatialForecast) -> None:
    """Write the map and the plans that exist; one that does not exist leaves no file."""
    out_dir = task.job.outputs["growth"].parent.parent
    paths = {role: out_dir / path for role, path in task.job.settings["images"].items()}
    reference = task.input("image").name
    if found.probability is not None:
        p, facts = found.probability, {"SpatialReference": reference, "Synthetic": bool(task.job.settings["is_synthetic"])}
        share = "share of simulated tumours whose density exceeds the threshold; not calibrated on patients"
        write_image(p.probability, task.extra(paths["map"]), np.float32)
        task.describe(str(paths["map"]), Values=share, Day=p.day, Threshold=p.threshold, Members=p.members, **facts)
        write_image(p.density, task.extra(paths["density"]), np.float32)
        said = "mean cell density of the simulated tumours on the day of the first exam; ranks the voxels of the growth plan"
        task.describe(str(paths["density"]), Values=said, Day=found.inverse.first_day, Members=p.members, **facts)
    for role, plan in (("plan margin", found.standard), ("plan growth", found.model)):
        if np.isfinite(plan.volume_ml):
            path = paths[role]
            write_image(Image(plan.mask.astype(np.uint8), plan.grid, "1"), task.extra(path), np.uint8)
            task.describe(str(path), Plan=plan.name, Volume_ml=plan.volume_ml, SpatialReference=reference)


STEP = Step("grow", 7, "fit where growth began, map where it goes, and compare plans", _plan, _compute)
