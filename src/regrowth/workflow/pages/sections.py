"""The sections of a patient's page, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regrowth.clinical import Session
from regrowth.io.nifti import read_image
from regrowth.io.tables import read_json
from regrowth.labels import REGIONS
from regrowth.report import Column, Figure, Section, SummaryItem, inventory_table
from regrowth.report.figures.recurrence import DistanceShare, migration_figure, recurrence_figure
from regrowth.report.figures.registration import registration_figure
from regrowth.report.figures.segmentation import segmentation_figure
from regrowth.report.figures.timeline import ClinicalEvent, timeline_figure
from regrowth.report.stored import section_from
from regrowth.space import Image, LabelMap, distance_to_mm, resample_image
from regrowth.workflow.pages.columns import COMPONENTS, MIGRATION, MIGRATION_CAPTION, QUALITY
from regrowth.workflow.pages.material import Material, skip_reason
from regrowth.workflow.pages.values import main_region, number, table_of, value

__all__ = ["inventory", "left_by", "recurrences", "registrations", "segmentations", "summary", "timeline"]


def summary(m: Material) -> tuple[SummaryItem, ...]:
    """Give the few values that stand at the top."""
    items: list[SummaryItem] = []
    last = next((s for s in reversed(m.followups()) if m.migration[s.label]), None)
    if last is None:
        return tuple(items)
    rows = [r for r in m.migration[last.label] if r["transform"] != "band"]
    region = main_region([r["region"] for r in rows if r["status"] == "ok"]) or main_region([r["region"] for r in rows])
    by_transform = {r["transform"]: r for r in rows if r["region"] == region}
    row = by_transform.get(m.kinds[-1])
    if row is None or region is None:
        return tuple(items)
    name = REGIONS.get(region, region)
    items += [
        SummaryItem("verdict", value(row, "verdict"), note=f"ses-{last.label}, {name}"),
        SummaryItem("pattern", value(row, "pattern"), note=f"{row['transform']} registration"),
        SummaryItem(
            "trend", value(row, "trend"), note=_change(row), definition="change of the native volume, thresholds of RANO 2.0"
        ),
        SummaryItem("outward p95", value(row, "outward_p95_mm"), "mm", note=_band(by_transform)),
        SummaryItem("inside primary", value(row, "within_0mm"), definition="share of the recurrence's volume", digits=2),
    ]
    return tuple(items)


def _change(row: Mapping[str, str]) -> str:
    change = number(row.get("volume_change"))
    return "no exam after surgery to compare with" if np.isnan(change) else f"{change:+.0%} since ses-{row['trend_since']}"


def _band(by_transform: Mapping[str, Mapping[str, str]]) -> str:
    if len(by_transform) < 2:
        return ""
    texts = [f"{k} {number(by_transform[k].get('outward_p95_mm')):.1f}" for k in by_transform]
    return ", ".join(texts)


def inventory(m: Material) -> Section:
    """Say what was scanned when, and what is missing."""
    reasons: dict[str, list[str]] = {}
    for skip in m.task.job.settings["skips"]:
        if skip["session"]:
            reasons.setdefault(skip["session"], []).append(f"{skip['step']}: {skip['reason']}")
    skipped = {session: "; ".join(texts) for session, texts in reasons.items()}
    return Section("Inventory", "inventory", tables=(inventory_table(m.sessions, skipped),))


def timeline(m: Material) -> Section:
    """Draw exams, events and volumes over time."""
    volumes = {
        row["session_id"].removeprefix("ses-"): {r: number(row.get(f"{r}_ml")) for r in REGIONS if f"{r}_ml" in row}
        for row in m.volumes
    }
    clinical: Mapping[str, str] = m.task.job.settings["clinical"]
    events = []
    for column, words in (
        ("ttp_days", "progression"),
        ("os_days", "death" if clinical.get("os_event") == "1" else "last seen"),
    ):
        if not np.isnan(day := number(clinical.get(column))):
            events.append(ClinicalEvent(words, day))
    figure = timeline_figure(m.sessions, events, volumes or None, regions=("CE_core", "NE", "RC", "GTV"), synthetic=m.synthetic)
    columns = {
        "session_id": Column("session"),
        "day": Column("day", "d"),
        "label_scheme": Column("label scheme"),
        **{
            f"{r}_ml": Column(r.replace("_", " "), "ml", text)
            for r, text in REGIONS.items()
            if any(not np.isnan(number(row.get(f"{r}_ml"))) for row in m.volumes)
        },
        "ratio_CE_core_NE": Column(
            "CE core/NE", "", "volume of the contrast-enhancing core over that of the non-enhancing abnormality", 3
        ),
        "ratio_status": Column("ratio status"),
    }
    text = "Volumes are measured in the native space of each exam: number of voxels times the volume of a voxel."
    tables = (table_of("Volumes", m.volumes, columns, notes=[m.nominal]),) if m.volumes else ()
    return Section("Timeline and volumes", "timeline", text, (figure,), tables)


def segmentations(m: Material) -> list[Section]:
    """Draw the contours of every exam."""
    figures, reasons = [], []
    for session in m.sessions:
        labels, reference = m.labels(f"dseg_{session.label}"), m.reference(session)
        if labels is None or reference is None:
            reasons.append(f"ses-{session.label}: {skip_reason(m, 'tumour', session.label) or 'no segmentation'}")
            continue
        images = {session.reference() or "T1wce": reference}
        flair = m.task.given(f"flair_{session.label}")
        if flair:
            images["FLAIR"] = read_image(flair)
        name, title = f"segmentation_ses-{session.label}", f"Segmentation, ses-{session.label} (day {session.day})"
        figures.append(segmentation_figure(images, labels, name=name, title=title, synthetic=m.synthetic))
    skipped = "; ".join(reasons) if not figures else None
    return [Section("Segmentation", "segmentation", "\n\n".join(reasons if figures else []), tuple(figures), skipped=skipped)]


def registrations(m: Material) -> list[Section]:
    """Draw and tabulate every registration."""
    sections = []
    baseline = next(s for s in m.sessions if s.label == m.baseline)
    for session in m.followups():
        title, anchor = f"Registration of ses-{session.label}", f"registration-{session.label}"
        fixed, moving = m.reference(baseline), m.reference(session)
        stages: dict[str, Image] = {}
        if fixed is not None and moving is not None:
            stages["before"] = resample_image(moving, fixed.grid)
            for kind in m.kinds:
                if path := m.task.given(f"{kind}_{session.label}"):
                    stages[kind] = read_image(path)
        rows = m.quality[session.label]
        if fixed is None or len(stages) < 2:
            sections.append(Section(title, anchor, skipped=skip_reason(m, "register", session.label) or "no registration"))
            continue
        lesion = m.labels(f"dseg_{baseline.label}")
        after = {r["stage"]: f"NCC {number(r['ncc_after']):.2f}" for r in rows if r["stage"] in stages}
        before = [f"NCC {number(r['ncc_before']):.2f}" for r in rows if r["stage"] == "rigid"]
        figure = registration_figure(
            fixed,
            stages,
            lesion=lesion.mask("lesion") if lesion else None,
            measures={**after, **({"before": before[0]} if before else {})},
            name=f"registration_ses-{session.label}",
            title=f"ses-{session.label} onto ses-{baseline.label}",
            synthetic=m.synthetic,
        )
        within = [r for s in m.sessions for r in m.quality[s.label] if r["stage"] not in ("rigid", "affine", "deformable")]
        table = table_of(
            "Quality of every registration", [*rows, *[r for r in within if r not in rows]], QUALITY, notes=[m.nominal]
        )
        sections.append(Section(title, anchor, figures=(figure,), tables=(table,)))
    if not sections:
        sections.append(Section("Registration", "registration", skipped=skip_reason(m, "register") or "no follow-up exam"))
    return sections


def recurrences(m: Material) -> list[Section]:
    """Draw and tabulate where the tumour of each follow-up lies, seen from the baseline."""
    sections = []
    baseline = next(s for s in m.sessions if s.label == m.baseline)
    for session in m.followups():
        title, anchor = f"Recurrence in ses-{session.label}", f"recurrence-{session.label}"
        rows = m.migration[session.label]
        image, primary = m.reference(baseline), m.labels(f"dseg_{baseline.label}")
        mapped = {k: labels for k in m.kinds if (labels := m.labels(f"mapped_{k}_{session.label}"))}
        best = mapped.get(m.kinds[-1])
        if image is None or primary is None or best is None or not rows:
            sections.append(Section(title, anchor, skipped=skip_reason(m, "recurrence", session.label) or "no segmentation"))
            continue
        region = main_region([r for r in REGIONS if primary.has(r) and best.has(r)]) or "lesion"
        figures = [
            recurrence_figure(
                image,
                primary,
                best,
                recurrence_rigid=mapped.get("rigid") if len(m.kinds) > 1 else None,
                region=region,
                name=f"recurrence_ses-{session.label}",
                title=f"Recurrence map, ses-{session.label} over ses-{baseline.label} ({region.replace('_', ' ')})",
                synthetic=m.synthetic,
            ),
            *_migration_figures(m, session, primary, mapped, region),
        ]
        shown = [r for r in rows if r["status"] != "not_in_scheme"]
        tables = [table_of("Migration", shown, MIGRATION, MIGRATION_CAPTION, [m.nominal])]
        if m.components[session.label]:
            tables.append(table_of("Parts of the recurrence", m.components[session.label], COMPONENTS, notes=[m.nominal]))
        sections.append(Section(title, anchor, _recurrence_text(rows, region, m.kinds[-1]), tuple(figures), tuple(tables)))
    if not sections:
        sections.append(Section("Recurrence", "recurrence", skipped=skip_reason(m, "recurrence") or "no follow-up exam"))
    return sections


def left_by(m: Material, role: str, step: str, title: str, otherwise: str) -> Section:
    """Give the section that a step left in a role of the job, or say why there is none.

    Parameters
    ----------
    m
        Material of the page.
    role
        Role of the file; also the anchor of an absent section.
    step
        Name of the step.
    title
        Heading of an absent section.
    otherwise
        Why there is none where neither the plan nor a failure tells.
    """
    path = m.task.given(role)
    if path is None:
        return Section(title, role, skipped=skip_reason(m, step) or otherwise)
    stored: list[Mapping[str, Any]] = read_json(path)["sections"]  # type: ignore[assignment]
    return section_from(stored[0])


def _migration_figures(
    m: Material, session: Session, primary: LabelMap, mapped: dict[str, LabelMap], region: str
) -> list[Figure]:
    before = primary.mask(region)
    if not before.any():
        return []
    distance = distance_to_mm(before, primary.grid)
    shares = {
        kind: DistanceShare.of_voxels(distance[labels.mask(region)])
        for kind, labels in reversed(mapped.items())
        if labels.mask(region).any()
    }
    if not shares:
        return []
    return [migration_figure(shares, name=f"migration_ses-{session.label}", synthetic=m.synthetic)]


def _course(row: Mapping[str, str]) -> str:
    if row["trend"] == "unknown":
        return "Its change of volume is not known: no exam between surgery and this one was measured."
    return (
        f"Its native volume went from {number(row['volume_before_ml']):.2f} to {number(row['volume_ml']):.2f} ml "
        f"({number(row['volume_change']):+.0%}, {row['trend']}) since ses-{row['trend_since']}."
    )


def _recurrence_text(rows: Sequence[Mapping[str, str]], region: str, kind: str) -> str:
    row = next((r for r in rows if r["region"] == region and r["transform"] == kind), None)
    if row is None or row["status"] != "ok":
        return f"No distance can be given: {row.get('reason', 'no result') if row else 'no result'}."
    share, reach = float(row["within_0mm"]), float(row["outward_p95_mm"])
    return (
        f"{row['verdict'].capitalize()}: {share:.0%} of the {REGIONS[region]} at follow-up lies inside that of the baseline, "
        f"95 % of it within {reach:.1f} mm. {_course(row)}"
    )
