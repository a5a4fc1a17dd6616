"""A tiny Gemma 3n: a convolutional tower, several residual streams, layers that share their keys."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.timm_stand_in import ConvolutionTower, timm_makes

SIDE, PATCH = 40, 8
# The order matters: tokens of the vision tower come after the words, those of hearing after them.
VISION = ("<end_of_image>", "<image_soft_token>")
AUDIO = ("<end_of_audio>", "<audio_soft_token>")
CONTROLS = (
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<start_of_audio>",
    *VISION,
    *AUDIO,
)
NAMED = {
    "image_token": "<image_soft_token>",
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "audio_token": "<audio_soft_token>",
    "boa_token": "<start_of_audio>",
    "eoa_token": "<end_of_audio>",
}
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image_soft_token>{% else %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def tiny_gemma3n(seed: int = 0) -> tuple[Any, Any]:
    """Gemma 3n: five by five cells of eight pixels; a stand-in takes the place of timm's MobileNet.

    >>> tiny_gemma3n()[0].config.vision_soft_tokens_per_image
    25
    """
    from transformers.models.gemma3n.feature_extraction_gemma3n import Gemma3nAudioFeatureExtractor

    ids = vocabulary(*CONTROLS)
    named: dict[str, Any] = {f"{name}_id": ids[token] for name, token in NAMED.items()}
    config = hf.Gemma3nConfig(
        text_config=_text(),
        vision_config=hf.Gemma3nVisionConfig(hidden_size=16, vocab_offset=ids[VISION[0]], vocab_size=2),
        audio_config=_hearing(),
        vision_soft_tokens_per_image=(SIDE // PATCH) ** 2,
        audio_soft_tokens_per_image=4,
        tie_word_embeddings=False,
        **named,
    )
    with timm_makes(lambda: ConvolutionTower(16, PATCH)):
        model = random_model(lambda: hf.Gemma3nForConditionalGeneration(config), seed, *CONTROLS)
    pixels = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_normalize=False)
    processor = hf.Gemma3nProcessor(
        Gemma3nAudioFeatureExtractor(),
        pixels,
        word_tokenizer(*CONTROLS, **NAMED),
        chat_template=TEMPLATE,
        audio_seq_length=4,
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    return model, processor


def _text() -> Any:
    return hf.Gemma3nTextConfig(
        **text_config(*CONTROLS, layers=4),
        head_dim=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"] * 2,
        num_kv_shared_layers=2,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=vocabulary(*CONTROLS)[VISION[0]],
        altup_num_inputs=2,
        laurel_rank=4,
        activation_sparsity_pattern=[0.5, 0.0, 0.0, 0.0],
    )


def _hearing() -> Any:
    return hf.Gemma3nAudioConfig(
        vocab_size=2,
        vocab_offset=vocabulary(*CONTROLS)[AUDIO[0]],
        hidden_size=16,
        conf_num_attention_heads=2,
        conf_num_hidden_layers=1,
        sscp_conv_channel_size=(4, 4),
    )
