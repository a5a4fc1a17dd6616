from transformers import MistralConfig, PhiConfig, StableLmConfig

from groundviz.models.checkpoints.building.language import language_config, without_tables
from groundviz.models.checkpoints.building.layout import Recipe

CHECKPOINT = {
    "model_type": "moe_llava_phi",
    "architectures": ["MoELLaVAPhiForCausalLM"],
    "torch_dtype": "float16",
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "rope_scaling": None,
    "rope_theta": 5e4,
    "partial_rotary_factor": 0.4,
    "pad_token_id": -1,
    "eos_token_id": 1,
    "mm_hidden_size": 48,
    "moe": {"top_k_experts": 2},
}


def test_settings_are_the_language_models_own():
    made = language_config(PhiConfig, CHECKPOINT)
    assert (made.hidden_size, made.num_hidden_layers, made.model_type) == (64, 3, "phi")
    assert not hasattr(made, "mm_hidden_size")
    assert not hasattr(made, "moe")


def test_rotary_settings_arrive():
    rotary = language_config(PhiConfig, CHECKPOINT).rope_parameters
    assert (rotary["rope_theta"], rotary["partial_rotary_factor"]) == (5e4, 0.4)


def test_other_names_are_understood():
    other = {"rope_pct": 0.25, "norm_eps": 1e-3}
    names = {"rope_pct": "partial_rotary_factor", "norm_eps": "layer_norm_eps"}
    made = language_config(StableLmConfig, other, names)
    assert (made.rope_parameters["partial_rotary_factor"], made.layer_norm_eps) == (0.25, 1e-3)


def test_nothing_is_something_where_it_says_so():
    assert language_config(MistralConfig, {"sliding_window": None}).sliding_window is None


def test_special_tokens_are_for_the_tokenizer_to_say():
    made = language_config(PhiConfig, CHECKPOINT)
    assert (made.bos_token_id, made.eos_token_id, made.pad_token_id) == (None, None, None)


def test_tables_are_left_out():
    recipes = dict.fromkeys(["a.rotary_emb.inv_freq", "b.position_ids", "inv_freq_scale.weight"], Recipe(()))
    assert [*without_tables(recipes)] == ["inv_freq_scale.weight"]
