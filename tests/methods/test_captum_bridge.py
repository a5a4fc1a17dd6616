"""captum's methods on a borrowed model: its own numbers, nothing left behind, refusals by name."""

import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from captum import attr as captum

import groundviz
from groundviz import cli
from groundviz.errors import MissingExtra, OptionError, UnknownName, UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods import METHODS
from groundviz.methods.captum import arguments, inputs
from groundviz.methods.captum.kinds import KINDS, REFUSED
from groundviz.methods.captum_bridge import infidelity
from groundviz.methods.running.choose import choose
from groundviz.runtime import borrow
from groundviz.runtime.passes import batches
from groundviz.testing import check_method
from groundviz.testing.fingerprint import difference, fingerprint

QUESTION, ANSWER = "Is there a nodule?", "left lung nodule"
SEED = 11
# What keeps each method short, under captum's own names.
FEW = {
    "IntegratedGradients": {"n_steps": 6},
    "GradientShap": {"n_samples": 9},
    "NoiseTunnel": {"nt_samples": 6, "stdevs": 0.1},
    "FeatureAblation": {"cells": 9},
    "ShapleyValueSampling": {"cells": 4, "n_samples": 3},
    "KernelShap": {"cells": 4, "n_samples": 12},
    "Lime": {"cells": 4, "n_samples": 12},
}
# Those that fit a linear model.
FITTED = ("KernelShap", "Lime")


def few(name, **more):
    if name in FITTED:
        pytest.importorskip("sklearn", reason="not installed: scikit-learn")
    return {f"captum:{name}": {**FEW.get(name, {}), **more}}


def told(vlm, image, name, *, target=None, **options):
    return explain(
        vlm,
        image,
        QUESTION,
        methods=few(name, **options),
        answer=ANSWER,
        target=target,
        seed=SEED,
        certify=False,
    )


def by_hand(vlm, source_image, name, site_name, *, target="nodule"):
    """What captum's own method returns for the answer's scalar, (cell, channel)."""
    options = {option: value for option, value in FEW.get(name, {}).items() if option != "cells"}
    with borrow(vlm, seed=SEED) as live:
        prompt = live.encode(source_image, QUESTION)
        answer = live.answer(prompt, given=ANSWER)
        targets, site = live.targets(answer, target, None), live.site(site_name)
        image = live.read(site).detach().contiguous()
        own = captum.Saliency if name == "NoiseTunnel" else getattr(captum, name)
        method = own(lambda values: live.scores(targets, site, values)[:, 0])
        if name == "NoiseTunnel":
            method = captum.NoiseTunnel(method)
        if name not in ("Saliency", "InputXGradient", "NoiseTunnel"):
            options["baselines"] = inputs.without(live, site, "blur")
        if KINDS[name].takes == "pieces":
            cells = FEW.get(name, {}).get("cells", 4)
            at = inputs.pieces(live, site, cells)
            options["feature_mask"] = at[None, :, None].expand_as(image).contiguous()
        np.random.seed(SEED)
        torch.manual_seed(SEED)
        inside = torch.no_grad() if KINDS[name].takes == "pieces" else nullcontext()
        with inside:
            found = method.attribute(image.clone().requires_grad_(), **options)
    return found[0].detach()


def values(explanation, target=None):
    return explanation.heatmap(target=target).values


@pytest.mark.wide
@pytest.mark.filterwarnings("ignore:Attempting to construct")
@pytest.mark.parametrize("site", ["pixels", "projector"])
@pytest.mark.parametrize("name", [name for name in KINDS if name != "Occlusion"])
def test_it_holds_the_numbers_that_captum_gives_by_hand(tiny, source_image, name, site):
    found = values(told(tiny, source_image, name, target="nodule", site=site), "nodule")
    expected = by_hand(tiny, source_image, name, site)
    cells = expected[:, 0] if KINDS[name].takes == "pieces" else expected.sum(dim=-1)
    assert np.abs(found).max() > 0
    np.testing.assert_allclose(
        found.reshape(-1), cells.numpy(), rtol=1e-4, atol=1e-5 * float(cells.abs().max())
    )


def test_occlusion_moves_windows_over_rows_and_columns(tiny, source_image):
    options = {"sliding_window_shapes": (7, 7), "strides": (7, 7)}
    found = values(told(tiny, source_image, "Occlusion", target="nodule", **options), "nodule")
    ours = explain(
        tiny,
        source_image,
        QUESTION,
        methods={"occlusion": {"window": 7, "stride": 7}},
        answer=ANSWER,
        target="nodule",
        certify=False,
    )
    drops = values(ours, "nodule")
    np.testing.assert_allclose(found, np.kron(drops, np.ones((7, 7))), atol=1e-4)


