"""The columns of a run's tables, and what stands in each."""

from __future__ import annotations

from types import MappingProxyType

from groundviz.evaluation.storage.tables import Schema

PLAN: Schema = MappingProxyType(
    {
        "order": "int",  # As the data set has it, from 0.
        "shard": "int",
        "sample_id": "text",
        "cluster_id": "text",  # Of the patient, else of the image; see `plan.cluster_of`.
    }
)
ANSWERS: Schema = MappingProxyType(
    {
        "answer_key": "text",
        "sample_id": "text",
        "cluster_id": "text",
        "order": "int",
        "finding": "text",
        "split": "text",
        "question": "text",
        "reference": "text",  # The right answer.
        "answer_type": "text",
        "text": "text",  # What the model answered.
        "token_ids": "ints",
        "logprobs": "floats",  # Nats, of each token.
        "confidence": "float",  # Probability of the whole answer.
        "source": "text",  # "generated" or "reference".
        "finished": "bool",  # False where it was cut off by its length.
        "target": "text",  # The part that was explained.
        "target_tokens": "ints",
        "target_source": "text",  # "finding" where the finding's words are in the answer, else "answer".
        "seed": "int",
        "needs_image": "text",  # "yes", "no", "not measured".
        "image_share": "float",  # Share of attention that went to the image.
        "vr_blurred": "float",  # Nats that the answer loses when the image is blurred ...
        "vr_local_mean": "float",  # ... when it is its local mean ...
        "vr_meanpool": "float",  # ... when its tokens are their mean ...
        "vr_shuffle": "float",  # ... when it is another patient's image.
        "image_sha256": "text",  # Of the pixels as the model was shown them.
        "image_rows": "int",
        "image_cols": "int",
        "status": "text",  # "ok", "error", "oom", "skipped".
        "reason": "text",
        "notes": "texts",  # Warnings, such as of maps whose cells are all alike.
    }
)
MAPS: Schema = MappingProxyType(
    {
        "explain_key": "text",
        "answer_key": "text",
        "sample_id": "text",
        "method": "text",  # As it was asked for; "shuffled:..." and "random_weights:..." for its controls.
        "params_hash": "text",
        "params": "text",  # JSON.
        "unit": "text",
        "signed": "bool",
        "map_key": "text",  # Its name in the safetensors file.
        "scale": "float",  # What the stored cells are multiplied with.
        "rows": "int",
        "cols": "int",
        "to_source": "floats",  # 6 numbers: [row, col, 1] in cells to [row, col] in source pixels.
        "valid": "bytes",  # One bit for each cell, by numpy.packbits.
        "stage": "text",
        "image": "int",
        "tile": "text",
        "constant": "bool",  # All cells alike: it points nowhere.
        "status": "text",
        "reason": "text",
    }
)
TIMINGS: Schema = MappingProxyType({"sample_id": "text", "what": "text", "seconds": "float"})
SCORES: Schema = MappingProxyType(
    {
        "explain_key": "text",  # Empty for priors, which are of no model.
        "gt_id": "text",  # Hash of the reference regions.
        "sample_id": "text",
        "cluster_id": "text",
        "finding": "text",
        "method": "text",
        "metric": "text",
        "variant": "text",  # The evaluation space: "grid" or "image".
        "value": "float",
        "chance": "float",  # What the same values, dealt to the cells at random, have on average.
        "flag": "text",  # Why it is scored by expectation, or has no value.
    }
)
ANSWER_SCORES: Schema = MappingProxyType(
    {
        "answer_key": "text",
        "sample_id": "text",
        "cluster_id": "text",
        "finding": "text",
        "answer_type": "text",
        "scorer": "text",
        "value": "float",  # 0 to 1; null where the scorer drops the row.
        "flag": "text",  # Why it was dropped.
    }
)
CURVES: Schema = MappingProxyType(
    {
        "explain_key": "text",  # Empty for orders that are of no map.
        "sample_id": "text",
        "cluster_id": "text",
        "method": "text",  # Or "prior:random" and "prior:centre": orders that know nothing of the image.
        "draw": "int",  # The number of a random order, from 0; null for the others.
        "cover": "text",  # What covered cells show: "blur", "mean", "flat", "black".
        "kind": "text",  # "deletion" or "insertion".
        "values": "floats",  # Nats, the log-probability of what is explained, in even steps over the cells.
        "status": "text",
        "reason": "text",
    }
)
