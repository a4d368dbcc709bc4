"""What every column means that the radiotherapy functions on plain files write, and how their tables are written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regrowth.api.growth_columns import growth_dictionary
from regrowth.io.tables import write_json, write_text, write_tsv

__all__ = ["RADIOTHERAPY_COLUMNS", "radiotherapy_dictionary", "stem", "write_csv", "write_tables"]

Rows = Sequence[Mapping[str, Any]]

RADIOTHERAPY_COLUMNS: Mapping[str, tuple[str, str]] = {
    "patient": ("label of the patient; not the identifier unless that was asked for", ""),
    "path": ("first file, relative to the folder", ""),
    "kind": ("series of images (IMAGE), or what the file is", ""),
    "modality": ("modality as the file says", ""),
    "day": ("days since the first dated object of the patient", "days"),
    "n_files": ("number of files", ""),
    "uid": ("series instance UID of a series, SOP instance UID of a file", ""),
    "frame_of_reference_uid": ("frame of reference", ""),
    "summation_type": ("what a dose adds up", ""),
    "belongs_to": ("kind of the object that it belongs to", ""),
    "target_path": ("first file of that object", ""),
    "basis": ("how the link was found: uid, manifest, or frame_of_reference, which is weaker", ""),
    "problem": ("what is wrong", ""),
    "remedy": ("what to do, or what was done", ""),
    "n_fractions": ("planned number of fractions", ""),
    "prescription_gy": ("prescribed dose of the plan", "Gy"),
    "n_doses": ("files that make up the dose of the plan", ""),
    "dose_paths": ("those files", ""),
    "status": ("ok, or what is the matter", ""),
    "reason": ("why a value is missing or should be looked at with care; empty if all is well", ""),
    "number": ("number of the structure in its set", ""),
    "structure": ("name of the structure, without identifiers of the patient", ""),
    "roi_type": ("interpreted type of the structure", ""),
    "n_contours": ("contours of the structure", ""),
    "pattern": ("pattern that the structure fits", ""),
    "file": ("image of the structure; n/a if it could not be drawn", ""),
    "n_outside": ("contours that lie wholly or partly beyond the grid", ""),
    "volume_ml": ("volume", "ml"),
    "plane_step_mm": ("distance between planes of contours", "mm"),
    "plan_path": ("file of the plan; 'all plans' for their sum", ""),
    "structures_path": ("file of the structures", ""),
    "dose_status": ("ok, or what is the matter with the dose of the plan", ""),
    "unit": ("unit of the doses: Gy, or Gy and how it was converted", ""),
    "unknown_share": ("share of the volume that the dose grid does not reach: its dose is unknown, not 0", "1"),
    "mean_gy": ("mean dose, voxels of 0 Gy included; n/a if part of the dose is unknown", "Gy"),
    "mean_low_gy": ("least possible mean dose, unknown parts at 0 Gy", "Gy"),
    "mean_high_gy": ("largest possible mean dose, unknown parts at the highest dose", "Gy"),
    "min_gy": ("least dose", "Gy"),
    "max_gy": ("largest dose", "Gy"),
    "dose_gy": ("dose", "Gy"),
    "volume_low_ml": ("least possible volume with this dose or more", "ml"),
    "volume_high_ml": ("largest possible volume with this dose or more", "ml"),
    "percent": ("volume with this dose or more, in percent of the whole structure", "%"),
    "recurrence_id": ("name of the recurrence", ""),
    "component": ("connected part of the recurrence, 1 for the largest", ""),
    "scheme": ("published scheme; docs say where each comes from", ""),
    "method": ("what was looked at: volume, centroid, origin, gap, sphere", ""),
    "level": ("dose level", ""),
    "rx_gy": ("prescription of the level", "Gy"),
    "isodose_fraction": ("share of the prescription that counts as treated", "1"),
    "threshold_gy": ("dose that counts as treated", "Gy"),
    "dose_centroid_gy": ("dose at the centre of mass, trilinear", "Gy"),
    "d95_gy": ("dose that 95 % of the volume reach", "Gy"),
    "d50_gy": ("dose that half of the volume reaches", "Gy"),
    "pct_volume": ("share of the volume at the threshold or above; n/a where part of the dose is unknown", "%"),
    "class": ("class in the words of the scheme, or unclassified with a reason", ""),
    "group": ("inside, marginal or outside: what the class means beside those of other schemes, our convention", ""),
    "legacy_code": ("number of the class in its source", ""),
    "value": ("the number that the class rests on", ""),
    "measure": ("what that number is", ""),
    "p_class": ("probability of this class under the uncertainty of the position", "1"),
    "p_inside": ("probability of a class of the group inside under the uncertainty", "1"),
    "probabilities": ("all classes with their probabilities", ""),
    "r95_mm": ("radius of the sphere that holds the true position in 95 of 100 cases", "mm"),
    "covariance_mm2": ("covariance of the position: RR RA RS AA AS SS", "mm2"),
    "qc_flags": ("what to look at; empty if all is well", ""),
    "r_mm": ("centre of mass, towards the right", "mm"),
    "a_mm": ("centre of mass, towards anterior", "mm"),
    "s_mm": ("centre of mass, towards superior", "mm"),
    "p_centroid": ("probability that the true centre of mass got the threshold or more", "1"),
    "p_centroid_low": ("the same if all draws beyond the dose grid lay outside", "1"),
    "p_centroid_high": ("the same if all draws beyond the dose grid lay inside", "1"),
    "p_volume": ("probability that at least 95 % of the true volume got the threshold or more", "1"),
    "expected_share": ("share of the true volume at the threshold or above, on average", "1"),
    "standard_error": ("of the probabilities by the finite number of draws, the larger of the two", "1"),
    "n_draws": ("draws of the position", ""),
    "agree": ("whether all schemes name the same group", ""),
    "n_unclassified": ("schemes without a class", ""),
    "groups": ("scheme and group", ""),
    "first": ("first scheme", ""),
    "second": ("second scheme", ""),
    "n": ("parts that both schemes classified", ""),
    "n_agree": ("of these, parts in the same group", ""),
    "discordance": ("share of parts in different groups", "1"),
    "kappa": ("Cohen's kappa over the three groups", "1"),
    "n_missing": ("parts that only one of the schemes, or none, classified", ""),
    "centroid_code": ("the seed's code by its dose at a truncated index: 1 inside, 0 outside", ""),
    "right_centroid_code": ("the same by the interpolated dose", ""),
    "seed_centroid_gy": ("the seed's dose at the centroid", "Gy"),
    "sphere_code": ("the seed's code by its sphere of 2 mm voxels: 1 inside, 2 peripheral, 0 outside", ""),
    "right_sphere_code": ("the same by an exact ball", ""),
    "sphere_percent": ("share of the seed's sphere at the threshold or above", "%"),
    "ball_percent": ("share of the exact ball at the threshold or above", "%"),
    "p_inside_centroid": ("probability that the true centroid got the threshold or more", "1"),
}
"""Column to description and unit."""

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "objects": ("patient", "kind", "modality", "day", "n_files", "uid", "frame_of_reference_uid", "summation_type", "path"),
    "links": ("patient", "kind", "path", "belongs_to", "target_path", "basis"),
    "plans": ("patient", "path", "n_fractions", "prescription_gy", "n_doses", "dose_paths", "max_gy", "status", "reason"),
    "problems": ("patient", "path", "problem", "remedy"),
    "structures": ("patient", "path", "number", "structure", "roi_type", "n_contours", "reason"),
    "curves": ("structure", "dose_gy", "volume_ml", "percent", "volume_low_ml", "volume_high_ml"),
}  # of tables without rows, which must still be tables


def radiotherapy_dictionary(tables: Mapping[str, Rows], more: Mapping[str, tuple[str, str]] | None = None) -> dict[str, object]:
    """Give the data dictionary of some tables; `more` describes columns that depend on options, such as ``d2_gy``."""
    return growth_dictionary(tables, {**RADIOTHERAPY_COLUMNS, **(more or {})})


def stem(path: Path) -> str:
    """Name of a table without its ending."""
    return path.name.removesuffix(".tsv")


def write_tables(
    tables: Mapping[str, Rows],
    out: Path,
    first: str,
    facts: Mapping[str, object],
    more: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    """Write the first table to `out`, the others to ``NAME_<table>.tsv``, facts and dictionary to ``NAME.json``."""
    described = radiotherapy_dictionary(tables, more)
    for name, rows in tables.items():
        columns = None if rows else _HEADERS.get(name)
        write_tsv(rows, out if name == first else out.with_name(f"{stem(out)}_{name}.tsv"), columns)
    write_json({**facts, "tables": described}, out.with_name(f"{stem(out)}.json"))


def write_csv(rows: Rows, path: Path, columns: Sequence[str]) -> None:
    """Write a table separated by commas; numbers with 6 significant digits, what is not known as ``n/a``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    write_text(text.getvalue(), path)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "n/a"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
