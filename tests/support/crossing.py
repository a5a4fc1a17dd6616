"""Tiny random models with true cross-attention: layers in the decoder, Q-Formers, perceivers, encoders."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf

from groundviz.runtime.attention.propagation import Flow, Origin
from groundviz.testing.families.words import randomized
from tests.support.architecture import (
    IMAGE,
    TEXT,
    TOWER,
    Architecture,
    image,
    token_ids,
    with_mask,
)


def mllama() -> Architecture:
    """Llama 3.2 Vision: every second decoder layer looks at the image's tiles across."""
    text = hf.models.mllama.MllamaTextConfig(
        **{**TEXT, "num_hidden_layers": 4}, cross_attention_layers=[1, 3]
    )
    tower = hf.models.mllama.MllamaVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_global_layers=1,
        attention_heads=2,
        image_size=16,
        patch_size=4,
        vision_output_dim=32,
        intermediate_layers_indices=[0],
    )
    config = hf.MllamaConfig(vision_config=tower, text_config=text, image_token_index=IMAGE)
    model = randomized(hf.MllamaForConditionalGeneration(config))
    ids = token_ids(1)
    seen = torch.zeros(1, ids.shape[1], 1, 4, dtype=torch.long)
    seen[:, 3:, :, :2] = 1  # text behind the image token sees the two tiles that are filled
    filled = torch.tensor([[[1, 1, 0, 0]]])
    inputs = {
        "input_ids": ids,
        "pixel_values": torch.randn(1, 1, 4, 3, 16, 16) * filled[..., None, None, None],
        "aspect_ratio_mask": filled,
        "aspect_ratio_ids": torch.tensor([[2]]),
        "cross_attention_mask": seen,
    }
    layers = model.model.language_model.layers
    vision = model.model.vision_model
    towers = (*vision.transformer.layers, *vision.global_transformer.layers)
    return Architecture(
        model=model,
        inputs=with_mask(inputs),
        attention={
            "decoder": tuple(layer.self_attn for layer in layers if hasattr(layer, "self_attn")),
            "cross": tuple(layer.cross_attn for layer in layers if hasattr(layer, "cross_attn")),
            "vision": tuple(layer.self_attn for layer in towers),
        },
        flows={"cross": Flow("text", "image"), "vision": Flow("tiles", "tiles")},
        layers=tuple(layers),
    )


