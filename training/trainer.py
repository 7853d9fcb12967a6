"""One model being trained: a batch in, a step taken; all of its state can be kept and restored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoint.dtypes import fast_dtype
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.moe import ExpertLoad
from training.batches import ScreenBatch, to_device
from training.objectives import Objectives, forward_batch
from training.objectives.answers import CONTINUED_SIGMA, FIRST_SIGMA
from training.objectives.weights import CONTINUED, GROUNDING
from training.optimizer import Optimizer
from training.schedule import Phase, Schedule
from training.shared_prefix import vision_states


@dataclass(frozen=True, slots=True)
class Rates:
    """Full learning rates.

    Attributes:
        reading: of the reading phase.
        grounding: of the grounding phase.
        vision_scale: of the vision tower's in the grounding phase.
    """

    reading: float
    grounding: float
    vision_scale: float


class Trainer:
    """Takes the steps of a schedule, each from the batch that the schedule asks for.

    The same batches give the same weights, bit for bit, on a CPU with the same number of threads.

    Args:
        model: its parameters become ``dtype`` and move to ``device``; routers' biases stay float32.
        schedule: steps and what they do.
        rates: of learning.
        device: where to compute.
        dtype: of the parameters; the optimizer keeps exact ones beside them. None: the device's
            `fast_dtype`.
        seed: of the objectives' heads.

    Attributes:
        done: steps that were taken.
    """

    def __init__(
        self,
        model: Glm4vMoeForConditionalGeneration,
        schedule: Schedule,
        rates: Rates,
        *,
        device: torch.device,
        dtype: torch.dtype | None = None,
        seed: int = 0,
    ) -> None:
        self.device = device
        self.schedule = schedule
        self.rates = rates
        dtype = dtype or fast_dtype(device)
        self.model = with_dtype(model, dtype).to(device).train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            learnt = (CONTINUED, CONTINUED_SIGMA)
            begun = (GROUNDING, FIRST_SIGMA)
            heads = Objectives(model.config, *(begun if schedule.is_growing else learnt))
        self.objectives = with_dtype(heads, dtype).to(device)
        self.done = 0
        self._phase = schedule.phase(0)
        self.optimizer = self._make_optimizer(self._phase)

    def step(self, batch: ScreenBatch[Tensor]) -> dict[str, Tensor]:
        """Learn from a batch; nothing waits for the device.

        Args:
            batch: on the CPU, for the schedule's step ``done``.

        Returns:
            What was measured, () each, on the device; ``"loss"`` first.
        """
        step, schedule = self.done, self.schedule
        assert batch.request.step == step and batch.request.phase == schedule.phase(step)
        if schedule.phase(step) != self._phase:
            self._phase = schedule.phase(step)
            self.optimizer = self._make_optimizer(self._phase)
        inputs = to_device(batch, self.device)
        if self._phase == "reading":
            assert inputs.targets is not None
            patch_states, image_embeds = vision_states(
                self.model.model.visual, inputs.pixel_values, inputs.image_grid_thw
            )
            loss, measures = self.objectives.reading(
                patch_states, image_embeds, inputs.targets, batch.request.difficulty
            )
            loss.backward()
        else:
            with ExpertLoad(self.model) as load:
                output = forward_batch(self.model, inputs)
                loss, measures = self.objectives(output, inputs, schedule.progress(step))
                loss.backward()
            load.balance(schedule.balance_rate(step))
        norm = self.optimizer.step(schedule.rate(step))
        self.done += 1
        taken = {
            "loss": loss.detach(),
            "gradient norm": torch.as_tensor(norm),
            # a gradient that is not finite changes nothing
            "steps left out": torch.as_tensor(float(not math.isfinite(norm))),
        }
        return {**taken, **measures}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that further steps depend on."""
        parameters = dict(self._named_parameters())
        state = self.optimizer.state_dict()
        return {
            "done": self.done,
            "phase": self._phase,
            "optimizer": state,
            # what the optimizer of this phase has no exact values of
            "parameters": {
                name: parameter.detach()
                for name, parameter in parameters.items()
                if name not in state["parameters"]
            },
            "buffers": dict(self.model.named_buffers()),
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        self.done = int(state["done"])
        self._phase = state["phase"]
        self.optimizer = self._make_optimizer(self._phase)
        self.optimizer.load_state_dict(state["optimizer"])
        parameters = dict(self._named_parameters())
        for name, value in state["parameters"].items():
            parameters[name].copy_(value)
        buffers = dict(self.model.named_buffers())
        for name, value in state["buffers"].items():
            buffers[name].copy_(value)

    def begin_from(self, state: Mapping[str, Any]) -> None:
        """Begin the first step with the state of another run's end: heads and momenta too.

        Raises:
            ValueError: it is of another model.
        """
        self.load_state_dict({**state, "done": 0})

    def _make_optimizer(self, phase: Phase) -> Optimizer:
        """Reading trains the vision tower and the heads that read from it, grounding everything."""
        if phase == "grounding":
            rates = self.rates
            return Optimizer(self._named_parameters(), rates.grounding, rates.vision_scale)
        named = self._named_parameters()
        seeing = [(n, p) for n, p in named if n.startswith(("model.visual.", "objectives."))]
        return Optimizer(seeing, self.rates.reading)

    def _named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        yield from self.model.named_parameters()
        for name, parameter in self.objectives.named_parameters():
            yield f"objectives.{name}", parameter


def with_dtype(module: nn.Module, dtype: torch.dtype) -> Any:
    """Change the parameters' dtype, in place; buffers keep theirs."""
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)
    return module
