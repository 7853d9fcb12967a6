"""Train the small GLM-4.5V: from random weights, or on from a checkpoint.

    python -m training.train --minutes 60                  from scratch, on two cores
    python -m training.train --from bundled --minutes 60   on from the bundled model
    python -m training.train --from RUN --to ANOTHER       on from a run that has ended
    python -m training.train --device cuda --workers 16 --minutes 20   on one GPU (not run yet)

Screens are drawn while it trains. The run's folder (--to) gets the state every two minutes, a log,
curves, and at the end the checkpoint with its card. Ctrl-C stops after the present step; the same
command goes on from there, also after a crash, and ends with the weights that an unbroken run has.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from model.checkpoint import CheckpointError
from model.config import Glm4vMoeConfig
from model.generation_config import GenerationConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.processing import Glm4vProcessor
from training.batches import DrawnScreens, Request, ScreenBatch, to_tensors
from training.evaluation import Question, Score, ask, held_out_questions, scores
from training.export import Story, export
from training.initial_weights import initialize
from training.loop import Loop, stopped_by_signals
from training.materials import Materials, MaterialsError
from training.options import READING_RATE, Settings, read_settings
from training.pace import BatchWorkers, measure, steps_in, trial_schedule
from training.run import RunError, RunFolder, is_run, read_state
from training.schedule import Schedule
from training.screens import SIZES, render
from training.telling import (
    as_figures,
    describe,
    describe_data,
    describe_machine,
    describe_pace,
    say,
    tell,
)
from training.trainer import Rates, Trainer
from training.vocabulary import write_tokenizer
from training.web.source import WebAndDrawnScreens
from training.workers import WorkerError, Workers

INTERRUPTED = 130  # the exit status that shells know for Ctrl-C
WHITENED_SCREENS = 160
VISION_SCALE = 0.5  # of the learning rate, in the grounding phase
MINUTES_AN_EVALUATION = 15
MAX_EVALUATIONS = 12
# Screens that are asked about at the end, one a minute of training; and in between.
MIN_SCREENS, MAX_SCREENS, SCREENS_BETWEEN = 4, 40, 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; return the exit status: 0, or 130 if it was stopped before the end."""
    began = time.perf_counter()
    settings = read_settings(__doc__ or "", arguments)
    try:
        materials = Materials.load(settings.materials)
        model = before = None
        if not settings.is_from_scratch:  # what can't be loaded leaves no folder behind
            model = Glm4vMoeForConditionalGeneration.from_pretrained(settings.start_folder)
        if settings.start_run is not None and not is_run(settings.run_folder):
            remedy = f"--from {settings.start_folder} goes on from its weights alone"
            before = read_state(settings.start_run, remedy=remedy)["trainer"]
        with RunFolder(settings.run_folder, settings.of_result()) as run:
            folder = settings.start_folder
            if model is None:
                folder = run.start(partial(write_tokenizer, source=folder))
                model = new_model(folder, materials, settings.seed)
            return Training(settings, run, materials, folder, model, before, began).run()
    except (RunError, MaterialsError, CheckpointError, WorkerError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:  # before there were steps, or a second one
        tell("stopped at once; the same command goes on from the state that was saved last, if any")
        return INTERRUPTED


def new_model(folder: Path, materials: Materials, seed: int) -> Glm4vMoeForConditionalGeneration:
    """Return a model that knows nothing, of the sizes that a folder's config.json says."""
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig.from_pretrained(folder))
    model.generation_config = GenerationConfig.from_pretrained(folder)
    size = SIZES["small"][0]
    images = [render(number, size, materials=materials).image for number in range(WHITENED_SCREENS)]
    initialize(model, images, seed)
    return model


