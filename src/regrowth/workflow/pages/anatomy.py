"""What a patient's page says about where in the brain the tumour lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regrowth.anatomy import RegionMap
from regrowth.io.tables import read_json
from regrowth.labels import REGIONS
from regrowth.report import Column, Figure, Flag, Section, SummaryItem
from regrowth.report.figures.anatomy import location_bars, parcellation_figure
from regrowth.report.figures.lobes import lobe_figure
from regrowth.space import Image
from regrowth.workflow.cohort_table import location_class
from regrowth.workflow.pages.material import Material, rows_of, skip_reason
from regrowth.workflow.pages.values import number, table_of, value
from regrowth.workflow.steps.parcellate import read_regions

__all__ = ["location_flags", "location_items", "location_section"]

_LOCATION = {
    "session_id": Column("session"),
    "transform": Column("transform", "", "how the exam was brought onto the baseline"),
    "part": Column("part", "", "whole tumour, or a connected part of it"),
    "compartment": Column("compartment"),
    "volume_ml": Column("volume", "ml", "whole tumour: native; a part: on the grid of the baseline"),
    "laterality": Column("side", "", "one side from 90 % of the tissue that has a side"),
    "lobe": Column("class", "", "class of region with at least 60 % of the tumour, else multiple"),
    "lobe_share": Column("its share"),
    "junction": Column("junction", "", "two largest lobes of one hemisphere with at least 24 % each"),
    "involved": Column("involved", "", "regions with at least 10 %, the largest first"),
    "crosses_midline": Column("midline", "", "at least 0.1 ml on both sides or in the corpus callosum"),
    "is_butterfly": Column("butterfly", "", "at least 10 % on each side, and corpus callosum"),
    "entropy": Column("entropy", "", "0: one class of region, 1: evenly in all"),
    "coverage": Column("covered", "", "share of the tumour inside the map of regions"),
    "csf_share": Column("in ventricles"),
    "hannisdal_class": Column("Hannisdal", "", "class by the rules of Hannisdal et al. 2025, for comparison"),
}
_TEXT = (
    "Shares of lobes differ by up to five points between published atlases: smaller differences have no meaning. The "
    "follow-up is seen in the space of the baseline; its volumes are those of its own space."
)


def location_section(m: Material) -> Section:
    """Draw and tabulate in which regions the tumour of each exam lies, and the map of regions behind it."""
    rows = rows_of(m.task, "location")
    regions = read_regions(m.task)
    baseline = next(s for s in m.sessions if s.label == m.baseline)
    image, primary = m.reference(baseline), m.labels(f"dseg_{baseline.label}")
    if regions is None or image is None:
        return Section("Where in the brain", "location", skipped=skip_reason(m, "parcellate", baseline.label) or "no regions")
    lesion = primary.mask("lesion") if primary else None
    facts = read_json(path) if (path := m.task.given("regions_facts")) else {}
    method = str(facts.get("Reason", ""))
    check = parcellation_figure(image, regions, lesion, method=method, synthetic=m.synthetic)
    if not rows or primary is None:
        why = skip_reason(m, "locate") or "no location"
        return Section("Where in the brain", "location", f"The tumour was not located: {why}.", (check,))
    figures = [*_views(m, regions, image, rows), *_bars(m, rows), check]
    shown = {k: c for k, c in _LOCATION.items() if any(r.get(k, "n/a") not in ("n/a", "") for r in rows)}
    listed = [{**r, "involved": r["involved"].replace(";", ", ")} for r in rows]
    table = table_of("Location", listed, shown, notes=[m.nominal])
    return Section("Where in the brain", "location", f"{_words(m, rows)}\n\n{_TEXT}", tuple(figures), (table,))


def _best(m: Material, rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Rows of the whole tumour, one per exam: the baseline, and follow-ups under the last registration."""
    wanted = ("native", m.kinds[-1])
    return [r for r in rows if r["part"] == "whole" and r["transform"] in wanted]


