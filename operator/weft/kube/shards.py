"""Which shard a namespace belongs to, and which replica works on which shard: decisions only, free of I/O.

A shard is a share of the namespaces, by a hash of their names that is the same on every machine and in every version.
How many there are is a setting; who holds them is settled here. Every replica works the same answer out from what it
sees, and where two see differently for a moment the shard's Lease decides: this is about balance, not about safety.
"""

import hashlib
from collections.abc import Collection, Mapping
from functools import lru_cache


@lru_cache(maxsize=8192)
def shard_of(namespace: str, count: int) -> int:
    """Give the shard of a namespace, of so many."""
    if count <= 1:
        return 0
    return int.from_bytes(hashlib.sha256(namespace.encode()).digest()[:8]) % count


def shares(members: Collection[str], holders: Mapping[int, str]) -> dict[int, str]:
    """Give the member that each shard should be held by; `holders` names who holds it now ("" or a stranger: nobody).

    No member has two more than another, and no shard leaves a living holder without need: one that holds more than its
    share keeps the first of them, and what is left over goes to those who hold less. Without members there is nothing.
    """
    held: dict[str, list[int]] = {member: [] for member in members}
    for shard in sorted(holders):
        if holders[shard] in held:
            held[holders[shard]].append(shard)
    least, more = divmod(len(holders), max(1, len(held)))
    assigned: dict[int, str] = {}
    room: list[str] = []
    # Where the shards do not divide evenly, one more is for those who hold the most: then nothing has to move for it.
    for place, member in enumerate(sorted(held, key=lambda each: (-len(held[each]), each))):
        share = least + (place < more)
        kept = held[member][:share]
        assigned |= dict.fromkeys(kept, member)
        room += [member] * (share - len(kept))
    left_over = [shard for shard in sorted(holders) if shard not in assigned]
    return assigned | dict(zip(left_over, room, strict=False))
