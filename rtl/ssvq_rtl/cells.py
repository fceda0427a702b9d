"""How components that are made of a vendor's cells are elaborated."""


class BehaviouralCells:
    """A platform on which vendors' cells are described by what they do, for simulators that have no models of them."""


def is_behavioural(platform: object) -> bool:
    """Whether a component describes a cell rather than instantiates it."""
    return isinstance(platform, BehaviouralCells)
