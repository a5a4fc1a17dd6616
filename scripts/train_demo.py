"""Train the demo model from nothing: `python scripts/train_demo.py OUT`.

Three stages, all counted in steps and drawn from one seed, so that a run can be repeated:

1. the vision tower learns to tell, patch by patch, which findings and which lung zone it sees
   (so the tower has seen lesion masks: the model card says so);
2. the whole model learns to answer. All questions of one image share its image tokens in one
   sequence; a block mask keeps the questions from seeing one another.

3. blank images are mixed in, blurred ones among them, of which every answer is that nothing is seen: without
   them the model takes a blurred chest for an opacity.

The attention of the language model is never told where to look.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import LlavaForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parents[1]))

from groundviz.demo.architecture import (
    CELLS,
    PATCH,
    WIDTH,
    build_model,
    build_processor,
    cell_shares,
    vision_part,
)
from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import SIZE, Phantom
from groundviz.demo.projection.anatomy import ZONES, zone_map
from groundviz.demo.projection.canvas import Canvas
from groundviz.demo.questions import KINDS, Question, ask
from groundviz.models import load
from groundviz.record import files
from scripts.training_phantoms import drawn_ahead, phantom_or_blank

QUESTIONS_PER_IMAGE = 10
ZONE_CLASSES = 1 + 2 * len(ZONES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long each stage lasts and how fast it learns."""

    vision_steps: int = 900
    vision_batch: int = 32
    vision_rate: float = 1.5e-3
    answer_steps: int = 1300
    answer_batch: int = 16
    text_rate: float = 1.5e-3
    tower_rate: float = 5e-4
    frozen_share: float = 0.15
    mask_weight: float = 1.0
    blank_steps: int = 300


def train(seed: int, schedule: Schedule, device: str) -> LlavaForConditionalGeneration:
    """Train a new model; float32 on the CPU when it returns.

    Args:
        seed: Of the weights and of every image and question.
        schedule: Steps, batch sizes and learning rates.
        device: Where to train, "cpu" or "cuda".
    """
    torch.manual_seed(seed)
    model = build_model(seed)
    model.train()
    nn.Module.to(model, device)
    head = nn.Linear(WIDTH, len(FINDINGS) + ZONE_CLASSES).to(device)
    _learn_to_see(model, head, schedule)
    start = schedule.vision_steps * schedule.vision_batch
    batches = drawn_ahead(start, schedule.answer_batch, schedule.answer_steps)
    learn_to_answer(model, head, schedule, seed, batches)
    learn_blanks(model, head, schedule, seed)
    nn.Module.to(model.eval(), "cpu")
    return model


def _learn_to_see(model: LlavaForConditionalGeneration, head: nn.Linear, schedule: Schedule) -> None:
    steps, batch = schedule.vision_steps, schedule.vision_batch
    weights = [*vision_part(model).parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=schedule.vision_rate, weight_decay=0.02)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _cosine(step, steps))
    progress = tqdm(range(steps), desc="seeing", unit="step")
    for step, images in zip(progress, drawn_ahead(0, batch, steps), strict=True):
        loss = _mask_loss(head, _see(model, images), images)
        _descend(optimiser, loss, weights)
        rate.step()
        if step % 20 == 0:
            progress.set_postfix(loss=f"{loss.item():.4f}")


def learn_to_answer(
    model: LlavaForConditionalGeneration,
    head: nn.Linear,
    schedule: Schedule,
    seed: int,
    batches: Iterable[list[Phantom]],
) -> None:
    """The second stage: the whole model learns to answer questions about batches of images.

    Args:
        model: In training mode; its tower can see already.
        head: Tells findings and zones of a cell from the tower's features.
        schedule: Steps and learning rates.
        seed: Of the questions.
        batches: One for each step.
    """
    steps = schedule.answer_steps
    tower = [*vision_part(model).parameters(), *head.parameters()]
    tower_ids = {id(weight) for weight in tower}
    others = [weight for weight in model.parameters() if id(weight) not in tower_ids]
    optimiser = torch.optim.AdamW(
        [{"params": others, "lr": schedule.text_rate}, {"params": tower, "lr": schedule.tower_rate}],
        weight_decay=0.02,
    )
    thaw = int(steps * schedule.frozen_share)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, [lambda step: _cosine(step, steps), lambda step: _cosine(step - thaw, steps - thaw)]
    )
    packer, progress = Packer(), tqdm(range(steps), desc="answering", unit="step")
    for step, images in zip(progress, batches, strict=True):
        packed = packer.pack([_questions(p, seed + step) for p in images])
        with torch.set_grad_enabled(step >= thaw):
            seen = _see(model, images)
        loss = spoken = _answer_loss(model, seen, packed)
        if step >= thaw and schedule.mask_weight:
            loss = loss + schedule.mask_weight * _mask_loss(head, seen, images)
        _descend(optimiser, loss, others + tower)
        rate.step()
        if step % 20 == 0:
            progress.set_postfix(loss=f"{spoken.item():.4f}")


