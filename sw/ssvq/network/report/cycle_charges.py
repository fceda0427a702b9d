"""Every cycle of a run, charged to the descriptor that the array stood or worked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ssvq.driver.profile import Profile, ProfileRow
from ssvq_gen.format import VECTOR_OPCODES, Opcode

Classes = Mapping[str, int]
"""Cycles by class, see `ssvq_gen.profile.PROFILE_CLASSES`."""

_RUNNING = {
    "VECTOR_CYCLES": VECTOR_OPCODES,
    "LOAD_CYCLES": (Opcode.LOAD,),
    "STORE_CYCLES": (Opcode.STORE,),
}
"""Classes of cycles in which nothing was in the array, and whose descriptors ran meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Charges:
    """All cycles of a run: `descriptors` and `rest` add up to its total.

    Attributes:
        descriptors: by the descriptor's index, as far as it costs anything.
        rest: what came after the last matrix descriptor of the profile and is no one's; of descriptors beyond the
            core's `profile_depth` all that they cost.
    """

    descriptors: Mapping[int, Classes]
    rest: Classes


def charge(profile: Profile) -> Charges:
    """Charge the cycles of a profile.

    The core counts from one matrix descriptor's last activation to the next one's. In between, the end of the sums is
    charged to the first, cycles in which only a vector operation, a LOAD or a STORE was running to that, and all others
    to the second. Where several vector operations (LOADs, STOREs) ran between the same two, they share these cycles in
    proportion to how long each ran there; only this division is an estimate.
    """
    found: dict[int | None, dict[str, int]] = {}
    for gap in _gaps(profile):
        for index, name, cycles in gap.charges():
            own = found.setdefault(index, {})
            own[name] = own.get(name, 0) + cycles
    rest = found.pop(None, {})
    return Charges(descriptors={index: own for index, own in found.items() if index is not None}, rest=rest)


@dataclass(frozen=True, kw_only=True)
class _Gap:
    """From the last activation of one matrix descriptor to that of the next.

    Attributes:
        before, own: these descriptors; None before the first, and after the last of the profile.
        classes: its cycles.
        end: cycle at which the first activation of the next enters.
        others: rows of other descriptors that end later than `before`.
    """

    before: ProfileRow | None
    own: int | None
    classes: Classes
    end: int
    others: Sequence[ProfileRow]

    def charges(self) -> Iterator[tuple[int | None, str, int]]:
        """Descriptor, class and cycles."""
        for name, cycles in self.classes.items():
            if not cycles:
                continue
            if name == "WAIT_OUTPUT_CYCLES" and self.before is not None:
                yield self.before.index, name, cycles
            elif shares := self._shares(_RUNNING.get(name, ())):
                for index, part in _divided(cycles, shares).items():
                    yield index, name, part
            else:
                yield self.own, name, cycles

    def _shares(self, opcodes: Sequence[Opcode]) -> dict[int, int]:
        """Cycles that each descriptor of these ran in the gap."""
        begin = _last_activation(self.before)
        found = {
            row.index: min(row.end, self.end) - max(row.begin, begin) for row in self.others if row.opcode in opcodes
        }
        return {index: cycles for index, cycles in found.items() if cycles > 0}


def _gaps(profile: Profile) -> Iterator[_Gap]:
    others = [row for row in profile.rows if not row.is_matrix]
    before: ProfileRow | None = None
    for row in profile.rows:
        if row.is_matrix:
            end = row.compute_begin if row.compute_begin is not None else row.end
            yield _Gap(before=before, own=row.index, classes=row.classes, end=end, others=others)
            before = row
            others = [other for other in others if other.end > _last_activation(row)]
    if profile.left_out:
        yield _Gap(before=None, own=None, classes=profile.tail, end=0, others=())
    else:
        yield _Gap(before=before, own=None, classes=profile.tail, end=profile.total, others=others)


def _last_activation(row: ProfileRow | None) -> int:
    return 0 if row is None or row.compute_end is None else row.compute_end


def _divided(cycles: int, shares: Mapping[int, int]) -> dict[int, int]:
    """Whole cycles in proportion to the shares, which add up to all of them."""
    total, passed, given = sum(shares.values()), 0, 0
    parts = {}
    for index, share in shares.items():
        passed += share
        parts[index] = cycles * passed // total - given
        given += parts[index]
    return parts
