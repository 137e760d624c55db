"""A worker for the bench: the product's own, and it knows jobs that do nothing.

Run as ``python -m tests.bench.patient_worker``. ``bench.noop`` is the job engine alone, on a queue without our limits and without our attempt,
cursor and fence; ``bench.job`` is a job as the product's jobs are, with an empty body.
"""

from typing import Any

from crm_core.jobs import Job, job
from worker import engine, main

NOOP, EMPTY, QUEUE = "bench.noop", "bench.job", "bench"


@job(NOOP, title="Nothing, by the engine alone", queue=QUEUE)
def noop(_job: Job) -> None: ...


@job(EMPTY, title="Nothing, as a job")
def empty(_job: Job) -> None: ...


def run() -> None:
    """The product's worker, but that ``bench.noop`` reaches the engine bare."""
    body, launch = engine._body, engine.launch

    def bare(name: str) -> Any:
        return _nothing if name == NOOP else body(name)

    def wider(name: str) -> Any:
        from dbos import DBOS

        found = launch(name)
        DBOS.register_queue(QUEUE, worker_concurrency=16, polling_interval_sec=0.02)
        return found

    engine._body, engine.launch = bare, wider
    main.run()


def _nothing(*_args: Any) -> None: ...


if __name__ == "__main__":
    run()
