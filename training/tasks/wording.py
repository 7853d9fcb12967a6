"""How people ask, and what is answered in words; ``{}`` stands for what is asked about.

The first list of a kind holds what the bundled model was trained on from the beginning; forms that
people type as well are added to it, not put in its place.
"""

from __future__ import annotations

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
    "Is there a {} here?",
    "Draw a box around {}.",
    "What are the coordinates of {}?",
)
# zai-org/GLM-V, README: its two prompts for grounding; and one for elements of user interfaces
GLM_LOCATE = "Help me to locate {} in the image and give me its bounding boxes."
GLM_PINPOINT = (
    "Please pinpoint the bounding box [[x1,y1,x2,y2], ...] in the image as per the given "
    "description. {}"
)
GLM_COMMAND = (
    "In this UI screenshot, what is the position of the element corresponding to the command "
    '"{}" (with bbox)?'
)
ALL = ("all {}", "all the {}", "every one of the {}")
QUOTES = ("'{}'", '"{}"', "{}", "{}", "“{}”")

# -- what is asked about --------------------------------------------------------------------------

ICON_NAMES = ("the {} icon", "{} icon")
ICON_BUTTON, ICON_ALONE = "the {} button", "{}"
# the name, then what kind of element it is
WITH_ALIAS = ("the {} {}", "{} {}")
# the kind of element, then its name
LABELLED = (
    "the {} labelled {}",
    "the {} with the text {}",
    "the {} named {}",
    "the {} that says {}",
)
FOR_LABEL = ("the {} for {}", "the {} labelled {}")
BELOW_LABEL, BESIDE_LABEL = "the {} below {}", "the {} next to {}"
WITH_VALUE = ("the {} that says {}", "the {} with the text {}")
TYPE_INTO = (
    "Where do I type the {}?",
    "Enter the {}",
    "Fill in the {}",
    "Where do I enter the {}?",
)
TOPMOST = ("the topmost {}", "the {} at the top")
LOWEST = ("the lowest {}", "the {} at the bottom")
LEFTMOST = ("the leftmost {}", "the {} on the far left")
RIGHTMOST = ("the rightmost {}", "the {} on the far right")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
LAST = "last"
REGIONS = ("the {1} {0}", "the {0} in the {1}")
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "center", "right")
STATES = {
    "checked": ("the checked {}", "the {} that is checked"),
    "unchecked": ("the unchecked {}", "the {} that is not checked"),
    "on": ("the {} that is on", "the {} that is turned on"),
    "off": ("the {} that is off", "the {} that is turned off"),
    "selected": ("the selected {}", "the {} that is selected"),
}
BESIDE, BELOW, ABOVE = "the {} next to {}", "the {} below {}", "the {} above {}"

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
READ_VALUE = ("What is in {}?", "What is the value of {}?", "What does {} contain?")
ROLE_OF_BOX = ("What kind of element is at {}?", "What type of element is in {}?")
ICON_OF_BOX = ("What icon is at {}?", "Which icon is in {}?")
ICON_ANSWER = "{} icon"
IS_STATE = {
    "checked": ("Is {} checked?", "Is {} ticked?"),
    "on": ("Is {} on?", "Is {} turned on?"),
    "selected": ("Is {} selected?",),
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
ASK_INTENT = ("{}", "Where do I click to {}?", "I want to {}.", "How do I {}?")

# -- a second question about the same screen ------------------------------------------------------

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
WHERE_IS_IT = ("Where is it?", "Where is that?", "Show me where it is.", "Click on it.", "Find it.")
WHAT_DOES_IT_SAY = ("What does it say?", "Read it.", "What is written there?")
WHAT_IS_IT = ("What kind of element is it?", "What type of element is that?")

# -- thoughts -------------------------------------------------------------------------------------

# The place first, as an answer begins with it: a kind that is guessed first, before anything is
# found, leads to the wrong element.
THINK_PLACE = "At [{},{}]: {}, {}."
THINK_ABSENT = "No {} here."
THINK_COUNT = "{} {}."
THINK_KIND = "A {} screen."
