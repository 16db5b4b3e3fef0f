"""Which type a column of loose values has, found over every row of it, and its values as that type.

A column is watched batch by batch (`see`), then decided once (`decide`), then its batches are turned into the decided
type (`cast`). Types: integer, number, boolean, time, and words, which are categorical where few different ones occur
and text otherwise (writing.py counts those).

Nothing is guessed in silence. Numbers with a few words among them stay numbers, the words count as missing, and that is
said with examples; codes with leading zeros stay words; dates whose day and month cannot be told apart stay words;
infinite values count as missing, since nothing can be learnt from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from trainer.workbench.datasets.delimited import MISSING

Decided = Literal["integer", "number", "boolean", "time", "words"]

MOSTLY: Final = 0.95
"""Share of numbers from which on the words among them count as missing."""
_MIXED: Final = 0.2
_EXAMPLES: Final = 3
_NUMBER: Final = r"^(?i)[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity)$"
_WHOLE: Final = r"^[+-]?\d{1,18}$"
_COMMA: Final = r"^[+-]?\d+(,\d+)?$"
_THOUSANDS: Final = r"^[+-]?\d{1,3}(,\d{3})*$"
_DATE: Final = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
_TRUE: Final = ("true", "yes")
_FALSE: Final = ("false", "no")
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_ISO: Final = "iso"
_DAY_FIRST: Final = tuple(f"{day}{clock}" for day in ("%d/%m/%Y", "%d-%m-%Y") for clock in _CLOCKS)
_MONTH_FIRST: Final = tuple(f"{day}{clock}" for day in ("%m/%d/%Y", "%m-%d-%Y") for clock in _CLOCKS)
_OTHER: Final = tuple(f"{day}{clock}" for day in ("%Y/%m/%d", "%d.%m.%Y") for clock in _CLOCKS)
_FORMATS: Final = (_ISO, *_DAY_FIRST, *_MONTH_FIRST, *_OTHER)


@dataclass(slots=True)
class Loose:
    """A column of text values, watched until its type is known."""

    name: str
    rows: int = 0
    missing: int = 0
    numbers: int = 0
    others: int = 0
    whole: bool = True
    infinite: int = 0
    zero_led: int = 0
    commas: int = 0
    clear_commas: int = 0
    truths: int = 0
    formats: tuple[str, ...] | None = None
    examples: list[str] = field(default_factory=list)
    kind: Decided = "words"
    warnings: list[str] = field(default_factory=list)

    def tidy(self, array: Any) -> Any:
        """The values without spaces around them, missing spellings as null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        trimmed = pc.utf8_trim_whitespace(array)
        missing = pc.is_in(trimmed, value_set=pa.array(MISSING))
        return pc.if_else(missing, pa.scalar(None, pa.string()), trimmed) if pc.any(missing).as_py() else trimmed

    def see(self, array: Any) -> None:
        """Watch a batch of tidied values."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.rows += len(array)
        self.missing += array.null_count
        valid = len(array) - array.null_count
        if valid == 0:
            return
        if not self.others:
            try:
                # Arrow reads 0x10 as a number and 007 as 7; both begin with a zero, which a plain number does not.
                zeros = pc.sum(pc.and_(pc.starts_with(array, "0"), pc.greater(pc.binary_length(array), 1))).as_py() or 0
                if zeros:
                    raise pa.ArrowInvalid("look closer")
                array.cast(pa.int64())
            except pa.ArrowInvalid:
                pass
            else:
                self.numbers += valid
                return
        self._look(array)

    def _look(self, array: Any) -> None:
        """Count what the values are, by their different spellings."""
        import pyarrow as pa
        import pyarrow.compute as pc

        counted = pc.value_counts(array.drop_null())
        values, counts = counted.field("values"), counted.field("counts")

        def total(mask: Any) -> int:
            return pc.sum(pc.if_else(mask, counts, 0)).as_py() or 0

        is_number = pc.match_substring_regex(values, _NUMBER)
        numbers, valid = total(is_number), pc.sum(counts).as_py()
        self.numbers += numbers
        if numbers:
            self.whole = self.whole and total(pc.match_substring_regex(values, _WHOLE)) == numbers
            self.infinite += total(pc.match_substring_regex(values, r"^(?i)[+-]?inf"))
            self.zero_led += total(pc.match_substring_regex(values, r"^[+-]?0\d"))
        if numbers == valid:
            return
        self.others += valid - numbers
        words = values.filter(pc.invert(is_number))
        if len(self.examples) < _EXAMPLES:
            fresh = [word for word in words[:_EXAMPLES].to_pylist() if word not in self.examples]
            self.examples.extend(word[:40] for word in fresh[: _EXAMPLES - len(self.examples)])
        self.commas += total(pc.and_(pc.match_substring_regex(values, _COMMA), pc.invert(is_number)))
        self.clear_commas += total(
            pc.and_(
                pc.match_substring_regex(values, _COMMA),
                pc.invert(pc.or_(pc.match_substring_regex(values, _THOUSANDS), is_number)),
            )
        )
        self.truths += total(pc.is_in(pc.utf8_lower(values), value_set=pa.array([*_TRUE, *_FALSE])))
        self._dates(values, numbers)

    def _dates(self, values: Any, numbers: int) -> None:
        import pyarrow.compute as pc

        if self.formats is None:
            self.formats = _FORMATS
        if numbers or (self.formats and not pc.all(pc.match_substring_regex(values, _DATE)).as_py()):
            self.formats = ()
        self.formats = tuple(one for one in self.formats if _moments(values, one) is not None)

    def decide(self) -> None:
        """Settle the type. `warnings` then holds what there is to say."""
        valid = self.numbers + self.others
        if valid == 0:
            self.kind = "words"
            self.warnings.append(f"column {self.name!r} is empty")
        elif self.others == 0:
            self._decide_numbers()
        elif self.truths == valid:
            self.kind = "boolean"
        elif self.formats and self.numbers == 0:
            self._decide_moments()
        elif self.clear_commas and self.commas + self.numbers == valid:
            self.kind = "number"
            self.warnings.append(
                f"column {self.name!r} was read with the comma as its decimal sign, such as {self.examples[0]}"
            )
        elif self.numbers >= MOSTLY * valid and self.zero_led == 0:
            self.kind = "integer" if self.whole else "number"
            self.warnings.append(
                f"column {self.name!r} holds numbers, and in {_rows(self.others)} something else "
                f"({', '.join(self.examples)}); those values count as missing"
            )
        else:
            self.kind = "words"
            if self.commas == self.others:
                self.warnings.append(
                    f"column {self.name!r} holds numbers with commas that may be decimals or thousands, such as "
                    f"{self.examples[0]}; they were kept as words: write the numbers without commas"
                )
            elif self.numbers > _MIXED * valid:
                self.warnings.append(
                    f"column {self.name!r} mixes numbers ({_rows(self.numbers)}) with words ({_rows(self.others)}, such as "
                    f"{', '.join(self.examples)}); all were kept as words"
                )
        if self.infinite and self.kind in {"integer", "number"}:
            self.kind = "number"
            self.warnings.append(
                f"column {self.name!r} holds infinite values in {_rows(self.infinite)}; they count as missing"
            )

    def _decide_numbers(self) -> None:
        if self.zero_led:
            self.kind = "words"
            self.warnings.append(f"column {self.name!r} holds codes that begin with zeros; they were kept as words")
        else:
            self.kind = "integer" if self.whole else "number"

    def _decide_moments(self) -> None:
        formats = self.formats or ()
        if set(formats) & set(_DAY_FIRST) and set(formats) & set(_MONTH_FIRST):
            self.kind = "words"
            self.warnings.append(
                f"column {self.name!r} holds dates whose day and month cannot be told apart, such as "
                f"{self.examples[0]}; they were kept as words: write dates as 2026-01-31"
            )
            return
        self.kind = "time"
        self.formats = formats[:1]
        if formats[0] != _ISO:
            order = (
                "day first"
                if formats[0].startswith("%d")
                else "month first"
                if formats[0].startswith("%m")
                else "year first"
            )
            self.warnings.append(f"column {self.name!r} was read as times, {order}")

    def cast(self, array: Any) -> Any:
        """A batch of tidied values as the decided type."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.kind == "words":
            return array
        if self.kind == "time":
            return _moments(array, (self.formats or (_ISO,))[0])
        if self.kind == "boolean":
            lower = pc.utf8_lower(array)
            return pc.if_else(
                pc.is_valid(array), pc.is_in(lower, value_set=pa.array(_TRUE)), pa.scalar(None, pa.bool_())
            )
        if self.clear_commas and self.others:
            array = pc.replace_substring(array, ",", ".")
        elif self.others:
            array = pc.if_else(pc.match_substring_regex(array, _NUMBER), array, pa.scalar(None, pa.string()))
        if self.kind == "integer":
            try:
                return (
                    pc.replace_substring_regex(array, r"^\+", "").cast(pa.int64())
                    if self.others
                    else array.cast(pa.int64())
                )
            except pa.ArrowInvalid:
                return pc.replace_substring_regex(array, r"^\+", "").cast(pa.int64())
        return finite(_floats(array))


