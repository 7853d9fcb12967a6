"""Videos -> ``pixel_values_videos``, ``video_grid_thw`` and the time of every frame pair."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from model.processing.checkpoint_files import (
    find_folder,
    read_json,
    read_processor_settings,
    uses_glm46v_rules,
)
from model.processing.clip import Clip, ClipFrames, SampledFrame, open_clip
from model.processing.frame_sampling import (
    GLM4V_FPS,
    GLM4V_MAX_DURATION_S,
    Rule,
    VideoMetadata,
    frames_to_read,
    pair_timestamps,
)
from model.processing.image import open_image
from model.processing.media import MediaError
from model.processing.patches import PatchSettings, patchify
from model.processing.processing_cache import ProcessingCache, fingerprint_file
from model.processing.resize import resize
from model.processing.video_file import check_video

# size.longest_edge of every published video_preprocessor_config.json: 30 000 tokens
DEFAULT_MAX_PIXELS = 28 * 28 * 2 * 30000

# A file, frames chosen from it, or decoded ones: (F, rows, columns, 3) uint8 or pictures.
Video = str | Path | Clip | ClipFrames | np.ndarray | Sequence[Image.Image | np.ndarray]


class Glm4vVideoProcessor:
    """Samples the frames of videos, resizes them to a common budget and cuts them into patches.

    Args:
        cache: keeps the resized frames of files by content, a quarter of the patches' size; such a
            file is read but neither decoded nor resized again. None processes every file anew.
    """

    def __init__(
        self,
        settings: PatchSettings,
        *,
        cache: ProcessingCache | None = None,
        is_glm46v: bool = False,
        fps: float = GLM4V_FPS,
        max_duration: float = GLM4V_MAX_DURATION_S,
    ) -> None:
        self.settings = settings
        self.cache = cache
        self.rule: Rule = "glm46v" if is_glm46v else "glm4v"
        # GLM-4.6V's rule knows its own rates
        self.fps = None if is_glm46v else fps
        self.max_duration = max_duration

    @classmethod
    def from_pretrained(
        cls, path_or_hub_id: str | Path, *, cache: ProcessingCache | None = None
    ) -> Glm4vVideoProcessor:
        """Read video_preprocessor_config.json.

        Without one, patches are cut as for images, within the published budget for videos.
        """
        folder = find_folder(path_or_hub_id)
        image = read_processor_settings(folder, "image") or {}
        video = read_processor_settings(folder, "video")
        raw = {k: v for k, v in image.items() if k != "size"} if video is None else video
        return cls(
            PatchSettings.from_dict(raw, max_pixels=DEFAULT_MAX_PIXELS),
            cache=cache,
            is_glm46v=uses_glm46v_rules(raw, read_json(folder, "processor_config.json")),
            fps=raw.get("fps") or GLM4V_FPS,
            max_duration=raw.get("max_duration") or GLM4V_MAX_DURATION_S,
        )

    def __call__(
        self,
        videos: Sequence[Video],
        metadata: Sequence[VideoMetadata | Mapping[str, Any] | None] | None = None,
    ) -> dict[str, Any]:
        """Prepare videos for the vision tower.

        Decoded frames without metadata, or with ``frames_indices``, are all used; frames with a
        frame rate are sampled as a file would be. An odd number of frames is completed by
        repeating the last.

        Args:
            videos: at least one path, clip, choice of a clip's frames, array or sequence of frames.
            metadata: what is known about each video; ignored for files, which tell it themselves.

        Returns:
            pixel_values_videos: (N, 1176) float32, the patches of all videos one after another.
            video_grid_thw: (videos, 3) int64: frame pairs, rows, columns in patches.
            timestamps: per video, the time in seconds of each frame pair.

        Raises:
            MediaError: a video cannot be used.
        """
        known = list(metadata) if metadata is not None else [None] * len(videos)
        if len(known) != len(videos):
            raise ValueError(f"{len(videos)} videos but metadata for {len(known)}; give one each")
        rows, grid, timestamps = [], [], []
        for video, about in zip(videos, known, strict=True):
            patches, size, seconds = self._process(video, about)
            rows.append(patches)
            grid.append([len(seconds), *(side // self.settings.patch_size for side in size)])
            timestamps.append(seconds)
        pixel_values = rows[0] if len(rows) == 1 else torch.cat(rows)
        return {
            "pixel_values_videos": pixel_values,
            "video_grid_thw": torch.tensor(grid),
            "timestamps": timestamps,
        }

    def sample(
        self, clip: Clip, fps: float | None = None, max_frames: int | None = None
    ) -> list[SampledFrame]:
        """Choose frames by the checkpoint's rule; see ``Clip.sample``."""
        return clip.sample(self.rule, fps or self.fps, max_frames, max_duration=self.max_duration)

    def _process(
        self, video: Video, about: VideoMetadata | Mapping[str, Any] | None
    ) -> tuple[Tensor, tuple[int, int], list[float]]:
        """Return patches (N, 1176), the (height, width) of the frames, and each pair's time."""
        if isinstance(video, (str, Path, Clip, ClipFrames)):
            return self._process_file(video)
        known = _describe(video, about)
        if known.frames_indices is None:
            indices = frames_to_read(known, self.rule, fps=self.fps, max_duration=self.max_duration)
            positions, counted = indices, len(indices)
        else:
            positions = list(range(len(video)))
            positions += positions[-1:] * (len(positions) % 2)
            indices = [known.frames_indices[i] for i in positions]
            # the reference sizes a ready selection before it repeats the last frame
            counted = max(len(video), self.settings.temporal_patch_size)
        pictures = (
            np.asarray(open_image(video[i], name=f"frame {i} of the video")) for i in positions
        )
        resized = self._resized(pictures, counted)
        patches, size = self._patches(resized, len(positions))
        if known.timestamps is not None:
            return patches, size, [known.timestamps[i] for i in positions[::2]]
        return patches, size, pair_timestamps(indices, known.fps)

    def _process_file(
        self, video: str | Path | Clip | ClipFrames
    ) -> tuple[Tensor, tuple[int, int], list[float]]:
        """As ``_process``; the resized frames are kept by the file's content and the choice."""
        if self.cache is None:
            frames = self._chosen(video)
            return (*self._patches(self._read(frames), len(frames.frames)), _pair_times(frames))
        resized, seconds = self.cache.get(self._key(video), lambda: self._prepared(video))
        return (*self._patches(resized, len(resized)), seconds)

    def _key(self, video: str | Path | Clip | ClipFrames) -> Hashable:
        """Return what decides the resized frames: the file's content, the choice, the settings."""
        clip = video.clip if isinstance(video, ClipFrames) else video
        path, name = (clip.path, clip.name) if isinstance(clip, Clip) else (clip, None)
        content = fingerprint_file(check_video(path, name))
        if isinstance(video, ClipFrames):
            return "video", content, self.settings, tuple(video.frames)
        most = clip.max_frames if isinstance(clip, Clip) else None
        return "video", content, self.settings, self.rule, self.fps, self.max_duration, most

    def _prepared(self, video: str | Path | Clip | ClipFrames) -> tuple[list[Tensor], list[float]]:
        """Return all frames, resized, and the time of each pair."""
        frames = self._chosen(video)
        return list(self._read(frames)), _pair_times(frames)

    def _chosen(self, video: str | Path | Clip | ClipFrames) -> ClipFrames:
        """Choose frames unless they are chosen; an odd number is completed by the last again."""
        if isinstance(video, (str, Path)):
            video = open_clip(video)
        if isinstance(video, Clip):
            video = ClipFrames(video, self.sample(video))
        frames = list(video.frames)
        if not frames:
            raise MediaError(f"no frame of {video.clip.name} was chosen; choose at least one")
        return ClipFrames(video.clip, frames + frames[-1:] * (len(frames) % 2))

    def _read(self, chosen: ClipFrames) -> Iterator[Tensor]:
        """Decode the chosen frames only; yield each as (3, height, width) uint8, resized."""
        with closing(chosen.clip.read_pixels(chosen.frames)) as pictures:
            yield from self._resized(pictures, len(chosen.frames))

    def _resized(self, frames: Iterable[np.ndarray], counted: int) -> Iterator[Tensor]:
        """Resize frames one by one as they arrive.

        Args:
            frames: pictures (rows, columns, 3) uint8 of one size.
            counted: how many of them share the pixel budget.

        Yields:
            (3, height, width) uint8.
        """
        for i, frame in enumerate(frames):
            if i == 0:
                first = frame.shape
                size = self.settings.target_size(counted, *first[:2])
            if frame.shape != first:
                raise MediaError(
                    f"frame {i} of a video has shape {frame.shape}, the first {first}; convert it "
                    "to frames of one size"
                )
            # Pillow's buffer is read-only: those are copied
            pixels = torch.from_numpy(np.require(frame, requirements="W")).permute(2, 0, 1)
            yield resize(pixels, *size)

    def _patches(self, frames: Iterable[Tensor], count: int) -> tuple[Tensor, tuple[int, int]]:
        """Cut ``count`` resized frames pair by pair as they arrive, so that only patches pile up.

        Returns:
            patches: (N, 1176) float32.
            size: the (height, width) of a frame.
        """
        pair: list[Tensor] = []
        done = 0
        for frame in frames:
            if done == 0 and not pair:
                size = frame.shape[1], frame.shape[2]
                patches = self._empty(count, size)
            pair.append(frame)
            if len(pair) == self.settings.temporal_patch_size:
                rows = patchify(torch.stack(pair), self.settings)
                patches[done : done + len(rows)] = rows
                done += len(rows)
                pair.clear()
        return patches, size

    def _empty(self, count: int, size: tuple[int, int]) -> Tensor:
        """Return unwritten patches (N, 1176) float32 for ``count`` frames of (height, width)."""
        pixels = count * 3 * size[0] * size[1]
        row = 3 * self.settings.temporal_patch_size * self.settings.patch_size**2
        # numpy asks the kernel for huge pages, torch does not: see patchify
        return torch.from_numpy(np.empty((pixels // row, row), dtype=np.float32))


def _pair_times(chosen: ClipFrames) -> list[float]:
    """Return the time in seconds of each pair's first frame."""
    return [frame.time_s for frame in chosen.frames[::2]]


def _describe(
    frames: np.ndarray | Sequence[Image.Image | np.ndarray],
    about: VideoMetadata | Mapping[str, Any] | None,
) -> VideoMetadata:
    """Check decoded frames and what the caller says about them.

    Raises:
        MediaError: no frames, or not the shape of frames.
        ValueError: the metadata speaks of another number of frames.
    """
    if len(frames) == 0:
        raise MediaError("a video without frames was given; give at least one frame")
    if isinstance(frames, np.ndarray) and (frames.ndim != 4 or frames.shape[3] != 3):
        raise MediaError(
            f"a video of shape {frames.shape} was given; expected (frames, rows, columns, 3)"
        )
    if not isinstance(about, VideoMetadata):
        names = [field.name for field in fields(VideoMetadata)]
        given = {name: about[name] for name in names if name in about} if about else {}
        about = VideoMetadata(**{"total_num_frames": len(frames), **given})
    if about.fps is None and about.frames_indices is None:
        about = replace(about, frames_indices=tuple(range(about.total_num_frames)))
    if about.frames_indices is not None:
        if len(about.frames_indices) != len(frames):
            raise ValueError(
                f"{len(frames)} frames but {len(about.frames_indices)} frames_indices; give one "
                "index per frame"
            )
    elif about.total_num_frames != len(frames):
        raise ValueError(
            f"{len(frames)} frames but total_num_frames is {about.total_num_frames}; "
            "frames_indices must say which of them these are"
        )
    return about
