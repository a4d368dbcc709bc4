"""``regrowth radiotherapy``: structures, doses and patterns of failure on plain DICOM folders and images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from regrowth.cli.console import console, counting
from regrowth.cli.growth_options import numbers, print_facts
from regrowth.cli.main import app
from regrowth.cli.radiotherapy_options import doses_by_level, files_by_level, print_notes, print_reasons, print_table
from regrowth.errors import ParameterError

__all__ = ["classify", "dvh", "export", "index", "phantom", "radiotherapy_app", "rasterise"]

radiotherapy_app = typer.Typer(
    name="radiotherapy",
    help="At which dose a tumour came back: plain DICOM folders, structures, doses, patterns of failure.\n\n"
    "Python: [bold]regrowth.classify_failure(recurrence, dose, out_dir, prescriptions_gy={'high': 60})[/bold]",
    epilog="Example: [bold]regrowth radiotherapy index dicom/ index.tsv[/bold]",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.add_typer(radiotherapy_app)

Manifest = Annotated[
    Path | None, typer.Option(help="TSV that says what the files do not: path, refers_to, patient, ignore (yes or no).")
]
Salt = Annotated[
    str | None,
    typer.Option(
        help="Secret for the labels of patients, so that they stay the same; new ones if left out.", envvar="REGROWTH_SALT"
    ),
]
KeepIdentifiers = Annotated[
    bool, typer.Option("--keep-identifiers", help="Call patients by their identifiers, and leave names in paths.")
]
Structures = Annotated[
    list[str] | None, typer.Option("--structure", help="Name with wildcards, such as '*PTV*'; may be given several times.")
]


@radiotherapy_app.command(epilog="Example: [bold]regrowth radiotherapy index dicom/ index.tsv --manifest manifest.tsv[/bold]")
def index(
    folder: Annotated[Path, typer.Argument(help="Folder of DICOM files, of any layout.")],
    out: Annotated[
        Path, typer.Argument(help="TSV of the objects; beside it tables of links, plans, structures and problems, and a JSON.")
    ],
    *,
    manifest: Manifest = None,
    salt: Salt = None,
    keep_identifiers: KeepIdentifiers = False,
) -> None:
    """List what a folder of DICOM files holds, what belongs together and how that was found, and what is wrong.

    Python: [bold]regrowth.index_dicom(folder, out)[/bold]
    """
    from regrowth import api

    with counting("reading") as progress:
        tables = api.index_dicom(
            folder, out, manifest=manifest, salt=salt, keep_identifiers=keep_identifiers, progress=progress
        )
    counts: dict[tuple[str, str], int] = {}
    for row in tables["objects"]:
        key = (row["patient"], row["modality"] or row["kind"])
        counts[key] = counts.get(key, 0) + 1
    print_table("Objects", [{"patient": p, "kind": k, "n": n} for (p, k), n in counts.items()], ("patient", "kind", "n"))
    print_table("What belongs together", tables["links"], ("patient", "path", "target_path", "basis"))
    print_table("Plans", tables["plans"], ("patient", "path", "n_fractions", "prescription_gy", "status", "reason"))
    print_table("Problems", tables["problems"], ("patient", "path", "problem", "remedy"))


@radiotherapy_app.command(
    epilog="Example: [bold]regrowth radiotherapy rasterise structures.dcm planning_ct/ masks --structure '*PTV*'[/bold]"
)
def rasterise(
    structures: Annotated[Path, typer.Argument(help="DICOM RTSTRUCT, or a folder that holds one.")],
    reference: Annotated[Path, typer.Argument(help="NIfTI image, or folder of a DICOM series, whose grid the masks get.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder for the masks and structures.tsv, made if absent.")],
    *,
    structure: Structures = None,
    share: Annotated[bool, typer.Option("--share", help="Write the filled share of every voxel instead of a mask.")] = False,
    supersampling: Annotated[int, typer.Option(help="Samples per axis and voxel for shares.")] = 3,
    between: Annotated[
        Literal["none", "nearest", "shape"],
        typer.Option(help="Between planes of contours: nothing, the nearest plane, or an even change of shape."),
    ] = "nearest",
    end_cap_mm: Annotated[
        float | None, typer.Option(help="How far structures go on beyond the last plane; half a step if left out (mm).")
    ] = None,
    keep_identifiers: KeepIdentifiers = False,
) -> None:
    """Turn contours into masks, or shares of voxels, on any grid: holes, islands, oblique planes.

    Python: [bold]regrowth.rasterise_structures(structures, reference, out_dir, patterns=("*PTV*",))[/bold]
    """
    from regrowth import api

    with console.status("drawing"):
        rows = api.rasterise_structures(
            structures,
            reference,
            out_dir,
            patterns=structure or (),
            share=share,
            supersampling=supersampling,
            between=between,
            end_cap_mm=end_cap_mm,
            keep_identifiers=keep_identifiers,
        )
    print_table("Structures", rows, ("structure", "file", "status", "volume_ml", "n_contours"))
    print_reasons(rows, "structure")


@radiotherapy_app.command(
    epilog="Example: [bold]regrowth radiotherapy dvh dicom/ doses.tsv --sum-plans[/bold], or "
    "[bold]regrowth radiotherapy dvh structures.dcm dose.dcm doses.tsv --volume-doses 20,30[/bold]"
)
def dvh(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Folder of DICOM files; or an RTSTRUCT or NIfTI mask and its dose (RTDOSE or NIfTI in Gy)."),
    ],
    out: Annotated[Path, typer.Argument(help="TSV to write; beside it a table of the curves and a JSON.")],
    *,
    structure: Structures = None,
    dose_percents: Annotated[str, typer.Option(help="Volumes (%) for which the dose is told: 95 for D95.")] = "98,95,50,2",
    volume_doses: Annotated[str | None, typer.Option(help="Doses (Gy) for which the volume is told: 20 for V20.")] = None,
    between: Annotated[
        Literal["nearest", "shape"], typer.Option(help="Between planes of contours: the nearest plane, or a change of shape.")
    ] = "nearest",
    end_cap_mm: Annotated[float, typer.Option(help="How far structures go on beyond the last plane (mm).")] = 0.0,
    half_caps: Annotated[bool, typer.Option("--half-caps", help="Caps of half the distance between planes instead.")] = False,
    supersampling: Annotated[
        int | None, typer.Option(help="Samples per axis and voxel; chosen by the volume if left out.")
    ] = None,
    curve_step_gy: Annotated[float, typer.Option(help="Distance of the points of the curves (Gy).")] = 0.1,
    sum_plans: Annotated[bool, typer.Option("--sum-plans", help="Also the sum of the plans of the same structures.")] = False,
    alpha_beta_gy: Annotated[
        float | None, typer.Option(help="Convert each plan to fractions of 2 Gy with this alpha/beta (Gy).")
    ] = None,
    manifest: Manifest = None,
    salt: Salt = None,
    keep_identifiers: KeepIdentifiers = False,
) -> None:
    """Measure which dose every structure received: mean, extremes, doses of volumes, volumes of doses, and the curves.

    Python: [bold]regrowth.dose_volumes(folder, out)[/bold] or [bold]regrowth.dose_volumes(structures, out, dose=dose)[/bold]
    """
    from regrowth import api

    if len(sources) > 2:
        raise ParameterError(f"{len(sources)} sources were given; name a folder, or a file of structures and one of the dose")
    with console.status("measuring"):
        tables = api.dose_volumes(
            sources[0],
            out,
            dose=sources[1] if len(sources) > 1 else None,
            patterns=structure or (),
            dose_percents=numbers(dose_percents, "--dose-percents"),
            volume_doses_gy=numbers(volume_doses, "--volume-doses"),
            between=between,
            end_cap_mm=None if half_caps else end_cap_mm,
            supersampling=supersampling,
            curve_step_gy=curve_step_gy,
            sum_plans=sum_plans,
            alpha_beta_gy=alpha_beta_gy,
            manifest=manifest,
            salt=salt,
            keep_identifiers=keep_identifiers,
        )
    rows = tables["structures"]
    own = [
        name for name in ("plan_path", "structure", "status", "volume_ml", "mean_gy", "d95_gy") if any(name in r for r in rows)
    ]
    print_table("Doses (n/a: not known)", rows, own)
    print_reasons(rows, "structure")


@radiotherapy_app.command(
    epilog="Example: [bold]regrowth radiotherapy classify relapse.nii.gz dose.dcm out --prescription high=60 "
    "--target high=ptv.nii.gz --r95-mm 5[/bold]"
)
def classify(
    recurrence: Annotated[Path, typer.Argument(help="Mask of the recurrence in the space of the planning image.")],
    dose: Annotated[Path, typer.Argument(help="RTDOSE, NIfTI in Gy, or a DICOM folder whose plans are added up.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder for failure.csv and the other tables, made if absent.")],
    *,
    prescription: Annotated[
        list[str] | None, typer.Option(help="Level and dose, such as high=60; may be given several times (Gy).")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Level and mask of its target, such as high=ptv.nii.gz; several times.")
    ] = None,
    first_tumour: Annotated[Path | None, typer.Option(help="Mask of the first tumour or cavity, for distances.")] = None,
    scheme: Annotated[
        list[str] | None, typer.Option(help="Scheme by name, or TOML file of your own; several times; all if left out.")
    ] = None,
    r95_mm: Annotated[
        float | None, typer.Option(help="Radius that holds the true position in 95 of 100 cases, for probabilities (mm).")
    ] = None,
    landmarks: Annotated[
        Path | None, typer.Option(help="Or TSV of residuals, mapped minus true: r_mm, a_mm, s_mm, maybe participant_id.")
    ] = None,
    picking_sd_mm: Annotated[float, typer.Option(help="SD per axis that picking the landmarks put into residuals (mm).")] = 0.0,
    delineation_sd_mm: Annotated[float, typer.Option(help="SD per axis of the centroid between observers (mm).")] = 0.0,
    trial: Annotated[
        str | None, typer.Option(help="Trial instead of prescriptions: import_high, import_low, or a TOML file.")
    ] = None,
    arm: Annotated[str | None, typer.Option(help="Its arm; told by the mean dose of the highest target if left out.")] = None,
    isodose_fraction: Annotated[
        float, typer.Option(help="Share of a prescription that counts as treated in levels.tsv.")
    ] = 0.95,
    min_volume_ml: Annotated[float, typer.Option(help="Smaller parts of the recurrence are only counted (ml).")] = 0.0,
    patient: Annotated[str, typer.Option(help="Label of the patient for the tables, and in the landmarks.")] = "n/a",
    recurrence_id: Annotated[str, typer.Option(help="Label of the recurrence for the tables.")] = "recurrence",
    draws: Annotated[int, typer.Option(help="Draws of the position for probabilities.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
) -> None:
    """Classify each part of a recurrence under published schemes, with probabilities, and show where schemes disagree.

    Python: [bold]regrowth.classify_failure(recurrence, dose, out_dir, prescriptions_gy={"high": 60}, r95_mm=5)[/bold]
    """
    from regrowth import api

    with console.status("classifying"):
        tables = api.classify_failure(
            recurrence,
            dose,
            out_dir,
            prescriptions_gy=doses_by_level(prescription or ()),
            targets=files_by_level(target or ()),
            first_tumour=first_tumour,
            schemes=scheme or (),
            r95_mm=r95_mm,
            landmarks=landmarks,
            picking_sd_mm=picking_sd_mm,
            delineation_sd_mm=delineation_sd_mm,
            trial=trial,
            arm=arm,
            isodose_fraction=isodose_fraction,
            min_volume_ml=min_volume_ml,
            patient=patient,
            recurrence_id=recurrence_id,
            draws=draws,
            seed=seed,
        )
    shown = ("component", "scheme", "method", "level", "class", "p_class")
    print_table("Classes", tables["failure"], shown)
    for row in tables["agreement"] if len(scheme or ()) != 1 else ():
        said = {True: "all schemes agree", False: "schemes disagree", None: "too few schemes have a class to compare"}
        print_facts({f"part {row['component']}": f"{said[row['agree']]} ({row['n_unclassified']} unclassified)"})
    print_reasons([r | {"reason": r["qc_flags"]} for r in tables["failure"] if r["class"] == "unclassified"], "scheme")
    print_notes(str(row["note"]) for row in tables["notes"])


@radiotherapy_app.command(
    epilog="Example: [bold]regrowth radiotherapy export relapse.nii.gz planning_ct/ relapse.dcm --as rtstruct "
    "--name rGTV[/bold]"
)
def export(
    mask: Annotated[Path, typer.Argument(help="NIfTI mask in the space of the series.")],
    series: Annotated[Path, typer.Argument(help="Folder of the DICOM series.")],
    out: Annotated[Path, typer.Argument(help="DICOM file to write, not among the images.")],
    *,
    kind: Annotated[Literal["rtstruct", "seg"], typer.Option("--as", help="Contours, or a segmentation.")],
    name: Annotated[str, typer.Option(help="Name of the structure or segment.")],
    roi_type: Annotated[str, typer.Option(help="Interpreted type of a structure, such as GTV.")] = "",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Say in the file that the patient is computed.")] = False,
) -> None:
    """Write a mask as DICOM RTSTRUCT or SEG; the file carries the identity of the patient of the series.

    Python: [bold]regrowth.export_mask(mask, series, out, kind="rtstruct", name="rGTV")[/bold]
    """
    from regrowth import api

    print_facts(api.export_mask(mask, series, out, kind=kind, name=name, roi_type=roi_type, synthetic=synthetic))


@radiotherapy_app.command(epilog="Example: [bold]regrowth radiotherapy phantom patient --case head-neck --seed 1[/bold]")
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder, new or empty.")],
    *,
    case: Annotated[Literal["head-neck", "breast", "brain"], typer.Option(help="Which patient.")],
    spacing_mm: Annotated[float, typer.Option(help="Pixels of the planning CT, 1 to 5 mm (mm).")] = 3.0,
    seed: Annotated[int, typer.Option(help="Seed of texture, noise and landmarks.")] = 0,
) -> None:
    """Write a synthetic patient as DICOM: planning and relapse CT, structures, plans, doses, with classes that are known.

    Python: [bold]regrowth.write_radiotherapy_phantom(out, "head_neck", spacing_mm=3, seed=0)[/bold]
    """
    from regrowth.phantom.radiotherapy import write_radiotherapy_phantom

    with console.status("computing"):
        truth = write_radiotherapy_phantom(out, case.replace("-", "_"), spacing_mm, seed)
    print_facts({"DICOM": str(out / "dicom"), "truth": str(truth)})
