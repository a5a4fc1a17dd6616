"""The viewer's modules become one program, and whatever is not understood is refused."""

import re
from pathlib import Path

import pytest

from groundviz.render.viewer import assets, modules
from groundviz.render.viewer.compact import compact

STATIC = Path(assets.__file__).with_name("static")
SOURCES = sorted(STATIC.rglob("*.js"))
END = "export default { main };"


def joined(**files: str) -> str:
    texts = {f"{name}.js": text for name, text in files.items()}
    texts["main.js"] = texts["main.js"] + END + "\n"
    return modules.joined("main.js", texts.__getitem__, ending=END)


def test_what_is_needed_comes_first_and_once():
    found = joined(
        main='import { b } from "./b.js";\nimport {\n  a,\n} from "./a.js";\nfunction main() { a(b); }\n',
        b='import { a } from "./a.js";\nexport const b = a + 1;\n',
        a="export const a = 1;\n",
    )
    assert found == "const a = 1;\nconst b = a + 1;\nfunction main() { a(b); }\n"


def test_paths_lead_from_folder_to_folder():
    texts = {
        "main.js": f'import {{ b }} from "./page/b.js";\nfunction main() {{ return b; }}\n{END}\n',
        "page/b.js": 'import { a } from "../data/a.js";\nexport class b extends a {}\n',
        "data/a.js": "export class a {}\n",
    }
    found = modules.joined("main.js", texts.__getitem__, ending=END)
    assert found == "class a {}\nclass b extends a {}\nfunction main() { return b; }\n"


TAKES_A = 'import { a } from "./o.js";\n'


@pytest.mark.parametrize(
    ("main", "other", "message"),
    [
        (TAKES_A, "const a = 1;\n", "exports no such name"),
        (f"{TAKES_A}const b = 1;\n", "export const a = 1;\nfunction b() {}\n", "both declare 'b'"),
        (TAKES_A, 'import { m } from "./main.js";\nexport const a = m;\n', "in a circle"),
        ('import { a as b } from "./o.js";\n', "export const a = 1;\n", "exports no such name"),
        ('import * as o from "./o.js";\n', "", r"not understood: 'import \* as"),
        ('import o from "./o.js";\n', "", "not understood: 'import o"),
        ('import "./o.js";\n', "", "not understood"),
        (TAKES_A, "const a = 1;\nexport { a };\n", "exports no such name"),
        ("export { a };\n", "", r"not understood: 'export \{ a"),
        ("export const { a, b } = {};\n", "", "several names at once"),
    ],
)
def test_what_is_not_understood_is_refused(main, other, message):
    with pytest.raises(ValueError, match=message):
        joined(main=main, o=other)


def test_an_entry_without_its_last_line_is_refused():
    with pytest.raises(ValueError, match="does not end in"):
        modules.joined("main.js", {"main.js": "const a = 1;\n"}.__getitem__, ending=END)


def test_every_module_is_in_the_program():
    text = modules.joined("main.js", assets._read, ending=assets._EXPORT)
    assert len(SOURCES) > 15
    for place in SOURCES:
        names = modules.parsed(place.name, place.read_text("utf-8")).names
        for name in names:
            assert len(re.findall(rf"^(?:async )?(?:function|class|const) {name}\b", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("place", SOURCES, ids=lambda place: place.name)
def test_modules_are_short_and_say_what_they_are_for(place):
    text = place.read_text("utf-8")
    assert text.startswith("/** ")
    assert text.count("\n") <= 350


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("a  =  b;\n", "a=b;"),
        ("a + +b - -c;\n", "a + +b - -c;"),
        ("a + b - 1;\n", "a+b-1;"),
        ('say("a  // b", `c  ${d}  /* e */`);\n', 'say("a  // b",`c  ${d}  /* e */`);'),
        ("a.split(/ · |; /);\n", "a.split(/ · |; /);"),
        ('const r = /[/ ] "/;\n', 'const r=/[/ ] "/;'),
        ("a / b; // isn't it\n", "a/b;"),
        ("a / /b/.c;\n", "a / /b/.c;"),
        ("a[0] += (b) - c--;\n", "a[0]+=(b)-c--;"),
        ("/* it's `this` */ a;\n", " a;"),
        ("return  [a];\n", "return[a];"),
        ("a\n++b\n", "a\n++b\n"),
        ("if (a) {\n  b();\n}\nc();\n", "if(a){b();}\nc();"),
    ],
)
def test_only_what_means_nothing_is_taken_out(text, short):
    assert compact(text) == short
