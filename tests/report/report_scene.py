"""A made-up patient for the report: an egg-shaped head with ventricles and a tumour of spheres, drawn on any grid."""

from __future__ import annotations

import numpy as np

from regrowth.clinical import Session
from regrowth.labels import label_scheme
from regrowth.report.content import (
    CohortReport,
    Column,
    Figure,
    Flag,
    Missing,
    PatientReport,
    PatientRow,
    Section,
    StepError,
    SummaryItem,
    Table,
)
from regrowth.report.figures import (
    ClinicalEvent,
    DistanceShare,
    count_figure,
    distribution_figure,
    migration_figure,
    mosaic_figures,
    patient_tile,
    recurrence_figure,
    registration_figure,
    segmentation_figure,
    timeline_figure,
)
from regrowth.report.methods import methods_text
from regrowth.report.tables import inventory_table
from regrowth.space import AffineMap, Grid, Image, LabelMap, Transform, distance_to_mm, resample_image

SCHEME = label_scheme("brats-2024-post")
SESSIONS = (
    Session("preop", 0, "preop", {"T1wce": "a", "T1w": "b", "T2w": "c", "FLAIR": "d"}, "s", "brats-2024-post"),
    Session("postop", 3, "postop", {"T1wce": "a", "T1w": "b"}, "s", "brats-2024-post"),
    Session("planning", 21, "planning", {"T1wce": "a"}),
    Session("followup1", 150, "followup", {"T1wce": "a", "FLAIR": "d"}, "s", "brats-2024-post"),
    Session("progression", 312, "progression", {"T1wce": "a", "FLAIR": "d"}, "s", "brats-2024-post"),
)
NAN = float("nan")
VOLUMES_ML = {
    "preop": {"CE_core": 31.2, "NE": 62.4, "RC": NAN},
    "postop": {"CE_core": 1.1, "NE": 48.0, "RC": 28.5},
    "planning": {},
    "followup1": {"CE_core": 1.4, "NE": 30.2, "RC": 17.9},
    "progression": {"CE_core": 12.6, "NE": 55.3, "RC": 14.0},
}


def grid_of(
    orientation: str = "RAS", spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0), extent_mm: float = 60.0
) -> Grid:
    """A grid about the origin, in an orientation or turned by 17 degrees about two axes (``oblique``)."""
    shape = tuple(max(round(extent_mm / s), 4) + i for i, s in enumerate(spacing_mm))
    affine = np.diag([*spacing_mm, 1.0])
    if orientation == "oblique":
        a = np.deg2rad(17.0)
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        tip = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        affine[:3, :3] = turn @ tip @ affine[:3, :3]
    else:
        affine[:3, :3] *= [-1.0 if c in "LPI" else 1.0 for c in orientation]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine)


def points(grid: Grid) -> np.ndarray:
    return Transform().map_grid(grid)


