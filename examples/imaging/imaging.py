"""From a scan to cells, their fluorescence and their activity.

scan.ScanInfo, ProcessingTask ── Processing ─┬─ MotionCorrection
                                        └─ Segmentation ─┬─ MaskClassification
                                                         └─ Fluorescence ── Activity
"""

from __future__ import annotations

from typing import Any

import numpy as np

import djq as dj
from examples.imaging import scan
from examples.imaging.movies import EDGE, Floats, events, film, masks, shifts, still

schema = dj.Schema()

#: Blocks along each edge of a field for the correction that is not rigid.
BLOCKS = 2
#: The detectors that see the indicator, and the marker of some cells.
GREEN, RED = 0, 1


@schema
class ProcessingMethod(dj.Lookup):
    definition = """
    # A suite of algorithms
    processing_method : varchar(16)
    """
    contents = zip(["rigid", "blockwise"], strict=False)


@schema
class ProcessingParamSet(dj.Lookup):
    definition = """
    # Parameters of a suite
    paramset : int16
    ---
    -> ProcessingMethod
    params : <blob>
    """
    contents = [
        (0, "rigid", {"most_cells": 8}),
        (1, "blockwise", {"most_cells": 8, "blocks": BLOCKS}),
    ]


@schema
class ProcessingTask(dj.Manual):
    definition = """
    # A request: process this scan that way
    -> scan.Scan
    -> ProcessingParamSet
    ---
    task_mode = 'compute' : enum('load', 'compute')
    output_folder = "" : varchar(128)    # chosen by Processing where it is empty
    """


@schema
class Processing(dj.Computed):
    definition = """
    # A task that was done
    -> ProcessingTask
    ---
    processed_at = CURRENT_TIMESTAMP : datetime
    """

    @property
    def key_source(self) -> dj.Query:
        # A request may come before its scan has been read; ScanInfo is no parent of this table.
        return ProcessingTask & scan.ScanInfo

    def make(self, key: dict[str, Any]) -> None:
        if not (ProcessingTask & key).fetch1("output_folder"):
            folder = f"{scan.name_of(key)}/paramset_{key['paramset']}"
            ProcessingTask.update1({**key, "output_folder": folder})
        self.insert1(key)


@schema
class MotionCorrection(dj.Imported):
    definition = """
    # Where the brain was
    -> Processing
    ---
    -> scan.Channel.proj(motion_correct_channel='channel')   # the one that was looked at
    """

    class RigidMotionCorrection(dj.Part):
        definition = """
        # The field moves as a whole
        -> master
        -> scan.ScanInfo.Field
        ---
        drift : <blob>           # (n_frames, 2) int16, px down and right
        n_outliers = 0 : int32   # frames that moved farther than half of the farthest
        """

    class NonRigidMotionCorrection(dj.Part):
        definition = """
        # Each block of the field moves on its own
        -> master
        ---
        block_edge : int16       # px
        """

    class Block(dj.Part):
        definition = """
        # One block of the field
        -> master.NonRigidMotionCorrection
        block : int16
        ---
        top : int16              # px
        left_edge : int16        # px
        block_drift : <blob>     # (n_frames, 2) int16, px
        """

    class Summary(dj.Part):
        definition = """
        # Pictures of the corrected scan
        -> master
        -> scan.ScanInfo.Field
        -> scan.Channel.proj(summary_channel='channel')
        ---
        mean_image : <blob>      # (height, width) float32
        max_image = null : <blob>
        """

    def make(self, key: dict[str, Any]) -> None:
        frames = film(scan.name_of(key), n_channels=scan.n_channels_of(key)).frames
        self.insert1({**key, "motion_correct_channel": GREEN})
        drift = shifts(frames[GREEN])
        field = (scan.ScanInfo.Field & key).fetch1("KEY")
        size = np.abs(drift).max(axis=1)
        self.RigidMotionCorrection.insert1(
            {**key, **field, "drift": drift, "n_outliers": int(np.sum(2 * size > size.max()))}
        )
        method = (ProcessingParamSet & key).fetch1("processing_method")
        if method == "blockwise":
            self._insert_blocks(key, frames[GREEN])
        for channel, seen in enumerate(frames):
            corrected = still(seen, drift)
            images = {"mean_image": corrected.mean(axis=0)}
            if channel == GREEN:
                images["max_image"] = corrected.max(axis=0)
            self.Summary.insert1({**key, **field, "summary_channel": channel, **images})

    def _insert_blocks(self, key: dict[str, Any], frames: Floats) -> None:
        edge = EDGE // BLOCKS
        self.NonRigidMotionCorrection.insert1({**key, "block_edge": edge})
        self.Block.insert(
            {
                **key,
                "block": block,
                "top": top,
                "left_edge": left,
                "block_drift": shifts(frames[:, top : top + edge, left : left + edge]),
            }
            for block, (top, left) in enumerate(np.ndindex(BLOCKS, BLOCKS))
            for top, left in [(top * edge, left * edge)]
        )


