"""A Ray on which others are at work: take what is free, or say at once who waits for what."""

import time
from contextlib import contextmanager

import pytest
import ray

from rayqc.config.settings import Resources
from rayqc.distributed.resources import actors_for, free_and_all, training_cpus
from rayqc.distributed.tasks import run_tasks
from rayqc.errors import UserError


class Tenant:
    """Somebody else's service on the same Ray."""

    def ping(self):
        return 1


def wait_until_idle():
    """Ray says only later that CPUs are free again, and much later on a loaded machine."""
    for _ in range(40):
        free, totals = free_and_all("CPU")
        if free == totals:
            return
    raise AssertionError(f"{free} of {totals} CPUs are free")


@contextmanager
def tenants(count):
    wait_until_idle()
    actors = [ray.remote(num_cpus=1)(Tenant).remote() for _ in range(count)]
    ray.get([actor.ping.remote() for actor in actors])
    try:
        yield
    finally:
        for actor in actors:
            ray.kill(actor)
        wait_until_idle()


def test_what_is_free_is_taken(ray_session, caplog):
    wait_until_idle()
    assert training_cpus(Resources()) == 2
    assert actors_for("filter", "auto", 9).first == 2
    with tenants(1):
        assert free_and_all("CPU") == ([1], [2])
        assert training_cpus(Resources()) == 1
        assert actors_for("filter", "auto", 9).first == 1
        assert actors_for("filter", 2, 9).first == 1
    assert not caplog.records


def test_what_is_waited_for_is_said(ray_session, caplog):
    with tenants(1):
        assert training_cpus(Resources(cpus_per_worker=2)) == 2
    assert caplog.messages == [
        "train: waits for 1 workers of 2 CPUs: others hold all but 1 of 2; "
        "resources.train_workers or resources.cpus_per_worker asks for less"
    ]
    caplog.clear()
    with tenants(2):
        assert training_cpus(Resources()) == 1
        assert actors_for("filter", "auto", 9).first == 1
    assert caplog.messages[1] == (
        "filter: waits for a CPU: all 2 of this Ray are held by others; "
        "no setting needs less than one"
    )


def test_more_than_there_is_is_refused(ray_session):
    with pytest.raises(UserError, match=r"nodes have \[2\] CPUs; ask for fewer"):
        training_cpus(Resources(cpus_per_worker=3))


def test_tasks_go_on_with_one_cpu(ray_session):
    with tenants(1):
        assert run_tasks(abs, [(-1,), (-2,), (-3,)]) == [1, 2, 3]


def at_once(place, number):
    """How many of these are at work while this one is."""
    mine = place / str(number)
    mine.touch()
    found = 0
    for _ in range(40):  # long enough for one that began too early to be seen
        found = max(found, len(list(place.iterdir())))
        time.sleep(0.1)
    mine.unlink()
    return found


def test_no_more_jobs_are_at_work_than_there_are_cpus(ray_session, tmp_path):
    wait_until_idle()
    assert max(run_tasks(at_once, [(tmp_path, number) for number in range(3)])) == 2
