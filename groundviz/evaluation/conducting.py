"""One call from a model and a data set to a run on disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, get_args

from groundviz import datasets, models
from groundviz.datasets.sample import Dataset
from groundviz.errors import OptionError
from groundviz.evaluation import opening
from groundviz.evaluation.cases import asked as settings
from groundviz.evaluation.cases import session
from groundviz.evaluation.cases.asked import Answers, Asked
from groundviz.evaluation.cases.covered import Covering
from groundviz.evaluation.cases.outcome import CONTROLS
from groundviz.evaluation.cases.scoring import Evaluation
from groundviz.evaluation.executors import processes, ray_pool
from groundviz.evaluation.executors.progress import Bars, Unwatched
from groundviz.evaluation.executors.shards import Stage, Work
from groundviz.evaluation.opening import Opened, Source
from groundviz.evaluation.recipes import Chosen, chosen
from groundviz.evaluation.run import Run
from groundviz.evaluation.storage import tables
from groundviz.evaluation.storage.leases import TTL_SECONDS
from groundviz.methods import DEFAULT
from groundviz.methods.running.choose import Recipes, choose
from groundviz.methods.toolkit.baselines import KINDS
from groundviz.models import VLM
from groundviz.record import arguments
from groundviz.runtime.passes.generation_settings import checked

SHARD_SIZE = 8
Executor = Literal["local", "shards", "ray"]


def evaluate(
    model: Any,
    dataset: str | Dataset,
    *,
    out: str | os.PathLike[str],
    recipe: str | None = None,
    data: Mapping[str, Any] | None = None,
    methods: str | Iterable[str] | Recipes | None = None,
    limit: int | None = None,
    answers: Answers = "generated",
    controls: Iterable[str] = CONTROLS,
    metrics: Iterable[str] | None = None,
    space: Literal["grid", "image"] = "grid",
    curves: Iterable[str] = (),
    generation: Mapping[str, Any] | None = None,
    system: str | None = None,
    prompt: str | None = None,
    seed: int = 0,
    processor: Any = None,
    device: str | None = None,
    dtype: str | None = None,
    shard_size: int = SHARD_SIZE,
    executor: Executor = "local",
    workers: int = 1,
    fork: bool = False,
    progress: bool = True,
) -> Run:
    """Ask a model every question of a data set, explain each answer, and score answers and maps.

    Everything is written to a folder, shard by shard, each whole or not at all. Call it again, however the
    last call ended: what is there stays, the rest is computed, and the tables are the same to the byte.
    Several processes may call it on one folder at once and share the work. A sample that cannot be done
    becomes a row with a status and a reason; the next call tries those with "error" and "oom" once more,
    unless somebody is at the run. Answers and maps do not depend on how they are scored: another `metrics`
    or `space` on the same folder runs no model.

    Args:
        model: In any of the ways that `explain` takes it.
        dataset: A data set, or the name of one and the folder where it lies, "vqa_rad:PATH".
        out: The folder of the run; it is made if it is not there.
        recipe: Of `groundviz.evaluation.recipes.RECIPES`: the split and the decoding of a paper.
        data: Options of a data set that is named, such as {"split": "test"}.
        methods: As in `explain`.
        limit: The first so many samples alone.
        answers: "generated" explains what the model answers; "reference" the data set's own answers, which
            the model reads. A sample that is a phrase without a question is read as well, unless the prompt
            asks for its finding.
        controls: What the model itself is asked for beside the methods, for each sample with a reference
            region: "shuffled", the map of the same question on another patient's image; "random_weights",
            that of a copy of the model whose decoder layers are re-initialised. Each costs every method
            once more.
        metrics: Of `groundviz.metrics.METRICS`; the usual ones when None.
        space: Where maps and references meet: "grid", the model's own cells; "image", the image's pixels.
        curves: What covers the image for deletion and insertion curves, such as ["blur", "mean"], of
            `groundviz.methods.toolkit.baselines.KINDS`; none are made when empty, for they cost: for each of
            these 18 forward passes a method, and 110 for the orders that they stand beside.
        generation: As in `explain`.
        system: As in `explain`.
        prompt: What is asked, with "{question}", "{finding}" or both in it, such as "Is there {finding}?" for
            data sets without questions. The question alone when None, and "Describe the findings." where
            there is none; a sample whose answer is no report, and belongs to a question that is not there, is
            skipped. It is part of the key of each answer.
        seed: Of everything random.
        processor: As in `explain`.
        device: Where a model that is named is put, as in `load`; the CPU when None. "cuda" gives each worker
            the accelerator of its number.
        dtype: As in `load`.
        shard_size: How many samples are computed between two commits: a killed process loses fewer.
        executor: "local" computes in this process. "shards" starts `workers` processes that share the run;
            with 0 it makes the plan alone, for workers elsewhere: `groundviz worker RUN` in a SLURM array,
            under torchrun, or by hand. "ray" starts `workers` actors on the Ray cluster at hand, else here.
            For the last two the model and the data set must be named rather than given.
        workers: How many processes or actors.
        fork: Start a run beside the one that is there, if that is of something else: OUT-2, OUT-3 ...
        progress: Whether bars on standard error tell of progress and the time left.

    Returns:
        The run, whose tables are read from the folder.

    Raises:
        StoreError: The folder holds another run, or the disk refused.
        OptionError: A setting has a value that cannot be used, or no sample can be asked.
        UnknownName: There is no such data set, method or metric.
        UnsupportedModel: As in `explain`.
        ImageError: Of the images that were explained some are others now, and the rest would be mixed with
            these. A few of them are compared.
        MissingExtra: pyarrow is not installed, or for the executor "ray" Ray is not.
        KeyboardInterrupt: Ctrl-C; all shards but the one under way are kept.

    >>> import groundviz, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = groundviz.evaluate("demo", "phantoms", limit=2, out=folder, progress=False)
    ...     run.answers()["status"]
    ['ok', 'ok']
    """
    _check_executor(executor, workers, model, dataset)
    _require_libraries(executor)
    evaluation = Evaluation.of(space, metrics)
    arguments.check(methods=methods, answer=None, target=None, against=None, seed=seed)
    for name, table in (("data", data), ("generation", generation)):
        if table is not None:
            arguments.check_table(name, table)
    controls = settings.check(answers, controls)
    coverings = _coverings(curves)
    data_set, where, settled = _opened(dataset, recipe, dict(data or {}), dict(generation or {}))
    asked = Asked(
        methods=choose(methods or DEFAULT),
        answers=answers,
        controls=controls,
        generation=checked(settled.generation),
        system=system,
        prompt=settings.check_prompt(prompt),
        seed=seed,
    )
    vlm, model_source = _model(model, processor, {"device": device, "dtype": dtype})
    opened = opening.begin(
        out,
        vlm,
        data_set,
        asked,
        evaluation,
        limit=limit,
        shard_size=shard_size,
        fork=fork,
        covers=[cover for covering in coverings for cover in covering.covers],
        recipe=settled.facts,
        model_source=model_source,
        dataset_source=where,
    )
    opened.work(Unwatched()).reopen()
    run = Run(opened.layout.root)
    if executor == "local":
        _here(opened, evaluation, coverings, progress=progress)
    elif executor == "shards":
        _beside(opened, evaluation, coverings, workers, progress=progress)
    else:
        _on_ray(opened, evaluation, coverings, workers, progress=progress)
    return run


def work_on(
    run: str | os.PathLike[str],
    *,
    chunk: tuple[int, int] | None = None,
    ttl: float = TTL_SECONDS,
    progress: bool = True,
) -> Run:
    """Work on a run that was begun, beside whoever works on it already, until nothing is left.

    Args:
        run: Its folder.
        chunk: The number of this worker's part of the shards, from 0, and of all parts; it then computes
            these alone, and scores only if nothing is left to explain. All shards when None.
        ttl: Seconds without a sign of life after which a worker on another computer is taken for dead.
        progress: As in `evaluate`.

    Raises:
        StoreError: There is no run, or model or data set are not those that it began with.
    """
    opened, there = opening.again(run), Run(run)
    # How it is scored and covered is written down by whoever began the run, and by whoever asked since.
    ways = [*there.evaluations().values()] or [opened.manifest["evaluation"]]
    coverings = _asked_for(there)
    for facts in ways:
        evaluation = opening.evaluation_of(facts)
        _here(opened, evaluation, coverings, chunk=chunk, ttl=ttl, progress=progress)
    return there


def _asked_for(run: Run) -> list[Covering]:
    """The ways in which images are covered that somebody has asked for, the oldest first."""
    return [Covering.of(facts) for facts in run.coverings().values()]


def _here(
    opened: Opened,
    evaluation: Evaluation,
    coverings: Sequence[Covering],
    *,
    chunk: tuple[int, int] | None = None,
    ttl: float = TTL_SECONDS,
    progress: bool,
) -> None:
    """Work on a run in this process until nothing is left."""
    with Bars() as bars, session.Threads(opened.manifest["threads"]):
        work = opened.work(bars if progress else Unwatched(), chunk=chunk, ttl=ttl)
        scoring = opened.scoring(evaluation)
        for stage in _of_model(opened, work, coverings):
            work.do(stage)
        if work.all_explained:
            work.do(work.scoring(scoring))


def _of_model(opened: Opened, work: Work, coverings: Iterable[Covering]) -> list[Stage]:
    """The stages that need the model, in their order."""
    if len(opened.layout.explained()) < len(work.sizes):
        opened.require_images()
    curves = [work.covering(opened.curving(covering)) for covering in coverings]
    return [work.explaining(opened.session()), *curves]


def _beside(
    opened: Opened, evaluation: Evaluation, coverings: Sequence[Covering], count: int, *, progress: bool
) -> None:
    """Let processes of this machine work on a run until nothing is left; this one watches."""
    opened.scoring(evaluation)
    for covering in coverings:
        opened.curving(covering)
    if not count:
        return
    with Bars() as bars:
        work = opened.work(bars if progress else Unwatched())
        processes.share(work, evaluation.hash, count, coverings=[one.hash for one in coverings])


def _on_ray(
    opened: Opened, evaluation: Evaluation, coverings: Sequence[Covering], count: int, *, progress: bool
) -> None:
    """Let actors of Ray do what needs the model; the scores are made here."""
    with Bars() as bars, session.Threads(opened.manifest["threads"]):
        work = opened.work(bars if progress else Unwatched())
        stages = _of_model(opened, work, coverings)
        root, threads = os.fspath(opened.layout.root.absolute()), opened.manifest["threads"]
        ray_pool.compute(work, stages, root, count, _in_actor, cpus=threads)
        work.do(work.scoring(opened.scoring(evaluation)))


def _in_actor(run: str) -> tuple[Work, list[Stage], AbstractContextManager[None]]:
    """A run as an actor of Ray opens it."""
    opened = opening.again(run)
    work = opened.work(Unwatched())
    stages = _of_model(opened, work, _asked_for(Run(run)))
    return work, stages, session.Threads(opened.manifest["threads"])


def _coverings(covers: Iterable[str]) -> list[Covering]:
    """How images are covered; nothing where nobody asks for curves.

    Raises:
        OptionError: There is no such cover.
    """
    named = tuple(dict.fromkeys([covers] if isinstance(covers, str) else covers))
    for name in named:
        if name not in KINDS:
            raise OptionError(
                f"curves={name!r:.60}: an image is covered with {', '.join(KINDS)}. "
                "Name some of these, or none."
            )
    return [Covering(covers=named)] if named else []


def _check_executor(executor: str, workers: int, model: Any, dataset: Any) -> None:
    """Refuse what cannot be handed to other processes.

    Raises:
        OptionError: There is no such executor, no such number, or an object that no other process can open.
    """
    if executor not in get_args(Executor):
        raise OptionError(
            f"executor={executor!r:.40}: expected one of {', '.join(get_args(Executor))}. Give one of these."
        )
    least = 0 if executor == "shards" else 1
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < least:
        raise OptionError(f"workers={workers!r:.40}: expected a whole number from {least} on. Give one.")
    if executor == "local":
        if workers != 1:
            raise OptionError(
                f"executor='local' works in this process, and {workers} workers are asked for. "
                "Give executor='shards' or 'ray'."
            )
        return
    for what, given in (("model", model), ("data set", dataset)):
        named = isinstance(given, str | os.PathLike) or isinstance(given, Dataset)
        if not named:
            raise OptionError(
                f"executor={executor!r} lets other processes open the {what}, and it is an object of type "
                f"{type(given).__name__}. Name it, by a folder or a hub id, or give executor='local'."
            )


def _require_libraries(executor: str) -> None:
    """Look for what a run needs before anything of it is written.

    Raises:
        MissingExtra: It is not installed.
    """
    tables.arrow()
    if executor == "ray":
        ray_pool.library()


def _opened(
    dataset: str | Dataset, recipe: str | None, data: Mapping[str, Any], generation: Mapping[str, Any]
) -> tuple[Dataset, Source, Chosen]:
    """A data set, where it is found again, and the settings of a recipe for it."""
    if isinstance(dataset, Dataset):
        if data or recipe:
            raise OptionError(
                "The data set is open already, and options of it, or a recipe, were given. Name it, "
                "'name:PATH', or leave these out."
            )
        return dataset, _found_again(dataset), Chosen(generation=generation)
    if not isinstance(dataset, str):
        raise OptionError(
            f"The data set is of type {type(dataset).__name__}: expected a Dataset, a name such as "
            "'phantoms', or 'name:PATH'. `groundviz data` lists the names."
        )
    settled = chosen(recipe, dataset.partition(":")[0], data=data, generation=generation)
    opened = datasets.load(dataset, **settled.data)
    return opened, _found_again(opened), settled


def _found_again(dataset: Dataset) -> Source:
    if dataset.name not in datasets.DATASETS:
        return Source()
    path = None
    if dataset.root is not None:
        path = str(dataset.root.absolute())
    return Source(name=dataset.name, path=path, options=dataset.options)


def _model(model: Any, processor: Any, loading: Mapping[str, Any]) -> tuple[VLM, Source]:
    """A model, and what loads it again where it was named.

    Raises:
        OptionError: It is loaded already, and how to load it was given.
    """
    chosen = {name: value for name, value in loading.items() if value is not None}
    if isinstance(model, str | os.PathLike):
        place = Path(model)
        name = str(place.absolute()) if place.is_dir() else str(model)
        where = Source(name=name, options=chosen)
        # Another process finds no processor that was given as an object.
        return where.model(processor), where if processor is None else Source()
    if chosen:
        raise OptionError(f"The model is loaded already: found {', '.join(chosen)}. Leave that out.")
    return models.resolve(model, processor), Source()