def learn_blanks(
    model: LlavaForConditionalGeneration, head: nn.Linear, schedule: Schedule, seed: int
) -> None:
    """The last stage: the same questions, with blank images among the others; slower, and without masks."""
    start = schedule.vision_steps * schedule.vision_batch + schedule.answer_steps * schedule.answer_batch
    last = replace(
        schedule,
        answer_steps=schedule.blank_steps,
        text_rate=schedule.text_rate / 3,
        tower_rate=schedule.tower_rate / 3,
        frozen_share=0.0,
        mask_weight=0.0,
    )
    batches = drawn_ahead(start, last.answer_batch, last.answer_steps, phantom_or_blank)
    learn_to_answer(model, head, last, seed, batches)


def _descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor, weights: list[nn.Parameter]) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(weights, 1.0)
    optimiser.step()


def _cosine(step: int, steps: int) -> float:
    """Warm up over 3 % of the steps, then fall to 2 % along a cosine."""
    if step < 0:
        return 0.0
    warm = max(1, int(0.03 * steps))
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
    return min(1.0, (step + 1) / warm) * fall


def _see(model: LlavaForConditionalGeneration, images: list[Phantom]) -> torch.Tensor:
    """The tower's features (image, cell, width): the layer that LLaVA reads, the last left out."""
    tower = vision_part(model)
    pixels = torch.from_numpy(np.stack([p.pixels for p in images])).to(model.device)
    # Seen through 8 bits, as every image file is.
    pixels = ((pixels * 255).round() / 255 - 0.5) / 0.5
    state: torch.Tensor = tower.embeddings(pixels[:, None].expand(-1, 3, -1, -1))
    for layer in tower.encoder.layers[:-1]:
        state = layer(state, None)
    return state


def _mask_loss(head: nn.Linear, seen: torch.Tensor, images: list[Phantom]) -> torch.Tensor:
    """Cross-entropy of each cell's findings and lung zone."""
    told = head(seen)
    coverage = torch.from_numpy(np.stack([_coverage(p) for p in images])).to(seen.device)
    zones = torch.from_numpy(np.stack([_zones(p) for p in images])).to(seen.device)
    findings = nn.functional.binary_cross_entropy_with_logits(
        told[..., : len(FINDINGS)], coverage, pos_weight=torch.tensor(4.0, device=seen.device)
    )
    zone = nn.functional.cross_entropy(told[..., len(FINDINGS) :].flatten(0, 1), zones.flatten())
    return findings * 4 + zone * 0.3


def _coverage(drawn: Phantom) -> np.ndarray:
    """The share of each cell that each finding covers, float32 (cell, finding)."""
    shares = np.zeros((CELLS * CELLS, len(FINDINGS)), np.float32)
    for finding, mask in zip(drawn.findings, drawn.masks, strict=True):
        shares[:, FINDINGS.index(finding.name)] = cell_shares(mask).reshape(-1)
    return shares


def _zones(drawn: Phantom) -> np.ndarray:
    """The lung zone at each cell's centre, int64 (cell,)."""
    zones = zone_map(Canvas.of_size(SIZE), drawn.anatomy)
    return zones[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].reshape(-1)


def _questions(drawn: Phantom, seed: int) -> list[Question]:
    """A mix for one image: its report, what is there, and as much that is not."""
    rng = np.random.default_rng([drawn.seed, 8, seed])
    there = [(kind, name) for name in drawn.names for kind in _kinds(name)]
    absent = [(kind, name) for name in FINDINGS if name not in drawn.names for kind in _kinds(name)]
    room = QUESTIONS_PER_IMAGE - 1
    some = [there[i] for i in rng.permutation(len(there))[: max(room - 3, 0)]]
    some += [absent[i] for i in rng.permutation(len(absent))[: room - len(some)]]
    return [ask(drawn, kind, name, wording=int(rng.integers(6))) for kind, name in [("report", ""), *some]]


