"""Time and peak memory from attached files to what the network reads.

    python -m benchmarks.media [--clip FILE] [--only screenshot,document,clip]

Makes a 3840x2160 screenshot (PNG), a PDF of 200 pages of which 1 to 20 are chosen, and clips of
1, 5 and 10 minutes at 1920x1080 and 30 frames per second, and processes each in fresh processes,
with GLM-4.5V's settings. Peak RSS counts everything that is resident; what the interpreter and its
imports hold before is given apart; CPU time is that of this process, all threads. Pages
are drawn by a process of their own, which counts in the seconds only. Linux only (/proc).

For images, transformers' processor (its Pillow backend) runs in the same process, on one thread;
the best of seven runs after a warm-up counts, the peak is that of one run of either.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.conditions import best_of, machine
from benchmarks.loading import read_status
from model.processing import (
    Choice,
    Glm4vImageProcessor,
    Glm4vVideoProcessor,
    open_attachment,
    open_clip,
    open_image,
)
from model.processing.patches import patchify
from model.processing.resize import resize

# GLM-4.5V's own preprocessor files, as far as they differ from the class defaults.
IMAGE_SETTINGS = '{"size": {"shortest_edge": 12544, "longest_edge": 9633792}}'
VIDEO_SETTINGS = '{"size": {"shortest_edge": 12544, "longest_edge": 47040000}}'

PDF_PAGES, PDF_CHOICE = 200, "1-20"
CLIP_SIZE, CLIP_FPS, LOOP_S = (1920, 1080), 30, 10
MINUTES = (1, 5, 10)
MPEG4 = cv2.VideoWriter.fourcc(*"mp4v")


def draw_screenshot(width: int, height: int) -> Image.Image:
    """Draw flat rectangles with sharp edges and a noisy photograph in one corner."""
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (height // 40 + 1, width // 60 + 1, 3), dtype=np.uint8)
    pixels = tiles.repeat(40, axis=0).repeat(60, axis=1)[:height, :width].copy()
    corner = pixels[: height // 3, : width // 3]
    corner[:] = rng.integers(0, 256, corner.shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def write_pdf(path: Path) -> None:
    """Write A4 pages of 60 lines of Helvetica and a chart of 40 bars."""
    fixed = ["<</Type/Catalog/Pages 2 0 R>>", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    pages = []
    for number in range(1, PDF_PAGES + 1):
        lines = " ".join(
            f"(Page {number}, line {i}: the quick brown fox jumps over the lazy dog) ' "
            for i in range(60)
        )
        bars = " ".join(f"{40 + 12 * i} 20 9 {(i * number) % 80 + 5} re f" for i in range(40))
        content = f"{bars} BT /F 9 Tf 11 TL 40 810 Td {lines} ET"
        own = 4 + 2 * (number - 1)
        pages += [
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {own + 1} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>",
            f"<</Length {len(content)}>>stream\n{content}\nendstream",
        ]
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(PDF_PAGES))
    fixed[1] = f"<</Type/Pages/Count {PDF_PAGES}/Kids[{kids}]>>"
    parts, offsets, size = ["%PDF-1.7\n"], [], 9
    for number, body in enumerate([*fixed, *pages], start=1):
        offsets.append(size)
        parts.append(f"{number} 0 obj{body}endobj\n")
        size += len(parts[-1])
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    parts.append(f"xref\n0 {len(offsets) + 1}\n0000000000 65535 f \n{table}")
    parts.append(f"trailer<</Size {len(offsets) + 1}/Root 1 0 R>>\nstartxref\n{size}\n%%EOF\n")
    path.write_text("".join(parts), encoding="ascii")


def write_loop(path: Path) -> None:
    """Encode ten seconds of a scrolling screen as MPEG-4."""
    width, height = CLIP_SIZE
    screen = np.array(draw_screenshot(width, height))
    screen[: height // 3, : width // 3] = 200  # noise makes clips ten times as large
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, MPEG4, CLIP_FPS, CLIP_SIZE)
    for i in range(LOOP_S * CLIP_FPS):
        writer.write(np.roll(screen, 4 * i, axis=0))
    writer.release()


def repeat_clip(loop: Path, times: int, path: Path) -> None:
    """Write the packets of a clip again and again, without encoding them again."""
    packets = cv2.VideoCapture(str(loop), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    found = []
    while packets.grab():
        _, data = packets.retrieve()
        found.append((data.copy(), packets.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME)))
    raw = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, MPEG4, CLIP_FPS, CLIP_SIZE, raw)
    for data, is_key in found * times:
        writer.set(cv2.VIDEOWRITER_PROP_KEY_FLAG, is_key)
        writer.write(data)
    writer.release()


def with_settings(load: Callable[[str], Any]) -> Any:
    """Load a processor from a folder with GLM-4.5V's settings."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "preprocessor_config.json").write_text(IMAGE_SETTINGS)
        (Path(folder) / "video_preprocessor_config.json").write_text(VIDEO_SETTINGS)
        return load(folder)