def blip2() -> Architecture:
    """BLIP-2: six queries look at the image in a Q-Former; an OPT decoder reads them."""
    text = hf.OPTConfig(
        vocab_size=60,
        hidden_size=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        word_embed_proj_dim=32,
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = randomized(hf.Blip2ForConditionalGeneration(_blip2_config(text)))
    decoder = model.language_model.model.decoder.layers
    return _blip2(model, {"decoder": tuple(layer.self_attn for layer in decoder)}, {}, "text")


def blip2_t5() -> Architecture:
    """BLIP-2 with a T5: an encoder-decoder whose attention has a learned bias by distance."""
    text = hf.T5Config(
        vocab_size=60,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        pad_token_id=0,
        eos_token_id=1,
    )
    text.decoder_start_token_id = 0
    model = randomized(hf.Blip2ForConditionalGeneration(_blip2_config(text)))
    encoder, decoder = model.language_model.encoder.block, model.language_model.decoder.block
    attention = {
        "decoder": tuple(block.layer[0].SelfAttention for block in decoder),
        "cross": tuple(block.layer[1].EncDecAttention for block in decoder),
        "encoder": tuple(block.layer[0].SelfAttention for block in encoder),
    }
    flows = {"cross": Flow("text", "encoder"), "encoder": Flow("encoder", "encoder")}
    return _blip2(model, attention, flows, "encoder")


def idefics2() -> Architecture:
    """Idefics 2: a perceiver's latents look at the image and at themselves."""
    text = hf.MistralConfig(**TEXT, sliding_window=None)
    config = hf.Idefics2Config(
        text_config=text,
        vision_config=hf.models.idefics2.configuration_idefics2.Idefics2VisionConfig(**TOWER),
        perceiver_config={
            "hidden_size": 32,
            "rms_norm_eps": text.rms_norm_eps,
            "resampler_n_latents": 5,
            "resampler_depth": 2,
            "resampler_n_heads": 4,
            "resampler_head_dim": 8,
            "num_key_value_heads": 2,
        },
        image_token_id=IMAGE,
    )
    model = randomized(hf.Idefics2ForConditionalGeneration(config))
    perceiver = model.model.connector.perceiver_resampler.layers
    tower = model.model.vision_model.encoder.layers
    return Architecture(
        model=model,
        inputs=with_mask({"input_ids": token_ids(5), "pixel_values": image()[None]}),
        attention={
            "decoder": tuple(layer.self_attn for layer in model.model.text_model.layers),
            "resampler": tuple(layer.self_attn for layer in perceiver),
            "vision": tuple(layer.self_attn for layer in tower),
        },
        flows={"resampler": Flow("latents", "image", own=True), "vision": Flow("image", "image")},
        origins={"latents": Origin("text", torch.arange(3, 8))},
        layers=tuple(model.model.text_model.layers),
    )


def florence2() -> Architecture:
    """Florence-2: a BART whose encoder reads the image and whose decoder looks across at it."""
    text = hf.BartConfig(
        vocab_size=60,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
        forced_eos_token_id=None,
        pad_token_id=0,
        decoder_start_token_id=1,
    )
    tower = hf.models.florence2.configuration_florence2.Florence2VisionConfig(
        depths=(1, 1),
        patch_size=(3, 3),
        patch_stride=(2, 2),
        patch_padding=(1, 1),
        patch_prenorm=(False, True),
        embed_dim=(8, 16),
        num_heads=(2, 2),
        num_groups=(2, 2),
        window_size=4,
        drop_path_rate=0.0,
        projection_dim=32,
    )
    config = hf.Florence2Config(text_config=text, vision_config=tower, image_token_id=IMAGE)
    model = randomized(hf.Florence2ForConditionalGeneration(config))
    inputs = with_mask({"input_ids": token_ids(17), "pixel_values": image()})
    language = model.model.language_model
    blocks = [block for stage in model.model.vision_tower.blocks for block in stage]
    return Architecture(
        model=model,
        inputs={**inputs, "decoder_input_ids": torch.tensor([[1, 9, 4, 31, 8, 22]])},
        attention={
            "decoder": tuple(layer.self_attn for layer in language.decoder.layers),
            "cross": tuple(layer.encoder_attn for layer in language.decoder.layers),
            "encoder": tuple(layer.self_attn for layer in language.encoder.layers),
            "vision": tuple(block.spatial_block.window_attn for block in blocks),
        },
        flows={
            "cross": Flow("text", "encoder"),
            "encoder": Flow("encoder", "encoder"),
            "vision": Flow("windows", "windows"),
        },
        layers=(*language.encoder.layers, *language.decoder.layers),
    )


def _blip2(model: Any, attention: dict[str, Any], flows: dict[str, Flow], stream: str) -> Architecture:
    inputs = with_mask({"input_ids": token_ids(6), "pixel_values": image()})
    if "encoder" in attention:
        inputs["decoder_input_ids"] = torch.tensor([[0, 9, 4, 31, 8, 22]])
    queries = model.qformer.encoder.layer
    return Architecture(
        model=model,
        inputs=inputs,
        attention={
            **attention,
            "resampler": tuple(layer.attention.attention for layer in queries),
            "resampler cross": tuple(layer.crossattention.attention for layer in queries),
            "vision": tuple(layer.self_attn for layer in model.vision_model.encoder.layers),
        },
        flows={
            **flows,
            "resampler": Flow("queries", "queries"),
            "resampler cross": Flow("queries", "image"),
            "vision": Flow("image", "image"),
        },
        origins={"queries": Origin(stream, torch.arange(3, 9))},
        layers=tuple(queries),
    )


def _blip2_config(text: Any) -> Any:
    return hf.Blip2Config(
        vision_config=hf.Blip2VisionConfig(**TOWER).to_dict(),
        qformer_config=hf.Blip2QFormerConfig(
            vocab_size=60,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            cross_attention_frequency=1,
            encoder_hidden_size=16,
        ).to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=6,
        image_token_index=IMAGE,
    )
