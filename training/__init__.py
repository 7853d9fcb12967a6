"""How the bundled model is made: screens with known boxes, tasks about them, and the trainer.

Read it in the order of the data: ``materials`` (fonts and icons from packages) -> ``screens``
(pictures whose elements are known) -> ``tasks`` (questions and answers in GLM-4.5V's form) ->
``seen`` (the size at which the model sees them) -> ``packing`` and ``targets`` (arrays) ->
``shared_prefix``, ``objectives``, ``optimizer`` (one step) -> ``train`` (many steps, evaluation,
export). ``web`` renders screens with a browser instead; ``fit`` continues training on screens
of one's own.

Imports run one way: this room uses ``model`` and ``grounding``, and nothing uses this room.
"""