@pytest.mark.parametrize("name", list(KINDS))
def test_the_model_and_the_random_streams_come_back_as_they_were(tiny, source_image, name):
    before = fingerprint(tiny.model)
    state = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    told(tiny, source_image, name)
    assert not difference(before, fingerprint(tiny.model))
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == state


def test_a_seed_decides_whatever_runs_before(tiny, source_image):
    def found(seed, *before):
        recipes = {name: {} for name in before} | few("GradientShap")
        told = explain(tiny, source_image, QUESTION, methods=recipes, answer=ANSWER, seed=seed, certify=False)
        return told.heatmap("captum:GradientShap").values

    assert np.array_equal(found(1), found(1, "rise"))
    assert not np.array_equal(found(1), found(2))


def test_each_target_has_a_map_of_its_own_and_contrasts_are_known(tiny, source_image):
    methods = few("FeatureAblation")
    asked = {"answer": ANSWER, "certify": False, "methods": methods}
    both = explain(tiny, source_image, QUESTION, target=["left", "nodule"], **asked)
    alone = explain(tiny, source_image, QUESTION, target="nodule", **asked)
    np.testing.assert_allclose(
        both.heatmap(target="nodule").values, alone.heatmap(target="nodule").values, atol=1e-6
    )
    contrast = explain(tiny, source_image, QUESTION, target="nodule", against="effusion", **asked)
    assert contrast.record.target.foil
    assert contrast.heatmap().has_evidence


@pytest.mark.wide
@pytest.mark.parametrize("name", ["FeatureAblation", "InputXGradient"])
def test_it_passes_what_every_method_must(name, monkeypatch):
    from groundviz.testing import every_family

    monkeypatch.setattr(every_family, "TINY", {"llava": every_family.TINY["llava"]})
    options = {"FeatureAblation": {"cells": 64}, "InputXGradient": {}}[name]
    check_method(f"captum:{name}", options=options).raise_if_failed()


@pytest.mark.parametrize("name", ["DeepLift", "LRP", "GuidedBackprop", "LayerIntegratedGradients"])
def test_what_would_change_the_model_is_refused_by_name(name):
    with pytest.raises(UnsupportedMethod, match=rf"captum:{name} is not run: it .*captum:Integrated"):
        choose(f"captum:{name}")


def test_every_attribution_of_captum_is_run_or_refused():
    bases = {
        "Attribution",
        "GradientAttribution",
        "PerturbationAttribution",
        "InternalAttribution",
        "NeuronAttribution",
        "LayerAttribution",
    }
    there = {
        name
        for name in dir(captum)
        if isinstance(getattr(captum, name), type) and hasattr(getattr(captum, name), "attribute")
    }
    assert there - bases <= set(KINDS) | set(REFUSED)
    assert set(KINDS) <= there


@pytest.mark.parametrize(
    ("methods", "error", "says"),
    [
        ("captum:Salency", UnknownName, "no method called 'Salency'. Did you mean 'captum:Saliency'"),
        ({"captum:Saliency": {"n_steps": 3}}, UnknownName, "has no option 'n_steps': it has site, abs"),
        ({"captum:GradientShap": {"n_samples": "a"}}, OptionError, "it is of type str, expected int"),
        ({"captum:GradientShap": {"n_samples": 0}}, OptionError, "n_samples=0: expected a number from 1 on"),
        ({"captum:KernelShap": {"n_samples": 1}}, OptionError, "n_samples=1: expected a number from 2 on"),
        ({"captum:Lime": {"n_samples": 1}}, OptionError, "n_samples=1: expected a number from 2 on"),
        ({"captum:GradientShap": {"baselines": "grey"}}, OptionError, "there are blur, mean, black, zero"),
        ({"captum:NoiseTunnel": {"of": "Lime"}}, OptionError, "there are IntegratedGradients, Saliency"),
        ({"captum:ShapleyValues": {"cells": 49}}, OptionError, "all orders of 49 pieces: expected at most 6"),
        ({"captum:Occlusion": {"strides": [1]}}, OptionError, "expected rows and columns"),
        ({"captum:Occlusion": {"strides": True}}, OptionError, "expected rows and columns"),
        ({"captum:Occlusion": {"strides": 3.5}}, OptionError, "expected rows and columns"),
        ({"captum:GradientShap": {"stdevs": float("inf")}}, OptionError, "stdevs=inf: expected a number"),
        ({"captum:IntegratedGradients": {"method": "simpson"}}, OptionError, "captum cannot run Integrated"),
        ({"captum:Saliency": {"site": "nowhere"}}, UnknownName, "no place called 'nowhere'"),
    ],
)
def test_a_mistake_is_named(tiny, source_image, methods, error, says):
    with pytest.raises(error) as refusal:
        explain(tiny, source_image, QUESTION, methods=methods, answer=ANSWER, certify=False)
    assert says in str(refusal.value)