def image_processor() -> Glm4vImageProcessor:
    """Return our image processor."""
    return with_settings(Glm4vImageProcessor.from_pretrained)


def video_processor() -> Glm4vVideoProcessor:
    """Return our video processor."""
    return with_settings(Glm4vVideoProcessor.from_pretrained)


def reference_processor() -> Any:
    """Return transformers' image processor, its Pillow backend."""
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

    return with_settings(Glm4vImageProcessorPil.from_pretrained)


def measure_image(processor: Any, path: Path) -> dict[str, Any]:
    """Open a screenshot and make pixel_values."""
    rows = processor([open_image(path)])["pixel_values"]
    return {"what": f"{path.name}: {len(rows) // 4:,} tokens"}


def measure_image_by_transformers(processor: Any, path: Path) -> dict[str, Any]:
    """The same by transformers."""
    image = Image.open(path).convert("RGB")
    rows = processor([image], return_tensors="pt")["pixel_values"]
    return {"what": f"{path.name} by transformers: {len(rows) // 4:,} tokens"}


def measure_document(processor: Any, path: Path) -> dict[str, Any]:
    """Render the chosen pages at the size that fits the token budget, and make pixel_values."""
    start = time.perf_counter()
    document = open_attachment(path, Choice(pages=PDF_CHOICE))
    pictures = document.pictures()
    first = next(pictures)
    first_s = time.perf_counter() - start
    count, tokens = 1, len(processor([first])["pixel_values"]) // 4
    for picture in pictures:  # one at a time: what the strip shows and the model gets
        tokens += len(processor([picture])["pixel_values"]) // 4
        count += 1
    return {
        "what": f"{path.name}, pages {PDF_CHOICE} of {PDF_PAGES}: {count} pages, {tokens:,} tokens",
        "first page after (s)": first_s,
    }


def measure_clip(processor: Any, path: Path) -> dict[str, Any]:
    """Look into a clip, decode the frames that GLM-4.5V's rule takes, make pixel_values."""
    start = time.perf_counter()
    clip = open_clip(path)
    opened_s = time.perf_counter() - start
    frames = processor.sample(clip)
    start = time.perf_counter()
    next(clip.read(frames))
    first_s = time.perf_counter() - start
    rows = processor([clip])["pixel_values_videos"]
    return {
        "what": f"{path.name}, {clip.duration_s:,.0f} s: {len(frames)} of {clip.frame_count:,} "
        f"frames, {len(rows) // 4:,} tokens",
        "looked into (s)": opened_s,
        "first frame (s)": first_s,
    }


def measure_few_frames(processor: Any, path: Path) -> dict[str, Any]:
    """Decode 16 frames spread over the clip, at their full size."""
    clip = open_clip(path)
    frames = processor.sample(clip, max_frames=16)
    count = sum(1 for _ in clip.read(frames))
    return {"what": f"{path.name}: {count} frames spread over {clip.duration_s:,.0f} s"}


# what is loaded before, and what is measured
MEASURES: dict[str, tuple[Callable[[], Any], Callable[[Any, Path], dict[str, Any]]]] = {
    "image": (image_processor, measure_image),
    "image by transformers": (reference_processor, measure_image_by_transformers),
    "document": (image_processor, measure_document),
    "clip": (video_processor, measure_clip),
    "few frames": (video_processor, measure_few_frames),
}


