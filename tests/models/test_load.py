import pytest
import torch

from groundviz import models
from groundviz.errors import MissingExtra, UnknownName, UnsupportedModel
from groundviz.models import placing
from groundviz.testing.tiny import tiny_llava, tiny_llava_processor


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

    with pytest.raises(UnsupportedModel, match=r"'telepathy'.*llava.*groundviz/models/llava\.py"):
        models.resolve(Telepath(), object())


def test_pickled_weights_are_refused(folder):
    weights = folder / "model.safetensors"
    torch.save(tiny_llava().state_dict(), folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UnsupportedModel, match="safetensors"):
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
