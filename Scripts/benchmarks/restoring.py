"""Bringing a backup back into an empty directory, and looking at what came of it."""

import os
import shutil

from .system import Failure, totals
from .trees import first_difference


def restore(peer, folder, tree, name, target, complaints, is_compared=False):
    """Restores the last backup, tells what that took, and takes what was restored away again.

    What is wrong with it comes to the complaints: a wrong number of entries or bytes, and with `is_compared` also the
    first entry that is not what it is in the tree.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    os.sync()
    try:
        usage = peer.restore_command(folder, tree, name, target).measure()
        restored = peer.restored(target, tree)
        if not os.path.isdir(restored):
            raise Failure(f"{peer.name} restored nothing to {restored}")
        found, wanted = totals(restored), totals(tree)
        if found != wanted:
            complaints.append(f"{peer.name} restored {found} of {tree}, which has {wanted}")
        elif is_compared and (difference := first_difference(tree, restored)):
            complaints.append(f"what {peer.name} restored of {tree} is not the same: {difference}")
        return usage
    finally:
        shutil.rmtree(target, ignore_errors=True)
