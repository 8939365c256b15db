"""What RQ is to a slot: a worker class that takes nothing but runs, and tells RQ's tools what they show.

RQ does much for a job that a run does not need, and some of it would let whoever writes to Redis choose what is called.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.utils import now, utcformat
from rq.worker import SimpleWorker, WorkerStatus

from oppcloud_worker import job as job_function

from . import keys, runs

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from redis.client import Pipeline
    from rq.queue import Queue
    from rq.registry import StartedJobRegistry

#: Seconds to wait for a job before the heartbeat of RQ is renewed, and seconds that it is valid beyond that.
_TTL = 60


class ForbiddenJobError(Exception):
    """Somebody queued what is no run of ours."""


class RunJob(Job):
    """An RQ job that can be nothing but a run: whatever lies in Redis, no other function is imported or called."""

    @property
    def func(self) -> Callable[[object], dict[str, object]]:
        """The one job function."""
        if self.func_name != runs.JOB_FUNCTION or self.instance is not None:
            raise ForbiddenJobError(f"this worker runs {runs.JOB_FUNCTION} only, not {self.func_name!r:.100}")
        if len(self.args) != 1 or self.kwargs:
            raise ForbiddenJobError(f"{runs.JOB_FUNCTION} takes one ticket")
        return job_function.run

    @property
    def success_callback(self) -> None:
        """None: callbacks would be functions of somebody else's choice."""

    @property
    def failure_callback(self) -> None:
        """None, as above."""

    @property
    def stopped_callback(self) -> None:
        """None, as above."""

    def send_webhooks(self, status: object, *, exc_string: str | None = None) -> None:
        """Send nothing: the address would be of somebody else's choice."""


class RunWorker(SimpleWorker):
    """A worker on one queue, as RQ loses jobs with several, that runs its jobs in its own process."""

    job_class = RunJob
    log_result_lifespan = False

    def __init__(self, queue: str, *, name: str, connection: redis.Redis) -> None:
        super().__init__(
            [runs.rq_queue(connection, queue)],
            name=name,
            connection=connection,
            serializer="json",
            job_class=RunJob,
            worker_ttl=_TTL,
            log_job_description=False,
        )
        #: When RQ last heard of this worker (monotonic).
        self._last_beat = 0.0

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Renew what RQ knows of this worker; not five times per job, as RQ would, but after some seconds."""
        now = time.monotonic()
        if pipeline is not None or now - self._last_beat > keys.RENEW:
            self._last_beat = now
            super().heartbeat(timeout, pipeline)

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Tell RQ's tools the state when it has changed."""
        if pipeline is not None or state != self.get_state():
            super().set_state(state, pipeline)

    def prepare_execution(self, job: Job) -> Execution:
        """Tell RQ's tools that the job runs, but not in RQ's list of what this worker runs.

        rq-dashboard 0.9 takes the jobs that it finds there for pickled, and shows no worker at all while one is JSON.
        """
        pipeline = self.connection.pipeline()
        execution = Execution.create(job, self.get_heartbeat_ttl(job), pipeline=pipeline)
        self.executions[execution.id] = execution
        self.set_state(WorkerStatus.BUSY, pipeline=pipeline)
        pipeline.execute()
        return execution

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:  # noqa: ARG002  # RQ's signature
        """Note when the job ended; RQ hears of it together with the rest."""
        job.ended_at = now()

    def handle_job_success(
        self,
        job: Job,
        queue: Queue,  # noqa: ARG002  # RQ's signature
        started_job_registry: StartedJobRegistry,  # noqa: ARG002  # RQ's signature
        execution: Execution,
    ) -> None:
        """Tell RQ's tools that the job is done, in one round trip.

        RQ itself would look for dependents, repetitions and a result to store; a run has none of these.
        """
        pipeline = self.connection.pipeline()
        self.increment_successful_job_count(pipeline)
        job.set_status(JobStatus.FINISHED, pipeline=pipeline)
        if job.ended_at is not None:
            pipeline.hset(job.key, "ended_at", utcformat(job.ended_at))
        job.finished_job_registry.add(job, keys.RESULT_FILES, pipeline)
        job.cleanup(keys.RESULT_FILES, pipeline=pipeline, remove_from_queue=False)
        self.cleanup_execution(job, pipeline=pipeline, execution=execution)
        pipeline.execute()

    def unsubscribe(self) -> None:
        """Leave the thread that listens for commands as it is: it would be waited for in vain, and ends with us."""

    def procline(self, message: str) -> None:
        """Leave the name of the process alone."""

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:  # noqa: ARG002  # RQ's signature
        """Return how long RQ may take the job to be running without hearing of it."""
        return _TTL