@schema
class Segmentation(dj.Computed):
    definition = """
    # Cells of a scan
    -> MotionCorrection
    """

    class Mask(dj.Part):
        definition = """
        # Pixels that belong together
        -> master
        mask : int16
        ---
        -> scan.Channel.proj(segmentation_channel='channel')
        -> scan.ScanInfo.Field
        n_pixels : int32
        centre_row : float32     # px
        centre_column : float32  # px
        pixels : <blob>          # (n_pixels,) int32, row * width + column
        """

    def make(self, key: dict[str, Any]) -> None:
        most = (ProcessingParamSet & key).fetch1("params")["most_cells"]
        seen = MotionCorrection.Summary & key & {"summary_channel": GREEN}
        mean, field = seen.fetch1("mean_image", "field")
        self.insert1(key)
        self.Mask.insert(
            {
                **key,
                "mask": mask,
                "segmentation_channel": GREEN,
                "field": field,
                "n_pixels": len(pixels),
                "centre_row": float(np.mean(pixels // EDGE)),
                "centre_column": float(np.mean(pixels % EDGE)),
                "pixels": pixels,
            }
            for mask, pixels in enumerate(masks(mean, n_most=most))
        )


@schema
class MaskType(dj.Lookup):
    definition = """
    # What a mask can be
    mask_type : varchar(16)
    """
    contents = zip(["soma", "marked soma", "artefact"], strict=False)


@schema
class MaskClassificationMethod(dj.Lookup):
    definition = """
    # How a mask gets its type
    classification_method : varchar(16)
    """
    contents = zip(["red channel"], strict=False)


@schema
class MaskClassification(dj.Computed):
    definition = """
    # Types of all masks of a scan
    -> Segmentation
    -> MaskClassificationMethod
    """

    class MaskType(dj.Part):
        definition = """
        # A mask and its type: MaskType below is the table of types, not this part
        -> master
        -> Segmentation.Mask
        ---
        -> MaskType
        confidence = null : float32   # 0 to 1; null where the method cannot tell
        """

    def make(self, key: dict[str, Any]) -> None:
        red = MotionCorrection.Summary & key & {"summary_channel": RED}
        images = red.fetch("mean_image")
        self.insert1(key)
        for mask in Segmentation.Mask & key:
            mine = {**key, "mask": mask["mask"]}
            if not len(images):
                self.MaskType.insert1({**mine, "mask_type": "soma"})
                continue
            image: Floats = images[0]
            inside = float(image.ravel()[mask["pixels"]].mean())
            share = min(max(inside / float(np.median(image)) - 1, 0.0), 1.0)
            is_marked = share > 0.5  # noqa: PLR2004 - nearer to marked than to unmarked
            self.MaskType.insert1(
                {
                    **mine,
                    "mask_type": "marked soma" if is_marked else "soma",
                    "confidence": abs(2 * share - 1),
                }
            )


@schema
class Fluorescence(dj.Computed):
    definition = """
    # Light from every mask
    -> Segmentation
    """

    class Trace(dj.Part):
        definition = """
        -> master
        -> Segmentation.Mask
        -> scan.Channel.proj(fluo_channel='channel')
        ---
        fluorescence : <blob>        # (n_frames,) float32, counts per pixel
        neuropil = null : <blob>     # (n_frames,) float32; null where it was not measured
        """

    def make(self, key: dict[str, Any]) -> None:
        frames = film(scan.name_of(key), n_channels=scan.n_channels_of(key)).frames
        drift = (MotionCorrection.RigidMotionCorrection & key).fetch1("drift")
        found = (Segmentation.Mask & key).to_dicts(order_by="mask")
        self.insert1(key)
        for channel, seen in enumerate(frames):
            pixels = still(seen, drift).reshape(len(seen), -1)
            outside = np.ones(pixels.shape[1], bool)
            for mask in found:
                outside[mask["pixels"]] = False
            neuropil = pixels[:, outside].mean(axis=1) if channel == GREEN else None
            self.Trace.insert(
                {
                    **key,
                    "mask": mask["mask"],
                    "fluo_channel": channel,
                    "fluorescence": pixels[:, mask["pixels"]].mean(axis=1),
                    "neuropil": neuropil,
                }
                for mask in found
            )


@schema
class ActivityExtractionMethod(dj.Lookup):
    definition = """
    # How fluorescence becomes activity
    extraction_method : varchar(16)
    """
    contents = zip(["dff", "events"], strict=False)


@schema
class Activity(dj.Computed):
    definition = """
    # What the cells did
    -> Fluorescence
    -> ActivityExtractionMethod
    """

    class Trace(dj.Part):
        definition = """
        -> master
        -> Fluorescence.Trace
        ---
        activity : <blob>            # (n_frames,) float32
        """

    @property
    def key_source(self) -> dj.Query:
        # Events need a correction in blocks; a plain ratio does not.
        pairs = Fluorescence.proj() * ActivityExtractionMethod.proj()
        ratios = pairs & {"extraction_method": "dff"}
        in_blocks = pairs & MotionCorrection.NonRigidMotionCorrection
        return ratios.proj() + (in_blocks & {"extraction_method": "events"}).proj()

    def make(self, key: dict[str, Any]) -> None:
        fps = (scan.ScanInfo & key).fetch1("fps")
        self.insert1(key)
        for trace in Fluorescence.Trace & key & {"fluo_channel": GREEN}:
            light: Floats = trace["fluorescence"] - 0.7 * trace["neuropil"]
            if key["extraction_method"] == "dff":
                base = np.percentile(light, 20)
                activity = (light - base) / base
            else:
                activity = events(light, decay_s=0.5, fps=fps)
            self.Trace.insert1(
                {**key, "mask": trace["mask"], "fluo_channel": GREEN, "activity": activity}
            )
