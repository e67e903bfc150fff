"""Where a run writes: mail on the disk that is measured, sockets where paths are short."""

import concurrent.futures
import os
import pwd
import shutil
import tempfile

REMOVERS = 32


class Workspace:
    def __init__(self, on):
        """on: any directory of the file system to be measured."""
        os.makedirs(on, exist_ok=True)
        self.dir = tempfile.mkdtemp(prefix="run-", dir=on)
        self.sockets = tempfile.mkdtemp(prefix="lodge-bench-")
        for path in (self.dir, self.sockets):
            os.chmod(path, 0o755)

    def directory(self, *names):
        """A new directory of that path below the workspace."""
        path = os.path.join(self.dir, *names)
        os.makedirs(path)
        return path

    def remove(self, keep):
        shutil.rmtree(self.sockets, ignore_errors=True)
        if not keep:
            remove_tree(self.dir)


def remove_files(directory, names):
    for name in names:
        os.unlink(os.path.join(directory, name))


def remove_tree(path):
    """Many files at once: on ext4 without a journal that tells the drive what is free (discard), each waits for the drive
    by itself, and tens of thousands one after the other take minutes."""
    with concurrent.futures.ThreadPoolExecutor(REMOVERS) as pool:
        for directory, _, names in os.walk(path):
            pool.submit(remove_files, directory, names)
    shutil.rmtree(path, ignore_errors=True)


def give_to_nobody(*paths):
    """Deliveries never run as root: what they write belongs to nobody then."""
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in paths:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
