"""A run goes in; the FCN scores of its image sets come out, both ways, and are kept in the run.

The score of Isola et al. (arXiv 1611.07004, section 4.1) and Zhu et al. (arXiv 1703.10593, section 5.1): how well a
segmentation network that knows real photos reads a translated one, against the label map it was made from. The other
way, photo -> labels, has no network: the labels are told by colour. torch is imported where a network is needed.
"""

from collections.abc import Callable

from tqdm import tqdm

from cgeval.protocols.by_colour import ByColour
from cgeval.protocols.measuring import Measured, Tick, measure
from cgeval.protocols.pictures_in import Item
from cgeval.protocols.planning import Choices, Job, Ruler, plan
from cgeval.protocols.scoring import Measure, Sampling, Score, score
from cgeval.runs import Run

Way = Callable[[Ruler | ByColour, tuple[Item, ...], Tick], Measured]


def fcn_score(
    run: Run,
    choices: Choices | None = None,
    sampling: Sampling | None = None,
    *,
    device: str = "auto",
    batch_size: int = 4,
    processes: int = 1,
) -> list[Score]:
    """The scores of the run's image sets, labels -> photo first; nothing is written but the cache of predictions.

    Raises a CgevalError, of one sentence, for what cannot be scored; `results.write_results` keeps a score in the run.
    """
    jobs = plan(run, choices or Choices())
    if not any(isinstance(job.way, Ruler) for job in jobs):
        return [score(job, _with_bar(job, _by_colour), sampling or Sampling()) for job in jobs]
    way = _either_way(device, batch_size, processes)
    return [score(job, _with_bar(job, way), sampling or Sampling()) for job in jobs]


def _with_bar(job: Job, way: Way) -> Measure:
    """Measure the job's rows in that way, showing how far each row is."""

    def measured(what: str, items: tuple[Item, ...]) -> Measured:
        description = f"{job.image_set.name}, {what}"
        with tqdm(total=len(items), desc=description, unit="img", dynamic_ncols=True, leave=False) as bar:
            return way(job.way, items, bar.update)

    return measured


def _by_colour(way: Ruler | ByColour, items: tuple[Item, ...], tick: Tick) -> Measured:
    if isinstance(way, Ruler):
        raise ValueError("labels -> photo is judged by a network")
    return measure(items, way.labels, way, tick=tick)


def _either_way(device: str, batch_size: int, processes: int) -> Way:
    """By colour, or by a scorer that is loaded once; torch is imported here, and the device looked for at once."""
    from cgeval.devices import find_device
    from cgeval.protocols.sharding import Machine, Networks, measure_by_network

    find_device(device)
    networks = Networks(Machine(device, batch_size, processes))

    def either(way: Ruler | ByColour, items: tuple[Item, ...], tick: Tick) -> Measured:
        if isinstance(way, Ruler):
            return measure_by_network(networks, way, items, tick)
        return _by_colour(way, items, tick)

    return either
