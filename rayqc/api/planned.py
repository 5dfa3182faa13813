"""`plan`: what a run would do, what it would take and cost, before it begins."""

from __future__ import annotations

from collections.abc import Mapping

from rayqc.config import Config
from rayqc.distributed.machine import cpus_allowed
from rayqc.distributed.nodes import Nodes, nodes_in, nodes_up, one_machine
from rayqc.distributed.session import session
from rayqc.errors import UserError
from rayqc.kinds import STAGES
from rayqc.pipeline.forecast import plan_of
from rayqc.pipeline.inputs import look_at_inputs
from rayqc.pipeline.settings import settings_of_run
from rayqc.shown.displayed import shown_by
from rayqc.shown.plan import planned
from rayqc.tool_results import PlanResult


@shown_by(planned)
def plan(
    config: Config | str,
    *,
    num_cpus: int | None = None,
    cluster: str | None = None,
    address: str | None = None,
    prices: Mapping[str, float] | None = None,
) -> PlanResult:
    """What a run with these settings would do, take and cost, without a run folder.

    Args:
        config: settings, or the path of a YAML file of settings.
        num_cpus: CPUs that it would have; None takes this machine's.
        cluster: file of Ray's cluster launcher or of KubeRay, whose nodes it would have, as many as
            it allows at most.
        address: of a Ray cluster that is up, whose nodes it would have; only this needs Ray.
        prices: dollars an hour of a node, by the name of its kind.

    Returns:
        Classes, pool and units, and for each stage its work, time, memory and output, on CPUs like
        this machine's, measured on a few of the images. Beside a GPU it takes less.

    Raises:
        UserError: the run would be refused, a reference cannot be read, nodes are named in more
            than one way, or the file or address gives none.
    """
    settings = settings_of_run(config)
    nodes = _nodes(num_cpus, cluster, address).priced(prices or {})
    return plan_of(settings, look_at_inputs(settings), nodes, STAGES.names)


def _nodes(num_cpus: int | None, cluster: str | None, address: str | None) -> Nodes:
    given = {"num_cpus": num_cpus, "cluster": cluster, "address": address}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} both say what nodes there are; give one of them")
    if cluster is not None:
        return nodes_in(cluster)
    if address is not None:
        with session(address):
            return nodes_up()
    return one_machine(num_cpus or cpus_allowed())
