"""The document -> the tree of frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jessyfile.language import recipe as tree
from jessyfile.language.document import complete_document
from jessyfile.language.table import document_schema

Object = Mapping[str, Any]


def build_recipe(
    document: dict[str, Any], path: Path, sources: Mapping[str, tree.Source], read_files: tuple[Path, ...]
) -> tree.Recipe:
    """Return the recipe of a complete, valid document.

    Args:
        document: the recipe's values as JSON, defaults included.
        path: the recipe's file.
        sources: where each value was written, by address.
        read_files: every file that was read for it.

    Returns:
        The typed recipe.
    """
    return tree.Recipe(
        name=document["name"],
        base=document["from"],
        system=document["system"],
        template=document["template"],
        adapter=f"./{document['adapter']}" if document["adapter"] else None,
        precision=document["base"]["precision"],
        requires=document["requires"],
        licenses=tuple(document["license"]),
        parameters=_parameters(document["parameter"]),
        messages=tuple(tree.Message(m["role"], m["content"]) for m in document["message"]),
        complexity=_complexity(document["complexity"]),
        personality=_personality(document["personality"]),
        dataset=_dataset(document["dataset"]),
        retrieve=_retrieve(document["retrieve"]),
        lora=tree.Lora(**{**document["lora"], "targets": tuple(document["lora"]["targets"])}),
        train=tree.Train(**document["train"]),
        prefer=_prefer(document["prefer"]),
        export=tree.Export(**document["export"]),
        deploy=_deploy(document["deploy"]),
        routes=tuple(tree.Route(name, **to) for name, to in document["route"]["to"].items()),
        evaluation=_evaluation(document["eval"]),
        watch=tree.Watch(**document["watch"]),
        path=path,
        document=document,
        sources=sources,
        read_files=read_files,
    )


def training_recipe(base: str, lora: Object, train: Object, precision: str = "auto") -> tree.Recipe:
    """Return what a recipe of these blocks and no others says, for a training that no file describes.

    Args:
        base: what FROM would name.
        lora: the LORA settings; those that are missing have their defaults.
        train: the TRAIN settings, likewise.
        precision: BASE's precision.

    Returns:
        A recipe without rows, name or place of its own.
    """
    written = {"name": "code", "from": base, "base": {"precision": precision}, "lora": lora, "train": train}
    document = complete_document(written | {"dataset": {"category": {}}, "eval": {"suite": {}, "criterion": {}}})
    return build_recipe(document, Path("code.jessy"), {}, ())


def _parameters(parameters: Object) -> tuple[tree.Parameter, ...]:
    pairs = ((key, one) for key, value in parameters.items() for one in (value if isinstance(value, list) else [value]))
    return tuple(tree.Parameter(key, value) for key, value in pairs)


@cache
def default_complexity() -> tree.Complexity:
    """Return the levels and the marker of a recipe that says nothing of them, as the schema has them."""
    parts = document_schema()["properties"]["complexity"]["properties"]
    return _complexity({name: parts[name]["default"] for name in ("level", "marker")})


def _complexity(complexity: Object) -> tree.Complexity:
    levels = tuple(
        tree.Level(name, tuple(level["iterations"]), level.get("within")) for name, level in complexity["level"].items()
    )
    return tree.Complexity(levels, complexity["marker"])


def _personality(personality: Object) -> tree.Personality:
    return tree.Personality(
        personality["per_batch"], tuple(personality["always"]), tuple(personality["never"]), tuple(personality["often"])
    )


def _category(name: str, category: Object) -> tree.Category:
    own = {key: category[key] for key in ("count", "title", "language", "level", "learn")}
    topics = tuple(tree.Topic(topic, t["count"], t["language"], t["level"]) for topic, t in category["topic"].items())
    return tree.Category(name=name, topics=topics, refine=tuple(category["refine"]), **own)


def _dataset(dataset: Object) -> tree.Dataset:
    return tree.Dataset(
        seed=dataset["seed"],
        validation=dataset["validation"],
        seeds=dataset["seeds"],
        markers=dataset["markers"],
        similarity=dataset["similarity"],
        categories=tuple(_category(name, category) for name, category in dataset["category"].items()),
        augment=tree.Augment(**dataset["augment"]),
        teacher=tree.Teacher(**dataset["teacher"]) if dataset["teacher"] else None,
        replay=tree.Replay(**dataset["replay"]) if dataset["replay"] else None,
        allow=tuple(dataset["allow"]),
        feedback=dataset["feedback"],
    )


def _retrieve(retrieve: Object | None) -> tree.Retrieve | None:
    return tree.Retrieve(**{**retrieve, "examples": retrieve["examples"] or 0}) if retrieve is not None else None


def _prefer(prefer: Object | None) -> tree.Prefer | None:
    return tree.Prefer(**{**prefer, "files": tuple(prefer["files"])}) if prefer else None


def _deploy(deploy: Object) -> tree.Deploy:
    dotenv = deploy["dotenv"]
    return tree.Deploy(deploy["engine"], deploy["ollama"], (dotenv[0], dotenv[1]) if dotenv else None)


def _evaluation(evaluation: Object) -> tree.Evaluation:
    return tree.Evaluation(
        suites=tuple(
            tree.Suite(name, suite["file"] or f"data/eval/{name}.jsonl", suite["limit"])
            for name, suite in evaluation["suite"].items()
        ),
        contrast=evaluation["contrast"],
        criteria=tuple(
            tree.Criterion(c["rank"], metric, c["comparison"], c["value"], c["confidence"])
            for metric, c in evaluation["criterion"].items()
        ),
        judge=tree.Judge(**evaluation["judge"]) if evaluation["judge"] else None,
        max_tokens=evaluation["max_tokens"],
    )
