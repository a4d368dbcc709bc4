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
        "rano": "Wen PY et al. RANO 2.0: update to the response assessment in neuro-oncology criteria for high- and "
        "low-grade gliomas in adults. Journal of Clinical Oncology 41:5187-5199, 2023. doi:10.1200/JCO.23.01059",
        "hd95": "Podobnik G, Vrtovec T. Understanding implementation pitfalls of distance-based metrics for image "
        "segmentation. arXiv:2410.02630, 2024.",
    }
)
"""Key to reference, one line each."""

_ENGINES = {"greedy": "Greedy", "ants": "ANTs", "simpleitk": "SimpleITK"}

# One sentence or more per step; {name} is a parameter, [[key]] a reference. A clause in <...> is left out when a parameter
# in it is not known, so that the text never claims a value.
_PROSE: Mapping[str, str] = MappingProxyType(
    {
        "index": "Imaging was organised in the Brain Imaging Data Structure {bids}.",
        "coregister": "Within each session all sequences were aligned rigidly with the session's reference image (the "
        "contrast-enhanced T1-weighted image where there was one)< with {engine}>, and resampled once.",
        "brain": "The brain was extracted< with {engine}>.",
        "segment": "Tumour compartments were segmented< with {engine}>< in the label scheme {scheme}>; volumes were "
        "measured in native space as the number of voxels times the volume of a voxel.",
        "parcellate": "Lobes and hemispheres were taken from a map in the space of the ICBM 152 template {icbm}, brought "
        "to the baseline exam< with {engine}>; differences below five "
        "points between shares of lobes lie within the disagreement of atlases.",
        "register": "Each follow-up exam was registered with the baseline exam< with {engine}>: first rigidly, then "
        "deformably< ({similarity})>. Tumour and cavity of both exams were left out of the similarity< after widening by "
        "{mask_dilation_mm} mm>; the outside of the brain was not.",
        "recurrence": "The recurrence was brought onto the baseline exam through the rigid and through the deformable "
        "transform, and both results are given as a band of sensitivity. The contrast-enhancing core (enhancing tumour "
        "and what it encloses) and the non-enhancing abnormality were distinguished as by Hannisdal et al. {hannisdal}.",
        "measure": "Migration was measured as the distance of the recurrence from the surface of the primary (outward, 0 "
        "inside), and as the symmetric 95th percentile Hausdorff distance< ({definition} definition)>, whose value "
        "depends on its definition {hd95}. Empty segmentations give no value.",
        "response": "Change was read against the thresholds of RANO 2.0 {rano}; this is no clinical response assessment.",
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
    "trend": "response",
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
        Names of the steps that ran, in order: ``index``, ``coregister``, ``brain``, ``segment``, ``parcellate``, ``register``,
        ``recurrence``, ``measure``, ``response``, ``report``, or as DESIGN names them (``map recurrence``). A step that is not
        known here is named without a description, never left out.
    versions
        Program to version; ``regrowth`` first of all, and the engines.
    parameters
        Step to its parameters. ``engine`` (``greedy``, ``ants``, ``simpleitk`` or any words), and those that the prose knows,
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
    return {str(given.get(s, {}).get("engine", "")).lower() for s in done} & set(_ENGINES)


def _paragraph(step: str, parameters: dict[str, object], versions: Mapping[str, str], cited: list[str]) -> str:
    prose = _PROSE.get(step)
    if prose is None:
        prose = f"The step “{step}” was run."
    elif not prose:
        return ""
    used: set[str] = set()

    def engine() -> str:
        name = str(parameters["engine"])
        key = name.lower()
        if key not in _ENGINES:
            return name
        words = _ENGINES[key]
        return " ".join([w for w in (words, versions.get(key, "")) if w]) + f" {_cite(key, cited)}"

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in REFERENCES:
            return _cite(name, cited)
        used.add(name)
        return engine() if name == "engine" else str(parameters[name])

    def clause(match: re.Match[str]) -> str:
        names = [n for n in re.findall(r"{(\w+)}", match.group(1)) if n not in REFERENCES]
        return match.group(1) if all(n in parameters for n in names) else ""

    text = re.sub(r"{(\w+)}", value, re.sub(r"<([^<>]*)>", clause, prose)) if step in _PROSE else prose
    rest = [f"{name} = {parameters[name]}" for name in sorted(set(parameters) - used)]
    return f"{text} Parameters: {', '.join(rest)}." if rest else text


def _cite(key: str, cited: list[str]) -> str:
    if key not in cited:
        cited.append(key)
    return f"[{cited.index(key) + 1}]"
