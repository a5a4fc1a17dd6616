import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from groundviz import models
from groundviz.errors import MissingExtra, OutOfMemory, UnknownName, UnsupportedModel
from groundviz.models.loading import device as placing
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor


@pytest.fixture
def folder(tmp_path):
    """A saved tiny model in a folder whose name is a patient's."""
    place = tmp_path / "ZZPHI^DOE"
    model = tiny_llava()
    model.save_pretrained(place)
    tiny_llava_processor(model).save_pretrained(place)
    return place


def test_a_local_folder_loads_without_showing_its_path(folder):
    vlm = models.load(folder)
    assert vlm.family_name == "llava"
    assert "ZZPHI" not in repr((vlm.name, vlm.revision))
    assert not vlm.model.training


def test_a_live_model_finds_its_processor_beside_its_weights(folder):
    live = type(tiny_llava()).from_pretrained(folder)
    vlm = models.resolve(live)
    assert vlm.model is live
    assert "ZZPHI" not in vlm.name


def test_a_live_model_from_nowhere_needs_a_processor():
    with pytest.raises(UnsupportedModel, match="processor=processor"):
        models.resolve(tiny_llava())


def test_an_unknown_architecture_names_the_families_and_the_file_to_write():
    class Config:
        model_type = "telepathy"

    class Telepath(torch.nn.Module):
        config = Config()

    with pytest.raises(UnsupportedModel, match=r"'telepathy'.*llava.*any model that generates"):
        models.resolve(Telepath(), object())


def test_pickled_weights_are_refused(folder):
    weights = folder / "model.safetensors"
    torch.save(tiny_llava().state_dict(), folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UnsupportedModel, match="safetensors"):
        models.load(folder)


@pytest.mark.parametrize(("change", "says"), [("drop", "lacks 1 of"), ("shorten", "1 have another shape")])
def test_weights_that_would_be_made_up_are_refused(folder, change, says):
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("mlp.down_proj.weight"))
    whole = tensors.pop(name)
    if change == "shorten":
        tensors[name] = whole[:-1].contiguous()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnsupportedModel, match=says if change == "drop" else "could be loaded|" + says):
        models.load(folder)


def test_an_empty_folder_says_what_it_should_hold(tmp_path):
    with pytest.raises(UnsupportedModel, match=r"config\.json"):
        models.load(tmp_path)


def test_errors_about_a_folder_do_not_show_its_path(tmp_path):
    place = tmp_path / "ZZPHI"
    place.mkdir()
    with pytest.raises(UnsupportedModel) as caught:
        models.load(place)
    assert "ZZPHI" not in str(caught.value)


def test_a_family_of_the_wrong_name_is_unknown():
    with pytest.raises(UnknownName, match="Did you mean 'llava'"):
        models.FAMILIES["lava"]


def test_the_dtype_and_device_asked_for_are_the_models(folder):
    vlm = models.load(folder, dtype="bfloat16", device="cpu")
    assert vlm.model.dtype == torch.bfloat16
    assert models.load(folder, dtype=torch.float64).model.dtype == torch.float64
    assert models.load("demo", dtype="float16").model.dtype == torch.float16


@pytest.mark.parametrize("dtype", ["int16", "uint8", "8bit", "float8_e4m3fn", torch.int32, 4])
def test_other_numbers_are_refused_with_the_way_to_load_them(folder, dtype):
    with pytest.raises(UnsupportedModel, match="quantization_config"):
        models.load(folder, dtype=dtype)


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "meta:1:2"])
def test_a_device_that_is_not_there_is_named(folder, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnsupportedModel, match=f"no device '{device}'"):
        models.load(folder, device=device)


