"""Every fixed word of the tasks: how people ask, and what is answered in words.

In the forms ``{}`` stands for what is asked about. The first lists hold what the bundled model was
trained on before; a form that users type differently is added, not put in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

# -- where something is ---------------------------------------------------------------------------

LOCATE = (
    "Click on {}",
    "Click {}",
    "Click on the {}",
    "Tap {}",
    "Tap on {}",
    "Press {}",
    "Locate {} in the image",
    "Locate {}",
    "Find {}",
    "Where is {}?",
    "Select {}",
    "Point to {}",
    "{}",
    "Give me the bounding box of {}.",
    "Show me where {} is.",
    "What is the bounding box of {}?",
    "Detect {} in this screenshot.",
    "Ground {}",
    "Open {}",
    "I want to click {}",
)
LOCATE_ALSO = (
    "Where is the {}?",
    "Click the {}",
    "Please click on {}.",
    "Can you find {}?",
    "Show {}",
    "Point at {}",
    "Highlight {}",
    "Mark {} on the screenshot.",
    "Where can I find {}?",
    "Where do I click for {}?",
    "Which element is {}?",
    "I am looking for {}.",
    "Go to {}",
    "Choose {}",
    "Find the {} on this screen.",
    "Is there {} here? Where?",
    "Draw a box around {}.",
    "What are the coordinates of {}?",
)
# zai-org/GLM-V, README: the two prompts that it gives for grounding; a third of its user interfaces
GLM_LOCATE = "Help me to locate {} in the image and give me its bounding boxes."
GLM_PINPOINT = (
    "Please pinpoint the bounding box [[x1,y1,x2,y2], ...] in the image as per the given "
    "description. {}"
)
GLM_COMMAND = (
    "In this UI screenshot, what is the position of the element corresponding to the command "
    '"{}" (with bbox)?'
)
FOLLOW_UP = (
    "And {}?",
    "And the {}?",
    "What about {}?",
    "Now {}",
    "Now click on {}",
    "And where is {}?",
    "Then {}",
    "Also {}, please.",
)
IT_FOLLOW_UP = (
    "Where is it?",
    "Where is that?",
    "Show me where it is.",
    "Click on it.",
    "Find it.",
)
WHAT_FOLLOW_UP = ("What does it say?", "Read it.", "What is written there?")
KIND_FOLLOW_UP = ("What kind of element is it?", "What type of element is that?")
ALL = ("all {}", "all the {}", "every {}")

# -- reading --------------------------------------------------------------------------------------

READ_BOX = (
    "What is the text in {}?",
    "Read the text at {}.",
    "What does the element at {} say?",
    "OCR {}",
)
READ_REFERENCE = (
    "What does {} say?",
    "Read {}.",
    "What is written on {}?",
    "What is the text of {}?",
)
READ_VALUE = ("What is in {}?", "What is the value of {}?", "Read {}.", "What does {} contain?")
ROLE_OF_BOX = ("What kind of element is at {}?", "What type of element is in {}?")
ICON_OF_BOX = ("What icon is at {}?", "Which icon is in {}?")
IS_STATE = {
    "checked": ("Is {} checked?", "Is {} ticked?"),
    "unchecked": ("Is {} checked?", "Is {} ticked?"),
    "on": ("Is {} on?", "Is {} turned on?"),
    "off": ("Is {} on?", "Is {} turned on?"),
}
YES, NO = "Yes.", "No."

# -- listing and captions -------------------------------------------------------------------------

LIST_TEXTS = (
    "List all texts with their boxes.",
    "Read all the text in the image.",
    "OCR the screen with boxes.",
)
LIST_ROLE = ("List all {} with their boxes.", "List the {} in the image.")
FIRST_ONES = "{} (first {})."
NONE_THERE = "none"
DESCRIBE = (
    "Describe this screen.",
    "What is shown in the image?",
    "Describe the screenshot briefly.",
    "What is this?",
    "What do you see?",
    "Describe the image.",
)
CAPTION = "A {} {} screen{} with {}, {} and {}."
CAPTION_TITLE = " titled '{}'"

# -- acting ---------------------------------------------------------------------------------------

ACT = (
    "Task: {}. Reply with one action.",
    "{}. Respond with a left_click action.",
    "You are a GUI agent. Task: {}. Next action?",
)
PRESS = ("Press {}", "Open {}", "Go to {}", "Choose {}", "Click {}", "Activate {}")
FOCUS = ("Focus {}", "Click {}", "Fill in {}")
TOGGLE = ("Focus {}", "Click {}", "Toggle {}")
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
ASK_INTENT = ("{}", "Where do I click to {}?", "I want to {}.", "How do I {}?")

# -- names ----------------------------------------------------------------------------------------

# what people call an icon of a concept
SYNONYMS = {
    "add": ("add", "plus", "new", "create"),
    "attach": ("attach", "paperclip"),
    "back": ("back", "back arrow", "left arrow", "go back"),
    "bell": ("notifications", "bell", "alerts"),
    "bookmark": ("bookmark",),
    "calendar": ("calendar", "date"),
    "camera": ("camera",),
    "card": ("credit card", "payment"),
    "cart": ("cart", "shopping cart"),
    "chart": ("chart", "statistics", "bar chart"),
    "chat": ("chat", "message", "comment", "speech bubble"),
    "check": ("check", "tick", "confirm"),
    "clock": ("clock", "time", "history"),
    "close": ("close", "x", "cross", "dismiss"),
    "cloud": ("cloud",),
    "copy": ("copy", "duplicate"),
    "down": ("down", "down arrow", "expand"),
    "download": ("download",),
    "edit": ("edit", "pencil", "pen"),
    "eye": ("eye", "view", "show"),
    "file": ("file", "document"),
    "filter": ("filter", "funnel"),
    "folder": ("folder",),
    "forward": ("forward", "forward arrow", "right arrow"),
    "gift": ("gift", "present"),
    "globe": ("globe", "language", "web"),
    "grid": ("grid", "apps"),
    "group": ("group", "people", "users", "contacts"),
    "heart": ("heart", "like", "favorite"),
    "help": ("help", "question mark"),
    "home": ("home", "house"),
    "image": ("image", "picture", "photo"),
    "info": ("info", "information"),
    "link": ("link", "chain"),
    "lock": ("lock", "password"),
    "logout": ("logout", "sign out", "exit"),
    "mail": ("mail", "email", "envelope"),
    "map": ("location", "map pin", "map marker"),
    "menu": ("menu", "hamburger menu", "main menu"),
    "mic": ("microphone", "voice"),
    "moon": ("moon", "dark mode"),
    "more": ("more", "three dots", "more options", "overflow menu"),
    "music": ("music", "note"),
    "pause": ("pause",),
    "phone": ("phone", "call"),
    "play": ("play",),
    "print": ("print", "printer"),
    "refresh": ("refresh", "reload"),
    "right": ("chevron right", "next arrow"),
    "save": ("save", "floppy disk"),
    "search": ("search", "magnifying glass", "find"),
    "send": ("send", "paper plane"),
    "settings": ("settings", "settings gear", "gear", "options"),
    "share": ("share",),
    "star": ("star", "rating"),
    "sun": ("sun", "light mode"),
    "tag": ("tag", "label"),
    "thumb": ("thumbs up", "like"),
    "trash": ("delete", "trash", "bin", "remove"),
    "undo": ("undo",),
    "upload": ("upload",),
    "user": ("user", "profile", "account", "person"),
    "video": ("video", "video camera"),
    "volume": ("volume", "speaker", "sound"),
    "warning": ("warning", "alert triangle"),
    "wifi": ("wifi",),
}
# what people call an element of a role
ALIASES = {
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
    "list item": ("item", "row", "list item", "option", "entry"),
    "progress bar": ("progress bar",),
    "radio button": ("radio button", "option"),
    "slider": ("slider",),
    "switch": ("switch", "toggle", "toggle switch"),
    "tab": ("tab",),
    "text": ("text", "label"),
    "text field": ("text field", "field", "input", "text box", "input field", "textbox"),
}
ICON_NAMES = ("the {} icon", "{} icon", "the {} button", "{}")
WITH_ALIAS = ("the {} {}", "{} {}")
LABELLED = ("labelled", "with the text", "named", "that says")
FOR_FIELD = ("for", "labelled", "below")
FOR_SWITCH = ("for", "next to")
FIELD_OF = ("the {} for {}", "the {} labelled {}")
TYPE_INTO = (
    "Where do I type the {}?",
    "Enter the {}",
    "Fill in {}",
    "Type into {}",
    "Where do I enter {}?",
)
FIRST = ("the topmost {}", "the first {}", "the {} at the top")
LAST = ("the lowest {}", "the last {}", "the {} at the bottom")
LEFTMOST = ("the leftmost {}", "the {} on the far left")
RIGHTMOST = ("the rightmost {}", "the {} on the far right")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
IN_REGION = ("the {region} {noun}", "the {noun} in the {region}")
COMMON_NAMES = (
    "Accept", "Account", "Add to cart", "Apply", "Archive", "Back up", "Billing", "Book now",
    "Cancel", "Change photo", "Checkout", "Clear all", "Contact us", "Continue", "Dashboard",
    "Delete draft", "Devices", "Discard", "Email", "Export data", "Favorites", "Forgot password",
    "Friends", "Help center", "History", "Home", "Import file", "Inbox", "Invite people",
    "Language",    "Learn more", "Library", "Log in", "Messages", "My orders", "New folder", "Next step", "Orders",
    "Password", "Payments", "Playlists", "Preview", "Privacy", "Profile", "Projects", "Reply",
    "Reports", "Reset", "Save changes", "Schedule", "Security", "Send invite", "Settings", "Share",
    "Show all", "Sign up", "Storage", "Subscribe", "Support", "Team", "Terms of use", "Undo send",
    "Update now", "Upload photo", "Wallet", "Weather", "Wish list",
)  # fmt: skip

# -- thoughts -------------------------------------------------------------------------------------

THINK_PLACE = "{} {}, {}, near [{},{}]."
THINK_NONE = "No {} here."
THINK_MANY = "{} {}."
THINK_KIND = "A {} screen."
THINK_READ = "{}, {}."
MORE_WORDS = (
    "the a an of to in on at for and or with is are this that my your it what where which how "
    "please can you find show give tell me click tap press open select locate list read describe "
    "left right top bottom middle center near app grid dark light mixed black blue brown gray "
    "green orange pink purple red teal white yellow checked unchecked on off selected first last next "
    "button Button icon Icon text Text no No yes Yes row column page form login settings list "
    "dialog table",
    "[[ ]] ],[ [ ] , . ? ' \" ( )",
)


def fixed_texts() -> Iterator[str]:
    """Yield every text of this file, the forms with their ``{}``."""
    here = globals()
    for name in sorted(here):
        if name.isupper():
            yield from _texts(here[name])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, Sequence) and not isinstance(value, ModuleType):
        for item in value:
            yield from _texts(item)
