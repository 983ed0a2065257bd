"""
Every run of the model, as a table.

    python -m tests.model            what `make test` runs
    python -m tests.model --large    the larger searches too: minutes, and gigabytes
"""

from __future__ import annotations

import sys

from tests.model.checker import GENERATIONS, LARGE, LIVENESS, SAFETY, THREE_FAULTS, check
from tests.model.figures import leave, table
from tests.model.mutants import MUTANTS


def main(arguments: list[str]) -> int:
    """Returns 1 when an invariant falls that should stand, or stands that should fall."""
    sound = [
        check(run) for run in (SAFETY, GENERATIONS, THREE_FAULTS, LIVENESS, *(LARGE if "--large" in arguments else ()))
    ]
    broken = [check(mutant.run) for mutant in MUTANTS]
    leave([*sound, *broken])
    print(table([*sound, *broken]))
    held = all(each.violated is None for each in sound)
    caught = all(each.violated == mutant.falls for each, mutant in zip(broken, MUTANTS, strict=True))
    return 0 if held and caught else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