def test_all_devices_need_accelerate(folder, monkeypatch):
    monkeypatch.setattr(placing, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install accelerate"):
        models.load(folder, device="auto")
    monkeypatch.setattr(placing, "find_spec", lambda name: name)
    assert placing.device_map_of("auto") == "auto"
    assert placing.device_map_of("cpu") == {"": torch.device("cpu")}
    assert placing.device_map_of(None) is None


@pytest.mark.parametrize("part", ["base", "vision"])
def test_parts_are_for_checkpoints_that_lack_them(folder, part):
    with pytest.raises(UnsupportedModel, match=f"{part} was given.*tinyllava"):
        models.load(folder, **{part: folder})


def test_a_device_beyond_the_last_is_named(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert placing.device_map_of("cuda:1") in (None, {"": torch.device("cuda:1")})
    for device in ("cuda:2", object()):
        with pytest.raises(UnsupportedModel, match="There is no device"):
            models.load(folder, device=device)


def rewritten(folder, **entries):
    place = folder / "config.json"
    place.write_text(json.dumps(json.loads(place.read_text("utf-8")) | entries), "utf-8")


@pytest.mark.parametrize(
    "entries",
    [
        {"model_type": []},
        {"dtype": "nonsense"},
        {"text_config": 3},
        {"text_config": {"model_type": "llama", "num_attention_heads": 0}},
        {"vision_feature_layer": "last"},
        {"quantization_config": 3},
    ],
)
def test_settings_that_no_model_has_are_refused(folder, entries):
    rewritten(folder, **entries)
    with pytest.raises(
        UnsupportedModel, match=r"loaded from the local folder \(\w+\): .*Give a folder or hub id"
    ):
        models.load(folder)


@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer.json", "processor_config.json", "generation_config.json"]
)
@pytest.mark.parametrize("text", ["[]", "3", pytest.param("[" * 9999, id="deep")])
def test_settings_that_are_none_are_refused(folder, file, text):
    (folder / file).write_text(text, "utf-8")
    with pytest.raises(UnsupportedModel, match="No model could be loaded from the local folder"):
        models.load(folder)


def test_weights_that_are_cut_off_are_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-99])
    with pytest.raises(UnsupportedModel, match="SafetensorError"):
        models.load(folder)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (MemoryError(), OutOfMemory, "int4"),
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory, "int4"),
        (RuntimeError("can't allocate memory: you tried to"), OutOfMemory, "int4"),
        (
            ImportError("\nTheProcessor requires the num2words library"),
            MissingExtra,
            "requires the num2words",
        ),
    ],
)
def test_what_stops_transformers_is_told_in_our_own_words(folder, error, kind, says, monkeypatch):
    def stopped(*given, **options):
        raise error

    monkeypatch.setattr(models.load.__globals__["AutoModelForImageTextToText"], "from_pretrained", stopped)
    with pytest.raises(kind, match=says):
        models.load(folder)


def test_what_is_no_processor_is_refused(folder):
    for model in (folder, models.load(folder), tiny_llava()):
        with pytest.raises(UnsupportedModel, match="object is not a processor"):
            models.resolve(model, object())


def test_another_processor_takes_the_place_of_a_loaded_models(folder):
    other = tiny_llava_processor(tiny_llava())
    assert models.resolve(models.load(folder), other).processor is other


@pytest.mark.parametrize(
    "given", [{"dtype": "int8"}, {"device": "cpu"}, {"base": "lab/x"}, {"revision": "v1"}]
)
def test_what_has_no_effect_on_a_live_model_is_refused(folder, given):
    with pytest.raises(UnsupportedModel, match=f"{next(iter(given))} was given, and the model is loaded"):
        models.load(models.load(folder), **given)


def test_a_folder_has_no_revisions(folder):
    for place in (folder, "demo"):
        with pytest.raises(UnsupportedModel, match="revision was given"):
            models.load(place, revision="v1")


@pytest.mark.parametrize("name", ["x" * 300, "/x" * 3000, "a\0b", ""])
def test_names_that_nothing_can_have_are_refused(name):
    with pytest.raises(UnsupportedModel, match="No model could be loaded"):
        models.load(name)


def test_a_folder_that_is_not_there_is_not_named(tmp_path):
    for place in (tmp_path / "ZZPHI", "ZZPHI/is/not", "./ZZPHI", "../ZZPHI"):
        with pytest.raises(UnsupportedModel, match="a folder that is not there") as caught:
            models.load(place)
        assert "ZZPHI" not in str(caught.value)


def test_a_model_says_where_it_comes_from(folder):
    described = models.load(folder).describe().splitlines()
    assert described[0] == "model: local folder"
    assert "architecture: LlavaForConditionalGeneration, family llava" in described
    assert "computes in: float32 on cpu" in described
    assert described[-1] == """prompt: "the processor's chat template\""""
    assert models.load("demo").describe().startswith("model: demo\n")
