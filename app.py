"""Start Sightline: settings from the command line and the environment, backend, page, server."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gradio as gr

from agent.origins import read_origins
from grounding import convention_for_model
from model.allocator import keep_memory_together, return_freed_memory
from model.backends.base import ChatBackend
from model.backends.local import LocalBackend
from model.processing import Limits
from ui import PageSettings, build_ui, read_examples
from ui.api.health import tell_health
from ui.appearance import theme_first
from ui.files import start_cleaning, use_own_folder
from ui.language import make_head, make_translations
from ui.visitors.admission import admit
from ui.visitors.leaving import forget_left
from ui.visitors.sealing import without_deep_links
from ui.wiring import worker_threads

ASSETS = Path(__file__).parent / "assets"
BUNDLED = "bundled"
QUANTIZATIONS = ("none", "int8", "int4")
MCP_PACKAGE = "mcp>=1.30,<2"
MEBIBYTE = 1024 * 1024
MEGAPIXEL = 1_000_000
# Its matrices are small: a second thread gains little, and loses a lot where it shares its core
# with the server (a click took 0.16 s with one thread and 3 s with two on a busy two-core machine).
BUNDLED_THREADS = 1
BUNDLED_CAUTION = (
    "The bundled model was trained on single small screens: it takes documents and videos in, but "
    "do not expect good answers about them."
)
# Libraries read these; an operator's own values stay.
ENVIRONMENT = {
    # Statistics of all events, for a page that is switched off below: kept by the thousand, and
    # computed anew, with pandas, after each.
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
}
# Proxies that a Space is reached through: what they say of whom they ask for is believed.
ON_A_SPACE = {"FORWARDED_ALLOW_IPS": "10.0.0.0/8"}
# Gradio's own greys and blues are too pale to be read by everybody (WCAG 2, 1.4.3).
READABLE = {
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_300",
    "block_info_text_color": "*neutral_600",
    "block_title_text_color": "*neutral_600",
    "block_label_text_color": "*neutral_600",
    "input_placeholder_color": "*neutral_500",
    "input_placeholder_color_dark": "*neutral_400",
    "color_accent": "*primary_600",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_dark": "*primary_600",
}
LAUNCH: dict[str, Any] = {
    # the visitor's own fonts: the theme's would be fetched from elsewhere
    "theme": gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(**READABLE),
    "css_paths": sorted(ASSETS.glob("*.css")),
    "head": make_head(),
    "i18n": make_translations(),
    "allowed_paths": [str(ASSETS / "examples")],
    # Gradio keeps 0.2 MB of each page that was opened, until so many came after it
    "state_session_capacity": 1000,
    "enable_monitoring": False,
    # ours is served in its place (ui/api/mcp_server.py); a variable of Gradio's would start it
    "mcp_server": False,
    "run_history": False,
    "ssr_mode": False,
    "footer_links": ["api", "settings"],
}


def _positive_int(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def _natural_number(text: str) -> int:
    if (number := int(text)) < 0:
        raise ValueError
    return number


def _quantization(text: str) -> str:
    if text not in QUANTIZATIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(QUANTIZATIONS)}")
    return text


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no", "off")


def read_settings(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the settings; an option that is not given comes from its SIGHTLINE_ variable."""
    on_a_space = "SPACE_ID" in os.environ
    parser = argparse.ArgumentParser(
        description="Visual reasoning and GUI grounding with GLM-4.5V, in the browser.",
        epilog="Each option can also be set as SIGHTLINE_ and its name in capitals, such as "
        "SIGHTLINE_MAX_CONVERSATIONS. Keep --auth there: others can read a command line. The key "
        "of an endpoint is read from SIGHTLINE_ENDPOINT_KEY only.",
    )

    def add(option: str, default: str | None, help_text: str, **more: Any) -> None:
        variable = "SIGHTLINE_" + option.strip("-").replace("-", "_").upper()
        default = os.environ.get(variable, default)
        parser.add_argument(option, default=default, help=help_text, **more)

    add("--model", BUNDLED, "bundled, a checkpoint folder, or a Hugging Face id (%(default)s)")
    add("--endpoint", "", "let a server of the OpenAI protocol answer instead", metavar="URL")
    add("--endpoint-model", "", "model to ask there (the first that it lists)", metavar="NAME")
    add(
        "--endpoint-family",
        "",
        "what model that is, such as glm, qwen2.5-vl or gemini, if its name does not tell: "
        "families count coordinates differently",
        metavar="NAME",
    )
    add("--host", "0.0.0.0" if on_a_space else "127.0.0.1", "address to listen on (%(default)s)")
    add("--port", "7860", "port to listen on (%(default)s)", type=int)
    add("--auth", "", "ask for this name and password", metavar="USER:PASSWORD")
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=_is_on("SIGHTLINE_MCP"),
        help="offer locate, parse and chat as MCP tools too, at /gradio_api/mcp",
    )
    add("--device", "auto", "auto, cpu, or a device such as cuda:0 (%(default)s)")
    add("--dtype", "auto", "auto, or a dtype such as bfloat16 (%(default)s)")
    add(
        "--quantization",
        "none",
        "none, int8 or int4: weights in integers, for a half or 0.3 of the memory (%(default)s)",
        type=_quantization,
        metavar="none|int8|int4",
    )
    add(
        "--max-conversations",
        "8",
        "answers computed at the same time (%(default)s); more wait",
        type=_positive_int,
    )
    add(
        "--max-waiting",
        "64",
        "questions that wait for others (%(default)s); more are turned away",
        type=_natural_number,
    )
    add(
        "--max-per-minute",
        "60",
        "questions that one visitor may ask within a minute (%(default)s); 0 for no limit",
        type=_natural_number,
    )
    add(
        "--browser-origins",
        "",
        "servers that the agent may use in a browser of its own, with commas between them; "
        "none leaves that out",
        metavar="http://HOST:PORT,...",
    )
    add(
        "--visitor-endpoints",
        "",
        "servers of the OpenAI protocol that visitors may have answer with keys of their own, with "
        "commas between them; none leaves that out",
        metavar="URL,...",
    )
    limits = Limits()
    for option, number, what in (
        ("--max-file-mb", limits.max_bytes // MEBIBYTE, "size of an attached file in MB"),
        ("--max-megapixels", limits.max_pixels // MEGAPIXEL, "pixels of one image, in millions"),
        ("--max-tokens", limits.max_tokens, "tokens of all files of a message"),
        ("--max-pages", limits.max_pages, "pages of one document"),
        ("--max-frames", limits.max_frames, "frames of one video"),
        ("--max-minutes", round(limits.max_duration_s / 60), "length of a video in minutes"),
    ):
        add(option, str(number), f"at most {what} (%(default)s)", type=_positive_int)
    return parser.parse_args(arguments)


def make_limits(settings: argparse.Namespace) -> Limits:
    """Return what may be attached, by the settings."""
    return Limits(
        max_bytes=settings.max_file_mb * MEBIBYTE,
        max_pixels=settings.max_megapixels * MEGAPIXEL,
        max_tokens=settings.max_tokens,
        max_pages=settings.max_pages,
        max_frames=settings.max_frames,
        max_duration_s=settings.max_minutes * 60.0,
    )


def describe_model(model: str) -> tuple[str, str, str]:
    """Return the model's name, what it can do in one line, and more about it in Markdown."""
    if model != BUNDLED:
        return Path(model).name if Path(model).is_dir() else model, "", ""
    card = (ASSETS / BUNDLED / "README.md").read_text(encoding="utf-8")
    _, summary, body = card.split("\n\n", 2)
    body = body.partition("\n<!-- ")[0]  # what follows has pictures that the page cannot show
    connect = (
        "To answer with GLM-4.5V itself, start the page with a folder or a Hugging Face id:\n\n"
        "```\npython app.py --model zai-org/GLM-4.5V\n```\n\n"
        "It needs about 215 GB of GPU and main memory in bfloat16."
    )
    return "Bundled demo model", summary, f"{body.rstrip()}\n\n{connect}"


def check_model(model: str) -> str:
    """Return where to load ``model`` from; exits with a message if its folder does not exist."""
    if model == BUNDLED:
        return str(ASSETS / BUNDLED)
    path = Path(model).expanduser()
    is_hub_id = model.count("/") == 1 and not model.startswith((".", "/", "~"))
    if not path.is_dir() and not is_hub_id:
        sys.exit(
            f"--model {model}: there is no such folder; give a checkpoint's folder, "
            "a Hugging Face id such as zai-org/GLM-4.5V, or leave it out for the bundled model"
        )
    return str(path) if path.is_dir() else model


def connect(settings: argparse.Namespace) -> ChatBackend | None:
    """Return the endpoint that is to answer, if one is; exits with a message about bad options."""
    if not settings.endpoint:
        if settings.endpoint_model:
            sys.exit("--endpoint-model names a model of a server; give its address as --endpoint")
        return None
    if settings.model != BUNDLED:
        sys.exit("--endpoint and --model exclude each other: a server answers, or this machine")
    family = settings.endpoint_family
    if family and convention_for_model(family) == "auto":
        sys.exit(
            f"--endpoint-family {family}: how that family writes coordinates is not known; known "
            "are for example glm, qwen2.5-vl, qwen3-vl, gemini, ui-tars-1.5, molmo"
        )
    from model.backends.endpoint import EndpointBackend

    try:
        return EndpointBackend(
            settings.endpoint,
            model=settings.endpoint_model or None,
            family=family or None,
            api_key=os.environ.get("SIGHTLINE_ENDPOINT_KEY", "").strip(),
            max_conversations=settings.max_conversations,
        )
    except ValueError as error:
        sys.exit(f"--endpoint: {error}")


def check_port(host: str, port: int) -> None:
    """Exit with a message if the address cannot be listened on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # as the server will do it: a port that was just left may be taken again
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            sys.exit(f"cannot listen on {host}, port {port}: {error.strerror}; try another --port")


def check_origins(listed: str) -> tuple[str, ...]:
    """Return the origins of --browser-origins; exits with a message if one is something else."""
    try:
        return read_origins(listed)
    except ValueError as error:
        sys.exit(f"--browser-origins: {error}")


def check_endpoints(listed: str) -> tuple[str, ...]:
    """Return the addresses of --visitor-endpoints; exits with a message if one is none."""
    addresses = tuple(filter(None, map(str.strip, listed.split(","))))
    if not addresses:
        return ()
    from model.backends.endpoint.server import check_url

    try:
        for address in addresses:
            check_url(address)
    except ValueError as error:
        sys.exit(f"--visitor-endpoints: {error}")
    return addresses


def read_auth(auth: str) -> tuple[str, str] | None:
    """Split USER:PASSWORD; exits with a message if it is something else."""
    if not auth:
        return None
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        sys.exit("--auth must be USER:PASSWORD")
    return user, password


def check_mcp() -> None:
    """Exit with a message if what ``--mcp`` needs is not installed."""
    try:
        found = version("mcp")
    except PackageNotFoundError:
        sys.exit(f"--mcp needs a package that is not installed: pip install '{MCP_PACKAGE}'")
    major, minor = map(int, found.split(".")[:2])
    if major != 1 or minor < 30:
        sys.exit(f"--mcp does not work with mcp {found}: pip install '{MCP_PACKAGE}'")


def make_app_kwargs(
    mcp: bool, backend: ChatBackend, settings: PageSettings, auth: tuple[str, str] | None
) -> dict[str, Any]:
    """Return what the server is to have beside the page."""
    kwargs: dict[str, Any] = {
        "middleware": [tell_health(backend), forget_left(), without_deep_links(), theme_first()]
    }
    if not mcp:
        return kwargs
    from ui.api.mcp_server import mount_mcp

    return kwargs | mount_mcp(backend, settings, auth)


def main() -> None:
    """Start the page and serve it until interrupted."""
    keep_memory_together()
    settings = read_settings()
    auth = read_auth(settings.auth)
    browser_origins = check_origins(settings.browser_origins)
    visitor_endpoints = check_endpoints(settings.visitor_endpoints)
    if settings.mcp:
        check_mcp()
    checkpoint = check_model(settings.model)
    check_port(settings.host, settings.port)
    endpoint = connect(settings)
    is_bundled = settings.model == BUNDLED and endpoint is None
    name, summary, about = describe_model(settings.model) if endpoint is None else ("", "", "")
    backend = endpoint or LocalBackend(
        checkpoint,
        name=name,
        device=settings.device,
        dtype=settings.dtype,
        quantization=None if settings.quantization == "none" else settings.quantization,
        max_conversations=settings.max_conversations,
        num_threads=BUNDLED_THREADS if is_bundled else None,
    )
    page_settings = PageSettings(
        summary=summary,
        about=about,
        examples=read_examples(ASSETS / "examples"),
        thinking=not is_bundled,  # it answers better without
        look_twice=is_bundled,  # 78 instead of 72 of 100 clicks right on web pages
        max_conversations=settings.max_conversations,
        max_waiting=settings.max_waiting,
        max_per_minute=settings.max_per_minute,
        limits=make_limits(settings),
        caution=BUNDLED_CAUTION if is_bundled else "",
        agent_by_instruction=is_bundled,  # it finds what it is told, and does not plan
        browser_origins=browser_origins,
        visitor_endpoints=visitor_endpoints,
    )
    use_own_folder()
    for variable, value in (ENVIRONMENT | (ON_A_SPACE if "SPACE_ID" in os.environ else {})).items():
        os.environ.setdefault(variable, value)
    backend = admit(backend, page_settings)
    page = build_ui(backend, page_settings)
    start_cleaning()
    return_freed_memory()
    page.launch(
        server_name=settings.host,
        server_port=settings.port,
        auth=auth,
        # refused during the upload already; with a page, the limits' own message would come later
        max_file_size=settings.max_file_mb * MEBIBYTE,
        max_threads=worker_threads(page_settings),
        app_kwargs=make_app_kwargs(settings.mcp, backend, page_settings, auth),
        **LAUNCH,
    )


if __name__ == "__main__":
    main()
