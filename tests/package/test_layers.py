"""Who may import whom, write to disk, write to a model, or make HTML: read from the code itself.

Imports inside functions count as well. What is forbidden everywhere but in one module is listed
with that module; an exception that nothing needs any more fails, too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "groundviz"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

Find = Callable[[ast.Module], set[str]]

# Each room, and the rooms it may see; a room sees itself.
BASE = {"cards", "errors", "forking", "registry", "record"}
MAY_IMPORT: dict[str, set[str]] = {
    "cards": set(),
    "errors": set(),
    "forking": set(),
    "registry": {"cards", "errors", "forking"},
    "record": {"cards", "errors"},
    "images": BASE,
    "runtime": BASE,
    "models": BASE | {"images", "runtime"},
    "methods": BASE | {"images", "runtime", "models"},
    "evidence": BASE | {"images", "runtime", "models", "methods"},
    "metrics": BASE,
    "datasets": BASE | {"images", "demo"},
    "render": BASE,
    "dicom_out": BASE | {"__init__", "images", "render"},
    "explanation": BASE | {"render", "methods", "evidence", "images", "dicom_out"},
    "comparison": BASE | {"render", "explanation"},
    "explain": BASE | {"images", "runtime", "models", "methods", "evidence", "explanation"},
    "demo": BASE | {"images", "runtime", "models", "methods", "render", "explanation", "explain"},
    "evaluation": BASE
    | {"images", "runtime", "models", "methods", "evidence", "metrics", "datasets"}
    | {"render", "explanation", "explain", "demo"},
    "study": BASE | {"__init__", "images", "datasets", "metrics", "render", "evaluation"},
    "__init__": BASE
    | {"images", "models", "methods", "metrics", "datasets", "evaluation", "study"}
    | {"render", "explanation", "comparison", "explain"},
    "cli": BASE
    | {"__init__", "images", "models", "methods", "evidence", "metrics", "datasets", "evaluation", "study"}
    | {"render", "dicom_out", "explanation", "explain", "demo"},
    "__main__": {"cli"},
    "testing": BASE
    | {"__init__", "images", "runtime", "models", "methods", "explanation", "explain", "demo"},
}
# The inner rooms of a room, each of which may see those before it. "" is the room's own files.
INNER = {
    "record": ["parts", "", "exports"],
    "images": ["base", "raster", "dicom", ""],
    "runtime": ["loan", "attention", "inputs", "passes", "identity", ""],
    "models": ["prompting", "adapter", "measured", "families", "loading", "certification", "checkpoints", ""],
    "models/checkpoints": ["reading", "building", ""],
    "methods": ["toolkit", "captum", "", "running"],
    "demo": ["projection", ""],
    "datasets": ["", "published"],
    "evidence": ["toolkit", "", "running"],
    "metrics": ["toolkit", "maps", "statistics", "answers", "reports", ""],
    "evaluation": ["storage", "cases", "executors", "", "report"],
    "render": ["base", "figures", "viewer", "pages", "report", "gallery", "reading", "live", ""],
    "testing": ["tiny", "families", ""],
}
# Without a model nothing needs torch, and few need what writes DICOM: who looks at maps imports what measures
# more of them, or hands them on so, when asked to.
LAZY = {"explanation.py": {"methods", "evidence", "dicom_out"}}
MOST_FILES = 15
# Here every entry has a file of its own.
A_FILE_EACH = {"methods", "models/families", "testing/families", "datasets", "datasets/published"}
ONLY_IN = {
    "torch": (
        *("runtime/", "models/", "methods/", "evidence/", "demo/", "testing/"),
        # The number of threads that a run computes with.
        "evaluation/cases/session.py",
    ),
    "transformers": (
        "runtime/attention/tap.py",
        "runtime/passes/kv_cache.py",
        "models/",
        "demo/",
        "testing/",
    ),
    "rouge_score": ("metrics/reports/lexical.py",),
    "sacrebleu": ("metrics/reports/lexical.py",),
    "RadEval": ("metrics/reports/radeval.py",),
    "tokenizers": ("models/", "demo/", "testing/"),
    "captum": ("methods/captum/",),
    "skimage": ("methods/", "evidence/"),
    "cv2": ("methods/toolkit/inpainting.py",),
    "matplotlib": ("render/",),
    "plotly": ("render/",),
    "ipywidgets": ("render/",),
    "anywidget": ("render/",),
    "pydicom": (
        "images/dicom/reading.py",
        "images/dicom/decoding.py",
        "images/dicom/elements.py",
        "dicom_out/",
    ),
    "highdicom": ("dicom_out/",),
    "pandas": ("record/exports/frames.py",),
    "xarray": ("record/exports/frames.py",),
    "safetensors": ("record/store.py", "models/", "evaluation/storage/maps.py"),
    "pyarrow": ("datasets/parquet.py", "evaluation/storage/tables.py"),
    "ray": ("evaluation/executors/ray_pool.py",),
    "tqdm": ("cli/", "runtime/passes/batches.py", "evaluation/executors/progress.py"),
    "scipy": ("study/analysis.py", "render/base/overlay.py"),
    "argparse": ("cli/",),
    "html": ("render/base/escape.py",),
    "jupyterlab": ("demo/lab.py",),
    # Chat templates are programs of others': they run where they can be ended.
    # Workers are processes that can be ended.
    "subprocess": ("models/prompting/template_filling.py", "evaluation/executors/processes.py"),
    **dict.fromkeys("pickle dill cloudpickle joblib marshal shelve ctypes".split(), ()),
    **dict.fromkeys(
        "urllib requests httpx socket http ftplib torchvision timm nibabel pycocotools".split(), ()
    ),
}


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text("utf-8"))


def layer_of(name: str) -> str | None:
    """The layer a dotted name lies in; None outside groundviz."""
    first, *rest = name.split(".")
    if first != "groundviz":
        return None
    here = rest[0] if rest else "__init__"
    known = (PACKAGE / here).is_dir() or (PACKAGE / f"{here}.py").is_file()
    return here if known else "__init__"


def home_layer(file: str) -> str:
    """The layer a file belongs to: its folder, or itself."""
    return file.split("/")[0].removesuffix(".py")


def path_of(name: str) -> str | None:
    """The file of a dotted name that lies in groundviz, as in FILES; None outside."""
    parts = name.split(".")[1:] if name.startswith("groundviz.") else []
    while parts:
        for path in ("/".join(parts) + ".py", "/".join([*parts, "__init__.py"])):
            if path in FILES:
                return path
        parts.pop()
    return None


def inner_room(house: str, file: str) -> str | None:
    """Which of a house's inner rooms a file lies in; "" for the house's own files, None elsewhere."""
    if not file.startswith(f"{house}/"):
        return None
    rest = file.removeprefix(f"{house}/")
    return rest.split("/")[0] if "/" in rest else ""


@cache
def imported(file: str) -> tuple[tuple[str, bool], ...]:
    """What `imports` finds in a file of the package."""
    return tuple(imports(tree(file), file))


def imports(code: ast.Module, file: str) -> Iterator[tuple[str, bool]]:
    """Every dotted name that a file imports, and whether for type checkers only."""
    hidden = {
        id(inner)
        for node in ast.walk(code)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(code):
        for name in imported_by(node, file):
            yield name, id(node) in hidden


def imported_by(node: ast.AST, file: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        home = [node.module] if node.module else []
        if node.level:
            home = [*f"groundviz/{file}".split("/")[: -node.level], *home]
        yield from (".".join([*home, alias.name]) for alias in node.names)
    elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
        yield from (str(name.value) for name in node.args[:1] if isinstance(name, ast.Constant))


def called(node: ast.Call) -> str:
    """The last name of what is called: "open" for both open() and path.open()."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def calls(code: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(code) if isinstance(node, ast.Call))