def test_without_captum_there_is_a_command_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtra, match=r'pip install "groundviz\[captum\]"'):
        choose("captum:Saliency")
    assert METHODS.facts("captum:Saliency").gradients


def test_memory_that_runs_out_halves_the_passes_and_leaves_the_numbers(tiny, source_image, monkeypatch):
    whole = values(told(tiny, source_image, "FeatureAblation"))
    sizes = []
    real = inputs.Scorer._pass

    def little(self, cells):
        sizes.append(len(cells))
        if len(cells) > 4:
            raise MemoryError
        return real(self, cells)

    monkeypatch.setattr(inputs.Scorer, "_pass", little)
    np.testing.assert_allclose(values(told(tiny, source_image, "FeatureAblation")), whole, atol=1e-5)
    assert max(sizes) > 4 and sizes[-1] <= 4
    assert batches.is_out_of_memory(torch.OutOfMemoryError())


def test_gradients_of_many_samples_are_taken_a_few_at_a_time(tiny, source_image, monkeypatch):
    sizes = []
    real = inputs.Scorer._pass

    def seen(self, cells):
        sizes.append(len(cells))
        return real(self, cells)

    monkeypatch.setattr(inputs.Scorer, "_pass", seen)
    told(tiny, source_image, "GradientShap", n_samples=18)
    # Forward, and once more when the gradient is asked for.
    assert sizes == [4, 4, 4, 4, 2] * 2 or sizes == [4, 4, 4, 4, 2, 2, 4, 4, 4, 4]


def test_infidelity_tells_a_true_map_from_a_false_one():
    image, nothing, at = torch.rand(1, 6, 2), torch.zeros(1, 6, 2), torch.tensor([0, 0, 1, 1, 2, 2])

    def score(cells):
        return cells.sum(dim=(1, 2))

    shares = torch.zeros(3).index_add(0, at, image[0].sum(dim=-1))
    assert infidelity(score, image, nothing, at, shares, samples=16) == pytest.approx(0, abs=1e-9)
    assert infidelity(score, image, nothing, at, -shares, samples=16) > 1


def test_its_infidelity_and_its_options_are_kept_in_the_record(tiny, source_image, tmp_path):
    explanation = told(tiny, source_image, "FeatureAblation", infidelity=5, site="projector")
    again = groundviz.open(explanation.save(tmp_path / "captum.gvz"))
    [maps] = again.record.heatmaps
    assert maps.method == "captum:FeatureAblation"
    assert maps.params == explanation.record.heatmaps[0].params
    assert maps.params["infidelity"][0] > 0
    assert maps.params["captum"] == arguments.version()
    assert maps.params["site"] == "projector" and maps.params["perturbations_per_eval"] == 16
    assert (maps.unit, maps.signed, maps.grid.rows) == ("nats", True, 4)


def test_work_is_told_of_and_can_be_ended(tiny, source_image):
    heard = []
    asked = explain(tiny, source_image, QUESTION, methods="attention", answer=ANSWER, certify=False)

    def tell(*now):
        heard.append(now)
        if now[0].startswith("captum:") and now[1] >= 16:
            raise KeyboardInterrupt

    before = fingerprint(tiny.model)
    with pytest.raises(KeyboardInterrupt):
        groundviz.explain_more(asked, tiny, few("FeatureAblation", cells=49), tell=tell)
    steps = list(dict.fromkeys(now[1:] for now in heard if now[0] == "captum:FeatureAblation"))
    assert steps == [(0, 50), (1, 50), (17, 50)]
    assert not difference(before, fingerprint(tiny.model))


def test_a_model_that_nobody_described_is_explained_at_its_pixels(tiny, source_image):
    from dataclasses import replace

    stranger = replace(tiny, family_name="unknown")
    explanation = told(stranger, source_image, "FeatureAblation")
    assert explanation.heatmap().grid.stage == "pixels"
    with pytest.raises(UnsupportedMethod, match="These do: occlusion, rise or shapley"):
        told(stranger, source_image, "Saliency")


@pytest.mark.wide
def test_the_command_line_takes_it(tmp_path, capsys):
    from PIL import Image

    from groundviz.demo.phantoms import phantom

    image = tmp_path / "a.png"
    Image.fromarray((phantom(3, findings=["nodule"]).pixels * 255).astype(np.uint8)).save(image)
    asked = ["explain", str(image), QUESTION, "--model", "demo", "--no-certify", "--out", str(tmp_path)]
    chosen = ["--method", "captum:Saliency", "--option", "captum:Saliency.site=vision"]
    assert cli.main([*asked, *chosen]) == 0
    [saved] = tmp_path.glob("*.gvz")
    assert ":" not in saved.name
    assert groundviz.open(saved).methods == ("captum:Saliency",)
    assert cli.main(["methods"]) == 0
    assert "captum:NAME" in capsys.readouterr().out
