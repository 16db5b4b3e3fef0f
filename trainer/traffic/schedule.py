"""Playing: many sources of flows become one stream of packets in the order of time.

Promises:

- Packets come out in the order of their times; of equal times, in an order that depends on nothing but the input.
- Memory holds the flows under way and those that start within the next `HORIZON_US`. A source may be out of order by
  that much and no more; more is an error of the source, and is said, never written.
- A flow's `first_us`, `last_us` and `written` are right when it is handed to `ended`, which happens once for every flow
  of which a packet came out, also for those that the end of the scenario cuts.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from trainer.traffic.packets import TrafficError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from trainer.traffic.flows import Flow, Source
    from trainer.traffic.packets import Packet

HORIZON_US = 20_000_000

_Entry: TypeAlias = "tuple[int, int, Flow | Source, Packet | None]"
"""Time, order of arrival, and either a flow with its next packet, or a source that is due to be read on."""


def play(sources: Iterable[Source], until_us: int | None, ended: Callable[[Flow], None]) -> Iterator[Packet]:
    """All packets before `until_us` (`None`: to the last one). Raises `TrafficError` on a source in disorder."""
    numbers = count()
    heap: list[_Entry] = [(0, next(numbers), source, None) for source in sources]
    heapq.heapify(heap)
    written = 0
    while heap:
        time, number, item, packet = heap[0]
        if until_us is not None and time >= until_us:
            break
        if packet is None:
            heapq.heappop(heap)
            _read_on(heap, numbers, item, time)  # type: ignore[arg-type]  # entries without a packet hold sources
            continue
        flow: Flow = item  # type: ignore[assignment]  # entries with a packet hold flows
        if time < written:
            raise TrafficError(f"a {flow.kind} flow starts more than {HORIZON_US} us out of order: sort its source")
        written = time
        flow.last_us = time
        flow.written += 1
        yield packet
        following = next(flow.packets, None)
        if following is None:
            heapq.heappop(heap)
            ended(flow)
        else:
            heapq.heapreplace(heap, (following[0], number, flow, following))
    under_way = [(number, item) for _, number, item, packet in heap if packet is not None]
    for _, item in sorted(under_way):
        if item.written:  # type: ignore[union-attr]
            ended(item)  # type: ignore[arg-type]


def _read_on(heap: list[_Entry], numbers: Iterator[int], source: Source, now: int) -> None:
    """Take flows from a source until one starts beyond the horizon; come back when that is near."""
    for flow in source:
        packet = next(flow.packets, None)
        if packet is not None:
            flow.first_us = packet[0]
            heapq.heappush(heap, (packet[0], next(numbers), flow, packet))
        if flow.start_us > now + HORIZON_US:
            heapq.heappush(heap, (flow.start_us - HORIZON_US, next(numbers), source, None))
            return