def _words(m: Material, rows: Sequence[Mapping[str, str]]) -> str:
    said = []
    for row in _best(m, rows):
        if row["status"] != "ok":
            said.append(f"{row['session_id']}: no location ({row['reason']}).")
            continue
        name = (location_class(row) or "").replace("multiple", "several regions")
        regions = row["involved"].replace(";", ", ")
        crossing = ", across the midline" if row["crosses_midline"] == "true" else ""
        said.append(f"{row['session_id']}: {row['laterality']}, {name}{crossing} ({regions}).")
    return " ".join(said)


def _masks(m: Material, rows: Sequence[Mapping[str, str]]) -> dict[str, np.ndarray]:
    masks = {}
    for row in _best(m, rows):
        label = row["session_id"].removeprefix("ses-")
        role = f"dseg_{label}" if row["transform"] == "native" else f"mapped_{row['transform']}_{label}"
        labels = m.labels(role)
        if labels is not None and row["compartment"] in REGIONS:
            masks[row["session_id"]] = labels.mask(row["compartment"])
    return masks


def _views(m: Material, regions: RegionMap, image: Image, rows: Sequence[Mapping[str, str]]) -> list[Figure]:
    masks = _masks(m, rows)
    kept = dict([*list(masks.items())[:1], *list(masks.items())[1:][-2:]])
    if not kept:
        return []
    stripped = image if _is_stripped(m) else None
    return [lobe_figure(regions, kept, image=stripped, synthetic=m.synthetic)]


def _is_stripped(m: Material) -> bool:
    """Whether the image shows the brain alone, so that its furrows can be drawn."""
    path = m.task.given(f"brain_facts_{m.baseline}")
    return path is not None and read_json(path).get("Method") == "data"


def _bars(m: Material, rows: Sequence[Mapping[str, str]]) -> list[Figure]:
    shares = {}
    for row in _best(m, rows):
        columns = [c for c in row if c.startswith("share_")]
        if row["status"] == "ok":
            shares[row["session_id"]] = {c.removeprefix("share_").replace("_", " "): number(row[c]) for c in columns}
    kept = dict([*list(shares.items())[:1], *list(shares.items())[1:][-3:]])
    return [location_bars(kept, synthetic=m.synthetic)] if kept else []


def location_items(m: Material) -> tuple[SummaryItem, ...]:
    """Give where the tumour lay first and last, for the top of the page."""
    found = [r for r in _best(m, rows_of(m.task, "location")) if r["status"] == "ok"]
    items = []
    for words, row in (("location", found[0]), ("location, last exam", found[-1])) if len(found) > 1 else ():
        note = f"{row['session_id']}, {row['laterality']}: {row['involved'].replace(';', ', ')}"
        items.append(SummaryItem(words, location_class(row) or value(row, "lobe"), note=note))
    return tuple(items)


def location_flags(m: Material) -> tuple[Flag, ...]:
    """Tell where the location of a tumour is doubtful."""
    flags = []
    for row in _best(m, rows_of(m.task, "location")):
        if row.get("is_low_coverage") == "true":
            text = f"only {number(row['coverage']):.0%} of the tumour lie inside the map of regions"
            flags.append(
                Flag("warning", f"location, {row['session_id']}", text, "look at the map of regions; give a better one")
            )
        elif row["status"] == "no_tissue":
            flags.append(Flag("warning", f"location, {row['session_id']}", row["reason"], "look at the map of regions"))
    path = m.task.given("regions_facts")
    facts = read_json(path) if path else {}
    if facts.get("IsFallback"):
        text = f"the map of regions comes from the embedded template ({facts.get('Reason')})"
        remedy = "install SynthSeg or give a FreeSurfer label map with --derivatives if lobes matter"
        flags.append(Flag("info", f"regions, ses-{m.baseline}", text, remedy))
    return tuple(flags)
