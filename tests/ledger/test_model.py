"""The ledger model-checked without Ray: plan, write, commit, crash, resume, compact, in any order.

A driver and its workers may die before or after any storage operation; a second attempt at a unit
may race the first or wake up late. Whatever happens, a reader sees nothing or the whole truth.
"""

import os
import shutil
import tempfile

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rayqc.ledger.commit import committed_units, is_committed, load_commits
from rayqc.ledger.manifest import finish, is_finished, load_files, load_totals
from rayqc.ledger.plan import LEDGER, MANIFEST, is_ours, start_or_resume, work_digest
from rayqc.storage import Folder, digest, failpoints, read_table
from tests.ledger.test_ledger import commit, judged, merge, units

ROWS = 17
CRASHES = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(("before", "after")),
        st.sampled_from(("write", "create", "delete")),
        st.integers(1, 6),
    ),
)
"""No crash, or at the so-manieth operation of a kind."""


def undisturbed() -> dict[str, str]:
    """Id to verdict, as a run without crashes gives them."""
    rows = [row for unit in units(total=ROWS, most=ROWS) for row in judged(unit).to_pylist()]
    return {row["id"]: row["verdict"] for row in rows}


class Ledger(RuleBasedStateMachine):
    """One folder, drivers and workers that come and go, and what must hold of it."""

    def __init__(self):
        super().__init__()
        self.place = tempfile.mkdtemp()
        self.plan = None
        self.committed = set()
        self.was_finished = False

    @property
    def folder(self):
        return Folder(f"{self.place}/out")  # anew each time, as another process would

    def dies(self, crash, action):
        """Do it, and die in the middle where told to; true where it lived."""
        if crash:
            moment, verb, times = crash
            os.environ[failpoints.VARIABLE] = f"raise {moment} {verb} * {times}"
        try:
            action()
        except failpoints.Reached:
            return False
        finally:
            os.environ.pop(failpoints.VARIABLE, None)
            failpoints._times.clear()
        return True

    @rule(most=st.integers(2, 7), crash=CRASHES)
    def driver_starts(self, most, crash):
        def start():
            self.plan = start_or_resume(self.folder, {"s": 1}, units(total=ROWS, most=most))

        if not self.dies(crash, start):
            self.plan = None

    @precondition(lambda self: self.plan is not None)
    @rule(data=st.data(), crash=CRASHES)
    def worker_does_a_unit(self, data, crash):
        index = data.draw(st.integers(0, len(self.plan) - 1))
        if is_committed(self.folder, index):
            return  # as an actor looks first
        self.dies(crash, lambda: commit(self.folder, index, self.plan[index]))

    @precondition(lambda self: self.plan is not None and self.committed)
    @rule(data=st.data(), crash=CRASHES)
    def late_twin_wakes_up(self, data, crash):
        """It looked before the other committed, and writes after it, perhaps after all is done."""
        index = data.draw(st.sampled_from(sorted(self.committed)))
        before = self.folder.read(f"commits/{index:07d}.json")
        self.dies(crash, lambda: commit(self.folder, index, self.plan[index]))
        assert self.folder.read(f"commits/{index:07d}.json") == before

    @precondition(lambda self: self.plan is not None and len(self.committed) == len(self.plan))
    @rule(shard_bytes=st.sampled_from((1.0, 3000.0, 1e9)), crash=CRASHES)
    def driver_concludes(self, shard_bytes, crash):
        self.dies(crash, lambda: self.conclude(shard_bytes))

    def conclude(self, shard_bytes):
        """What `distributed.reduce.compact` does, without Ray."""
        if is_finished(self.folder):
            return
        if self.folder.exists(MANIFEST):
            finish(self.folder)
            return
        merge(self.folder, self.plan, shard_bytes)

    @invariant()
    def commits_only_grow_and_are_whole(self):
        if not self.folder.exists(LEDGER):
            return
        found = committed_units(self.folder)
        assert self.committed <= found
        self.committed = found
        for record in load_commits(self.folder):
            assert record.work == work_digest(self.folder)
            assert record.read == sum(record.outcomes.values())
            for part in record.parts:
                if not self.folder.exists(MANIFEST):
                    data = self.folder.read(part.path)
                    assert digest(data) == part.sha256
                    assert (
                        pq.ParquetFile(self.folder.open(part.path)).metadata.num_rows == part.rows
                    )

    @invariant()
    def a_finished_folder_holds_each_row_once(self):
        if not is_finished(self.folder):
            assert not self.was_finished
            return
        self.was_finished = True
        rows = [
            row
            for kind in ("accepted", "rejected", "error")
            for part in load_files(self.folder).get(kind, [])
            for row in read_table(self.folder, part.path).to_pylist()
        ]
        assert len(rows) == ROWS
        assert {row["id"]: row["verdict"] for row in rows} == undisturbed()
        assert load_totals(self.folder).read == ROWS

    def teardown(self):
        """After all crashes, one undisturbed run ends the work."""
        self.driver_starts(most=3, crash=None)
        for index, unit in enumerate(self.plan):
            if not is_committed(self.folder, index):
                commit(self.folder, index, unit)
        self.conclude(1e9)
        self.commits_only_grow_and_are_whole()
        self.a_finished_folder_holds_each_row_once()
        assert is_finished(self.folder)
        named = {p.path for parts in load_files(self.folder).values() for p in parts}
        shards = {name for name in self.folder.names() if name.rpartition("/")[2][:5] == "train"}
        assert shards == named
        assert all(is_ours(name) for name in self.folder.names())
        shutil.rmtree(self.place)


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@pytest.mark.long
def test_the_ledger_at_length():
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=3000,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
