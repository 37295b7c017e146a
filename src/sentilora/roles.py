"""The roles that a block's projections play, and the names by which they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from sentilora.errors import UserError

ROLES = ("query", "key", "value", "output", "mlp")

# What a literal module name means as a role: the reference recipe's `q_proj,v_proj` is "query and
# value" on every architecture.
_LITERAL = {
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "o_proj": "output",
    "gate_proj": "mlp",
    "up_proj": "mlp",
    "down_proj": "mlp",
}


def parse_roles(given: str | Sequence[str]) -> tuple[str, ...]:
    """Roles from `query,value`, `all`, or the literal names `q_proj,v_proj`.

    Raises `UserError` for a name that is no role, and where there is none.
    """
    names = given.split(",") if isinstance(given, str) else list(given)
    if not names:
        raise UserError(f"No projection is named; choose from {', '.join(ROLES)} or all.")
    wanted = [_LITERAL.get(name.strip().lower(), name.strip().lower()) for name in names]
    if "all" in wanted:
        return ROLES
    if unknown := [name for name in wanted if name not in ROLES]:
        raise UserError(
            f"Unknown projection {unknown[0]!r}; choose from {', '.join(ROLES)} or all."
        )
    return tuple(role for role in ROLES if role in wanted)
