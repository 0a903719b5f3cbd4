"""Work shared out in machine code: every piece is done once, whoever takes part."""

from __future__ import annotations

import os
import sys
import time
from threading import Thread

import numpy as np
import pytest

from tersor.runtime.orders.order import SHARED, WORK, left_out, order_of, unless
from tersor.runtime.orders.team import (
    ARGUMENT,
    BUSY,
    CALLS,
    ENDED,
    FUNCTION,
    JOINED,
    LED,
    NUMBER,
    OPEN,
    PROCESSOR,
    alone,
    carry_out,
    follow,
    lead,
    make_team,
    none_joined,
    take,
    take_part,
)
from tersor.runtime.orders.team import WORK as IN_WORK
from tests.runtime.jobs import ONE_PROCESSOR, Job, marker, teller

LOOKS = 1000


@pytest.fixture(scope="module")
def code() -> int:
    return marker(((),))


def test_one_thread_does_everything(code):
    job = Job(code, 5)
    alone(code, job.order.ctypes.data, 0)
    assert job.done == [1] * 5


def test_a_team_without_followers(code):
    team, job = make_team(), Job(code, 3)
    assert lead(team, code, job.order.ctypes.data, LOOKS) == 0
    assert job.done == [1] * 3
    assert team[LED] == 0


@pytest.mark.parametrize("holds", [False, True])
def test_orders_that_a_condition_leaves_out(code, holds):
    condition, jobs = np.array([holds]), [Job(code, pieces) for pieces in (3, 1, 7, 2)]
    a, b, c, d = (job.order for job in jobs)
    orders = np.stack([unless(condition, True, 2), a, b, unless(condition, False, 1), c, d])
    assert [left_out(order) for order in orders] == ([0, 0, 0, 1, 0, 0] if holds else [2, 0, 0, 0, 0, 0])
    for _ in range(2):
        assert carry_out(make_team(), orders, LOOKS)
    counts = [sum(job.done) for job in jobs]
    assert counts == ([6, 2, 0, 4] if holds else [0, 0, 14, 4])


@pytest.mark.parametrize("shared", [0, 1])
def test_orders_in_a_row(code, shared):
    team, jobs = make_team(), [Job(code, pieces) for pieces in (3, 1, 7)]
    orders = np.array([job.order for job in jobs])
    orders[:, SHARED] = shared
    for times in (1, 2):  # an order can be carried out again
        carry_out(team, orders, LOOKS)
        assert [job.done for job in jobs] == [[times] * 3, [times], [times] * 7]
    assert np.array_equal(team[[LED, ENDED, BUSY]], [0, 0, 0])


def test_followers_stay_while_orders_are_carried_out():
    team, gave_up = make_team(), []
    follow(team, none_joined(), 0, 1)
    team[BUSY] = 1
    follower = Thread(target=lambda: gave_up.append(follow(team, none_joined(), 0, 10)))
    follower.start()
    time.sleep(0.05)
    assert follower.is_alive()
    team[BUSY] = 0
    follower.join(60)
    assert gave_up == [False]


@pytest.mark.skipif(ONE_PROCESSOR, reason="there is one processor")
def test_followers_join_what_is_open(code):
    team, jobs, joined, end = make_team(), [], 0, time.monotonic() + 60
    follow(team, none_joined(), 0, 1)  # compiled before threads need it

    def serve() -> None:
        own = none_joined()
        while follow(team, own, 0, 1 << 60):
            time.sleep(0)

    followers = [Thread(target=serve) for _ in range(2)]
    for follower in followers:
        follower.start()
    while (joined == 0 or len(jobs) < 200) and time.monotonic() < end:
        jobs.append(Job(code, 40))
        joined += lead(team, code, jobs[-1].order.ctypes.data, LOOKS)
    team[CALLS] = 1
    for follower in followers:
        follower.join()
    assert joined > 0
    assert all(job.done == [1] * 40 for job in jobs)
    assert joined <= 2 * len(jobs)
    assert team[LED] == team[IN_WORK] % 2 == 0
    assert team[ENDED] == joined


def test_nobody_joins_work_twice(code):
    team, job, joined = make_team(), Job(code, 3), none_joined()
    team[[FUNCTION, ARGUMENT]] = code, job.order.ctypes.data
    team[IN_WORK] = NUMBER + OPEN
    for _ in range(2):  # a follower that gave up comes back while the same work is open
        assert not follow(team, joined, 0, 10)
    assert team[IN_WORK] == NUMBER + OPEN + JOINED
    assert team[ENDED] == 1
    assert job.done == [1] * 3


def test_every_second_member_takes_pieces_from_the_back(code):
    order = Job(code, 5).order.ctypes.data
    assert [take(order, member) for member in (0, 1, 3, 2, 1, 0, 1, 2)] == [0, 4, 3, 1, 2, 5, 5, 5]


def test_every_second_member_takes_parts_from_the_back():
    order = order_of({}).ctypes.data
    assert [take_part(order, 0, 5, member) for member in (0, 1, 3, 2, 1, 0)] == [0, 4, 3, 1, 2, 5]
    assert [take_part(order, 1, 3, member) for member in (1, 0)] == [2, 0]
    assert take_part(order, 0, 5, 0) == 5  # who comes late finds that others are at the next tile
    assert [take_part(order, 1, 3, member) for member in (0, 1)] == [1, 3]


def test_who_leads_is_member_0_and_others_count_as_they_join():
    told, team = np.zeros(1, np.int64), make_team()
    order, code = order_of({WORK: told.ctypes.data}).ctypes.data, teller(((),))
    lead(team, code, order, LOOKS)
    assert told == 0
    team[[IN_WORK, PROCESSOR]] = NUMBER + OPEN, -1
    for joined in (1, 3):  # 1, then 1 + 2
        follow(team, none_joined(), 0, 10)
        assert told == joined


def test_who_cannot_lead_works_alone(code):
    team, job = make_team(), Job(code, 4)
    team[LED] = 1
    assert lead(team, code, job.order.ctypes.data, LOOKS) == 0
    assert job.done == [1] * 4
    assert team[LED] == 1


def test_followers_lose_patience():
    team = make_team()
    follow(team, none_joined(), 0, 10)
    assert np.array_equal(team, make_team())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processors")
def test_followers_give_up_on_the_processor_of_who_leads(code):
    team, job, usable = make_team(), Job(code, 3), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usable)})
    try:
        lead(team, code, job.order.ctypes.data, LOOKS)
        assert team[PROCESSOR] == min(usable)
        assert follow(team, none_joined(), 0, 1 << 60)
        team[PROCESSOR] = -1
        assert not follow(team, none_joined(), 0, 10)
    finally:
        os.sched_setaffinity(0, usable)
