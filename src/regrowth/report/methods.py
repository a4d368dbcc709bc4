"""What was done, in the words of a methods section: prose for the steps that ran, with numbered references."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

__all__ = ["REFERENCES", "methods_text"]

REFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "bids": "Gorgolewski KJ et al. The brain imaging data structure, a format for organizing and describing outputs of "
        "neuroimaging experiments. Scientific Data 3:160044, 2016. doi:10.1038/sdata.2016.44",
        "greedy": "Yushkevich PA et al. IC-P-174: Fast automatic segmentation of hippocampal subfields and medial "
        "temporal lobe subregions in 3 tesla and 7 tesla T2-weighted MRI. Alzheimer's & Dementia 12:P126-P127, 2016. "
        "doi:10.1016/j.jalz.2016.06.205",
        "ants": "Avants BB et al. Symmetric diffeomorphic image registration with cross-correlation: evaluating "
        "automated labeling of elderly and neurodegenerative brain. Medical Image Analysis 12:26-41, "
        "2008. doi:10.1016/j.media.2007.06.004",
        "simpleitk": "Lowekamp BC et al. The design of SimpleITK. Frontiers in Neuroinformatics 7:45, 2013. "
        "doi:10.3389/fninf.2013.00045",
        "icbm": "Fonov V et al. Unbiased average age-appropriate atlases for pediatric studies. NeuroImage 54:313-327, "
        "2011. doi:10.1016/j.neuroimage.2010.07.033",
        "hannisdal": "Hannisdal MH et al. Spatial-temporal recurrence patterns of grade 4 glioma using deep learning "
        "integrated multiparametric MRI and molecular pathology. npj Precision Oncology, 2025.",
        "desikan": "Desikan RS et al. An automated labeling system for subdividing the human cerebral cortex on MRI scans into "
        "gyral based regions of interest. NeuroImage 31:968-980, 2006. doi:10.1016/j.neuroimage.2006.01.021",
        "synthseg": "Billot B et al. Robust machine learning segmentation for large-scale analysis of heterogeneous clinical "
        "brain MRI datasets. PNAS 120:e2216399120, 2023. doi:10.1073/pnas.2216399120",
        "rano": "Wen PY et al. RANO 2.0: update to the response assessment in neuro-oncology criteria for high- and "
        "low-grade gliomas in adults. Journal of Clinical Oncology 41:5187-5199, 2023. doi:10.1200/JCO.23.01059",
        "swanson": "Swanson KR et al. A quantitative model for differential motility of gliomas in grey and white matter. Cell "
        "Proliferation 33:317-329, 2000. doi:10.1046/j.1365-2184.2000.00177.x",
        "estro": "Niyazi M et al. ESTRO-EANO guideline on target delineation and radiotherapy details for glioblastoma. "
        "Radiotherapy and Oncology 184:109663, 2023. doi:10.1016/j.radonc.2023.109663",
        "romano": "Romano Y et al. Conformalized quantile regression. Advances in Neural Information Processing Systems 32, "
        "2019. arXiv:1905.03222",
        "gneiting": "Gneiting T, Raftery AE. Strictly proper scoring rules, prediction, and estimation. Journal of the "
        "American Statistical Association 102:359-378, 2007. doi:10.1198/016214506000001437",
        "hd95": "Podobnik G, Vrtovec T. Understanding implementation pitfalls of distance-based metrics for image "
        "segmentation. arXiv:2410.02630, 2024.",
    }
)
"""Key to reference, one line each."""

_ENGINES = {"greedy": ("Greedy", "greedy"), "ants": ("ANTs", "ants"), "sitk": ("SimpleITK", "simpleitk")}
_STAGES = {
    "rigid": "rigidly",
    "affine": "rigidly, then affinely",
    "deformable": "rigidly, then affinely, then deformably, each stage starting from the one before",
}

# What is said of each step; {name} is a parameter or a key of REFERENCES. A clause in <...> is left out when a parameter
# in it is not known, so that the text never claims a value.
_PROSE: Mapping[str, str] = MappingProxyType(
    {
        "index": "Imaging was organised in the Brain Imaging Data Structure {bids}.",
        "coregister": "Within each session all sequences were aligned rigidly, by mutual information, with the session's "
        "reference image (the contrast-enhanced T1-weighted image where there was one)< with {engine}>, and resampled once.",
        "brain": "Brain masks were taken from the data where they were given and found from the image otherwise; a mask "
        "found by a fallback method is flagged.",
        "tumour": "Tumour segmentations made elsewhere were taken as given, after a check of their grid and label values< "
        "(label scheme {scheme})>.",
        "segment": "Tumour compartments were segmented< with {engine}>< in the label scheme {scheme}>.",
        "parcellate": "Lobes and hemispheres were taken from a map in the space of the ICBM 152 template {icbm}, with lobes "
        "after Desikan et al. {desikan}, brought to the baseline exam< with {engine}>< ({stages})>, tumour, oedema and cavity "
        "left out; differences below five points between shares of lobes lie within the disagreement of atlases.",
        "parcellate by synthseg": "Regions of the brain were found on the baseline exam with SynthSeg {synthseg} and grouped "
        "to lobes {desikan}; white matter belongs to the lobe of the nearest cortex.",
        "parcellate by labelmap": "Regions of the brain came from label maps with FreeSurfer ids that were made elsewhere, "
        "grouped to lobes {desikan}; white matter belongs to the lobe of the nearest cortex.",
        "register": "Each follow-up exam was registered with the baseline exam< with {engine}><, {stages}>. Where the exams "
        "were segmented, tumour, oedema and cavity of both< (widened by {dilate_mm} mm)> were left out of the similarity; "
        "the outside of the brain was not.",
        "recurrence": "The recurrence was brought onto the baseline exam through the transform of every stage, and results are "
        "given for each as a band of sensitivity. Migration was measured as the distance of the recurrence beyond the primary "
        "(outward, 0 inside) and as the symmetric 95th percentile Hausdorff distance, whose value depends on its definition "
        "{hd95}.< A connected part was called local when at least {local_share} of it lay inside the primary or its cavity, "
        "distant when its gap to the primary was above {distant_gap_mm} mm, and marginal otherwise.>< The volume was called "
        "growing from a relative increase of {growth_share} and shrinking from a decrease of {shrinkage_share} (RANO 2.0 "
        "names 0.4 and 0.65 for volumes {rano}); this is no clinical response assessment.> Empty segmentations give no value.",
        "measure": "Volumes were measured in native space as the number of voxels times the volume of a voxel. The "
        "contrast-enhancing core (enhancing tumour and what it encloses), the non-enhancing abnormality and their ratio were "
        "defined as by Hannisdal et al. {hannisdal}.",
        "locate": "The tumour of every exam was located in the space of the baseline by its core (the whole tumour where the "
        "core was smaller than {min_core_ml} ml).< A class of region with at least {dominant_share} of the tumour named its "
        "location, two lobes of one hemisphere with at least {junction_share} each a junction, and at least {side_share} of "
        "the lateral tissue a side.> Ventricles do not count.",
        "respond": "Response over the exams followed RANO 2.0 {rano} as far as segmentations allow: volumes and bidimensional "
        "products against the baseline after radiotherapy and the nadir, with confirmation.< Progression began at an increase "
        "of {progression_volume_share} in volume or {progression_product_share} in products.> It is no clinical assessment.",
        "tissue": "White matter, grey matter and cerebrospinal fluid of the baseline exam were found with the tissue maps of "
        "the ICBM 152 template {icbm} as prior, or from a label map where one was given; the tumour was filled in with the "
        "tissue expected there.",
        "grow": "Growth in space followed the Fisher-Kolmogorov equation {swanson}, without flux into cerebrospinal fluid<, "
        "with diffusion {white_to_grey} times faster in white than in grey matter>. Origin, spread and age were fitted to the "
        "segmented borders of the baseline exam< (cell density {core_threshold} at the core, {oedema_threshold} at the whole "
        "lesion)>; simulations of draws around the best fit< ({members} tumours)> gave the share that reaches each voxel. The "
        "likeliest voxels were compared, as a plan of equal volume, with a margin< of {margin_mm} mm> around the core {estro}.",
        "forecast": "Volumes were forecast from the last exam by growth laws< ({models})> with log-normal residuals, under "
        "priors learned from other patients< (in {folds} parts)>, beside an unchanged volume, the last trend, and "
        "one rate for all. The forecaster of a patient was the one that had foretold the last exams of the others "
        "best, by the continuous ranked probability score {gneiting}; the baselines took part. Intervals are "
        "conformal {romano}: as wide as the errors in other patients demand.",
        "growth": "Maps of growth were recalibrated for each patient on the others, and scored beside an unchanged tumour, a "
        "uniform dilation to the same volume, and the margin.",
        "frequency": "Tumours of all patients were counted voxel by voxel in the space of the template {icbm}.",
        "statistics": "Survival was estimated after Kaplan and Meier with log-log intervals and compared by log-rank tests "
        "(Holm-corrected where several); hazard ratios come from Cox models with Efron's treatment of ties< and penalty "
        "{penalty}>, checked by scaled Schoenfeld residuals, with Harrell's C corrected for optimism< by {bootstraps} "
        "bootstrap samples>.< The ratio of CE core to NE was compared at the published cut {cut} {hannisdal}.> Recurrence and "
        "death without it are competing risks (Aalen-Johansen). Transitions of location are given with Wilson intervals and "
        "tested against chance< by {permutations} permutations>. What is known only at recurrence starts its clock there.",
        "tabulate": "",
        "cohort": "",
        "report": "",
    }
)

_ALIASES = {
    "coregister-sessions": "coregister",
    "coregister-session": "coregister",
    "extract-brain": "brain",
    "brain-mask": "brain",
    "segment-tumour": "segment",
    "segmentation": "segment",
    "parcellation": "parcellate",
    "register-to-baseline": "register",
    "registration": "register",
    "map-recurrence": "recurrence",
    "measures": "measure",
    "volumes": "measure",
    "inventory": "index",
}


def methods_text(
    steps_done: Sequence[str],
    versions: Mapping[str, str],
    parameters: Mapping[str, Mapping[str, object]],
) -> tuple[str, tuple[str, ...]]:
    """Write the methods section for what ran.

    Parameters
    ----------
    steps_done
        Names of the steps that ran, in order: ``index``, ``coregister``, ``brain``, ``tumour``, ``segment``, ``parcellate``,
        ``register``, ``recurrence``, ``measure``, ``report``, or in longer words (``map recurrence``). A step that is not
        known here is named without a description, never left out.
    versions
        Program to version; ``regrowth`` first of all, and the engines.
    parameters
        Step to its parameters. ``engine`` (``greedy``, ``sitk``, ``ants`` or any words), and those that the prose knows,
        are woven in; all others follow the step's text as ``name = value``.

    Returns
    -------
    tuple
        Plain text in paragraphs with numbers in brackets, and the references in the order of their numbers.
    """
    cited: list[str] = []
    given = {_key(step): dict(values) for step, values in parameters.items()}
    known = {k.lower(): v for k, v in versions.items()}
    done = list(dict.fromkeys(_key(s) for s in steps_done))
    version = f" {known['regrowth']}" if "regrowth" in known else ""
    opening = f"Images were processed with Regrowth{version}."
    paragraphs = [p for p in (_paragraph(s, given.get(s, {}), known, cited) for s in done) if p]
    others = [f"{name} {v}" for name, v in sorted(versions.items()) if name.lower() not in ("regrowth", *_used(done, given))]
    closing = f"Other software: {', '.join(others)}." if others else ""
    text = "\n\n".join([opening, *paragraphs, closing] if closing else [opening, *paragraphs])
    return text, tuple(f"[{n}] {REFERENCES[key]}" for n, key in enumerate(cited, 1))


def _key(step: str) -> str:
    key = re.sub(r"[\s_]+", "-", step.strip().lower())
    return _ALIASES.get(key, key)


def _used(done: Sequence[str], given: Mapping[str, Mapping[str, object]]) -> set[str]:
    """Name the packages of the engines that the prose of a step has named with their version."""
    engines = {str(given[s].get("engine", "")).lower() for s in done if "{engine}" in _PROSE.get(s, "") and s in given}
    return {name for e in engines if e in _ENGINES for name in (e, _ENGINES[e][1])}


def _paragraph(step: str, parameters: dict[str, object], versions: Mapping[str, str], cited: list[str]) -> str:
    sources = str(parameters.get("source", "")).split(", ")
    if step == "parcellate" and sources != [""]:
        own = {k: v for k, v in parameters.items() if k != "source"}
        named = [("parcellate", own) if s == "template" else (f"parcellate by {s}", {}) for s in sources]
        return " ".join(_paragraph(name, given, versions, cited) for name, given in named)
    prose = _PROSE.get(step)
    if prose == "":
        return ""
    if parameters.get("kind") in _STAGES and "{stages}" in (prose or ""):
        parameters = {**parameters, "stages": _STAGES[str(parameters["kind"])]}
        del parameters["kind"]
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in REFERENCES:
            return _cite(name, cited)
        used.add(name)
        return _engine(str(parameters[name]), versions, cited) if name == "engine" else _words(parameters[name])

    def clause(match: re.Match[str]) -> str:
        names = [n for n in re.findall(r"{(\w+)}", match.group(1)) if n not in REFERENCES]
        return match.group(1) if all(n in parameters for n in names) else ""

    text = f"The step “{step}” was run." if prose is None else re.sub(r"{(\w+)}", value, re.sub(r"<([^<>]*)>", clause, prose))
    rest = [f"{name} = {_words(parameters[name])}" for name in sorted(set(parameters) - used)]
    return f"{text} Parameters: {', '.join(rest)}." if rest else text


def _engine(name: str, versions: Mapping[str, str], cited: list[str]) -> str:
    if name.lower() not in _ENGINES:
        return name
    words, reference = _ENGINES[name.lower()]
    version = versions.get(name.lower()) or versions.get(reference)
    return " ".join([w for w in (words, version) if w]) + f" {_cite(reference, cited)}"


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cite(key: str, cited: list[str]) -> str:
    if key not in cited:
        cited.append(key)
    return f"[{cited.index(key) + 1}]"