class Training:
    """A run from its settings to its checkpoint.

    Args:
        start: folder of the tokenizer and the processors' settings.
        model: that it begins with.
        before: state of the trainer of the run that it goes on from; None without one, and where
            this run has taken steps itself.
        began: `time.perf_counter` when the command was started.
    """

    def __init__(
        self,
        settings: Settings,
        run: RunFolder,
        materials: Materials,
        start: Path,
        model: Glm4vMoeForConditionalGeneration,
        before: Mapping[str, Any] | None,
        began: float,
    ) -> None:
        self.settings = settings
        self.folder = run
        self.materials = materials
        self.model = model
        self.before = before
        self.began = began
        self.start = start
        self.processor = Glm4vProcessor.from_pretrained(start)
        self.device = torch.device(settings.device)

    def run(self) -> int:
        """Train; return the exit status."""
        settings, run = self.settings, self.folder
        state = run.load_state()
        drawn = DrawnScreens(self.start, self.materials.folder)
        make: Callable[[Request], ScreenBatch[Any]] = drawn
        if settings.web:
            make = WebAndDrawnScreens(drawn, settings.web, share=settings.web_share)
        prepare = partial(to_tensors, pinned=self.device.type == "cuda")
        with stopped_by_signals() as stopping:
            with Workers(make, settings.workers, prepare=prepare) as workers:
                schedule = run.schedule
                if schedule is None:
                    schedule = self._fix_schedule(workers)
                    run.fix(schedule)
                trainer = self._trainer(schedule)
                loop = Loop(
                    run,
                    trainer,
                    workers,
                    partial(self._request, schedule),
                    evaluate=lambda: as_figures(self._evaluate(trainer, SCREENS_BETWEEN)),
                    evaluate_at=self._evaluation_steps(schedule),
                    say=partial(say, steps=schedule.steps),
                )
                if state is not None:
                    loop.restore(state)
                    tell(f"going on after step {trainer.done} of {schedule.steps}")
                else:
                    if self.before is not None:
                        trainer.begin_from(self.before)
                    tell(describe(schedule, trainer))
                is_complete = loop.steps(stopping)
            if not is_complete:
                tell(f"stopped after step {trainer.done}; the same command goes on from there")
                return INTERRUPTED
            self._finish(trainer, loop)
        return 0

    def _finish(self, trainer: Trainer, loop: Loop) -> None:
        """Measure, and write the checkpoint."""
        screens = self._last_screens()
        tell(f"measuring on {screens} screens that training never shows")
        accuracy = self._evaluate(trainer, screens)
        story = Story(
            command=self.settings.command,
            start="random weights" if self.settings.is_from_scratch else self.settings.start,
            data=describe_data(self.settings.web_share if self.settings.web else 0.0),
            screens=loop.screens,
            questions=loop.questions,
            steps=trainer.done,
            hours=loop.seconds / 3600,
            machine=describe_machine(self.device),
            accuracy=accuracy,
            measured_on=f"{screens} drawn screens of words and fonts that training never shows",
        )
        export(
            trainer.model,
            self.folder.model,
            processor_folder=self.start,
            story=story,
        )
        for score in accuracy:
            tell(f"  {score.name}: {score.right} of {score.count}")
        tell(f"written: {self.folder.model}; try it: python app.py --model {self.folder.model}")

    def _fix_schedule(self, workers: BatchWorkers) -> Schedule:
        """Return the steps of the run: those that were asked for, or those that fit its time."""
        settings = self.settings
        is_growing = settings.is_from_scratch
        if settings.steps is not None:
            reading = round(settings.reading_share * settings.steps)
            return Schedule(reading, settings.steps - reading, settings.sizes, is_growing)
        assert settings.minutes is not None
        tell("timing the kinds of steps")
        trial = trial_schedule(
            settings.sizes, reads=settings.reading_share > 0, is_growing=is_growing
        )
        trainer = self._trainer(trial, copy.deepcopy(self.model))
        pace = measure(
            trainer, workers, settings.workers, screens=settings.screens, turns=settings.turns
        )
        began = time.perf_counter()
        ask(trainer.model, self.processor, self._questions(1))
        screens = self._last_screens() + self._evaluations() * SCREENS_BETWEEN
        measuring = (time.perf_counter() - began) * screens
        left = settings.minutes * 60 - (time.perf_counter() - self.began) - measuring
        tell(describe_pace(pace, measuring))
        return steps_in(
            max(left, 0.0),
            pace,
            settings.sizes,
            reading_share=settings.reading_share,
            is_growing=is_growing,
        )

    def _trainer(
        self, schedule: Schedule, model: Glm4vMoeForConditionalGeneration | None = None
    ) -> Trainer:
        settings = self.settings
        return Trainer(
            self.model if model is None else model,
            schedule,
            Rates(READING_RATE, settings.learning_rate, VISION_SCALE),
            device=self.device,
            dtype=getattr(torch, settings.dtype),
            seed=settings.seed,
        )

    def _request(self, schedule: Schedule, step: int, difficulty: float) -> Request:
        settings = self.settings
        return Request.of(
            schedule,
            step,
            seed=settings.seed,
            screens=settings.screens,
            turns=settings.turns,
            difficulty=difficulty,
        )

    def _last_screens(self) -> int:
        """Screens that are asked about at the end: one a minute."""
        return min(MAX_SCREENS, max(MIN_SCREENS, round(self.settings.minutes or 0)))

    def _evaluations(self) -> int:
        """How often the model is measured before the end."""
        return min(MAX_EVALUATIONS, int((self.settings.minutes or 0) / MINUTES_AN_EVALUATION))

    def _evaluation_steps(self, schedule: Schedule) -> frozenset[int]:
        """After which steps the model is measured: evenly spread over the grounding phase."""
        count = self._evaluations()
        return frozenset(
            schedule.reading_steps + schedule.grounding_steps * (index + 1) // (count + 1)
            for index in range(count)
        )

    def _evaluate(self, trainer: Trainer, screens: int) -> list[Score]:
        return scores(ask(trainer.model, self.processor, self._questions(screens)))

    def _questions(self, screens: int) -> list[Question]:
        return held_out_questions(screens, self.settings.sizes, materials=self.materials)


if __name__ == "__main__":
    sys.exit(main())
