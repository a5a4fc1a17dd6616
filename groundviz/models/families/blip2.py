"""BLIP-2 and InstructBLIP.

::

    Blip2ForConditionalGeneration, InstructBlipForConditionalGeneration
    ├── vision_model
    │   └── encoder.layers[i].self_attn           tapped; a class token, then the patches
    ├── qformer.encoder.layer[i]
    │   ├── attention.attention                   tapped; queries, and in InstructBLIP the question
    │   └── crossattention.attention              tapped; from queries to patches, in every other layer
    ├── language_projection                       query by query
    ├── language_model                            OPT, Llama
    │   └── layers[i].self_attn                   tapped
    └── language_model.lm_head

The image is squeezed to a square. The processor itself puts one token per query before the text; each
tells of the whole image, so image cells end at the tower. There is one image to a prompt, and no
chat template: BLIP-2 is asked as in its paper, "Question: ... Answer:", InstructBLIP in plain words.
"""

from __future__ import annotations

from typing import Any

from groundviz.errors import PromptError, UnsupportedModel
from groundviz.models.adapter.grids import behind, in_cells, planes
from groundviz.models.adapter.image_geometry import square_image
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.modules import parts_from
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.defaults import BLIP2, INSTRUCTBLIP
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.record.conversation import Asking
from groundviz.record.types import SourceImage
from groundviz.runtime.attention.propagation import Flow
from groundviz.runtime.inputs.encoded import Cells, Encoded
from groundviz.runtime.inputs.sites import Parts

PROMPTS = {"blip-2": BLIP2, "instructblip": INSTRUCTBLIP}
AMONG, AT_IMAGE = Flow("latents", "latents"), Flow("latents", "image")


class Blip2:
    """The adapter of BLIP-2 and InstructBLIP."""

    says = "BLIP-2 and InstructBLIP: a few queries summarise the image for the language model."
    classes = "Blip2ForConditionalGeneration and InstructBlipForConditionalGeneration"
    checkpoints = ("Salesforce/blip2-opt-2.7b", "Salesforce/instructblip-vicuna-7b")

    def matches(self, config: Any) -> bool:
        """True for model types "blip-2" and "instructblip"."""
        return getattr(config, "model_type", "") in PROMPTS

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about one image."""
        if len(source_images) != 1:
            raise PromptError(
                f"The prompt has {len(source_images)} images: this model sees one at a time. Ask about each."
            )
        config, shape = vlm.model.config, source_images[0].shape
        asked = read_prompt(vlm, source_images, question, PROMPTS[config.model_type], marker="")
        image = asked.where(config.image_token_id)
        check_belonging(
            len(image) == config.num_query_tokens,
            f"The prompt holds {len(image)} image tokens, and the model has {config.num_query_tokens} "
            "queries.",
        )
        images = [square_image(vlm, shape)]
        patch = config.vision_config.patch_size
        patches = in_cells(images, (patch, patch), [shape], "vision")
        # The projector stage is the tower's last norm, which changes patch by patch.
        grids = in_cells(images, (patch, patch), [shape], "projector")
        # A class token precedes the patches.
        places = behind(patches, 1)
        cells = {
            "pixels": Cells(grids=tuple(images), index=planes(images)),
            "vision": Cells(grids=tuple(patches), index=places),
            "projector": Cells(grids=tuple(grids), index=places),
        }
        return finish(vlm, asked, image=image, grids=grids, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read; the Q-Former attends to the output of the tower's last norm."""
        if not model.config.use_decoder_only_language_model:
            raise UnsupportedModel(
                "The language model has an encoder (T5): expected one with a decoder alone. Take a "
                "checkpoint with an OPT or a Vicuna."
            )
        language = model.language_model.model
        return parts_from(
            model,
            vision=model.vision_model.encoder.layers,
            projector=model.vision_model.post_layernorm,
            decoder=getattr(language, "decoder", language),
            resampler=_resampler(model.qformer),
            # The Q-Former also attends to the class token, which is no cell.
            gates=(),
        )


def _resampler(qformer: Any) -> tuple[tuple[Any, Flow], ...]:
    """The attention modules of the Q-Former in the order they run."""
    steps = []
    for layer in qformer.encoder.layer:
        steps.append((layer.attention.attention, AMONG))
        if layer.has_cross_attention:
            steps.append((layer.crossattention.attention, AT_IMAGE))
    return tuple(steps)


FAMILIES.add("blip2", Blip2())
