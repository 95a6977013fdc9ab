"""Cases: whole cases with three parallel branches, against the bare engine with one JSON save a step.

``python benchmarks/cases.py [--cases N] [--open M]`` opens N cases and drives each through eight steps,
three of them in parallel branches, in our kernel (permission, lock, work items, due days, events,
closing) and, in a process beside it and in the same moments, in the bare engine: SpiffWorkflow as its
documentation has it, its state read from and written to one row of PostgreSQL as JSON at every step,
its specification read from the file once. Both begin each of twelve rounds together, so that a noisy
minute falls on both; the ratio is told for each quarter of the run, and what the history of the others
costs. Then M open cases lie beside them and the same is measured again; last, the timers that are due
among those are found. N = 10,000 takes some eight minutes on two cores.

Targets: 1.5 × the bare engine; a step within 20 ms and no slower beside M open cases; due timers
within one second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from statistics import median
from typing import Any

from installation import installation

ALLOWED = 1.5
STEP_MS = 20.0
TIMERS_S = 1.0
KEY = "bench_joint"
ROUNDS, QUARTERS, AGAIN = 12, 4, 200
_WAITING = "SELECT id, step FROM kernel_workitem WHERE case_id = %s AND done_at IS NULL ORDER BY id LIMIT 1"


@dataclass
class Side:
    """What one side took: seconds of every step by round, and of the processor (Python, database)."""

    rounds: list[list[float]] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    python: float = 0.0

    @contextmanager
    def watched(self, took: list[float]) -> Iterator[None]:
        """One step: its seconds into `took`, its processor time to what Python has spent."""
        begun, spent = time.perf_counter(), time.process_time()
        yield
        self.python += time.process_time() - spent
        took.append(time.perf_counter() - begun)

    def steps(self, part: slice = slice(None)) -> list[float]:
        """The steps of some rounds."""
        return list(chain(*self.rounds[part]))


def steps() -> list[dict[str, Any]]:
    """Eight steps: two, three in parallel, three."""

    def work(ident: str, **more: Any) -> dict[str, Any]:
        return {"id": ident, "title": ident, "permission": "bench.do", "days": 5, **more}

    ways = {"yes": {"title": "同意"}, "back": {"title": "退回", "go": "check"}}
    return [
        work("take"),
        work("check"),
        {"id": "joint", "parallel": [[work("plan")], [work("fire")], [work("water")]]},
        work("sum", outcomes=ways),
        work("decide", outcomes={"yes": {"title": "准予"}, "no": {"title": "不予", "end": "no"}}),
        work("deliver"),
    ]


def ours(count: int, side: Side) -> list[float]:
    """Seconds of every step of `count` cases, opened and closed by our kernel."""
    import psycopg
    from django.conf import settings
    from django.db import transaction

    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.case import Case, WorkItem, open_case, step
    from lianyun.kernel.party import department

    desk = department("ga")
    took: list[float] = []
    # What waits is looked up beside the measurement, on a connection of its own.
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as beside:
        for number in range(count):
            with side.watched(took), transaction.atomic():
                case = open_case(KEY, title=f"办件 {number}", department=desk, by=SYSTEM)
            while found := beside.execute(_WAITING, [case.pk]).fetchone():
                outcome = "yes" if found[1] in ("sum", "decide") else "done"
                with side.watched(took), transaction.atomic():
                    case = step(WorkItem(pk=found[0]), outcome, by=SYSTEM)
            assert case.state == Case.CLOSED, case.state
    return took


def bare(count: int, bpmn: str, side: Side) -> list[float]:
    """The same cases in SpiffWorkflow alone: load JSON, run one task, save JSON, commit."""
    from django.db import connection, transaction
    from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser
    from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer
    from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
    from SpiffWorkflow.util.task import TaskState

    from lianyun.decision.way import parse_xml, run_form

    parser = BpmnParser()
    parser.add_bpmn_str(run_form(parse_xml(bpmn)).encode())
    spec = parser.get_spec(KEY)
    serializer = BpmnWorkflowSerializer(BpmnWorkflowSerializer.configure())
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, state json)")
    took: list[float] = []
    for _ in range(count):
        with side.watched(took), transaction.atomic(), connection.cursor() as cursor:
            flow = BpmnWorkflow(spec)
            flow.do_engine_steps()
            state = serializer.serialize_json(flow)
            cursor.execute("INSERT INTO bare (state) VALUES (%s) RETURNING id", [state])
            ident = cursor.fetchone()[0]
        done = False
        while not done:
            with side.watched(took), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT state::text FROM bare WHERE id = %s FOR UPDATE", [ident])
                flow = serializer.deserialize_json(cursor.fetchone()[0])
                task = flow.get_tasks(state=TaskState.READY, manual=True)[0]
                name = task.task_spec.bpmn_id
                task.data[f"outcome_{name}"] = "yes" if name in ("sum", "decide") else "done"
                task.run()
                flow.do_engine_steps()
                state = serializer.serialize_json(flow)
                cursor.execute("UPDATE bare SET state = %s WHERE id = %s", [state, ident])
            done = flow.completed
    return took


def lie_open(count: int) -> None:
    """`count` more open cases with their work items and opening events, copied from one real one."""
    from django.db import connection, transaction

    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.case import open_case
    from lianyun.kernel.party import department

    with transaction.atomic():
        case = open_case(KEY, title="样件", department=department("ga"), by=SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO kernel_case (code, path_id, title, state, outcome, subject, department_id,"
            " data, engine, opened_at) SELECT 'bench-' || n, path_id, title, state, outcome,"
            " subject, department_id, data, engine, opened_at FROM kernel_case,"
            " generate_series(1, %s) n WHERE id = %s",
            [count, case.pk],
        )
        cursor.execute(
            "INSERT INTO kernel_workitem (case_id, step, token, title, permission, department_id,"
            " basis, opened_at, due_on, provisional, outcome, note, fires_on)"
            " SELECT c.id, i.step, i.token, i.title, i.permission, i.department_id, i.basis,"
            " i.opened_at, i.due_on, false, '', '', CURRENT_DATE + (c.id %% 2000)::int"
            " FROM kernel_case c, kernel_workitem i WHERE c.code LIKE 'bench-%%' AND i.case_id = %s",
            [case.pk],
        )
        cursor.execute(
            "INSERT INTO kernel_event (kind, at, subject, by, by_name, case_id_ref, data, salt,"
            " personal_digest, hash) SELECT 'case.opened', now(), 'case:' || code, 'system:lianyun',"
            " '系统', id, '{}', '', '', '' FROM kernel_case WHERE code LIKE 'bench-%%'"
        )
        cursor.execute("ANALYZE kernel_case, kernel_workitem, kernel_event")


def find_due(count: int) -> tuple[int, float]:
    """How many of the open timers are due today, and the seconds to find them."""
    import datetime as dt

    from django.utils import timezone

    from lianyun.kernel.case import due_timers

    begun = time.perf_counter()
    due = due_timers(timezone.localdate() + dt.timedelta(days=10), limit=count)
    return len(due), time.perf_counter() - begun


def said(name: str, side: Side) -> float:
    """Print one row; returns milliseconds a step."""
    took = side.steps()
    mean = 1000 * sum(took) / len(took)
    slow = 1000 * sorted(took)[int(len(took) * 0.95)]
    print(
        f"{name:34} {len(took):7,} 步 {mean:7.2f} ms/步  中位 {1000 * median(took):6.2f}"
        f"  p95 {slow:6.2f}  处理器 {1000 * sum(side.busy) / len(took):6.2f}",
        flush=True,
    )
    return mean


def turned(
    work: Callable[[int, Side], list[float]], sizes: Sequence[int], gate: Any, tell: Any
) -> Side:
    """One side, round by round; each begins when the other side is there too, and is told at once."""
    import psutil
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    side = Side()

    def busy() -> float:
        return side.python + sum(backend.cpu_times()[:2])

    for size in sizes:
        gate.wait()
        begun = busy()
        side.rounds.append(work(size, side))
        side.busy.append(busy() - begun)
        tell(side)
    return side


def side_by_side(count: int, bpmn: str, *, told: bool = False) -> tuple[Side, Side]:
    """The kernel here and the bare engine in a process beside it, in the same moments.

    `told` prints each quarter of the run as soon as it has passed.
    """
    from django.db import connections

    rounds = min(ROUNDS, count)
    sizes = [count // rounds + (n < count % rounds) for n in range(rounds)]
    connections.close_all()
    world = multiprocessing.get_context("fork")
    gate, (here, there) = world.Barrier(2), world.Pipe()

    def beside() -> None:
        bare(1, bpmn, Side())
        turned(
            lambda n, side: bare(n, bpmn, side),
            sizes,
            gate,
            lambda side: there.send((side.rounds[-1], side.busy[-1])),
        )

    theirs = Side()

    def tell(mine: Side) -> None:
        took, spent = here.recv()
        theirs.rounds.append(took)
        theirs.busy.append(spent)
        part = max(rounds // QUARTERS, 1)
        if told and len(theirs.rounds) % part == 0:
            quarter(mine, theirs, slice(-part, None), sum(sizes[: len(theirs.rounds)]))

    child = world.Process(target=beside, daemon=True)
    child.start()
    ours(1, Side())
    mine = turned(ours, sizes, gate, tell)
    child.join()
    return mine, theirs


def quarter(mine: Side, theirs: Side, where: slice, count: int) -> None:
    """Print how both sides stood in some rounds."""
    a, b = (1000 * median(s.steps(where)) for s in (mine, theirs))
    spent = [1000 * sum(s.busy[where]) / len(s.steps(where)) for s in (mine, theirs)]
    print(
        f"  至第 {count:6,} 件：连云中位 {a:5.2f} ms  SpiffWorkflow {b:5.2f} ms  比 {a / b:.2f}"
        f"  处理器 {spent[0]:.2f} / {spent[1]:.2f} ms  比 {spent[0] / spent[1]:.2f}",
        flush=True,
    )


def measure(count: int, lying: int) -> int:
    """Print all figures; 1 where a target is missed."""
    from lianyun.kernel.path import compile_path, declare

    bpmn = compile_path(KEY, "三家并联", steps())
    declare(KEY, "三家并联", bpmn)
    mine, theirs = side_by_side(count, bpmn, told=True)
    own, other = (
        said("连云：开办件、八步、三路并行", mine),
        said("SpiffWorkflow 加一次 JSON 存取", theirs),
    )
    ratio = own / other
    busy = sum(mine.busy) / sum(theirs.busy)
    print(f"每步之比 {ratio:.2f}，处理器时间之比 {busy:.2f}（目标不超过 {ALLOWED}）")
    part = max(len(mine.rounds) // QUARTERS, 1)
    grown = [
        median(s.steps(slice(-part, None))) / median(s.steps(slice(part))) for s in (mine, theirs)
    ]
    print(
        f"历史从 0 长到 {count:,} 件：末段与首段每步中位之比 连云 {grown[0]:.2f}"
        f"  SpiffWorkflow {grown[1]:.2f}",
        flush=True,
    )
    lie_open(lying)
    mine, theirs = side_by_side(min(max(count // 2, 1), AGAIN), bpmn)
    again = said(f"连云：另有 {lying:,} 件在办时", mine)
    other = said("SpiffWorkflow 在同一时刻", theirs)
    print(
        f"在办 {lying:,} 件时每步之比 {again / other:.2f}（之前 {ratio:.2f}）；"
        f"每步目标 {STEP_MS:g} ms"
    )
    number, seconds = find_due(lying)
    print(f"{lying:,} 件中到期的定时 {number:,} 个，查找 {seconds:.3f} s（目标 {TIMERS_S:g} s）")
    return 0 if ratio <= ALLOWED and again <= STEP_MS and seconds <= TIMERS_S else 1


def main() -> int:
    """Prepare a database of its own and measure."""
    parser = argparse.ArgumentParser(description="办件的速度")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--open", type=int, default=100_000)
    arguments = parser.parse_args()
    with installation():
        missed = measure(arguments.cases, arguments.open)
    return missed


if __name__ == "__main__":
    sys.exit(main())
