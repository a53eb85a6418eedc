"""Which entries and reservations are concerned when a key text or a tag is dropped."""

from __future__ import annotations

from tiercel.memory.entry import Entry


class Names:
    """Entries by the text of their key and by tag. Callers hold the lock of the tier."""

    def __init__(self, by_text: bool) -> None:
        self._by_text = by_text
        self._texts: dict[str, Entry | set[Entry]] = {}
        self._tags: dict[str, set[Entry]] = {}
        self._untagged: set[Entry] = set()

    def __len__(self) -> int:
        return len(self._texts) + len(self._tags) + len(self._untagged)

    def add(self, entry: Entry) -> None:
        """Note an entry or reservation."""
        if self._by_text and entry.text is not None:
            found = self._texts.setdefault(entry.text, entry)
            if isinstance(found, set):
                found.add(entry)
            elif found is not entry:
                self._texts[entry.text] = {found, entry}
        if entry.tags is None:
            self._untagged.add(entry)
        else:
            self._add_tags(entry, entry.tags)

    def tag(self, entry: Entry, tags: tuple[str, ...]) -> None:
        """Note the tags of a reservation that had left them to its result."""
        self._untagged.discard(entry)
        self._add_tags(entry, tags)

    def remove(self, entry: Entry) -> None:
        """Forget an entry or reservation."""
        self._untagged.discard(entry)
        for tag in entry.tags or ():
            if tagged := self._tags.get(tag):
                tagged.discard(entry)
                if not tagged:
                    del self._tags[tag]
        if entry.text is None:
            return
        found = self._texts.get(entry.text)
        if isinstance(found, set):
            found.discard(entry)
            if len(found) == 1:
                self._texts[entry.text] = found.pop()
        elif found is entry:
            del self._texts[entry.text]

    def with_text(self, text: str) -> tuple[Entry, ...]:
        """Return what has this key text."""
        found = self._texts.get(text, ())
        return (found,) if isinstance(found, Entry) else tuple(found)

    def with_tag(self, tag: str) -> tuple[Entry, ...]:
        """Return what carries this tag, or may yet turn out to."""
        return (*self._tags.get(tag, ()), *self._untagged)

    def clear(self) -> None:
        """Forget everything."""
        self._texts.clear()
        self._tags.clear()
        self._untagged.clear()

    def _add_tags(self, entry: Entry, tags: tuple[str, ...]) -> None:
        for tag in tags:
            self._tags.setdefault(tag, set()).add(entry)
