"""Families whose geometry is measured: what remains to be stated of each, as data.

A measurement finds the modules of a model and where each cell of an image lies. It cannot tell how a question
is put where a processor has no chat template, a setting that a processor does not read by itself, or how the
tokens of an answer are marked. A model of the common kind whose processor has a template needs no entry.
"""

from __future__ import annotations

from typing import Any

from groundviz.models.adapter.vlm import FAMILIES
from groundviz.models.measured.family import Measured
from groundviz.models.prompting import defaults

# What Gemma's processor itself takes where its image processor leaves these open.
_CROPS = {
    "pan_and_scan_min_crop_size": 256,
    "pan_and_scan_max_num_crops": 4,
    "pan_and_scan_min_ratio_to_activate": 1.2,
}


def pan_and_scan(processor: Any) -> dict[str, Any]:
    """Whether long images are shown once more in crops, as Gemma's image processor says.

    The processor around it asks for none, whatever that says, and fails on limits that are left open.
    """
    own = processor.image_processor
    if not (own.do_pan_and_scan or getattr(processor, "images_kwargs", {}).get("do_pan_and_scan")):
        return {"do_pan_and_scan": False}
    limits = {name: getattr(own, name, None) or usual for name, usual in _CROPS.items()}
    return {"do_pan_and_scan": True, **limits}


KNOWN = {
    "gemma3": Measured(
        says="Gemma 3 and MedGemma: a SigLIP tower, pooled patches, image tokens that see both ways.",
        classes="Gemma3ForConditionalGeneration",
        checkpoints=("google/medgemma-4b-it", "google/gemma-3-4b-it"),
        types=("gemma3",),
        prompt=defaults.GEMMA,
        options=pan_and_scan,
    ),
    "idefics3": Measured(
        says="Idefics 3 and SmolVLM: the image in tiles, and once more as a whole.",
        classes="Idefics3ForConditionalGeneration and SmolVLMForConditionalGeneration",
        checkpoints=(
            "HuggingFaceM4/Idefics3-8B-Llama3",
            "HuggingFaceTB/SmolVLM-Instruct",
            "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        ),
        types=("idefics3", "smolvlm"),
        prompt=defaults.IDEFICS,
    ),
    "internvl": Measured(
        says="InternVL: tiles and an overview, each an image of its own; four patches to an image token.",
        classes="InternVLForConditionalGeneration",
        checkpoints=("OpenGVLab/InternVL3-1B-hf", "OpenGVLab/InternVL3-8B-hf"),
        types=("internvl",),
        prompt=defaults.INTERNVL,
    ),
    "llava_next": Measured(
        says="LLaVA-NeXT (LLaVA 1.6): an overview and tiles, with a token behind each row of them.",
        classes="LlavaNextForConditionalGeneration",
        checkpoints=("llava-hf/llava-v1.6-mistral-7b-hf",),
        types=("llava_next",),
        prompt=defaults.VICUNA,
    ),
    "llava_onevision": Measured(
        says="LLaVA-OneVision: an overview and up to 36 tiles, read at fewer places where there are many.",
        classes="LlavaOnevisionForConditionalGeneration",
        checkpoints=("llava-hf/llava-onevision-qwen2-0.5b-ov-hf", "llava-hf/llava-onevision-qwen2-7b-ov-hf"),
        types=("llava_onevision",),
        prompt=defaults.ONEVISION,
    ),
    "mistral3": Measured(
        says="Mistral 3: a Pixtral tower for images of any shape, four patches to an image token.",
        classes="Mistral3ForConditionalGeneration",
        checkpoints=("mistralai/Mistral-Small-3.1-24B-Instruct-2503",),
        types=("mistral3",),
        prompt=defaults.MISTRAL,
    ),
    "paligemma": Measured(
        says="PaliGemma 1 and 2: a SigLIP tower, one image token per patch, a prompt that sees both ways.",
        classes="PaliGemmaForConditionalGeneration",
        checkpoints=("google/paligemma-3b-mix-224", "google/paligemma2-3b-mix-448"),
        types=("paligemma",),
        prompt=defaults.PLAIN,
        # Tokens of an answer see only what is before them; those of the prompt, marked 0, see each other.
        answer_fill={"token_type_ids": 1},
    ),
    "pixtral": Measured(
        says="Pixtral: a tower for images of any shape, rows of image tokens with breaks between them.",
        classes="LlavaForConditionalGeneration with a Pixtral tower",
        checkpoints=("mistral-community/pixtral-12b",),
        types=("llava",),
        tower="pixtral",
        prompt=defaults.PIXTRAL,
    ),
    "qwen_vl": Measured(
        says="Qwen2-VL, Qwen2.5-VL and Qwen3-VL: images of any shape, two by two patches to an image token.",
        classes="Qwen2VLForConditionalGeneration and its 2.5 and 3",
        checkpoints=(
            "Qwen/Qwen2-VL-2B-Instruct",
            "Qwen/Qwen2.5-VL-3B-Instruct",
            "Qwen/Qwen3-VL-4B-Instruct",
        ),
        types=("qwen2_vl", "qwen2_5_vl", "qwen3_vl"),
        prompt=defaults.CHATML,
        marker="<|vision_start|><|image_pad|><|vision_end|>",
    ),
}

for _name, _family in KNOWN.items():
    FAMILIES.add(_name, _family)
