"""Which columns of the result tables a page shows, and how each is defined."""

from __future__ import annotations

from regrowth.report import Column

__all__ = ["COMPONENTS", "MIGRATION", "MIGRATION_CAPTION", "QUALITY"]

QUALITY = {
    "session_id": Column("session"),
    "moving": Column("moving"),
    "stage": Column("stage"),
    "ncc_before": Column("NCC before", "", "normalised cross-correlation inside the brain, lesions left out"),
    "ncc_after": Column("NCC after"),
    "mi_before": Column("MI before", "nat", "mutual information at the same voxels"),
    "mi_after": Column("MI after", "nat"),
    "mask_dice_before": Column("Dice before", "", "overlap of the brain (or head) masks"),
    "mask_dice_after": Column("Dice after"),
    "logjac_p01": Column(
        "log J p1", "", "1st percentile of the log of the Jacobian determinant inside the brain, lesion left out"
    ),
    "logjac_p99": Column("log J p99"),
    "folded_share": Column("folded", "", "share of voxels whose Jacobian determinant is not positive", 4),
    "inverse_consistency_mean_mm": Column(
        "inverse, mean", "mm", "distance after going there and back by two independent registrations"
    ),
    "landmark_mean_mm": Column(
        "landmarks, mean", "mm", "distance of mapped landmarks to their partners, where landmarks are given"
    ),
}
MIGRATION = {
    "region": Column("region"),
    "transform": Column("transform", "", "band: absolute difference between the two"),
    "status": Column("status"),
    "pattern": Column("pattern"),
    "outward_p50_mm": Column("outward p50", "mm", "distance of the recurrence beyond the primary, 0 inside", 1),
    "outward_p95_mm": Column("outward p95", "mm", "95th percentile of that distance", 1),
    "outward_max_mm": Column("outward max", "mm", "", 1),
    "hd95_mesh_mm": Column("HD95 mesh", "mm", "symmetric, area-weighted on the surface; driven by what was resected, too", 1),
    "hd95_voxel_mm": Column("HD95 voxel", "mm", "maximum of the two directed 95th percentiles over border voxels", 1),
    "hd95_pooled_mm": Column("HD95 pooled", "mm", "95th percentile of both directions together, as medpy", 1),
    "assd_mm": Column("ASSD", "mm", "average symmetric surface distance", 1),
    "dice": Column("Dice"),
    "shift_mm": Column("shift", "mm", "length of the vector between the centroids", 1),
    "within_0mm": Column("inside", "", "share of the recurrence inside the primary"),
    "within_5mm": Column("≤5 mm"),
    "within_10mm": Column("≤10 mm"),
    "within_20mm": Column("≤20 mm"),
    "within_30mm": Column("≤30 mm"),
    "n_components": Column("parts"),
}
COMPONENTS = {
    "region": Column("region"),
    "transform": Column("transform"),
    "component": Column("part"),
    "class": Column("class", "", "local: at least half inside the primary; distant: more than 20 mm away; marginal: between"),
    "volume_ml": Column("volume", "ml"),
    "gap_mm": Column("gap", "mm", "smallest distance to the primary", 1),
    "reach_mm": Column("reach", "mm", "largest distance from the primary", 1),
    "share_inside": Column("inside", "", "share of the part inside the primary"),
}


MIGRATION_CAPTION = (
    "Each measure after rigid registration and after the last stage; the band is their absolute difference. The outward "
    "distance says how far the tumour went; the symmetric HD95 also counts what surgery removed and is given for "
    "comparison with published values."
)
