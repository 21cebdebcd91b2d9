"""The tree of the prices of one side: an AVL tree (Adelson-Velsky and Landis, 1962) whose nodes are the rows of LEVEL.

Each node knows its parent and its lean (height of its lower subtree minus height of its higher one: −1, 0 or 1), so
that opening or closing a level touches only nodes on the way up, most often one or two, and no way down is looked for
again. A level that opens at a new best price needs no descent at all: its place is beside the old best.
"""

from __future__ import annotations

from typing import Any

from numpy import uint32 as unsigned

from matching.layout import NONE, kernel


@kernel
def neighbors_of(levels: Any, node: int, price: int) -> tuple[int, int]:
    """(next higher, next lower) level of a price that has none, below the root `node`."""
    above = NONE
    below = NONE
    while node != NONE:
        level = levels[unsigned(node)]
        if price < level["price"]:
            above = node
            node = int(level["lower"])
        else:
            below = node
            node = int(level["higher"])
    return above, below


@kernel
def insert(levels: Any, roots: Any, new: int, above: int, below: int) -> None:
    """Hang the level `new` into the tree, between its neighbors, and link the three."""
    level = levels[unsigned(new)]
    level["lower"] = NONE
    level["higher"] = NONE
    level["lean"] = 0
    level["above"] = above
    level["below"] = below
    if above != NONE:
        levels[unsigned(above)]["below"] = new
    if below != NONE:
        levels[unsigned(below)]["above"] = new
    # Of two neighbors the one deeper in the tree has no child toward the other.
    if below != NONE and levels[unsigned(below)]["higher"] == NONE:
        levels[unsigned(below)]["higher"] = new
        level["parent"] = below
    elif above != NONE:
        levels[unsigned(above)]["lower"] = new
        level["parent"] = above
    else:
        level["parent"] = NONE
        roots[unsigned(level["series"]), unsigned(level["side"])] = new
    node = new
    at = int(level["parent"])
    while at != NONE:
        parent = levels[unsigned(at)]
        grown = 1 if parent["lower"] == node else -1
        lean = int(parent["lean"]) + grown
        if lean == 2 or lean == -2:  # noqa: PLR1714  (plain for the JIT)
            lift(levels, roots, at)
            return
        parent["lean"] = lean
        if lean == 0:
            return
        node = at
        at = int(parent["parent"])


@kernel
def remove(levels: Any, roots: Any, at: int) -> None:
    """Take the level `at` out of the tree and out of the links between neighbors."""
    level = levels[unsigned(at)]
    above = int(level["above"])
    below = int(level["below"])
    if above != NONE:
        levels[unsigned(above)]["below"] = below
    if below != NONE:
        levels[unsigned(below)]["above"] = above
    lower = int(level["lower"])
    higher = int(level["higher"])
    if lower != NONE and higher != NONE:  # noqa: PLR1714  (plain for the JIT)
        # The next higher level takes this one's place; it has no lower child.
        heir = levels[unsigned(above)]
        heir["lower"] = lower
        levels[unsigned(lower)]["parent"] = above
        heir["lean"] = level["lean"]
        if higher == above:
            node = above
            shrunk = -1
        else:
            node = int(heir["parent"])
            shrunk = 1
            orphan = int(heir["higher"])
            levels[unsigned(node)]["lower"] = orphan
            if orphan != NONE:
                levels[unsigned(orphan)]["parent"] = node
            heir["higher"] = higher
            levels[unsigned(higher)]["parent"] = above
        replace_child(levels, roots, at, above)
    else:
        node = int(level["parent"])
        shrunk = 0
        if node != NONE:
            shrunk = 1 if levels[unsigned(node)]["lower"] == at else -1
        replace_child(levels, roots, at, lower if lower != NONE else higher)
    # `shrunk` says which subtree of `node` is lower by one than before: 1 its lower one, −1 its higher one.
    while node != NONE:
        parent = levels[unsigned(node)]
        lean = int(parent["lean"]) - shrunk
        up = int(parent["parent"])
        shrunk = 0
        if up != NONE:
            shrunk = 1 if levels[unsigned(up)]["lower"] == node else -1
        if lean == 2 or lean == -2:  # noqa: PLR1714  (plain for the JIT)
            if lift(levels, roots, node):
                return
        else:
            parent["lean"] = lean
            if lean != 0:
                return
        node = up


@kernel
def replace_child(levels: Any, roots: Any, old: int, new: int) -> None:
    """Let what is above `old` in the tree point to `new` (or NONE), and `new` back."""
    level = levels[unsigned(old)]
    parent = int(level["parent"])
    if parent == NONE:
        roots[unsigned(level["series"]), unsigned(level["side"])] = new
    elif levels[unsigned(parent)]["lower"] == old:
        levels[unsigned(parent)]["lower"] = new
    else:
        levels[unsigned(parent)]["higher"] = new
    if new != NONE:
        levels[unsigned(new)]["parent"] = parent


@kernel
def lift(levels: Any, roots: Any, node: int) -> bool:
    """Balance the node that leans by one more than its lean says, toward where it leans.

    True if the subtree is as high as it was before: only when a removal left both of its grandchildren equally high.
    """
    lean = int(levels[unsigned(node)]["lean"])
    child = int(levels[unsigned(node)]["lower"]) if lean > 0 else int(levels[unsigned(node)]["higher"])
    inner = int(levels[unsigned(child)]["lean"])
    if inner == -lean:
        # The middle grandchild goes up.
        top = int(levels[unsigned(child)]["higher"]) if lean > 0 else int(levels[unsigned(child)]["lower"])
        middle = int(levels[unsigned(top)]["lean"])
        rotate(levels, roots, child, top, lean < 0)
        rotate(levels, roots, node, top, lean > 0)
        levels[unsigned(node)]["lean"] = -lean if middle == lean else 0
        levels[unsigned(child)]["lean"] = lean if middle == -lean else 0
        levels[unsigned(top)]["lean"] = 0
        return False
    rotate(levels, roots, node, child, lean > 0)
    levels[unsigned(node)]["lean"] = 0 if inner == lean else lean
    levels[unsigned(child)]["lean"] = 0 if inner == lean else -lean
    return inner == 0


@kernel
def rotate(levels: Any, roots: Any, node: int, child: int, is_lower: bool) -> None:
    """Lift `child`, the lower (or the higher) child of `node`, over it."""
    replace_child(levels, roots, node, child)
    if is_lower:
        inner = int(levels[unsigned(child)]["higher"])
        levels[unsigned(child)]["higher"] = node
        levels[unsigned(node)]["lower"] = inner
    else:
        inner = int(levels[unsigned(child)]["lower"])
        levels[unsigned(child)]["lower"] = node
        levels[unsigned(node)]["higher"] = inner
    levels[unsigned(node)]["parent"] = child
    if inner != NONE:
        levels[unsigned(inner)]["parent"] = node
