"""Who may do what with an account: the person whose it is, and nobody else."""

from __future__ import annotations

from grantkeeper.edge.operations import PERSON, Access

OWN = Access("connections:read", PERSON, owned=True)
READ = Access("profile", PERSON, owned=True)
WRITE = Access("account:write", PERSON, owned=True)
MINT = Access("account:write", PERSON, owned=True, recent=True)
ROTATE = Access("account:write", PERSON, owned=True, recent=True, elsewhere=404)
CONFIRM = Access("account:write", PERSON, owned=True, recent=True, others=403, elsewhere=403)  # and the link is over
RECENT = Access("account:write", PERSON, owned=True, recent=True)
