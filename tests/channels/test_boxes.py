"""Boxes: waiting, waking over loops and threads, and nothing left behind."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cacheapp.channels.boxes import BOXES_BEFORE_SWEEP, Boxes


def fine(_: str) -> None:
    """The check of a name that is well."""


async def test_first_come_first_served() -> None:
    boxes = Boxes(60)
    waiting = [asyncio.create_task(boxes.receive("a")) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        assert boxes.put("a", b"%d" % number, 10, fine)
    assert await asyncio.gather(*waiting) == [b"0", b"1", b"2"]


async def test_take_is_for_names_that_were_received() -> None:
    boxes = Boxes(60)
    boxes.put("a", b"0", 10, fine)
    assert boxes.take("a") is None
    assert await boxes.receive("a") == b"0"
    boxes.put("a", b"1", 10, fine)
    assert boxes.take("a") == b"1"
    assert boxes.take("a") is None
    assert boxes.take("b") is None


async def test_a_wake_that_was_meant_for_a_cancelled_receive() -> None:
    boxes = Boxes(60)
    first, second = (asyncio.create_task(boxes.receive("a")) for _ in range(2))
    await asyncio.sleep(0)
    boxes.put("a", b"0", 10, fine)
    first.cancel()
    assert await asyncio.wait_for(second, 5) == b"0"
    with pytest.raises(asyncio.CancelledError):
        await first


def test_a_loop_that_was_closed_wakes_nobody_and_loses_nothing() -> None:
    boxes = Boxes(60)
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(boxes.receive("a"))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    boxes.put("a", b"0", 10, fine)
    assert asyncio.run(boxes.receive("a")) == b"0"
    waiting._log_destroy_pending = False
    waiting.get_coro().close()


def test_a_loop_that_stands_still_is_told_only_where_no_other_waits() -> None:
    boxes = Boxes(60)
    loop = asyncio.new_event_loop()
    still = [loop.create_task(boxes.receive("a")) for _ in range(2)]
    loop.run_until_complete(asyncio.sleep(0))

    async def use() -> bytes:
        waiting = asyncio.create_task(boxes.receive("a"))
        await asyncio.sleep(0)
        boxes.put("a", b"0", 10, fine)
        return await asyncio.wait_for(waiting, 5)

    assert asyncio.run(use()) == b"0"
    # They still wait, first come first served.
    for value in (b"1", b"2"):
        boxes.put("a", value, 10, fine)
    assert loop.run_until_complete(asyncio.wait_for(asyncio.gather(*still), 5)) == [b"1", b"2"]
    loop.close()


async def test_from_another_thread() -> None:
    boxes = Boxes(60)
    waiting = [asyncio.create_task(boxes.receive(name)) for name in "abc"]
    await asyncio.sleep(0)
    thread = threading.Thread(target=boxes.put_all, args=([(name, 1) for name in "abc"], b"x"))
    thread.start()
    assert await asyncio.wait_for(asyncio.gather(*waiting), 5) == [b"x"] * 3
    thread.join()


def test_capacity_counts_what_is_on_its_way() -> None:
    boxes = Boxes(60)
    assert boxes.depart("a", 2)
    assert boxes.put("a", b"0", 2, fine)
    assert not boxes.depart("a", 2)
    boxes.arrive("a")
    assert boxes.flying == 0
    assert boxes.depart("a", 2)
    boxes.clear()
    assert boxes.flying == 0
    assert boxes.put_all([("a", 0), ("b", 1)], b"x") == 1


async def test_what_expired() -> None:
    boxes = Boxes(0.0)
    assert boxes.put("a", b"0", 1, fine)
    assert boxes.put("a", b"1", 1, fine)
    assert boxes.put_all([("b", 1)], b"x") == 0
    assert boxes.names() == ["a"]
    boxes.sweep()
    assert boxes.names() == []
    boxes.sweep()
    assert len(boxes) == 0


async def test_a_process_that_only_sends_keeps_no_expired_messages() -> None:
    boxes = Boxes(0.0)
    for number in range(3 * BOXES_BEFORE_SWEEP):
        boxes.put(f"c{number}", b"x", 1, fine)
        assert len(boxes) <= BOXES_BEFORE_SWEEP + 2


async def test_any_receive_drops_what_expired_in_all_boxes() -> None:
    boxes = Boxes(0.05)
    boxes.put_all([("a", 1)], b"x", 0.05 - 1e-9)
    boxes.put("b", b"y", 1, fine)
    assert sorted(boxes.names()) == ["a", "b"]
    assert await boxes.receive("b") == b"y"
    assert boxes.names() == []


async def test_names_that_are_used_once_leave_nothing() -> None:
    boxes = Boxes(60)
    for number in range(20 * BOXES_BEFORE_SWEEP):
        boxes.put(f"c{number}", b"x", 1, fine)
        assert await boxes.receive(f"c{number}") == b"x"
        assert len(boxes) <= BOXES_BEFORE_SWEEP + 1
    waiting = asyncio.create_task(boxes.receive("kept"))
    await asyncio.sleep(0)
    boxes.sweep()
    boxes.sweep()
    boxes.put("kept", b"y", 1, fine)
    assert await waiting == b"y"