def run_here(measure: str, path: Path) -> None:
    """Measure once in this process and print the result as JSON."""
    load, run = MEASURES[measure]
    processor = load()
    before = read_status("VmRSS")
    start, cpu_start = time.perf_counter(), time.process_time()
    found = run(processor, path)
    found["seconds"] = time.perf_counter() - start
    found["cpu"] = time.process_time() - cpu_start
    found["before"], found["peak"] = before, read_status("VmHWM")
    print(json.dumps(found))


def run_apart(measure: str, path: Path) -> dict[str, Any]:
    """Measure in a fresh process and print a line; return what was measured."""
    command = [sys.executable, "-m", "benchmarks.media", "--measure", measure, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    extra = "".join(f", {k} {v:.2f}" for k, v in found.items() if k.endswith("(s)"))
    print(
        f"{found['what']}\n    {found['seconds']:6.2f} s, CPU {found['cpu']:.2f} s, "
        f"peak RSS {found['peak'] / 1e6:,.0f} MB ({found['before'] / 1e6:,.0f} MB before){extra}",
        flush=True,
    )
    return found


def compare_images(image: Image.Image) -> None:
    """Print the time of our image processor step by step, and of transformers'."""
    torch.set_num_threads(1)
    ours, reference = image_processor(), reference_processor()
    height, width = ours.resized(image.height, image.width)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    small = resize(pixels, height, width)

    def best_ms(run: Callable[[], object]) -> float:
        return best_of(run, repeats=7) * 1e3

    print(f"{image.width}x{image.height} -> {width}x{height}, one thread")
    print(f"  Pillow to array      {best_ms(lambda: np.array(image)):7.1f} ms")
    print(f"  resize               {best_ms(lambda: resize(pixels, height, width)):7.1f} ms")
    pillow = best_ms(lambda: image.resize((width, height), Image.Resampling.BICUBIC))
    print(f"    the same by Pillow {pillow:7.1f} ms")
    print(f"  patchify, normalise  {best_ms(lambda: patchify(small[None], ours.settings)):7.1f} ms")
    mine = best_ms(lambda: ours([image]))
    theirs = best_ms(lambda: reference([image], return_tensors="pt"))
    print(f"whole, ours            {mine:7.1f} ms")
    print(f"whole, transformers    {theirs:7.1f} ms  ({theirs / mine:.2f}x)")

    got = ours([image])["pixel_values"]
    wanted = reference([image], return_tensors="pt")["pixel_values"]
    std = torch.tensor(ours.settings.image_std).repeat_interleave(2 * 14 * 14)
    levels = (got - wanted).abs() * std * 255
    share = (levels > 0.5).float().mean().item()
    print(f"largest difference {levels.max():.2f} of 255 levels; {share:.2%} of values differ")


def run_all(folder: Path, only: list[str]) -> None:
    """Make the files and measure all of them."""
    if "screenshot" in only:
        image = draw_screenshot(3840, 2160)
        image.save(folder / "screenshot.png", compress_level=1)
        compare_images(image)
        run_apart("image", folder / "screenshot.png")
        run_apart("image by transformers", folder / "screenshot.png")
    if "document" in only:
        write_pdf(folder / "pages.pdf")
        run_apart("document", folder / "pages.pdf")
    if "clip" in only:
        write_loop(folder / "loop.mp4")
        peaks = []
        for minutes in MINUTES:
            path = folder / f"{minutes}-minutes.mkv"
            repeat_clip(folder / "loop.mp4", minutes * 60 // LOOP_S, path)
            peaks.append(run_apart("clip", path)["peak"])
        run_apart("few frames", path)
        print(f"peak RSS, {MINUTES[-1]} minutes against 1: {peaks[-1] / peaks[0]:.3f}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", type=Path, help="measure this file instead")
    parser.add_argument("--only", default="screenshot,document,clip")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        run_here(options.measure[0], Path(options.measure[1]))
        return
    print(machine())
    if options.clip:
        run_apart("clip", options.clip)
        run_apart("few frames", options.clip)
        return
    with tempfile.TemporaryDirectory() as folder:
        run_all(Path(folder), options.only.split(","))


if __name__ == "__main__":
    main()
