"""The names of agents' actions and of their arguments, over all dialects.

GLM's PC agent, AutoGLM, UI-TARS, CogAgent, UI-Venus, Holo, OpenCUA (pyautogui), and the JSON of
Qwen, Claude, OpenAI, ShowUI and GUI-R1. Verbs are compared as ``keys.fold`` writes them.
"""

from __future__ import annotations

POINTING_VERBS = frozenset(
    "click leftclick rightclick middleclick doubleclick tripleclick leftdouble leftdoubleclick "
    "leftsingle rightsingle hover tap doubletap longpress longtap longclick press moveto mousemove "
    "move dragto dragrel clickabsolute clickelement select input inputtext".split()
)
DRAGGING_VERBS = frozenset("drag leftdrag leftclickdrag swipe slide gesture".split())
LONE_VERBS = frozenset(  # calls without arguments
    "wait done fail finished finish complete presshome pressback pressenter pressrecent home back "
    "enter calluser navigatehome navigateback keyboardenter screenshot impossible goback".split()
)
OTHER_VERBS = frozenset(
    "key keys type write scroll scrollup scrolldown scrollleft scrollright hotkey hotkeys keypress "
    "keydown keyup openapp launch openurl answer terminate status systembutton do callapi note "
    "interact takeover typename typewrite cursorposition leftmousedown leftmouseup zoom "
    "quotetext end mousescroll holdkey copy paste clear selecttext switchapp opencomputer "
    "open takenote callfunction pressrecents".split()
)
VERBS = POINTING_VERBS | DRAGGING_VERBS | LONE_VERBS | OTHER_VERBS
# Those written as calls, ``name(...)``; other verbs are too common in code.
CALL_NAMES = frozenset(
    "left_click right_click middle_click hover left_double_click left_drag key type scroll "
    "wait done fail do finish click double_click triple_click left_double left_single "
    "right_single drag hotkey finished long_press open_app press_home press_back press_enter "
    "press_recent call_user mouse_move move_to scroll_up scroll_down scroll_left scroll_right "
    "key_press launch answer doubleclick longpress pressback presshome pressenter pressrecent "
    "calluser tap double_tap swipe write press end quote_text gesture select input input_text "
    "answer_question moveto dragto rightclick middleclick tripleclick typewrite terminate "
    "keydown keyup hscroll".split()
)

TARGET_ARGS = ("point", "startpoint", "coordinate", "position", "startcoordinate", "startbox",
               "element", "start", "from", "box2d", "bbox2d", "bbox", "box", "clickpoint",
               "point2d")  # fmt: skip
END_ARGS = ("endpoint", "endbox", "end", "to", "coordinate2", "endcoordinate", "endposition")
OTHER_ARGS = ("elementinfo startelementinfo endelementinfo elementtype holdkeys keys key content "
              "direction step steps stepcount amount action text app appname duration message "
              "instruction distance clicks button value override presses interval submit status "
              "goalstatus url name time seconds pixels thought query input x y x1 y1 x2 y2 "
              "instance tweening num").split()  # fmt: skip
KNOWN_ARGS = frozenset((*TARGET_ARGS, *END_ARGS, *OTHER_ARGS))