def assigned_to(code: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(code):
        yield from getattr(node, "targets", ())
        if isinstance(node, ast.AnnAssign | ast.AugAssign):
            yield node.target


def test_every_file_has_a_layer() -> None:
    assert {home_layer(file) for file in FILES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("file", FILES)
def test_no_layer_imports_an_upper_one_or_a_sibling(file: str) -> None:
    allowed = MAY_IMPORT[home_layer(file)] | {home_layer(file)}
    assert {layer_of(name) for name, _ in imported(file)} - {None} <= allowed


@pytest.mark.parametrize("file", FILES)
def test_no_inner_room_imports_a_later_one(file: str) -> None:
    for house, order in INNER.items():
        here = inner_room(house, file)
        if here is None:
            continue
        seen = {inner_room(house, path) for name, _ in imported(file) if (path := path_of(name))}
        later = set(order[order.index(here) + 1 :])
        assert seen & later == set(), f"in {house}, {file} imports from {seen & later}"


def test_every_folder_has_an_order() -> None:
    folders = {str(Path(file).parent) for file in FILES if file.count("/") > 1}
    ordered = {f"{house}/{room}" for house, order in INNER.items() for room in order if room}
    assert folders == ordered


@pytest.mark.parametrize("folder", sorted({str(Path(file).parent) for file in FILES}))
def test_no_folder_is_a_heap(folder: str) -> None:
    files = [file for file in FILES if str(Path(file).parent) == folder]
    assert len(files) <= MOST_FILES or folder in A_FILE_EACH


@pytest.mark.parametrize("file", LAZY)
def test_what_needs_torch_is_imported_where_it_is_asked_for(file: str) -> None:
    at_once = [node for node in tree(file).body if isinstance(node, ast.Import | ast.ImportFrom)]
    first = {layer_of(name) for node in at_once for name in imported_by(node, file)}
    everywhere = {layer_of(name) for name, _ in imported(file)}
    assert LAZY[file] <= everywhere
    assert not LAZY[file] & first


@pytest.mark.parametrize("file", FILES)
def test_libraries_are_imported_in_their_rooms_only(file: str) -> None:
    for name, for_types in imported(file):
        rooms = ONLY_IN.get(name.split(".")[0])
        if rooms is not None and not for_types:
            assert file.startswith(rooms), f"{name} is imported in {file}"


def test_nothing_sees_testing() -> None:
    outside = [file for file in FILES if home_layer(file) != "testing"]
    seen = {layer_of(name) for file in outside for name, _ in imported(file)}
    assert "testing" not in seen


def test_every_kind_of_import_is_read() -> None:
    code = ast.parse(
        "import a.b\ndef f():\n    from groundviz import cli\n    from .. import images\n"
        "    import_module('groundviz.testing')\nif TYPE_CHECKING:\n    import torch"
    )
    assert set(imports(code, "render/page.py")) == {
        ("a.b", False),
        ("groundviz.cli", False),
        ("groundviz.images", False),
        ("groundviz.testing", False),
        ("torch", True),
    }


def writes_to_disk(code: ast.Module) -> set[str]:
    found = {called(call) for call in calls(code)} & DISK_CALLS
    for call in calls(code):
        words = [word.value for word in ast.walk(call) if isinstance(word, ast.Constant)]
        mode = any(isinstance(word, str) and re.fullmatch("[rwaxbt]*[wax+][wbt+]*", word) for word in words)
        flags = re.search("O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", ast.unparse(call))
        if called(call) in ("open", "fdopen") and (mode or flags):
            found.add(called(call))
    return found


def writes_to_a_model(code: ast.Module) -> set[str]:
    found = {called(call) for call in calls(code)}
    hooks = {name for name in found if re.fullmatch("register_.*(hook|buffer|parameter|module).*", name)}
    attributes = {t.attr for t in assigned_to(code) if isinstance(t, ast.Attribute)}
    inner = {ast.unparse(t.value) for t in assigned_to(code) if isinstance(t, ast.Subscript)}
    dictionaries = {"vars" for name in inner if re.search(r"^vars\(|__dict__", name)}
    return found & MODEL_CALLS | hooks | attributes & MODEL_ATTRIBUTES | dictionaries


def makes_html(code: ast.Module) -> set[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(code)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        str(node.value)
        for node in ast.walk(code)
        if isinstance(node, ast.Constant) and id(node) not in documentation
    ]
    built = {"Html" for call in calls(code) if called(call) == "Html"}
    return built | {"tag" for text in texts if TAG.search(text)}


def writes_csv(code: ast.Module) -> set[str]:
    return {ast.unparse(call.func) for call in calls(code)} & CSV


def runs_foreign_code(code: ast.Module) -> set[str]:
    found = {ast.unparse(call.func) for call in calls(code)} & FOREIGN
    options = [(word.arg, ast.unparse(word.value)) for call in calls(code) for word in call.keywords]
    found |= {
        "trust_remote_code" for name, value in options if name == "trust_remote_code" and value != "False"
    }
    unsafe = {name for name, value in options if name in ("allow_pickle", "shell") and value != "False"}
    return found | unsafe | {name for name, value in options if name == "weights_only" and value != "True"}


DISK_CALLS = set(
    "write_text write_bytes mkstemp mkdtemp NamedTemporaryFile TemporaryFile TemporaryDirectory unlink "
    "rename rmtree copyfile move symlink_to hardlink_to touch mkdir makedirs save_pretrained save_file savez "
    "tofile".split()
)
CSV = {"csv.writer", "csv.DictWriter"}
MODEL_CALLS = set(
    "setattr delattr __setattr__ train eval backward zero_grad requires_grad_ half load_state_dict "
    "add_module set_attn_implementation gradient_checkpointing_enable resize_token_embeddings".split()
)
MODEL_ATTRIBUTES = {"requires_grad", "grad", "training", "data"}
TAG = re.compile(
    r"</?(html|head|body|div|span|p|table|t[dhr]|img|script|style|svg|a|h[1-6]|ul|li|b|i)\b[ >/]",
    re.IGNORECASE,
)
FOREIGN = set("eval exec compile torch.load torch.save __import__ os.system os.popen".split())

# What is found by each rule, and the files in which it is right. Unused exceptions fail, too.
DISK = {
    "record/files.py": {"fdopen", "hardlink_to", "mkdir", "mkstemp", "open", "unlink"},
    # Where standard output leads once nobody reads it: nowhere.
    "cli/printing.py": {"open"},
}
MODEL = {
    "runtime/loan/guard.py": {"register_forward_hook", "register_forward_pre_hook", "vars"},
    "runtime/loan/snapshot.py": {"requires_grad", "grad", "data", "vars"},
    # An activation's graph, not a parameter's.
    "models/certification/gradient_trace.py": {"requires_grad_"},
    "models/measured/arrival.py": {"requires_grad_"},
    "runtime/attention/row_gradients.py": {"requires_grad_"},
    "runtime/passes/forward.py": {"requires_grad_"},
    # A copy of the image, which captum differentiates.
    "methods/captum/run.py": {"requires_grad_"},
    # Models made a moment ago, not borrowed from anybody.
    "models/load.py": {"eval"},
    # Counts the parts of a model that is put together without numbers, and writes to none.
    "models/checkpoints/reading/sizes.py": {"register_module_parameter_registration_hook"},
    # This package itself.
    "__init__.py": {"__setattr__"},
}
HTML = {"render/base/escape.py": {"Html", "tag"}}
RULES = {
    "only record/files.py writes to disk": (writes_to_disk, DISK),
    "only the loan writes to a model": (writes_to_a_model, MODEL),
    "only escape.py turns text into HTML": (makes_html, HTML),
    # It sees to it that no spreadsheet runs a text.
    "only sheets.py writes CSV": (writes_csv, {"record/exports/sheets.py": {"csv.writer"}}),
    # With weights_only: published checkpoints are pickles, and their tensors can be read without code.
    "nothing runs foreign code": (
        runs_foreign_code,
        {"models/checkpoints/reading/shards.py": {"torch.load"}},
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_done_in_its_own_room_only(rule: str) -> None:
    find, allowed = RULES[rule]
    # The testing kit builds models of its own to mistreat them.
    files = [file for file in FILES if home_layer(file) != "testing"]
    assert {file: seen for file in files if (seen := find(tree(file)))} == allowed


@pytest.mark.parametrize(
    ("find", "bad"),
    [
        (writes_to_disk, "open(path, 'w')"),
        (writes_to_disk, "path.open(mode='rb+')"),
        (writes_to_disk, "os.open(path, os.O_CREAT)"),
        (writes_to_disk, "path.write_text('x')"),
        (writes_to_a_model, "model.lm_head.weight.requires_grad = False"),
        (writes_to_a_model, "setattr(model, 'forward', f)"),
        (writes_to_a_model, "layer.register_full_backward_hook(f)"),
        (writes_to_a_model, "model.__dict__['forward'] = f"),
        (writes_to_a_model, "model.eval()"),
        (makes_html, "page = f'<p class=x>{text}</p>'"),
        (makes_html, "Html(text)"),
        (writes_csv, "csv.DictWriter(stream, COLUMNS).writeheader()"),
        (runs_foreign_code, "AutoModel.from_pretrained(x, trust_remote_code=trusted)"),
        (runs_foreign_code, "torch.load(path)"),
        (runs_foreign_code, "numpy.load(path, allow_pickle=True)"),
    ],
)
def test_each_rule_sees_what_it_is_for(find: Find, bad: str) -> None:
    assert find(ast.parse(bad))
    assert not find(ast.parse("value = open(path, 'rb').read().strip(); print(f'{value} < 3')"))
