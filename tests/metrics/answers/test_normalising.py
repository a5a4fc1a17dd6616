"""The published normalisation, fault by fault, and the strict one."""

import pytest

from groundviz.metrics.answers import clean, published


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A mark that touches a blank anywhere is deleted everywhere; else it becomes a blank.
        ("x-ray", "x ray"),
        ("x-ray - chest", "xray chest"),
        ("left/right", "left right"),
        ("left/ right/up", "left rightup"),
        # A comma between digits makes every mark be deleted.
        ("x-ray 1,000", "xray 1000"),
        ("1,000 and x/y", "1000 and xy"),
        # Periods that no digit follows.
        ("yes.", "yes"),
        ("2.5 cm.", "2.5 cm"),
        (".5", ".5"),
        ("." * 40, "." * 8),
        ("a" + "." * 32 + " b.", "b."),
        # Words.
        ("There are None", "there are 0"),
        ("zero one two three four five six seven eight nine ten", "0 1 2 3 4 5 6 7 8 9 10"),
        ("the a an THE", ""),
        ("dont", "don't"),
        ("couldnt've couldn'tve", "couldn't've couldn't've"),
        ("somebody'd", "somebodyd"),
        ("shes", "shes"),
        ("", ""),
        ("\tleft  lung\n", "left lung"),
        ("it's", "it's"),
        ('"yes"', "yes"),
        ("[right]{lung}(upper)", "right lung upper"),
        ("10%", "10%"),
        ("a:b", "a:b"),
    ],
)
def test_published_to_the_character(text, expected):
    assert published(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Right Lung.", "right lung"),
        ("X-ray", "x ray"),
        ("x\u2013ray", "x ray"),
        ("Yes!", "yes"),
        ("2.5 cm.", "2.5 cm"),
        ("1,000", "1,000"),
        ("left, right", "left right"),
        ("\ufb01lm", "film"),
        ("none", "none"),
        # The last word is no article.
        ("an", "an"),
        ("A.", "a"),
        ("The hepatitis A", "hepatitis a"),
        # Signs and numbers that say something else without them.
        ("<5 mm", "< 5 mm"),
        ("\u2265 5", "> = 5"),
        (">=5", "> = 5"),
        ("HER2+", "her2 +"),
        ("-5 (\u22122)", "-5 -2"),
        ("3-5", "3 5"),
        (".5, no.5", ".5 no5"),
        ("1:20", "1 20"),
        ("\xbd", "1 2"),
        ("5...6", "5 6"),
        ("...", ""),
        ("?", ""),
        # Vowels and tones; but Arabic is mostly written without, and the last sign only chooses a look.
        ("\u0926\u094b", "\u0926\u094b"),
        ("\u0e0b\u0e49\u0e32\u0e22", "\u0e0b\u0e49\u0e32\u0e22"),
        ("\u0645\u064f\u062d", "\u0645\u062d"),
        ("yes \u2764\ufe0f", "yes"),
    ],
)
def test_clean(text, expected):
    assert clean(text) == expected
