"""The prompts that checkpoints were trained with, for processors that have no chat template."""

from __future__ import annotations

from dataclasses import replace

from groundviz.models.prompting.formats import Format

VICUNA = Format(
    turn="USER: {images}\n{question} ASSISTANT:",
    later="USER: {question} ASSISTANT:",
    answer=" {answer}</s>",
    system="{system} ",
)
CHATML = Format(
    turn="<|im_start|>user\n{images}{question}<|im_end|>\n<|im_start|>assistant\n",
    later="<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
    answer="{answer}<|im_end|>\n",
    system="<|im_start|>system\n{system}<|im_end|>\n",
)
INTERNVL = replace(CHATML, turn="<|im_start|>user\n{images}\n{question}<|im_end|>\n<|im_start|>assistant\n")
ONEVISION = replace(CHATML, turn="<|im_start|>user {images}\n{question}<|im_end|><|im_start|>assistant\n")
IDEFICS = Format(
    turn="User:{images}{question}<end_of_utterance>\nAssistant:",
    later="User: {question}<end_of_utterance>\nAssistant:",
    answer=" {answer}<end_of_utterance>\n",
    system="System: {system}<end_of_utterance>\n",
)
GEMMA = Format(
    turn="<start_of_turn>user\n{images}{question}<end_of_turn>\n<start_of_turn>model\n",
    later="<start_of_turn>user\n{question}<end_of_turn>\n<start_of_turn>model\n",
    answer="{answer}<end_of_turn>\n",
)
PIXTRAL = Format(
    turn="[INST]{images}{question}[/INST]", later="[INST]{question}[/INST]", answer="{answer}</s>"
)
MISTRAL = replace(PIXTRAL, system="[SYSTEM_PROMPT]{system}[/SYSTEM_PROMPT]")
_HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
LLAMA = Format(
    start="<|begin_of_text|>",
    turn=_HEADER.format("user") + "{images}{question}<|eot_id|>" + _HEADER.format("assistant"),
    later=_HEADER.format("user") + "{question}<|eot_id|>" + _HEADER.format("assistant"),
    answer="{answer}<|eot_id|>",
    system=_HEADER.format("system") + "{system}<|eot_id|>",
)
# The question alone, behind the images.
PLAIN = Format(turn="{images}{question}")
BLIP2 = Format(turn="Question: {question} Answer:")
INSTRUCTBLIP = Format(turn="{question}")
