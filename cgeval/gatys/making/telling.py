"""What was made, or would be, goes in; the lines that a terminal shows of it come out, and the same for programs."""

import shlex
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cgeval.gatys.making.estimate import Estimate, PlannedSet
from cgeval.gatys.making.producing import Produced
from cgeval.gatys.making.session import Made
from cgeval.gatys.making.words import counted, duration
from cgeval.gatys.settings import GatysSettings
from cgeval.tables import table_lines

WIDTH = 100
MARGIN = 12


def made_lines(made: Made) -> list[str]:
    """Where the pictures are, and what to type next."""
    rows = [_made_row(each) for each in made.produced]
    lines = table_lines(("image set", "style", "images", "loss", "of content", "of style", ""), rows, (2, 3, 4, 5))
    path, method = made.run.path, made.run.info.method
    lines = [f"{path}  {method}", "", *(f"  {line}".rstrip() for line in lines), ""]
    lines += _wrapped(made.prepared.settings.adapted, "note", "")
    lines += [f"pictures   {path / 'images'}/"]
    if made.sheet is not None:
        lines.append(f"to look at {made.sheet}")
    return lines + _next(made)


def stopped_lines(made: Made, command: str) -> list[str]:
    """What is kept, and how to go on."""
    finished = sum(each.finished for each in made.produced if each.image_set is None)
    sealed = sum(each.image_set is not None for each in made.produced)
    kept = f"sealed: {counted(sealed, 'set')}; kept besides: {counted(finished, 'picture')}"
    return ["", f"Stopped; {kept}. The same command goes on from there:", f"  {command}"]


def made_json(made: Made) -> dict[str, Any]:
    """For programs."""
    sets = [_set_json(each) for each in made.produced if each.image_set is not None]
    sheet = str(made.sheet) if made.sheet else None
    return {"run": str(made.run.path), "method": made.run.info.method, "sets": sets, "sheet": sheet}


def plan_lines(plan: Estimate, content: Path, run_path: Path) -> list[str]:
    """The sets, the settings, and the time."""
    rows = [_planned_row(each) for each in plan.sets]
    heads = ("image set", "style", "direction", "images", "to do")
    facts = _settings_facts(plan.settings)
    facts |= {"network": plan.network, "size": f"{plan.size_px} px", "device": _device(plan)}
    if plan.fetches:
        facts["fetched"] = f"first, once: {plan.fetches} (548 MB), which is not in the time below"
    lines = [f"{run_path} of {content}", "", *(f"  {line}".rstrip() for line in table_lines(heads, rows, (3, 4))), ""]
    lines += [line for key, value in facts.items() for line in _wrapped(value, key)]
    all_of_it, one = duration(plan.seconds), duration(plan.seconds_per_image)
    told = f"about {all_of_it} for {counted(plan.left, 'image')}, {one} each, as measured here on a few steps"
    return [*lines, *_wrapped(told if plan.left else "nothing is left to do", "time")]


def plan_json(plan: Estimate) -> dict[str, Any]:
    """For programs. seconds: for all that is left; images: how many that is."""
    sets = [vars(each) for each in plan.sets]
    facts = {"seconds_per_image": plan.seconds_per_image, "size_px": plan.size_px, "network": plan.network}
    facts |= {"device": plan.device, "batch_size": plan.batch_size, "fetches": plan.fetches or None}
    return {"seconds": plan.seconds, "images": plan.left, "sets": sets, **facts, "settings": plan.settings.to_dict()}


def settings_lines(settings: GatysSettings) -> list[str]:
    """Every setting, as --set and a TOML file take it."""
    plain = {key: value for key, value in settings.to_dict().items() if key not in ("changed", "adapted")}
    return [f"{key} = {_toml(value)}" for key, value in plain.items()]


def _made_row(each: Produced) -> tuple[str, ...]:
    name, variant = each.task.name, each.task.variant
    if each.image_set is None:
        return (name, variant, f"{each.finished}/{len(each.task.contents.files)}", "", "", "", "stopped")
    means = each.image_set.extra["mean_losses"]
    losses = (f"{means[key]:.4g}" for key in ("total", "content", "style"))
    return (name, variant, str(each.image_set.count), *losses, "was there" if each.was_there else "")


def _next(made: Made) -> list[str]:
    run, dataset = shlex.quote(str(made.run.path)), made.run.info.dataset
    if not dataset.get("domains"):
        return []
    scored = [f"score it   cgeval fcn-score {run}"] if dataset.get("label_domain") else []
    return [*scored, "compare it cgeval compare"]


def _set_json(each: Produced) -> dict[str, Any]:
    image_set = each.image_set
    assert image_set is not None
    facts = {"direction": image_set.direction, "images": image_set.count, "was_there": each.was_there}
    losses = dict(image_set.extra["mean_losses"])
    return {"name": image_set.name, "variant": each.task.variant, **facts, "mean_losses": losses}


def _planned_row(each: PlannedSet) -> tuple[str, ...]:
    name = each.name or "(named after the image)"
    return (name, each.style, each.direction, str(each.images), str(each.left) if each.left else "done")


def _settings_facts(settings: GatysSettings) -> dict[str, str]:
    stages = ", then ".join(f"{stage.steps} steps at {stage.scale:g} of the size" for stage in settings.stages)
    weights = (
        f"{layer} {weight:g}" for layer, weight in zip(settings.style_layers, settings.style_weights, strict=True)
    )
    return {
        "settings": f"{settings.preset}; changed: {', '.join(settings.changed) or 'nothing'}",
        "content": f"{settings.content_layer}, weight {settings.content_weight:g}",
        "style": f"{', '.join(weights)}; all x {settings.style_weight:g}; Gram as in {settings.gram}",
        "optimiser": f"{settings.optimiser} from {settings.start}: {stages}",
        "adapted": settings.adapted,
    }


def _device(plan: Estimate) -> str:
    return f"{plan.device}, {counted(plan.batch_size, 'image')} at once"


def _wrapped(text: str, key: str, indent: str = "  ") -> Iterable[str]:
    """The text after its heading; nothing where there is no text."""
    head = f"{indent}{key:{MARGIN - 2}} "
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)
