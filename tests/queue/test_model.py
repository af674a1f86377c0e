"""The queue against a model: random calls of clients and supervisors, and what must hold after each of them.

Two supervisors without children and one client do anything in any order, among it what only a broken one does: acks
under tokens that are not theirs any more. The model keeps what each job may be; the database must agree.

What is drawn depends on nothing that the database says: a step is a few numbers, and only when it is taken do they choose
among what can be done then. Which of several jobs that became due together is claimed first is the database's to choose,
and had the draws followed it, the replay of an example could differ from the example, which ends a test as flaky.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from renderer.outcome import OFFENCES, UNCHARGED, Outcome
from supervisor.model import Ack, Ending, Job
from tests.queue.support import Queue

MAX_ATTEMPTS = 3
OFFENCE_LIMIT = 2
EXAMPLES = 25
MAKE_DUE = "update jobsupervisor.job set run_at = now() where state = 'delayed'"
FINAL = {"completed", "failed", "cancelled"}
CLEAR = "truncate jobsupervisor.job, jobsupervisor.finished_job, jobsupervisor.dead_letter, jobsupervisor.attempt"
WHERE = """
select id::text, 'live' as place, case state when 'delayed' then 'queued' else state::text end as status, attempt, charged, offences from jobsupervisor.job
union all select id::text, 'finished', status::text, attempt, charged, 0 from jobsupervisor.finished_job
union all select id::text, 'dead', 'failed', attempt, charged, offences from jobsupervisor.dead_letter
"""
ATTEMPTS = """
select job_id::text as id, array_agg(attempt order by attempt) as numbers, array_agg(outcome::text order by attempt) as said
from jobsupervisor.attempt group by 1
"""


@dataclass
class Known:
    """What the model knows of a job."""

    status: str = "queued"
    claim: Job | None = None
    holder: int = 0
    cancelled: bool = False
    charged: int = 0
    offences: int = 0
    losses: int = 0
    outcomes: list[str] = field(default_factory=list)

    def end(self, outcome: Outcome, *, alone: bool) -> str:
        """Take the end of the attempt; return the verdict."""
        if outcome is Outcome.CANCELLED and not self.cancelled:
            outcome = Outcome.INTERNAL  # nobody asked for it
        offence = outcome in OFFENCES or alone or (outcome is Outcome.LOST and self.losses > 0)
        self.charged += outcome not in UNCHARGED and not self.cancelled
        self.offences += offence
        self.losses += outcome is Outcome.LOST
        self.claim = None
        self.outcomes.append("cancelled" if self.cancelled else outcome)
        if self.cancelled:
            self.status = "cancelled"
        elif outcome is Outcome.OK:
            self.status = "completed"
        elif outcome is Outcome.INVALID or self.charged >= MAX_ATTEMPTS or self.offences >= OFFENCE_LIMIT:
            self.status = "failed"
        else:
            self.status = "queued"
        return self.status


@dataclass(frozen=True)
class Step:
    """What is drawn for one call. Each action takes of it what it needs, modulo how many there are."""

    action: int
    which: int
    who: int
    want: int
    priority: int
    outcome: Outcome | None
    alone: bool


STEPS = st.lists(
    st.builds(
        Step,
        action=st.integers(0, 999),
        which=st.integers(0, 999),
        who=st.integers(0, 1),
        want=st.integers(1, 3),
        priority=st.integers(-1, 1),
        outcome=st.sampled_from([*Outcome, None]),
        alone=st.booleans(),
    ),
    min_size=30,
    max_size=60,
)


class Calls:
    """The calls. One database serves all examples; each begins with it empty."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.queue.client.execute(CLEAR)
        limits: dict[str, Any] = {"RENDER_MAX_ATTEMPTS": MAX_ATTEMPTS, "RENDER_OFFENCE_LIMIT": OFFENCE_LIMIT}
        self.supervisors = [self.queue.supervisor(name, **limits) for name in ("a", "b")]
        self.jobs: dict[str, Known] = {}
        self.old: list[Job] = []

    def close(self) -> None:
        """Close the supervisors of this example."""
        for supervisor in self.supervisors:
            self.queue.run(supervisor.store.close())

    def take(self, step: Step) -> str:
        """Do one of the things that can be done now; return which."""
        can: list[Callable[[Step], None]] = [self.enqueue]
        # Several lots for what takes a job to its end; else nearly all end cancelled.
        can += [self.claim] * 3 if self.having("queued") else []
        can += [self.ack] * 4 + [self.give_back, self.rescue] if self.having("processing") else []
        can += [self.cancel] if self.jobs else []
        can += [self.redrive] if self.having("failed") else []
        can += [self.stale] if self.old else []
        action = can[step.action % len(can)]
        action(step)
        return action.__name__

    def having(self, status: str) -> list[str]:
        """Return the jobs of a status, in the order in which they were enqueued."""
        return [job_id for job_id, job in self.jobs.items() if job.status == status]

    def one(self, step: Step, status: str) -> str:
        """Return the job of a status that a step means."""
        found = self.having(status)
        return found[step.which % len(found)]

    def enqueue(self, step: Step) -> None:
        """Enqueue, as a client."""
        self.jobs[self.queue.enqueue(priority=step.priority)] = Known()

    def claim(self, step: Step) -> None:
        """Claim: as many as are wanted and there are, each for the first time under this token."""
        self.queue.client.execute(MAKE_DUE)
        claims = self.supervisors[step.who].claim(step.want)
        assert len(claims) == min(step.want, len(self.having("queued")))
        for claim in claims:
            job = self.jobs[claim.id]
            assert job.status == "queued"
            assert claim.token.attempt == len(job.outcomes) + 1
            job.status, job.claim, job.holder = "processing", claim, step.who

    def ack(self, step: Step) -> None:
        """Acknowledge, as the supervisor that has the job."""
        job = self.jobs[self.one(step, "processing")]
        assert job.claim is not None
        claim, outcome = job.claim, step.outcome or Outcome.OK
        alone = step.alone and outcome is Outcome.LOST
        self.old.append(claim)
        verdict = self.supervisors[job.holder].ack(claim, outcome, alone=alone)
        assert verdict == job.end(outcome, alone=alone)

    def give_back(self, step: Step) -> None:
        """Give back what never started."""
        job = self.jobs[self.one(step, "processing")]
        assert job.claim is not None
        claim, job.claim = job.claim, None
        job.status = "cancelled" if job.cancelled else "queued"
        verdict = self.supervisors[job.holder].ack(claim, None)
        assert verdict == ("cancelled" if job.cancelled else "given_back")

    def cancel(self, step: Step) -> None:
        """Cancel any job, whatever its status, as a client."""
        job_id = list(self.jobs)[step.which % len(self.jobs)]
        job = self.jobs[job_id]
        assert self.queue.value("select cancel_render(%s)", job_id) is (job.status not in FINAL)
        if job.status == "processing":
            job.cancelled = True
        elif job.status == "queued":
            job.status = "cancelled"

    def redrive(self, step: Step) -> None:
        """Put a dead letter back, as the operator."""
        job_id = self.one(step, "failed")
        assert str(self.queue.value("select redrive_render(%s)", job_id)) == job_id
        job = self.jobs[job_id]
        job.status, job.charged, job.offences, job.losses = "queued", 0, 0, 0

    def rescue(self, step: Step) -> None:
        """Find the other supervisor gone, and take back all that it has."""
        who, other = step.who, 1 - step.who
        lost = self.supervisors[who].poll_after_grace().lost
        theirs = {i for i, job in self.jobs.items() if job.status == "processing" and job.holder == other}
        assert {ack.job_id for ack in lost} == theirs
        verdicts = {v.job_id: v.verdict for v in self.supervisors[who].exchange(*lost).verdicts}
        for job_id in theirs:
            claim = self.jobs[job_id].claim
            assert claim is not None
            self.old.append(claim)
            assert verdicts[job_id] == self.jobs[job_id].end(Outcome.LOST, alone=len(theirs) == 1)
        if not self.supervisors[other].poll().registered:
            self.queue.run(self.supervisors[other].store.register({}))

    def stale(self, step: Step) -> None:
        """Send an ack and progress under a spent token: nothing at all changes."""
        claim = self.old[step.which % len(self.old)]
        before = self.everything()
        ack = Ack(claim.id, claim.token, None if step.outcome is None else Ending(step.outcome))
        assert self.supervisors[step.who].send(ack) == "lease_lost"
        self.supervisors[step.who].moved(claim, 0.5)
        assert self.everything() == before

    def everything(self) -> list[list[dict[str, Any]]]:
        """Return all that is stored of jobs."""
        return [
            self.queue.rows("select * from jobsupervisor.job order by id"),
            self.queue.rows(WHERE + "order by id"),
            self.queue.rows("select * from jobsupervisor.attempt order by job_id, attempt"),
        ]

    def each_job_is_in_one_place(self) -> None:
        """Find every job in exactly one of the three tables, with the status and charges of the model."""
        rows = self.queue.rows(WHERE)
        assert sorted(row["id"] for row in rows) == sorted(self.jobs)
        places = {"queued": "live", "processing": "live", "completed": "finished", "cancelled": "finished"}
        for row in rows:
            job = self.jobs[row["id"]]
            assert (row["status"], row["place"]) == (job.status, places.get(job.status, "dead"))
            assert row["charged"] == job.charged <= MAX_ATTEMPTS
            assert row["place"] == "finished" or row["offences"] == job.offences <= OFFENCE_LIMIT

    def attempts_are_consecutive(self) -> None:
        """List the attempts that ended once each, numbered from 1, with the outcomes of the model."""
        found = {row["id"]: row for row in self.queue.rows(ATTEMPTS)}
        assert set(found) == {job_id for job_id, job in self.jobs.items() if job.outcomes}
        for job_id, row in found.items():
            assert row["numbers"] == list(range(1, len(row["numbers"]) + 1))
            assert row["said"] == self.jobs[job_id].outcomes


@pytest.mark.timeout(400)  # an example that fails is shrunk for up to five minutes
def test_the_queue_does_what_the_model_says(database: str) -> None:
    """Whatever the order of calls, each job is in one place, charged as it should be, and no spent token has a say."""
    did: Counter[str] = Counter()
    with Queue(database) as queue:

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(STEPS)
        def run(steps: list[Step]) -> None:
            with closing(Calls(queue)) as calls:
                for step in steps:
                    did[calls.take(step)] += 1
                    calls.each_job_is_in_one_place()
                    calls.attempts_are_consecutive()

        run()
        assert queue.value("select count(*) from jobsupervisor.supervisor") >= 2
    assert set(did) == {"enqueue", "claim", "ack", "give_back", "rescue", "cancel", "redrive", "stale"}
    # Which examples are drawn depends on the numbers that stand in the sources (Hypothesis tries these), so this is no exact count.
    assert min(did.values()) >= EXAMPLES // 3, did