@dataclass(slots=True)
class Typed:
    """A column that brought its type along."""

    name: str
    kind: Decided = "words"
    infinite: int = 0
    warnings: list[str] = field(default_factory=list)

    def tidy(self, array: Any) -> Any:
        """The values, infinite ones as null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not pa.types.is_floating(array.type):
            return array
        settled = finite(array)
        nan = pc.sum(pc.is_nan(array)).as_py() or 0
        self.infinite += settled.null_count - array.null_count - nan
        return settled

    def see(self, array: Any) -> None:
        """Remember the type of a batch."""
        self.kind = kind_of(array.type)

    def decide(self) -> None:
        """Say what was changed."""
        if self.infinite:
            self.warnings.append(
                f"column {self.name!r} holds infinite values in {_rows(self.infinite)}; they count as missing"
            )

    def cast(self, array: Any) -> Any:
        """The batch as it is."""
        return array


def kind_of(kind: Any) -> Decided:
    """What a settled Arrow type is called here."""
    import pyarrow as pa

    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "number"
    return "time" if pa.types.is_timestamp(kind) else "words"


def arrow_type(kind: Decided) -> Any:
    """The type a decided column has in table.parquet."""
    import pyarrow as pa

    return {
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "time": pa.timestamp("ms", tz="UTC"),
        "words": pa.string(),
    }[kind]


def finite(array: Any) -> Any:
    """NaN and infinite values as null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    good = pc.is_finite(array)
    return array if pc.all(good).as_py() else pc.if_else(good, array, pa.scalar(None, pa.float64()))


def _floats(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return array.cast(pa.float64())
    except pa.ArrowInvalid:
        # A leading plus and a bare trailing point are numbers to people.
        plain = pc.replace_substring_regex(array, r"^\+", "")
        return pc.replace_substring_regex(plain, r"\.(e|E|$)", r".0\1").cast(pa.float64())


def _moments(array: Any, written: str) -> Any:
    """Text as moments, or None if a value does not fit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    target = pa.timestamp("ms", tz="UTC")
    if written != _ISO:
        read = pc.strptime(array, format=written, unit="s", error_is_null=True)
        return None if read.null_count != array.null_count else read.cast(pa.timestamp("ms")).cast(target)
    for unit in ("ns", "us"):
        for zone in (None, "UTC"):
            try:
                # Milliseconds are kept; finer parts are cut, not rounded.
                return (
                    array.cast(pa.timestamp(unit, tz=zone)).cast(pa.timestamp("ms", tz=zone), safe=False).cast(target)
                )
            except pa.ArrowInvalid:
                continue
    return None


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count:,} rows"