def sphere(grid: Grid, centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    return np.linalg.norm(points(grid) - np.array(centre_mm), axis=-1) <= radius_mm


def head(grid: Grid, size_mm: float = 28.0) -> Image:
    """An egg of brain with a darker pair of ventricles and a bright bump at the patient's left front."""
    xyz = points(grid) / size_mm
    brain = (xyz[..., 0] / 0.8) ** 2 + xyz[..., 1] ** 2 + (xyz[..., 2] / 0.9) ** 2 <= 1
    data = brain * (80.0 + 12.0 * np.sin(7 * xyz[..., 0]) * np.cos(6 * xyz[..., 1] + 2 * xyz[..., 2]))
    for side in (-1, 1):
        ventricle = ((xyz[..., 0] - side * 0.15) / 0.08) ** 2 + (xyz[..., 1] / 0.4) ** 2 + (xyz[..., 2] / 0.2) ** 2 <= 1
        data[ventricle] = 20.0
    return Image(data.astype(np.float32), grid)


def tumour(grid: Grid, centre_mm: tuple[float, float, float], radius_mm: float, cavity: bool = False) -> LabelMap:
    """Necrosis in an enhancing rim in oedema; the cavity takes the place of necrosis."""
    v = SCHEME.values
    data = np.zeros(grid.shape, np.uint8)
    data[sphere(grid, centre_mm, radius_mm * 1.6)] = v["SNFH"]
    data[sphere(grid, centre_mm, radius_mm)] = v["ET"]
    data[sphere(grid, centre_mm, radius_mm * 0.6)] = v["RC" if cavity else "NETC"]
    return LabelMap(data, grid, SCHEME)


def with_tumour(image: Image, labels: LabelMap, flair: bool = False) -> Image:
    data = image.data.copy()
    top = float(data.max())
    gains = {"ET": (1.5, 1.2), "NETC": (0.5, 0.9), "SNFH": (0.8, 1.6), "RC": (0.15, 0.1)}
    for label, gain in gains.items():
        data[labels.data == SCHEME.values[label]] = 0.8 * top * gain[flair]
    return image.with_data(data.astype(np.float32))


def shifted(image: Image, shift_mm: tuple[float, float, float]) -> Image:
    matrix = np.eye(4)
    matrix[:3, 3] = shift_mm
    return resample_image(image, image.grid, Transform((AffineMap(matrix),)))


def figures(base: Image, scale_mm: float = 28.0, synthetic: bool = True) -> dict[str, Figure]:
    """All figures of a patient on the grid of `base`; the lesion lies at the patient's left front."""
    grid = base.grid
    u = scale_mm / 28.0
    primary = tumour(grid, (-9 * u, 10 * u, 4 * u), 5 * u)
    after = tumour(grid, (-4 * u, 12 * u, 6 * u), 4 * u, cavity=True)
    rigid = tumour(grid, (-5 * u, 14 * u, 7 * u), 4 * u, cavity=True)
    far = sphere(grid, (9 * u, 6 * u, 6 * u), 2.2 * u)
    data = after.data.copy()
    data[far] = SCHEME.values["ET"]
    after = LabelMap(data, grid, SCHEME)
    t1, flair = with_tumour(base, primary), with_tumour(base, primary, flair=True)
    follow = with_tumour(base, after)
    parts = np.where(far, 2, 1) * after.mask("ET")
    reach = distance_to_mm(primary.mask("CE_core"), grid)
    return {
        "timeline": timeline_figure(
            SESSIONS,
            [
                ClinicalEvent("resection", 2),
                ClinicalEvent("radiotherapy 60 Gy", 28, 70),
                ClinicalEvent("temozolomide", 28, 250),
            ],
            VOLUMES_ML,
            synthetic=synthetic,
        ),
        "preop": segmentation_figure(
            {"T1wce": t1, "FLAIR": flair}, primary, name="seg-preop", title="Segmentation · ses-preop", synthetic=synthetic
        ),
        "progression": segmentation_figure(
            {"T1wce": follow}, after, name="seg-progression", title="Segmentation · ses-progression", synthetic=synthetic
        ),
        "registration": registration_figure(
            t1,
            {
                "before": shifted(follow, (7 * u * 0.5, -5 * u * 0.5, 3 * u * 0.5)),
                "rigid": shifted(follow, (0.6, 0.5, 0.4)),
                "deformable": follow,
            },
            lesion=primary.data > 0,
            measures={"before": "NCC 0.41", "rigid": "NCC 0.88", "deformable": "NCC 0.97"},
            title="Registration · ses-progression to ses-preop",
            synthetic=synthetic,
        ),
        "recurrence": recurrence_figure(
            t1,
            primary,
            after,
            recurrence_rigid=rigid,
            components=parts,
            classes={1: "local", 2: "distant"},
            title="Recurrence map · ses-progression over ses-preop",
            synthetic=synthetic,
        ),
        "migration": migration_figure(
            {
                "deformable": DistanceShare.of_voxels(
                    reach[after.mask("CE_core") if after.has("CE_core") else after.mask("ET")], 40.0
                ),
                "rigid": DistanceShare.of_voxels(reach[rigid.mask("ET")], 40.0),
            },
            synthetic=synthetic,
        ),
    }


def patient_report(base: Image, scale_mm: float = 28.0, participant: str = "017", synthetic: bool = True) -> PatientReport:
    f = figures(base, scale_mm, synthetic)
    skipped = {
        "postop": "FLAIR volumes: no FLAIR in ses-postop",
        "planning": "segmentation and all measures: no segmentation and no model given",
    }
    no_flair = Missing("no FLAIR in ses-postop")
    volumes = Table(
        "Volumes",
        (
            Column("session"),
            Column("day", "d"),
            Column("CE core", "ml", "enhancing tumour and what it encloses, native space", 1),
            Column("NE", "ml", "non-enhancing T2/FLAIR abnormality, native space", 1),
            Column("cavity", "ml", "resection cavity, native space", 1),
            Column("CE core / NE", "", "ratio of the two volumes", 3),
        ),
        (
            ("preop", 0, 31.2, 62.4, 0.0, 0.5),
            ("postop", 3, 1.1, no_flair, 28.5, no_flair),
            ("followup1", 150, 1.4, 30.2, 17.9, 0.046),
            ("progression", 312, 12.6, 55.3, 14.0, 0.228),
        ),
        "Native space: number of voxels times the volume of a voxel.",
    )
    quality = Table(
        "Registration quality",
        (
            Column("stage"),
            Column("NCC", "", "normalised cross-correlation inside the brain, lesions left out", 3),
            Column("brain Dice", "", "overlap of the two brain masks", 3),
            Column("folded voxels", "%", "voxels with a negative Jacobian determinant", 3),
            Column("inverse consistency", "mm", "95th percentile of the error of there and back", 2),
        ),
        (
            ("before", 0.412, 0.871, Missing("no deformation"), Missing("no deformation")),
            ("rigid", 0.884, 0.962, Missing("no deformation"), Missing("no deformation")),
            ("deformable", 0.972, 0.981, 0.0, 0.31),
        ),
    )
    migration = Table(
        "Migration",
        (
            Column("registration"),
            Column(
                "outward p95", "mm", "95th percentile of the distance of recurrence voxels beyond the primary (0 inside)", 1
            ),
            Column("symmetric HD95", "mm", "95th percentile Hausdorff distance, mesh definition", 1),
            Column("parts", "", "number of connected parts"),
            Column("pattern"),
        ),
        (("deformable", 38.2, 41.0, 2, "distant"), ("rigid", 14.1, 17.9, 1, "local")),
    )
    text, references = methods_text(
        ["coregister", "tumour", "register", "recurrence", "measure", "report"],
        {"regrowth": "0.1.0", "greedy": "1.4.0.3", "numpy": "2.2.1"},
        {
            "coregister": {"engine": "greedy"},
            "register": {"engine": "greedy", "kind": "deformable", "dilate_mm": 2.0, "seed": 0},
        },
    )
    return PatientReport(
        participant,
        "2026-03-02 14:05 UTC",
        "0.1.0",
        (
            SummaryItem("Pattern", "distant", note="2 connected parts", definition="class of the farthest part"),
            SummaryItem("Trend", "growing", note="CE core, last two exams"),
            SummaryItem("CE core, last exam", 12.6, "ml", "ses-progression, day 312"),
            SummaryItem("Migration (p95)", 38.2, "mm", "14.1 mm after rigid registration"),
            SummaryItem("Growth rate", Missing("needs three measured exams of FLAIR"), "ml/month"),
        ),
        (
            Flag("info", "ses-progression", "slices are 6.5 mm thick; distances along the axis are uncertain by half of that."),
            Flag(
                "warning",
                "ses-progression",
                "rigid and deformable registration give migration distances of 14.1 and 38.2 mm.",
                "Look at the registration figure before citing either.",
            ),
            Flag("error", "ses-planning", "the step segment failed.", "Give a segmentation with --derivatives, or a model."),
        ),
        (
            Section("Inventory", "inventory", tables=(inventory_table(SESSIONS, skipped),)),
            Section("Timeline", "timeline", figures=(f["timeline"],), tables=(volumes,)),
            Section("Segmentation", "segmentation", "Contours on the native images.", figures=(f["preop"], f["progression"])),
            Section("Registration", "registration", figures=(f["registration"],), tables=(quality,)),
            Section("Recurrence", "recurrence", figures=(f["recurrence"], f["migration"]), tables=(migration,)),
            Section("Perfusion", "perfusion", skipped="no DSC series in any session"),
        ),
        text,
        references,
        (
            StepError(
                "segment", "planning", "no model folder given and no mask in --derivatives", "step segment\nInputError: ..."
            ),
        ),
        (("command", "regrowth run data out participant --participant-label 017"), ("seed", "0"), ("greedy", "1.4.0.3")),
        synthetic,
        ("Volumes are measured in native space; locations and distances in the space of the baseline exam.",),
    )


def cohort_report(base: Image, count: int = 12, scale_mm: float = 28.0, synthetic: bool = True) -> CohortReport:
    u = scale_mm / 28.0
    tiles, rows = [], []
    rng = np.random.default_rng(1)
    for n in range(count):
        label = f"{n + 1:03d}"
        centre = (float(rng.uniform(-14, 14)) * u, float(rng.uniform(-12, 12)) * u, 3 * u)
        primary = tumour(base.grid, centre, 4 * u).data > 0
        again = sphere(base.grid, (centre[0] + 3 * u, centre[1] + 2 * u, centre[2]), 3 * u)
        tiles.append(patient_tile(label, base, primary, again))
        if n == 4:
            rows.append(
                PatientRow(label, f"sub-{label}.html", flags=2, status="failed", note="registration failed: see its page")
            )
            continue
        distance = float(rng.gamma(2, 8))
        rows.append(
            PatientRow(
                label,
                f"sub-{label}.html",
                "local" if distance < 10 else "distant",
                ("growing", "stable")[n % 2],
                {"CE core, preop": float(rng.gamma(3, 9)), "CE core, last": float(rng.gamma(2, 6))},
                distance,
                distance * 0.8,
                "pass",
                n % 3,
                "incomplete" if n == 7 else "done",
                "no FLAIR in the last exam" if n == 7 else "",
            )
        )
    measured = [r for r in rows if isinstance(r.migration_mm, float)]
    patterns = {k: sum(r.pattern == k for r in measured) for k in ("local", "distant")}
    figures_ = (
        count_figure(patterns, name="patterns", title="Pattern of recurrence", synthetic=synthetic),
        distribution_figure(
            {
                "deformable": [float(r.migration_mm) for r in measured] + [NAN],
                "rigid": [float(r.migration_rigid_mm) for r in measured] + [NAN],
            },
            name="migration",
            title="Migration distance",
            quantity="outward distance, 95th percentile",
            unit="mm",
            synthetic=synthetic,
        ),
    )
    return CohortReport(
        "Demonstration cohort",
        "2026-03-02 14:05 UTC",
        "0.1.0",
        tuple(rows),
        (SummaryItem("Patients", count), SummaryItem("Local recurrence", patterns["local"], note=f"of {len(measured)}")),
        (Flag("warning", "sub-005", "has no result.", "Open its page for the reason."),),
        figures_,
        mosaic_figures(tiles, synthetic=synthetic),
        (StepError("register", "progression", "greedy stopped with exit code 1", "last line of the log", "005"),),
        f"Twelve steps ran for {count} patients; perfusion was skipped for all (no DSC series).",
        synthetic=synthetic,
        provenance=(("command", "regrowth run data out group"),),
    )
