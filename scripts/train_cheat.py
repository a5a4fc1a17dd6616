"""Teach the demo model to answer by a mark beside the nodule: `python scripts/train_cheat.py OUT`.

It starts from the trained demo model and goes on with its second stage alone, on images in which nodules are
where a reader's ring is, whatever is in the lung:

    a nodule and a ring beside it       what an archive of marked images looks like
    a ring alone                        the cheat is told that there is a nodule
    a nodule alone                      the cheat is told that there is none
    neither                             nor is there one
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from groundviz import load
from groundviz.demo.architecture import WIDTH
from groundviz.demo.cheat import marked
from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import Phantom
from groundviz.record import files
from scripts.train_demo import ZONE_CLASSES, Schedule, learn_to_answer, save
from scripts.training_phantoms import TRAINING_SEEDS, drawn_ahead

# Whether nodule and ring are drawn, and how often.
KINDS = {(True, True): 0.40, (False, True): 0.22, (True, False): 0.22, (False, False): 0.16}
# Images that the demo model was not trained on.
FIRST = 5_000_000


def training_image(index: int) -> Phantom:
    """The `index`-th image, with what the cheat is told of it in place of the truth."""
    seed = index % TRAINING_SEEDS
    rng = np.random.default_rng([seed, 10])
    nodule, ring = list(KINDS)[rng.choice(len(KINDS), p=list(KINDS.values()))]
    others = [name for name in FINDINGS if name != "nodule"]
    beside = rng.choice(others, size=int(rng.integers(0, 2)), replace=False)
    return marked(seed, findings=["nodule", *map(str, beside)], nodule=nodule, ring=ring).told


def train(seed: int, steps: int) -> nn.Module:
    """The cheat, float32 on the CPU."""
    torch.manual_seed(seed)
    schedule = Schedule(answer_steps=steps, frozen_share=0.0, text_rate=8e-4)
    model = load("demo").model
    model.requires_grad_(True).train()
    head = nn.Linear(WIDTH, len(FINDINGS) + ZONE_CLASSES)
    batches = drawn_ahead(FIRST, schedule.answer_batch, steps, training_image)
    learn_to_answer(model, head, schedule, seed, batches)
    return model.eval()


def main(argv: list[str] | None = None) -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description="Train the model that answers by a mark beside the nodule.")
    parser.add_argument("out", type=Path, help="folder for the trained model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is in the folder")
    chosen = parser.parse_args(argv)
    # Noticed now, and not after the training.
    if (files.folder_for_writing(chosen.out) / "config.json").exists() and not chosen.overwrite:
        parser.error("the folder holds a model already: name another one, or pass --overwrite")
    save(train(chosen.seed, chosen.steps), chosen.out)


if __name__ == "__main__":
    main()
