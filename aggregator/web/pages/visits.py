"""One visit of one person to one page: who it is, what they may do, and how a page stays current and never breaks.

- Who acts is looked up again before every write: a session that ended meanwhile leads to the login page.
- A refusal is shown in its own words, which are written for users. Anything unexpected is logged under a reference and
  shown as that reference: no exception text of a library ever reaches a page.
- `follow` reads again when something happened, at most a few times a second, and in any case now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from nicegui import background_tasks, ui

from aggregator.errors import AggregatorError, NotFound, Unauthenticated
from aggregator.events import BACKLOG
from aggregator.rows import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from nicegui import Client

    from aggregator.services import Services
    from aggregator.users import Principal

log = logging.getLogger(__name__)

TOGETHER_S: Final = 0.25
"""Events this close together cause one refresh, unless a page says otherwise."""

AT_LEAST_EVERY_S: Final = 20.0
"""A page reads again after this long without an event: ages, connections and counts change by themselves."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A page that somebody looks at."""

    services: Services
    user: Principal
    client: Client

    def may(self, role: Role) -> bool:
        """True when controls that need `role` should be shown. The write itself asks again."""
        return self.user.may(role)

    @property
    def judges(self) -> bool:
        """True for those who may give verdicts."""
        return self.may(Role.ANALYST)

    def actor(self) -> Principal:
        """Who is acting now. Raises `Unauthenticated` when the session has ended."""
        user = self.services.access.current_user(self.client.request)
        if user is None:
            raise Unauthenticated("your session has ended; log in again")
        return user

    def number(self, name: str) -> int:
        """A number of the address. Raises `NotFound` when it is none."""
        value = str(self.client.request.path_params[name])
        if not value.isdecimal() or len(value) > 15:
            raise NotFound(f"there is nothing at {self.client.request.url.path[:80]!r}")
        return int(value)

    def asked(self, name: str) -> str:
        """A value of the address's query, empty when it has none."""
        return self.client.request.query_params.get(name, "")[:200]

    @contextlib.contextmanager
    def acting(self) -> Iterator[Principal]:
        """Around a write: yields who acts, and turns what goes wrong into a message on the page."""
        try:
            yield self.actor()
        except Unauthenticated:
            self.to_login()
        except Exception as error:  # noqa: BLE001 - the last place where it can be kept from the user
            ui.notify(explain(error)[1], type="negative", multi_line=True, close_button="Close", timeout=12_000)

    def to_login(self) -> None:
        """Go to the login page and come back here afterwards."""
        url = self.client.request.url
        here = url.path + (f"?{url.query}" if url.query else "")
        ui.navigate.to(f"/login?next={quote(here)}")

    def follow(self, *topics: str, refresh: Callable[[], Awaitable[None]], together_s: float = TOGETHER_S) -> None:
        """Call `refresh` whenever something of `topics` happened, until the page is left.

        `together_s`: events this close together cause one refresh; longer for pages that are costly to read.
        """

        async def watch() -> None:
            async with self.services.events.subscribe(*topics) as news:
                while True:
                    if await news.get(AT_LEAST_EVERY_S) is not None:
                        await self.services.clock.sleep(together_s)
                        for _ in range(BACKLOG):
                            if await news.get(0.001) is None:
                                break
                    await self._refresh(refresh)

        task = background_tasks.create(watch(), name=f"follow {' '.join(topics)}")
        self.client.on_delete(lambda: task.cancel() and None)

    async def _refresh(self, refresh: Callable[[], Awaitable[None]]) -> None:
        with self.client:
            try:
                self.actor()
                await refresh()
            except Unauthenticated:
                self.to_login()
            except Exception as error:  # noqa: BLE001 - one failed refresh must not end the page
                explain(error)


async def in_thread(question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The answer of a read that takes longer than a few milliseconds, without holding up everybody else."""
    return await asyncio.to_thread(question, *args, **kwargs)


def explain(error: Exception) -> tuple[int, str]:
    """An HTTP status and what may be said of an error on a page.

    A refusal speaks for itself. What the asker cannot help (a full disk, a defect) names paths and causes that belong
    into the log: it is logged, and the page says under which reference.
    """
    if isinstance(error, AggregatorError) and error.status < 500:
        return error.status, sentence(str(error))
    reference = secrets.token_hex(4)
    log.error("console_error reference=%s", reference, exc_info=error)
    status = error.status if isinstance(error, AggregatorError) else 500
    return status, f"Something went wrong here. The aggregator's log has the details under reference {reference}."


def sentence(said: str) -> str:
    """An error's text as a sentence. A file's or a program's name at its beginning keeps its small letter."""
    first = said.split(" ", 1)[0].rstrip(",:;.")
    start = said[:1].upper() if first.isalpha() else said[:1]
    return start + said[1:] + ("" if said.endswith((".", "?", "!")) else ".")
