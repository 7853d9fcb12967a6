"""What people call the elements of a screen: icons, roles, and what they want from an icon."""

from __future__ import annotations

# what people call an icon of a concept
SYNONYMS: dict[str, tuple[str, ...]] = {
    "add": ("add", "plus", "new", "create", "plus sign"),
    "attach": ("attach", "paperclip"),
    "back": ("back", "back arrow", "left arrow", "go back"),
    "bell": ("notifications", "bell", "alerts", "notification", "notifications bell"),
    "bookmark": ("bookmark",),
    "calendar": ("calendar", "date"),
    "camera": ("camera",),
    "card": ("credit card", "payment", "card"),
    "cart": ("cart", "shopping cart", "basket"),
    "chart": ("chart", "statistics", "bar chart"),
    "chat": ("chat", "message", "comment", "speech bubble", "chat bubble"),
    "check": ("check", "tick", "confirm"),
    "clock": ("clock", "time", "history"),
    "close": ("close", "x", "cross", "dismiss", "x mark"),
    "cloud": ("cloud",),
    "copy": ("copy", "duplicate"),
    "down": ("down", "down arrow", "expand", "down chevron"),
    "download": ("download",),
    "edit": ("edit", "pencil", "pen"),
    "eye": ("eye", "view", "show", "visibility"),
    "file": ("file", "document"),
    "filter": ("filter", "funnel"),
    "folder": ("folder",),
    "forward": ("forward", "forward arrow", "right arrow"),
    "gift": ("gift", "present"),
    "globe": ("globe", "language", "web", "world"),
    "grid": ("grid", "apps"),
    "group": ("group", "people", "users", "contacts"),
    "heart": ("heart", "like", "favorite"),
    "help": ("help", "question mark", "question"),
    "home": ("home", "house"),
    "image": ("image", "picture", "photo"),
    "info": ("info", "information"),
    "link": ("link", "chain"),
    "lock": ("lock", "password", "padlock"),
    "logout": ("logout", "sign out", "exit", "log out"),
    "mail": ("mail", "email", "envelope"),
    "map": ("location", "map pin", "map marker", "map", "pin"),
    "menu": ("menu", "hamburger menu", "main menu", "hamburger", "three lines"),
    "mic": ("microphone", "voice", "mic"),
    "moon": ("moon", "dark mode", "night mode"),
    "more": ("more", "three dots", "more options", "overflow menu", "ellipsis"),
    "music": ("music", "note"),
    "pause": ("pause",),
    "phone": ("phone", "call", "telephone"),
    "play": ("play",),
    "print": ("print", "printer"),
    "refresh": ("refresh", "reload"),
    "right": ("chevron right", "next arrow", "right", "right chevron"),
    "save": ("save", "floppy disk", "disk"),
    "search": ("search", "magnifying glass", "find"),
    "send": ("send", "paper plane"),
    "settings": ("settings", "settings gear", "gear", "options", "cog"),
    "share": ("share",),
    "star": ("star", "rating"),
    "sun": ("sun", "light mode", "brightness"),
    "tag": ("tag", "label"),
    "thumb": ("thumbs up", "like", "thumb", "thumb up"),
    "trash": ("delete", "trash", "bin", "remove", "trash can"),
    "undo": ("undo",),
    "upload": ("upload",),
    "user": ("user", "profile", "account", "person"),
    "video": ("video", "video camera", "camcorder"),
    "volume": ("volume", "speaker", "sound"),
    "warning": ("warning", "alert triangle"),
    "wifi": ("wifi", "wi-fi"),
}
# what people call an element of a role
ALIASES: dict[str, tuple[str, ...]] = {
    "alert": ("alert", "message", "banner", "notification"),
    "badge": ("badge", "label"),
    "button": ("button",),
    "cell": ("cell", "text"),
    "checkbox": ("checkbox", "check box", "option"),
    "column header": ("column header", "column"),
    "dropdown": ("dropdown", "select", "combo box", "dropdown menu"),
    "heading": ("heading", "title"),
    "icon": ("icon",),
    "link": ("link",),
    "list item": ("item", "row", "list item", "option", "entry", "card"),
    "progress bar": ("progress bar",),
    "radio button": ("radio button", "option"),
    "slider": ("slider",),
    "switch": ("switch", "toggle", "toggle switch"),
    "tab": ("tab",),
    "text": ("text", "label"),
    "text field": ("text field", "field", "input", "text box", "input field", "textbox"),
}
# roles that a person can press, open or type into
INTERACTIVE = frozenset(
    (
        "button",
        "text field",
        "dropdown",
        "checkbox",
        "radio button",
        "switch",
        "link",
        "list item",
        "tab",
        "slider",
        "icon",
    )
)
# roles that a person may call by their colour
COLORED = frozenset(("button", "badge", "icon", "alert"))
# roles whose name, if they have one, is not written inside their box
WITHOUT_TEXT = frozenset(("icon", "switch", "slider", "progress bar"))
# icons that are drawn in elements of a role without being told: carets, chevrons, faces
POSSIBLE_ICONS = {"dropdown": ("down",), "list item": ("right", "user")}
FIELDS = frozenset(("text field", "dropdown"))
# what may as well be meant by the words of another role's text: these name a text alone only
TEXT_WORDS = frozenset(("text", "label", "title", "heading", "message"))
# what people want from an icon
INTENTS = {
    "add": "add a new item",
    "attach": "attach a file",
    "back": "go back",
    "bell": "show the notifications",
    "bookmark": "bookmark this page",
    "calendar": "open the calendar",
    "camera": "take a photo",
    "cart": "view the shopping cart",
    "chart": "view the statistics",
    "chat": "start a chat",
    "close": "close this window",
    "copy": "copy this",
    "download": "download the file",
    "edit": "edit this",
    "filter": "filter the results",
    "folder": "open the folder",
    "forward": "go forward",
    "globe": "change the language",
    "heart": "like this",
    "help": "get help",
    "home": "go to the home screen",
    "info": "show information",
    "lock": "lock the screen",
    "logout": "sign out",
    "mail": "send an email",
    "map": "show my location",
    "menu": "open the menu",
    "mic": "record my voice",
    "moon": "switch to dark mode",
    "more": "show more options",
    "pause": "pause the music",
    "phone": "make a call",
    "play": "start playing",
    "print": "print the page",
    "refresh": "reload the page",
    "save": "save the file",
    "search": "search for something",
    "send": "send the message",
    "settings": "open the settings",
    "share": "share this",
    "star": "rate this",
    "trash": "delete this item",
    "undo": "undo the last change",
    "upload": "upload a file",
    "user": "open my profile",
    "volume": "change the volume",
    "wifi": "connect to wifi",
}
# names that many programs use, for questions about what is not there
COMMON_NAMES = (
    "Accept", "Account", "Add to cart", "Apply", "Archive", "Back up", "Billing", "Book now",
    "Cancel", "Change photo", "Checkout", "Clear all", "Contact us", "Continue", "Dashboard",
    "Delete draft", "Devices", "Discard", "Email", "Export data", "Favorites", "Forgot password",
    "Friends", "Help center", "History", "Home", "Import file", "Inbox", "Invite people",
    "Language", "Learn more", "Library", "Log in", "Messages", "My orders", "New folder",
    "Next step", "Orders", "Password", "Payments", "Playlists", "Preview", "Privacy", "Profile",
    "Projects", "Reply", "Reports", "Reset", "Save changes", "Schedule", "Security",
    "Send invite", "Settings", "Share", "Show all", "Sign up", "Storage", "Subscribe", "Support",
    "Team", "Terms of use", "Undo send", "Update now", "Upload photo", "Wallet", "Weather",
    "Wish list",
)  # fmt: skip


def plural(noun: str) -> str:
    """Return the plural of an alias: ``checkboxes``, ``entries``."""
    if noun.endswith(("x", "ch")):
        return noun + "es"
    if noun.endswith("try"):
        return noun[:-1] + "ies"
    return noun + "s"
