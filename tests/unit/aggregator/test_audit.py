"""The chain of who did what."""

from __future__ import annotations

from aggregator import audit
from aggregator.storage.store import Store


def test_a_changed_entry_breaks_the_chain(tmp_path):
    """Even for someone who can drop the triggers."""
    store = Store(tmp_path / "x.db").open()
    for number in range(5):
        store.write_now(lambda db, number=number: audit.record(db, at_ms=number, actor="a", action="b", about="c"))
    assert store.read(audit.broken_link) is None
    store.write_now(lambda db: db.execute("DROP TRIGGER audit_no_update"))
    store.write_now(lambda db: db.execute("UPDATE audit SET actor = 'someone else' WHERE id = 3"))
    assert store.read(audit.broken_link) == 3
    store.close()


def test_a_removed_entry_breaks_the_chain(tmp_path):
    """The entry behind it no longer fits."""
    store = Store(tmp_path / "x.db").open()
    for number in range(5):
        store.write_now(lambda db, number=number: audit.record(db, at_ms=number, actor="a", action="b", about="c"))
    store.write_now(lambda db: db.execute("DROP TRIGGER audit_no_delete"))
    store.write_now(lambda db: db.execute("DELETE FROM audit WHERE id = 2"))
    assert store.read(audit.broken_link) == 3
    store.close()
