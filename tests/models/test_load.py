import pytest
import torch

from groundviz import models
from groundviz.errors import UnknownName, UnsupportedModel
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
