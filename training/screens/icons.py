"""What icons mean: concepts, and the glyphs that icon fonts draw them with."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from training.materials import IconFont

T = TypeVar("T")

# concept: names of its glyphs in any icon font
_GLYPHS: dict[str, str] = {
    "add": "plus plus-lg plus-thick add-line add add-fill plus-circle add-circle bx-plus",
    "attach": "paperclip attachment attach-file attachment-2 bx-paperclip",
    "back": (
        "arrow-left arrow-left-line arrow-back arrow-back-ios chevron-left arrow-left-s-line "
        "bx-left-arrow-alt bx-chevron-left bx-arrow-back"
    ),
    "bell": (
        "bell bell-outline bell-fill bell-filled notifications notifications-none bx-bell "
        "notification-3-line notification-3-fill notification-line bxs-bell"
    ),
    "bookmark": (
        "bookmark bookmark-outline bookmark-line bookmark-fill bookmark-border bx-bookmark "
        "bxs-bookmark"
    ),
    "calendar": (
        "calendar calendar-outline calendar-line calendar-event calendar-month event "
        "calendar-fill calendar3 calendar-days calendar-today bx-calendar bxs-calendar"
    ),
    "camera": ("camera camera-outline camera-line camera-fill photo-camera bx-camera bxs-camera"),
    "card": (
        "credit-card credit-card-outline bank-card-line credit-card-fill bank-card-fill "
        "bx-credit-card bxs-credit-card"
    ),
    "cart": (
        "cart cart-outline cart-fill cart3 cart-shopping shopping-cart shopping-cart-line "
        "shopping-cart-fill shopping-cart-2-line bx-cart bxs-cart"
    ),
    "chart": (
        "chart-bar bar-chart bar-chart-line bar-chart-fill chart-simple bar-chart-2-line "
        "bx-bar-chart bxs-bar-chart-alt-2 bx-bar-chart-alt-2"
    ),
    "chat": (
        "chat chat-outline chat-line chat-fill chat-1-line message message-outline message-3-line "
        "chat-left comment message-circle chat-bubble bx-chat bx-message bx-message-rounded "
        "bxs-chat"
    ),
    "check": "check check-lg check-line check-bold done bx-check",
    "clock": (
        "clock clock-outline clock-fill time-line time-fill schedule access-time bx-time "
        "bx-time-five bxs-time"
    ),
    "close": "close x x-lg close-line close-thick xmark bx-x",
    "cloud": "cloud cloud-outline cloud-line cloud-fill bx-cloud bxs-cloud",
    "copy": ("content-copy copy files file-copy file-copy-line file-copy-fill bx-copy bxs-copy"),
    "down": (
        "chevron-down expand-more arrow-down-s-line keyboard-arrow-down angle-down bx-chevron-down"
    ),
    "download": (
        "download download-line download-fill get-app file-download tray-arrow-down bx-download"
    ),
    "edit": (
        "pencil pencil-outline pencil-line pencil-fill pencil-square edit edit-line edit-2-line "
        "square-edit-outline create pen pen-to-square bx-pencil bx-edit bx-edit-alt bxs-pencil"
    ),
    "eye": "eye eye-outline eye-line eye-fill visibility bx-show",
    "file": (
        "file file-outline file-line file-text-line file-text file-earmark file-earmark-text "
        "file-document-outline file-lines description insert-drive-file bx-file bxs-file"
    ),
    "filter": (
        "filter filter-outline filter-line filter-fill filter-alt funnel funnel-fill "
        "bx-filter-alt bxs-filter-alt"
    ),
    "folder": ("folder folder-outline folder-line folder-fill folder-2-line bx-folder bxs-folder"),
    "forward": "arrow-right arrow-right-line arrow-forward bx-right-arrow-alt",
    "gift": "gift gift-outline gift-line gift-fill card-giftcard redeem bx-gift bxs-gift",
    "globe": (
        "earth globe globe-line globe-americas earth-line public language world "
        "earth-americas bx-globe bx-world"
    ),
    "grid": (
        "view-grid view-grid-outline apps grid grid-fill grid-3x3-gap grid-view grid-line "
        "layout-grid table-cells-large bx-grid-alt bxs-grid-alt"
    ),
    "group": (
        "account-group account-group-outline account-multiple people people-fill group groups "
        "users user-group team-line team-fill group-line bx-group bxs-group"
    ),
    "heart": (
        "heart heart-outline heart-line heart-fill favorite favorite-border bx-heart bxs-heart"
    ),
    "help": (
        "help-circle help-circle-outline question-circle question-circle-fill question-line help "
        "help-outline circle-question question-fill bx-help-circle bxs-help-circle"
    ),
    "home": (
        "home home-outline home-line home-fill home-4-line home-2-line house house-fill "
        "house-door bx-home bx-home-alt bxs-home"
    ),
    "image": "image image-outline image-line image-fill photo card-image bx-image bxs-image",
    "info": (
        "information information-outline information-line information-fill info info-circle "
        "info-circle-fill circle-info info-outline bx-info-circle bxs-info-circle"
    ),
    "link": "link link-variant link-45deg links-line link-m insert-link bx-link bx-link-alt",
    "lock": "lock lock-outline lock-line lock-fill bx-lock bx-lock-alt bxs-lock",
    "logout": (
        "logout logout-variant box-arrow-right logout-box-r-line right-from-bracket bx-log-out"
    ),
    "mail": (
        "email email-outline envelope envelope-fill mail mail-line mail-fill mail-outline "
        "bx-envelope bxs-envelope"
    ),
    "map": (
        "map-marker map-marker-outline geo-alt geo-alt-fill place map-pin map-pin-line "
        "map-pin-2-fill location-dot location-on bx-map bxs-map"
    ),
    "menu": "menu menu-line menu-2 bars list bx-menu",
    "mic": "microphone microphone-outline mic mic-line mic-fill bx-microphone bxs-microphone",
    "moon": "weather-night moon moon-line moon-fill dark-mode nightlight bx-moon bxs-moon",
    "more": (
        "dots-vertical dots-horizontal three-dots-vertical three-dots more-vert more-horiz "
        "more-line more-fill more-2-line more-2-fill ellipsis ellipsis-vertical dots "
        "bx-dots-vertical-rounded bx-dots-horizontal-rounded"
    ),
    "music": (
        "music music-note music-line music-note-beamed music-2-line music-2-fill bx-music bxs-music"
    ),
    "pause": "pause pause-line pause-fill player-pause bx-pause",
    "phone": (
        "phone phone-outline phone-line phone-fill telephone telephone-fill call bx-phone bxs-phone"
    ),
    "play": "play play-line play-fill play-arrow player-play bx-play",
    "print": "printer printer-line printer-fill printer-outline print bx-printer bxs-printer",
    "refresh": (
        "refresh refresh-line arrow-clockwise rotate-right arrows-rotate arrow-repeat sync reload "
        "bx-refresh bx-sync"
    ),
    "right": ("chevron-right keyboard-arrow-right arrow-right-s-line angle-right bx-chevron-right"),
    "save": (
        "content-save content-save-outline floppy floppy-disk save save-line save-fill "
        "floppy-fill device-floppy bx-save bxs-save"
    ),
    "search": "magnify search search-line magnifying-glass bx-search bx-search-alt-2",
    "send": (
        "send send-outline send-fill send-plane-line send-plane-fill paper-plane bx-send bxs-send"
    ),
    "settings": (
        "cog cog-outline gear gear-fill gear-wide-connected settings settings-3-line "
        "settings-3-fill settings-line settings-5-line bx-cog bxs-cog"
    ),
    "share": (
        "share share-variant share-variant-outline share-nodes share-fill share-line "
        "share-forward-line share-2 bx-share-alt bxs-share-alt"
    ),
    "star": "star star-outline star-line star-fill star-border bx-star bxs-star",
    "sun": (
        "white-balance-sunny sun sun-line sun-fill light-mode wb-sunny brightness-high bx-sun "
        "bxs-sun"
    ),
    "tag": (
        "tag tag-outline tag-fill price-tag-3-line price-tag-3-fill local-offer sell "
        "bx-purchase-tag bxs-purchase-tag"
    ),
    "thumb": (
        "thumb-up thumb-up-outline thumb-up-line thumb-up-fill hand-thumbs-up hand-thumbs-up-fill "
        "thumbs-up bx-like bxs-like"
    ),
    "trash": (
        "delete delete-outline trash-can trash-can-outline trash trash-fill trash3 trash-2 "
        "delete-bin-line delete-bin-fill delete-bin-6-line bx-trash bxs-trash"
    ),
    "undo": (
        "undo undo-variant arrow-counterclockwise arrow-go-back-line arrow-back-up rotate-left "
        "bx-undo"
    ),
    "upload": "upload upload-line upload-fill file-upload tray-arrow-up bx-upload",
    "user": (
        "account account-outline person person-fill person-outline user user-line user-fill "
        "user-3-line bx-user bxs-user"
    ),
    "video": (
        "video video-outline vidicon-line vidicon-fill video-line video-fill videocam "
        "camera-video camera-video-fill bx-video bxs-video"
    ),
    "volume": (
        "volume-high volume-up volume-up-line volume-up-fill volume bx-volume-full bxs-volume-full"
    ),
    "warning": (
        "alert alert-outline alert-triangle alert-line alert-fill exclamation-triangle "
        "exclamation-triangle-fill triangle-exclamation warning warning-amber bx-error bxs-error"
    ),
    "wifi": "wifi wifi-line wifi-fill bx-wifi",
}

# font (the start of its name): names that only there mean a concept
_OWN_NAMES: dict[str, dict[str, str]] = {
    "la-solid": {
        "folder": "folder-open",
        "grid": "th th-large",
        "logout": "sign-out-alt",
        "more": "ellipsis-h ellipsis-v",
    },
    "lucide": {
        "logout": "log-out",
        "refresh": "refresh-cw rotate-cw",
        "undo": "rotate-ccw undo-2",
        "volume": "volume-2",
    },
    "Phosphor": {
        "back": "caret-left",
        "down": "caret-down",
        "grid": "dots-nine grid-four squares-four",
        "help": "question",
        "logout": "sign-out",
        "more": "dots-three dots-three-vertical",
        "refresh": "arrows-clockwise",
        "right": "caret-right",
        "send": "paper-plane-tilt paper-plane-right",
        "undo": "arrow-counter-clockwise arrow-u-up-left",
        "video": "video-camera",
        "volume": "speaker-high",
        "wifi": "wifi-high",
    },
}

# font (the start of its name): names above that it gives to something else, or to nothing
_MISLEADING: dict[str, str] = {
    "bootstrap-icons": "file phone phone-fill save save-fill",
    "fa-solid": "language list person",
    "la-solid": "file-download file-upload folder language list person rotate-right",
    "lucide": "check-line delete group language list person",
    "material-icons": "arrow-left arrow-right camera copy filter list tag",
    "material-icons-outlined": "info-outline lock-outline",
    "materialdesignicons": "angle-right group mail",
    "remixicon": "bell-fill video-fill video-line",
    "Phosphor": "paper-plane person",
    "tabler-icons": "arrow-back arrow-forward language list",
}

CONCEPTS: tuple[str, ...] = tuple(sorted(_GLYPHS))


@lru_cache(maxsize=64)
def glyphs_of(font: IconFont) -> dict[str, tuple[str, ...]]:
    """Map each concept to the characters with which ``font`` draws it, without repeats."""
    misleading = {name for names in _of(font, _MISLEADING) for name in names.split()}
    own = {concept: names for said in _of(font, _OWN_NAMES) for concept, names in said.items()}
    found: dict[str, tuple[str, ...]] = {}
    for concept, anywhere in _GLYPHS.items():
        names = [*anywhere.split(), *own.get(concept, "").split()]
        usable = [n for n in names if n in font.glyphs and n not in misleading]
        if usable:
            found[concept] = tuple(dict.fromkeys(chr(font.glyphs[name]) for name in usable))
    return found


def _of(font: IconFont, by_start: dict[str, T]) -> list[T]:
    """Return all that is said of fonts whose names begin as this one's does."""
    return [value for start, value in by_start.items() if font.name.startswith(start)]