def _kinds(name: str) -> tuple[str, ...]:
    return KINDS[:1] if name == "cardiomegaly" else KINDS[:3]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Several images' questions in one batch of sequences, image tokens first.

    Attributes:
        token_ids: int (image, token).
        positions: int (image, token), restarting behind the image for every question.
        visible: bool (image, 1, token, token), True where a row may look at a column.
        labels: int (image, token), the next token where it is part of an answer, else -100.
    """

    token_ids: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor
    labels: torch.Tensor


class Packer:
    """Turns questions and answers into packed batches, with the processor's own tokens."""

    def __init__(self) -> None:
        self.tokenizer = build_processor().tokenizer
        image = "<image>" * (CELLS * CELLS)
        self.prefix = self._ids(f"<s>user : {image}")

    def pack(self, images: list[list[Question]]) -> Packed:
        """One sequence per image, padded to the longest."""
        rows = [self._row(questions) for questions in images]
        longest = max(len(ids) for ids, _, _, _ in rows)
        ids, positions, branch, labels = (
            torch.tensor([column + [fill] * (longest - len(column)) for column in columns])
            for columns, fill in zip(zip(*rows, strict=True), (0, 0, -1, -100), strict=True)
        )
        order = torch.arange(longest)
        shared = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
        visible = shared & (order[None, :] <= order[:, None])
        return Packed(ids, positions, visible[:, None], labels)

    def _row(self, questions: list[Question]) -> tuple[list[int], list[int], list[int], list[int]]:
        ids, start = list(self.prefix), len(self.prefix)
        positions, branch, labels = list(range(start)), [0] * start, [-100] * start
        for number, question in enumerate(questions, start=1):
            asked = self._ids(f"{question.text} assistant :")
            answer = self._ids(f"{question.answer} </s>")
            turn = asked + answer
            ids += turn
            positions += range(start, start + len(turn))
            branch += [number] * len(turn)
            labels += [-100] * (len(asked) - 1) + answer + [-100]
        return ids, positions, branch, labels

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)


def _answer_loss(model: LlavaForConditionalGeneration, seen: torch.Tensor, packed: Packed) -> torch.Tensor:
    """Next-token cross-entropy over the answers."""
    device = seen.device
    image = model.model.multi_modal_projector(seen)
    words = model.get_input_embeddings()(packed.token_ids.to(device))
    where = (packed.token_ids == model.config.image_token_id).to(device)
    states = model.model.language_model(
        inputs_embeds=words.masked_scatter(where[..., None], image),
        attention_mask=packed.visible.to(device),
        position_ids=packed.positions.to(device),
        use_cache=False,
    ).last_hidden_state
    answered = packed.labels != -100
    logits = model.lm_head(states[answered.to(device)])
    return nn.functional.cross_entropy(logits, packed.labels[answered].to(device))


def save(model: LlavaForConditionalGeneration, folder: Path) -> None:
    """Write float16 weights, config, tokenizer, processor and chat template to `folder`."""
    # As the weights are stored, not as they were loaded to go on.
    for config in (model.config, model.config.text_config, model.config.vision_config):
        config.dtype = None
    model.half().save_pretrained(folder)
    build_processor().save_pretrained(folder)


def main(argv: list[str] | None = None) -> None:
    """Train and save; a GPU is used when there is one."""
    parser = argparse.ArgumentParser(description="Train the groundviz demo model.")
    parser.add_argument("out", type=Path, help="folder for the trained model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vision-steps", type=int, default=Schedule().vision_steps)
    parser.add_argument("--answer-steps", type=int, default=Schedule().answer_steps)
    parser.add_argument(
        "--go-on", metavar="FOLDER", help="a model of the first two stages: the last one alone"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is in the folder")
    parser.add_argument("--blank-steps", type=int, default=Schedule().blank_steps)
    chosen = parser.parse_args(argv)
    # Noticed now, and not after the hour that training takes.
    if (files.folder_for_writing(chosen.out) / "config.json").exists() and not chosen.overwrite:
        parser.error("the folder holds a model already: name another one, or pass --overwrite")
    schedule = Schedule(
        vision_steps=chosen.vision_steps, answer_steps=chosen.answer_steps, blank_steps=chosen.blank_steps
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if chosen.go_on:
        model = load(chosen.go_on, dtype="float32").model
        model.requires_grad_(True).train()
        learn_blanks(model, nn.Linear(WIDTH, len(FINDINGS) + ZONE_CLASSES), schedule, chosen.seed)
        save(model.eval(), chosen.out)
        return
    save(train(chosen.seed, schedule, device), chosen.out)


if __name__ == "__main__":
    main()
